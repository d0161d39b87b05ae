package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// desk is the console's view of the queues of the stack shop, and the audit lines that it wrote.
type desk struct {
	*letterDesk
	queues *deadQueues

	mu    sync.Mutex
	lines []deactivation.Audit
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{queues: newDeadQueues(t).fill(t)}
	to := &target{endpoint: d.queues.endpoint}
	d.letterDesk = newLetterDesk(letterDesk{
		open:      func(ctx context.Context) (*place, error) { return to.open(ctx, queueURL, deadLetterQueueURL) },
		sources:   func() (*source.Sources, error) { return builtInSources(t), nil },
		perSecond: 1e6, poll: fast().letterPoll,
		journal: func(line deactivation.Audit) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.lines = append(d.lines, line)
			return nil
		},
	})
	return d
}

var heldLetters = console.LetterFilter{Reason: deactivation.ReasonHeld} //nolint:gochecknoglobals // a constant

func TestTheConsoleListsTheLettersOfDLQ(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		filter console.LetterFilter
		want   int
	}{
		{console.LetterFilter{}, allLetters},
		{heldLetters, 2},
		{console.LetterFilter{Reason: deactivation.ReasonRejected, Code: "mismatch"}, 1},
		{console.LetterFilter{Reason: deactivation.ReasonStale, NoCode: true}, 1},
		{console.LetterFilter{Reason: deactivation.ReasonHeld, NoCode: true}, 0},
		{console.LetterFilter{Source: "generic"}, 1},
		{console.LetterFilter{Reason: deactivation.ReasonExhausted, NoCode: true}, 2},
		{console.LetterFilter{Reason: deactivation.ReasonExhausted, NoCode: true, NoSource: true}, 1},
		{console.LetterFilter{Order: "pi_stripe.held.1"}, 1},
		{console.LetterFilter{IDs: []string{"stripe.held.0", "stripe.held.1"}}, 2},
	} {
		list, err := d.List(t.Context(), c.filter)
		if err != nil || len(list.Letters) != c.want || list.Seen != allLetters {
			t.Errorf("%+v: %d of %d letters, %v, want %d", c.filter, len(list.Letters), list.Seen, err, c.want)
		}
	}
}

func TestTheConsoleShowsALetterWithoutItsKeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	l, err := d.Show(t.Context(), "stripe.held.0")
	if err != nil || l.Reason != deactivation.ReasonHeld || l.Way != "released" || !strings.Contains(l.Command, "licensectl dlq redrive --id stripe.held.0") {
		t.Errorf("%v, %+v", err, l)
	}
	noCanary(t, fmt.Sprintf("%+v", l))
	event, err := d.Show(t.Context(), noHardwareID)
	if err != nil || event.Kind != "event" || len(event.Drafts) != 1 || !cmp.Equal(event.Drafts[0].Missing, []string{"hardware_id"}) {
		t.Errorf("%v, %+v", err, event)
	}
	for _, f := range event.Drafts[0].Fields {
		if f.Name == "license_key" && !strings.HasPrefix(f.Value, "…") {
			t.Error("the draft shows the whole license key")
		}
	}
	if _, err := d.Show(t.Context(), "stripe.nobody"); !errors.Is(err, console.ErrNoLetter) {
		t.Errorf("no letter: %v", err)
	}
}

// TestAPlanOfTheConsoleIsThatOfDLQ: the same letters give the same hash, so that a person can continue on a terminal.
func TestAPlanOfTheConsoleIsThatOfDLQ(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for do, command := range map[string]string{console.DoRedrive: "redrive", console.DoPurge: "purge"} {
		plan, err := d.Plan(t.Context(), console.Act{Do: do})
		if err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := d.queues.dlq(t, command, "--json")
		var sum struct {
			Count int
			Plan  string
		}
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || code != exitDone {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
		}
		if plan.Hash != sum.Plan || plan.Count != sum.Count || plan.Count == 0 {
			t.Errorf("%s: plan %s of %d letters, licensectl dlq makes %s of %d", do, plan.Hash, plan.Count, sum.Plan, sum.Count)
		}
		if do == console.DoRedrive && len(plan.Kept) == 0 {
			t.Error("no letter is kept: events need a person")
		}
	}
}

func TestTheConsoleRedrivesWhatWasConfirmed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	act := console.Act{Do: console.DoRedrive, Filter: heldLetters}
	plan, err := d.Plan(t.Context(), act)
	if err != nil || plan.Count != 2 || len(plan.Groups) != 1 || plan.Groups[0].How != "released" {
		t.Fatalf("%v, %+v", err, plan)
	}
	for name, c := range map[string]struct {
		confirmation console.Confirmation
		want         error
	}{
		"another count": {console.Confirmation{Hash: plan.Hash, Count: 3, Comment: "checked"}, console.ErrCount},
		"another plan":  {console.Confirmation{Hash: "0123456789ab", Count: 2, Comment: "checked"}, console.ErrStale},
	} {
		if _, err := d.Do(t.Context(), act, c.confirmation); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := d.Do(t.Context(), act, console.Confirmation{Hash: plan.Hash, Count: 2, Comment: " "}); err == nil {
		t.Error("without a comment it acts")
	}
	if len(d.lines) > 0 || d.queues.jobs.Len() > 0 {
		t.Fatalf("refused, and yet %d messages were sent, audit %+v", d.queues.jobs.Len(), d.lines)
	}
	result, err := d.Do(t.Context(), act, console.Confirmation{Hash: plan.Hash, Count: 2, Comment: "spring sale, checked"})
	if diff := cmp.Diff(console.Result{Of: 2, Done: 2}, result); diff != "" || err != nil {
		t.Errorf("%v, (-want +got)\n%s", err, diff)
	}
	sent := d.queues.sent(t)
	for _, id := range []string{"stripe.held.0", "stripe.held.1"} {
		if len(sent[id]) != 1 || !strings.Contains(sent[id][0], `"reason":"spring sale, checked"`) {
			t.Errorf("%s: %v, want one message with its release", id, sent[id])
		}
	}
	if left := d.queues.left(t); len(left) == 0 || left["stripe.held.0"] != nil {
		t.Errorf("left are %v", left)
	}
	if len(d.lines) != 2 || d.lines[0].Phase != deactivation.AuditBegin || d.lines[1].Phase != deactivation.AuditEnd {
		t.Fatalf("audit %+v, want its begin and its end", d.lines)
	}
	for _, line := range d.lines {
		if line.Command != "licensectl console redrive" || line.Actor == "" || line.Comment != "spring sale, checked" || !cmp.Equal(line.Arguments, []string{"--reason=[held]"}) {
			t.Errorf("audit line %+v", line)
		}
	}
}

