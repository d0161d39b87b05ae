package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/console"
)

var planName = regexp.MustCompile(`name="plan" value="([A-Z2-7]{26})"`)

// planned makes a plan and returns its name.
func (p page) makePlan(t *testing.T) string {
	t.Helper()
	w := p.post("/view/plan", url.Values{"do": {"redrive"}, "reason": {"held"}})
	name := planName.FindStringSubmatch(w.Body.String())
	if name == nil {
		t.Fatalf("no plan: %d %s", w.Code, w.Body)
	}
	return name[1]
}

// confirm types a count and a comment.
func (p page) confirm(plan, count, comment string) *httptest.ResponseRecorder {
	return p.post("/view/act", url.Values{"plan": {plan}, "count": {count}, "comment": {comment}})
}

func TestAPlanIsActedOnWithItsCountAndAComment(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters())
	w := p.confirm(p.makePlan(t), " 2 ", " ticket 4711 ")
	if text := shown(t, w.Body.String()); w.Code != http.StatusOK || !strings.Contains(text, "2 of 2 letters redriven") {
		t.Errorf("%d %s", w.Code, text)
	}
	if len(p.acts) != 1 || p.acts[0].Filter.Reason != "held" || p.given[0] != (console.Confirmation{Hash: "0123456789ab", Count: 2, Comment: "ticket 4711"}) {
		t.Errorf("acts %+v, confirmed by %+v", p.acts, p.given)
	}
}

func TestAnActIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		count, comment string
		want           int
		says           string
	}{
		"another count":  {"3", "ticket 4711", http.StatusConflict, "The count does not match"},
		"no count":       {"", "ticket 4711", http.StatusConflict, "The count does not match"},
		"no number":      {"two", "ticket 4711", http.StatusConflict, "The count does not match"},
		"no comment":     {"2", "  ", http.StatusBadGateway, "the comment is empty"},
		"a long comment": {"2", strings.Repeat("x", 3000), http.StatusBadGateway, "not one short line"},
		"several lines":  {"2", "a\nb", http.StatusBadGateway, "not one short line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(t, (&place{}).withLetters())
			plan := p.makePlan(t)
			w := p.confirm(plan, c.count, c.comment)
			if text := shown(t, w.Body.String()); w.Code != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%d %s, want %d with %q", w.Code, text, c.want, c.says)
			}
			if w := p.confirm(plan, "2", "ticket 4711"); w.Code != http.StatusConflict {
				t.Errorf("the same plan again: %d, want 409: it has to be made again", w.Code)
			}
			if len(p.acts) > 0 {
				t.Error("something was done")
			}
		})
	}
}

// TestAStalePlanIsRefused: the letters have changed, the plan was acted on, it is too old, or another start made it.
func TestAStalePlanIsRefused(t *testing.T) {
	t.Parallel()
	now := noon()
	p := newPage(t, (&place{}).withLetters(), func(c *console.Config) { c.Now = func() time.Time { return now } })
	refused := func(why string, w *httptest.ResponseRecorder, acts int) {
		t.Helper()
		if text := shown(t, w.Body.String()); w.Code != http.StatusConflict || !strings.Contains(text, "The plan is out of date") || len(p.acts) != acts {
			t.Errorf("%s: %d %s, %d acts", why, w.Code, text, len(p.acts))
		}
	}
	refused("an unknown plan", p.confirm("AAAAAAAAAAAAAAAAAAAAAAAAAA", "2", "ticket"), 0)

	plan := p.makePlan(t)
	now = now.Add(31 * time.Minute)
	refused("a plan of half an hour ago", p.confirm(plan, "2", "ticket"), 0)

	plan = p.makePlan(t)
	p.confirm(plan, "2", "ticket")
	refused("a plan that was acted on", p.confirm(plan, "2", "ticket"), 1)

	plan = p.makePlan(t)
	p.failure = fmt.Errorf("%w: 1 of 2", console.ErrStale)
	refused("letters that have changed", p.confirm(plan, "2", "ticket"), 1)
}

// TestPlansAreBounded: the oldest one that nobody acted on is forgotten.
func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	now := noon()
	p := newPage(t, (&place{}).withLetters(), func(c *console.Config) { c.Now = func() time.Time { now = now.Add(time.Second); return now } })
	first, second := p.makePlan(t), p.makePlan(t)
	for range 99 {
		p.makePlan(t)
	}
	if w := p.confirm(first, "2", "ticket"); w.Code != http.StatusConflict {
		t.Errorf("the oldest of 101 plans: %d, want 409", w.Code)
	}
	if w := p.confirm(second, "2", "ticket"); w.Code != http.StatusOK {
		t.Errorf("the one after it: %d, want 200", w.Code)
	}
}

func TestAReadOnlyPageShowsPlansAndDoesNothing(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters(), func(c *console.Config) { c.AllowWrites = false })
	w := p.post("/view/plan", url.Values{"do": {"purge"}})
	if text := shown(t, w.Body.String()); w.Code != http.StatusOK || !strings.Contains(text, "This page is read-only.") || planName.MatchString(w.Body.String()) {
		t.Errorf("the plan: %d %s", w.Code, text)
	}
	for target, form := range map[string]url.Values{"/view/act": {"plan": {"x"}, "count": {"2"}, "comment": {"y"}}, "/view/samples/send": {"name": {"stripe/full-refund"}}} {
		if w := p.post(target, form); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", target, w.Code)
		}
	}
	if len(p.acts)+len(p.sent) > 0 {
		t.Error("something was done")
	}
}

func TestASampleIsSentAndItsEventLinked(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	w := p.post("/view/samples/send", url.Values{"name": {"stripe/full-refund"}})
	if w.Code != http.StatusOK || len(p.sent) != 1 || !strings.Contains(w.Body.String(), `href="/event?id=stripe.evt_1"`) {
		t.Errorf("%d %s, sent %v", w.Code, w.Body, p.sent)
	}
	without := newPage(t, &place{}, func(c *console.Config) { c.Samples = nil })
	if strings.Contains(without.get("/").Body.String(), "/samples") || without.post("/view/samples/send", nil).Code == http.StatusOK {
		t.Error("a place without samples offers them")
	}
}

// TestARefusedActLeadsBackToTheLetters: the plan is used up, and the page is no end.
func TestARefusedActLeadsBackToTheLetters(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters())
	for name, w := range map[string]*httptest.ResponseRecorder{
		"count": p.confirm(p.makePlan(t), "3", "ticket"), "comment": p.confirm(p.makePlan(t), "2", ""), "plan": p.confirm("gone", "2", "ticket"), "letter": p.get("/view/letter?id=gone"),
	} {
		if !strings.Contains(w.Body.String(), `href="/letters"`) {
			t.Errorf("%s: no link to the letters in %s", name, w.Body)
		}
	}
	if w := p.post("/view/plan", url.Values{"do": {"frobnicate"}}); strings.Contains(w.Body.String(), `href="/letters"`) {
		t.Errorf("a form that is not the page's leads to the letters: %s", w.Body)
	}
}
