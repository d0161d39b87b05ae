package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
)

// plans are the plans that were shown and not yet acted on. An act names its plan, so that no page repeats what a person typed
// into a field, such as a license key.
type plans struct {
	mu  sync.Mutex
	all map[string]heldPlan
}

type heldPlan struct {
	act  Act
	plan Plan
	at   time.Time
}

const (
	// planLasts is how long a plan can be acted on: after a pause the letters are looked at again.
	planLasts = 30 * time.Minute

	// maxPlans bounds the plans that nobody acted on.
	maxPlans = 100
)

// errPlanGone is the error of an act on a plan that was acted on, is too old, or is of an earlier start.
var errPlanGone = errors.New("the plan is not there any more: nothing was done")

// hold keeps a plan, and returns the name by which an act takes it.
func (p *plans) hold(a Act, plan Plan, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := ""
	for name, held := range p.all {
		if now.Sub(held.at) > planLasts {
			delete(p.all, name)
		} else if oldest == "" || held.at.Before(p.all[oldest].at) {
			oldest = name
		}
	}
	if len(p.all) >= maxPlans {
		delete(p.all, oldest)
	}
	if p.all == nil {
		p.all = map[string]heldPlan{}
	}
	name := rand.Text()
	p.all[name] = heldPlan{a, plan, now}
	return name
}

// take returns a plan, once.
func (p *plans) take(name string, now time.Time) (heldPlan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := p.all[name]
	delete(p.all, name)
	if !ok || now.Sub(held.at) > planLasts {
		return heldPlan{}, errPlanGone
	}
	return held, nil
}

// planPage shows a plan and asks for the count.
type planPage struct {
	Place  string
	Writes bool
	Name   string
	Act    Act
	Plan   Plan
	Back   string // address of the letters
	About  string // which letters were chosen
}

func (s *Server) plan(r *http.Request) (view, error) {
	if err := r.ParseForm(); err != nil {
		return view{}, errors.Join(errForm, err)
	}
	a := readAct(r.PostForm)
	if a.Do != DoRedrive && a.Do != DoPurge {
		return view{}, errForm
	}
	p, err := s.Letters.Plan(r.Context(), a)
	if err != nil {
		return view{}, err
	}
	page := planPage{Place: s.Place, Writes: s.AllowWrites, Act: a, Plan: p, About: a.Filter.String()}
	page.Name = s.plans.hold(a, p, s.Now())
	return view{name: "plan", content: page}, nil
}

// readAct reads the form of a plan. A field of a draft is set/<number>/<field>, and the draft's request id id/<number>.
func readAct(form url.Values) Act {
	a := Act{Do: form.Get("do"), Filter: letterFilter(form), Remap: form.Get("remap") != ""}
	for name, values := range form {
		number, isDraft := strings.CutPrefix(name, "draft/")
		if !isDraft || form.Get("keep/"+number) == "" {
			continue
		}
		if a.Set == nil {
			a.Set = map[string]map[string]string{}
		}
		set := map[string]string{}
		a.Set[values[0]] = set
		for field, texts := range form {
			if field, ok := strings.CutPrefix(field, "set/"+number+"/"); ok && strings.TrimSpace(texts[0]) != "" {
				set[field] = texts[0]
			}
		}
	}
	return a
}

// String says which letters a filter chooses.
func (f LetterFilter) String() string {
	var parts []string
	add := func(what, text string) {
		if text != "" {
			parts = append(parts, what+" "+text)
		}
	}
	add("id", strings.Join(f.IDs, ", "))
	add("reason", string(f.Reason))
	add("code", f.Code)
	if f.NoCode {
		parts = append(parts, "without a code")
	}
	add("source", f.Source)
	if f.NoSource {
		parts = append(parts, "without a source")
	}
	add("order", f.Order)
	if len(parts) == 0 {
		return "all letters"
	}
	return strings.Join(parts, ", ")
}

// donePage shows what an act did.
type donePage struct {
	Place  string
	Act    Act
	Result Result
}

// act acts on a plan that was shown, once.
func (s *Server) act(r *http.Request) (view, error) {
	if !s.AllowWrites {
		return view{}, errReadOnly
	}
	if err := r.ParseForm(); err != nil {
		return view{}, errors.Join(errForm, err)
	}
	held, err := s.plans.take(r.PostForm.Get("plan"), s.Now())
	if err != nil {
		return view{}, err
	}
	typed, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("count")))
	if err != nil || typed != held.plan.Count {
		return view{}, ErrCount
	}
	comment := strings.TrimSpace(r.PostForm.Get("comment"))
	if err := deactivation.CheckText("comment", comment); err != nil || comment == "" {
		return view{}, errComment
	}
	s.acting.RLock()
	defer s.acting.RUnlock()
	result, err := s.Letters.Do(r.Context(), held.act, Confirmation{Hash: held.plan.Hash, Count: typed, Comment: comment})
	if err != nil {
		return view{}, err
	}
	return view{name: "done", content: donePage{s.Place, held.act, result}}, nil
}

// errComment is the error of an act without a reason.
var errComment = errors.New("the comment is empty, or is not one short line: nothing was done")
