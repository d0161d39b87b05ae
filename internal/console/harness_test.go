package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// address is where the tests reach the page.
const address = "127.0.0.1:4711"

// hostile is a text of a sender that a page must not run.
const hostile = `<script>alert(1)</script>"'`

func noon() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

// place is what the page shows in a test. Its letters are real only as far as the page needs it.
type place struct {
	memory history.Memory

	mu      sync.Mutex
	letters []console.Letter
	plan    console.Plan
	planned []console.Act
	acts    []console.Act
	given   []console.Confirmation
	failure error // of every method
	sent    []string
}

func (p *place) Overview(context.Context, time.Time) (console.Overview, error) {
	limit := 50
	return console.Overview{
		Mode: "act", LookUp: "on", Brake: &limit, Queue: &console.Depth{Visible: 2, Hidden: 1}, DeadLetters: &console.Depth{Visible: 3},
		Deliveries: []console.Count{{Source: "stripe", Name: "accepted", N: 4}, {Source: hostile, Name: "ignored", N: 1}},
		Outcomes:   []console.Count{{Name: "deactivated", N: 4}},
		License:    &console.Rate{Limit: 100, Step: 10 * time.Second, Calls: []float64{0, 40, 90, 2}, Counts: "answers to messages"},
		Notes:      []string{"a note about " + hostile},
	}, p.failure
}

func (p *place) Ask(ctx context.Context, q history.Question, since time.Time) (history.Answer, error) {
	found, err := p.memory.Find(ctx, q, since)
	if err != nil {
		return history.Answer{}, err
	}
	return history.Tell(q, found), p.failure
}

func (p *place) Explain(_ context.Context, id string) (console.Explanation, error) {
	if id == "stripe.evt_none" {
		return console.Explanation{}, console.ErrNoBody
	}
	return console.Explanation{Name: id, About: hostile, Sections: []console.Section{
		{Heading: "RESULT", Blocks: []console.Block{{Text: "accepted: 1 deactivation"}}},
		{Heading: "EVENT", Blocks: []console.Block{{Table: [][]string{{"id", hostile, "from id"}}}}},
	}}, p.failure
}

func (p *place) List(context.Context, console.LetterFilter) (console.LetterList, error) {
	return console.LetterList{Seen: len(p.letters), Letters: append([]console.Letter{}, p.letters...)}, p.failure
}

func (p *place) Show(_ context.Context, id string) (console.Letter, error) {
	for _, l := range p.letters {
		if l.ID == id || l.MessageID == id {
			return l, p.failure
		}
	}
	return console.Letter{}, fmt.Errorf("%w: %s", console.ErrNoLetter, id)
}

func (p *place) Plan(_ context.Context, a console.Act) (console.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned = append(p.planned, a)
	return p.plan, p.failure
}

func (p *place) Do(_ context.Context, a console.Act, c console.Confirmation) (console.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return console.Result{}, p.failure
	}
	p.acts, p.given = append(p.acts, a), append(p.given, c)
	return console.Result{Of: p.plan.Count, Done: p.plan.Count}, nil
}

func (p *place) Samples() []console.Sample {
	return []console.Sample{{Name: "stripe/full-refund", Source: "stripe", About: "refunded " + hostile}}
}

func (p *place) Send(_ context.Context, name string) (console.Sent, error) {
	p.sent = append(p.sent, name)
	return console.Sent{Status: http.StatusOK, ID: "stripe.evt_1"}, p.failure
}

// line writes a log line into the history.
func (p *place) line(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(&p.memory, format, args...); err != nil {
		t.Fatal(err)
	}
}

// withEvents fills the history with an accepted event, its deactivated request, and an event whose every text is hostile.
func (p *place) withEvents(t *testing.T) *place {
	t.Helper()
	at := noon().Add(-time.Minute).Format(time.RFC3339)
	quoted := strings.ReplaceAll(hostile, `"`, `\"`)
	p.line(t, `{"timestamp":%q,"message":"delivery","id":"stripe.evt_1","source":"stripe","event":"evt_1","rule":"refunded in full","answer":"accepted","order":"pi_1","request_count":1,"requests":["stripe.evt_1.0"],"status":200}`, at)
	p.line(t, `{"timestamp":%q,"message":"message","id":"stripe.evt_1.0","source":"stripe","event":"evt_1","order":"pi_1","outcome":"deactivated","attempts":1,"license":"…1234","product":"XY"}`, at)
	p.line(t, `{"timestamp":%q,"message":"delivery","id":"stripe.%s","source":"%[2]s","event":"%[2]s","rule":"%[2]s","answer":"unmappable","order":"%[2]s","missing":["%[2]s"],"problem":"%[2]s","status":200}`, at, quoted)
	return p
}

// withLetters fills the dead-letter queue.
func (p *place) withLetters() *place {
	p.letters = []console.Letter{
		{ID: "stripe.evt_1.0", MessageID: "m1", Reason: deactivation.ReasonHeld, Code: "surge", Source: "stripe", At: noon(), Kind: "request", Is: "Held by the brake.", ToDo: "Look.", Redrive: "It is released.", Way: "released", Orders: []string{"pi_1"}},
		{ID: "stripe." + hostile, MessageID: "m2", Reason: deactivation.ReasonUnmappable, Detail: hostile, Source: hostile, At: noon(), Kind: "event", Is: hostile, ToDo: hostile, Redrive: hostile, Way: "mapped", Orders: []string{hostile},
			Content: [][2]string{{"id", hostile}}, Drafts: []console.Draft{{ID: "stripe.evt_2.0", Missing: []string{"hardware_id"}, Problem: hostile, Fields: []console.Field{{Name: "license_key", Value: "…" + hostile}, {Name: "hardware_id"}}}}},
	}
	p.plan = console.Plan{Hash: "0123456789ab", Count: 2, Groups: []console.PlanGroup{{Reason: deactivation.ReasonHeld, Source: hostile, How: "released", Count: 2, Oldest: noon(), Newest: noon()}},
		Kept: []console.KeptLetters{{Count: 1, Why: hostile}}, Changes: []console.Change{{ID: hostile, Before: hostile, After: []string{hostile}}}, Notes: []string{hostile}}
	return p
}

// page is a server with a client.
type page struct {
	*console.Server
	*place
}

func newPage(t *testing.T, p *place, change ...func(*console.Config)) page {
	t.Helper()
	c := console.Config{
		Place: "a test", Status: p, History: p, Explainer: p, Letters: p, Samples: p, AllowWrites: true, Now: noon,
	}
	for _, f := range change {
		f(&c)
	}
	s, err := console.New(c, address)
	if err != nil {
		t.Fatal(err)
	}
	return page{s, p}
}

// request is one that the page's own script would make.
func (p page) request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, "http://"+address+target, strings.NewReader(form.Encode()))
	r.URL.Scheme, r.URL.Host = "", "" // as a server reads it
	r.Host = address
	r.Header.Set("X-Console-Token", p.Token())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+address)
	}
	return r
}

// do serves a request.
func (p page) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func (p page) get(target string) *httptest.ResponseRecorder {
	return p.do(p.request(http.MethodGet, target, nil))
}

func (p page) post(target string, form url.Values) *httptest.ResponseRecorder {
	return p.do(p.request(http.MethodPost, target, form))
}

// hinted is an error with a hint.
type hinted struct{ error }

func (hinted) Hint() string { return "choose a profile with AWS_PROFILE" }

var errAWS = hinted{errors.New("AWS refuses the credentials")}
