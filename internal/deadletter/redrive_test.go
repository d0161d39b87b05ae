package deadletter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/queue"
	"license-deactivator/pkg/licenseapi"
)

// TestWhatARedriveDoesWithALetter is the policy: issue 14 and facts/lookup.md, 5.3 and 5.4.
func TestWhatARedriveDoesWithALetter(t *testing.T) {
	t.Parallel()
	r, e := request("r"), deactivation.Event{Source: "stripe"}
	for _, c := range []struct {
		reason deactivation.Reason
		code   string
		event  bool
		want   deadletter.Way
	}{
		{deactivation.ReasonRejected, "license_not_found", false, deadletter.Unchanged},
		{deactivation.ReasonRejected, lookup.CodeNoLicense, false, deadletter.Unchanged},
		{deactivation.ReasonRejected, lookup.CodeMismatch, false, deadletter.Unchanged},
		{deactivation.ReasonRejected, lookup.CodeTooMany, false, deadletter.Released},
		{deactivation.ReasonRejected, lookup.CodePartial, false, deadletter.Released},
		{deactivation.ReasonRejected, lookup.CodeUnconfirmed, false, deadletter.Released},
		{deactivation.ReasonRejected, lookup.CodeGivenBack, false, deadletter.Released},
		{deactivation.ReasonRejected, lookup.CodeNewerThanEvent, false, deadletter.Released},
		{deactivation.ReasonHeld, "surge", false, deadletter.Released},
		{deactivation.ReasonStale, "", false, deadletter.Released},
		{deactivation.ReasonWatched, "", false, deadletter.Released},
		{deactivation.ReasonWatched, "surge", false, deadletter.Released},
		{deactivation.ReasonCrashed, "", false, deadletter.Unchanged},
		{deactivation.ReasonUndelivered, "", false, deadletter.Unchanged},
		{deactivation.ReasonExhausted, "http_503", false, deadletter.Unchanged},
		{deactivation.ReasonExhausted, lookup.CodePartial, false, deadletter.Unchanged}, // its last code: no review
		{deactivation.ReasonUnmappable, "", true, deadletter.Mapped},
		{deactivation.ReasonUnmappable, "review", true, deadletter.Mapped},
		{deactivation.ReasonReversed, "", true, deadletter.Kept},
		{deactivation.ReasonReversed, "", false, deadletter.Kept},
	} {
		l := &deadletter.Letter{DeadLetter: deactivation.DeadLetter{Reason: c.reason, Code: c.code}}
		if c.event {
			l.Event = &e
		} else {
			l.Request = &r
		}
		for _, byID := range []bool{false, true} {
			if got, why := deadletter.Redrive(l, byID); got != c.want || (got == deadletter.Kept || got == deadletter.Mapped) == (why == "") {
				t.Errorf("%s %s: %s (%s), want %s", c.reason, c.code, got, why, c.want)
			}
		}
	}
	later := &deadletter.Letter{DeadLetter: deactivation.DeadLetter{Reason: "later"}, Request: &r}
	if got, why := deadletter.Redrive(later, false); got != deadletter.Kept || why == "" {
		t.Errorf("a reason of a later version: %s (%s)", got, why)
	}
	if got, _ := deadletter.Redrive(later, true); got != deadletter.Unchanged {
		t.Errorf("a reason of a later version by its id: %s", got)
	}
	foreign := &deadletter.Letter{DeadLetter: deactivation.DeadLetter{Reason: deactivation.ReasonHeld}}
	if got, _ := deadletter.Redrive(foreign, false); got != deadletter.Kept {
		t.Errorf("a foreign letter: %s", got)
	}
	if got, _ := deadletter.Redrive(foreign, true); got != deadletter.Unchanged {
		t.Errorf("a foreign letter by its id: %s", got)
	}
}