// TestAPlanThatIsOutOfDateIsRefused: a letter came after the person looked.
func TestAPlanThatIsOutOfDateIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	act := console.Act{Do: console.DoPurge, Filter: console.LetterFilter{Source: "stripe"}}
	plan, err := d.Plan(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := d.queues.dlq(t, "purge", "--id", "stripe.held.1", "--comment", "checked", "--yes", "--expect", "1"); code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if _, err := d.Do(t.Context(), act, console.Confirmation{Hash: plan.Hash, Count: plan.Count, Comment: "checked"}); !errors.Is(err, console.ErrStale) {
		t.Errorf("%v, want ErrStale", err)
	}
	if left := len(d.queues.left(t)); left != allLetters-1 {
		t.Errorf("%d letters are left, want %d", left, allLetters-1)
	}
}

func TestTheConsoleCompletesAnEvent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	filter := console.LetterFilter{IDs: []string{noHardwareID}}
	id := noHardwareID + ".0"
	if _, err := d.Plan(t.Context(), console.Act{Do: console.DoRedrive, Filter: filter, Set: map[string]map[string]string{id: {}}}); err == nil || !strings.Contains(err.Error(), "hardware_id") {
		t.Errorf("an incomplete request: %v", err)
	}
	if _, err := d.Plan(t.Context(), console.Act{Do: console.DoRedrive, Filter: filter, Set: map[string]map[string]string{id: {"frobnicate": "x"}}}); err == nil {
		t.Error("an unknown field is accepted")
	}
	without, err := d.Plan(t.Context(), console.Act{Do: console.DoRedrive, Filter: filter, Set: map[string]map[string]string{}})
	if err != nil || without.Count != 0 || len(without.Kept) != 1 {
		t.Errorf("without its only request: %v, %+v", err, without)
	}
	act := console.Act{Do: console.DoRedrive, Filter: filter, Set: map[string]map[string]string{id: {"hardware_id": "CANARY-HARDWARE-5678"}}}
	plan, err := d.Plan(t.Context(), act)
	if err != nil || plan.Count != 1 || len(plan.Changes) != 1 || !strings.Contains(strings.Join(plan.Changes[0].After, " "), "…5678") {
		t.Fatalf("%v, %+v", err, plan)
	}
	noCanary(t, fmt.Sprintf("%+v", plan))
	if result, err := d.Do(t.Context(), act, console.Confirmation{Hash: plan.Hash, Count: 1, Comment: "ticket 4711"}); err != nil || result.Done != 1 {
		t.Fatalf("%v, %+v", err, result)
	}
	sent := d.queues.sent(t)[id]
	if len(sent) != 1 || !strings.Contains(sent[0], `"hardware_id":"CANARY-HARDWARE-5678"`) || !strings.Contains(sent[0], `"reason":"ticket 4711"`) {
		t.Errorf("sent %v", sent)
	}
	noCanary(t, fmt.Sprintf("%+v", d.lines))
}

// TestTwoWindowsSeeAllLetters: a look hides the letters that it holds, so that looks of one console are made one after another.
func TestTwoWindowsSeeAllLetters(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if list, err := d.List(t.Context(), console.LetterFilter{}); err != nil || len(list.Letters) != allLetters {
				t.Errorf("%d letters, %v, want %d", len(list.Letters), err, allLetters)
			}
		})
	}
	all.Wait()
}

func TestALookThatIsNotWaitedForEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newLetterDesk(letterDesk{})
		<-d.free // another window looks
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := d.List(ctx, console.LetterFilter{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the end of the wait", err)
		}
	})
}

// TestTheAuditNamesTheChosenLetters: letters without a code or a sender are fewer than those with any.
func TestTheAuditNamesTheChosenLetters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter console.LetterFilter
		want   []string
	}{
		{console.LetterFilter{}, nil},
		{heldLetters, []string{"--reason=[held]"}},
		{console.LetterFilter{Reason: deactivation.ReasonExhausted, NoCode: true, NoSource: true}, []string{`--code=[""]`, "--reason=[exhausted]", `--source=[""]`}},
		{console.LetterFilter{Code: "http_503", Source: "stripe", Order: "pi_1"}, []string{"--code=[http_503]", "--order=[pi_1]", "--source=[stripe]"}},
		{console.LetterFilter{IDs: []string{"m1", "m2"}}, []string{"--id=[m1,m2]"}},
	} {
		if diff := cmp.Diff(c.want, argumentsOf(console.Act{Filter: c.filter})); diff != "" {
			t.Errorf("%+v: (-want +got)\n%s", c.filter, diff)
		}
	}
}