// TestARedriveChangesNothingButTheRelease: the id, and a field of a later version, stay.
func TestARedriveChangesNothingButTheRelease(t *testing.T) {
	t.Parallel()
	body := strings.Replace(wire(t, request("r1")), `"v":1`, `"v":1,"later":{"a":[1.0,"<&>"]}`, 1)
	l := &deadletter.Letter{Body: body, Group: "stripe", Attributes: map[string]string{"reason": "held"}}
	entry, err := deadletter.Entry(l, deadletter.Unchanged, deactivation.Release{})
	if err != nil || entry.Body != body || entry.Group != "stripe" || entry.Attributes != nil {
		t.Errorf("unchanged: %+v, %v", entry, err)
	}
	release := deactivation.Release{By: "ada@example.com", At: time.Date(2026, 11, 29, 13, 0, 0, 0, time.FixedZone("", 3600)), Reason: "ticket <4711>"}
	entry, err = deadletter.Entry(l, deadletter.Released, release)
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &before) != nil || json.Unmarshal([]byte(entry.Body), &after) != nil {
		t.Fatal(entry.Body)
	}
	if got, want := string(after["released"]), `{"by":"ada@example.com","at":"2026-11-29T12:00:00Z","reason":"ticket <4711>"}`; got != want {
		t.Errorf("released is %s, want %s", got, want)
	}
	delete(after, "released")
	for name, want := range before {
		if string(after[name]) != string(want) {
			t.Errorf("%s is %s, was %s", name, after[name], want)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d fields, want %d", len(after), len(before))
	}
	if got, _, err := deactivation.Parse(entry.Body); err != nil || got.ID != "r1" || got.Released.By != release.By {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := deadletter.Entry(l, deadletter.Released, deactivation.Release{By: "ada"}); err == nil {
		t.Error("a release without when and why")
	}
}

func TestEveryReasonAndCodeHasAMeaning(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range deadletter.Meanings() {
		if key := string(m.Reason) + " " + m.Code; m.Is == "" || m.Do == "" || seen[key] {
			t.Errorf("%q: %+v", key, m)
		} else {
			seen[key] = true
		}
	}
	for _, reason := range append(seven(), deactivation.ReasonUnmappable, deactivation.ReasonReversed, deactivation.ReasonInvalid) {
		if m := deadletter.MeaningOf(deactivation.DeadLetter{Reason: reason, Code: "nobody-knows"}); m.Reason != reason || strings.Contains(m.Is, "does not know") {
			t.Errorf("%s: %+v", reason, m)
		}
	}
	for _, code := range licenseapi.Codes() {
		if m := deadletter.MeaningOf(deactivation.DeadLetter{Reason: deactivation.ReasonRejected, Code: code.Code}); !strings.Contains(m.Is, code.Meaning) || m.Do == "" {
			t.Errorf("%s: %+v", code.Code, m)
		}
	}
	if m := deadletter.MeaningOf(deactivation.DeadLetter{Reason: deactivation.ReasonRejected, Code: lookup.CodePartial}); !strings.Contains(m.Is, "a part of the order") {
		t.Errorf("partial: %+v", m)
	}
	if m := deadletter.MeaningOf(deactivation.DeadLetter{Reason: "new", Code: "x"}); !strings.Contains(m.Is, "does not know") {
		t.Errorf("an unknown reason: %+v", m)
	}
}

func TestThePlansHashIsThatOfItsLetters(t *testing.T) {
	t.Parallel()
	move := func(id, body string) deadletter.Move {
		return deadletter.Move{Letter: &deadletter.Letter{MessageID: id}, Entries: []queue.Entry{{Body: body}}}
	}
	a, b := move("1", "x"), move("2", "y")
	plan := deadletter.Hash("redrive to q", []deadletter.Move{a, b})
	if got := deadletter.Hash("redrive to q", []deadletter.Move{b, a}); got != plan || len(plan) != 12 {
		t.Errorf("in another order %s, want %s", got, plan)
	}
	for name, other := range map[string]string{
		"another act":    deadletter.Hash("purge q", []deadletter.Move{a, b}),
		"one letter":     deadletter.Hash("redrive to q", []deadletter.Move{a}),
		"another letter": deadletter.Hash("redrive to q", []deadletter.Move{a, move("3", "y")}),
		"another body":   deadletter.Hash("redrive to q", []deadletter.Move{a, move("2", "z")}),
	} {
		if other == plan {
			t.Errorf("%s has the same hash", name)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	l := func(reason deactivation.Reason, source string, age time.Duration) *deadletter.Letter {
		return &deadletter.Letter{DeadLetter: deactivation.DeadLetter{Reason: reason, Source: source, FailedAt: now.Add(-age)}}
	}
	groups := deadletter.Groups([]*deadletter.Letter{l("stale", "stripe", 3), l("held", "stripe", 2), l("held", "shopify", 9), l("held", "stripe", 5)})
	if len(groups) != 3 || groups[0].Reason != "held" || groups[0].Source != "stripe" || len(groups[0].Letters) != 2 ||
		!groups[0].Oldest().Equal(now.Add(-5)) || !groups[0].Newest().Equal(now.Add(-2)) || groups[1].Source != "shopify" || groups[2].Reason != "stale" {
		t.Errorf("%+v", groups)
	}
}
