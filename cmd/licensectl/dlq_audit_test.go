package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// ledger is a Memory with what commands wrote into the log group of the stack.
func (f *fakeAWS) ledger(t *testing.T) *history.Memory {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	memory := new(history.Memory)
	for _, line := range f.logged {
		if strings.Contains(line, "CANARY") {
			t.Errorf("a key is in the log: %s", line)
		}
		_, _ = memory.Write([]byte(line))
	}
	return memory
}

// stepsOf is what why says about a question: the outcome, then each step with who.
func stepsOf(t *testing.T, memory *history.Memory, q history.Question) (text []string) {
	t.Helper()
	found, err := memory.Find(t.Context(), q, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range history.Tell(q, found).Requests {
		text = append(text, r.ID+": "+r.Outcome)
		for _, s := range r.Steps {
			text = append(text, "  "+s.Step+" "+s.Text+" by "+s.By)
		}
	}
	return text
}

// TestWhySaysWhoTouchedALetter: every letter that a command of dlq moves has a line of its own in the log of the stack, which
// is found by its id, its order and its license.
func TestWhySaysWhoTouchedALetter(t *testing.T) {
	t.Parallel()
	const by = "arn:aws:sts::1:assumed-role/ops/ada"
	for name, c := range map[string]struct {
		args     []string
		n        int
		question history.Question
		want     []string
	}{
		"a purge": {[]string{"purge", "--reason", "held"}, 2, history.OfID("stripe.held.1"), []string{
			"stripe.held.1: purged", "  purged licensectl dlq purge: ticket 4711 by " + by,
		}},
		"a redrive, by an id of the order": {[]string{"redrive", "--reason", "crashed"}, 1, history.OfOrder("pi_stripe.crashed.0"), []string{
			"stripe.crashed.0: waiting", "  redriven licensectl dlq redrive: ticket 4711 by " + by,
		}},
		"a release, by the license": {[]string{"redrive", "--reason", "stale"}, 1, history.OfLicense("CANARY-KEY-0000-1234"), []string{
			"stripe.stale.0: waiting", "  released licensectl dlq redrive: ticket 4711 by " + by,
		}},
		"an event that is completed, by the event": {
			[]string{"redrive", "--id", "generic.20261104-915226", "--set", "product=acme-pro"}, 1, history.OfID("generic.20261104-915226"), []string{
				"generic.20261104-915226: redriven", "  redriven licensectl dlq redrive made its requests: ticket 4711 by " + by,
				"generic.20261104-915226.0: waiting", "  redriven licensectl dlq redrive made this request of the event 20261104-915226: ticket 4711 by " + by,
			},
		},
		"another letter": {[]string{"redrive", "--reason", "crashed"}, 1, history.OfID("stripe.exhausted.0"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newDeadQueues(t).fill(t)
			if code, stdout, stderr := q.dlq(t, append(append(c.args, "--stack", "shop"), act(c.n)...)...); code != exitDone {
				t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
			}
			if diff := cmp.Diff(c.want, stepsOf(t, q.aws.ledger(t), c.question)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWhySaysThatALetterWasNotReached: the queue refuses the message, so the letter stays.
func TestWhySaysThatALetterWasNotReached(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	q.refuseSends = true
	code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--reason", "crashed", "--stack", "shop"}, act(1)...)...)
	if code != exitFailed {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	got := stepsOf(t, q.aws.ledger(t), history.OfID("stripe.crashed.0"))
	if len(got) != 3 || !strings.HasPrefix(got[2], "  kept in the dead-letter queue: licensectl dlq redrive ended before it") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestManyLinesTakeSeveralCalls: within the bounds of PutLogEvents.
func TestManyLinesTakeSeveralCalls(t *testing.T) {
	t.Parallel()
	long := make([]string, 40)
	for i := range long {
		long[i] = strings.Repeat("x", 100<<10)
	}
	for name, c := range map[string]struct {
		texts []string
		want  int
	}{
		"few": {long[:3], 3}, "many bytes": {long, 8}, "many lines": {make([]string, 12_000), 5000}, "one that is too long": {[]string{strings.Repeat("x", 2<<20)}, 1}, "none": {nil, 0},
	} {
		if got := logBatch(c.texts); got != c.want {
			t.Errorf("%s: %d lines, want %d", name, got, c.want)
		}
	}
}

// TestTheTimesOfAnAuditAreThoseOfTheLog: the clock of this machine may be wrong, and the steps of a timeline are in order.
func TestTheTimesOfAnAuditAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	for behind, corrected := range map[time.Duration]bool{0: false, time.Hour: true, -time.Hour: true} {
		logs := &fakeLogs{date: time.Now().Add(behind)}
		cmd, _ := auditedCommand(t)
		a := newAudit(cmd, nil, auditedPlace(t, logs), "jo@host", "ticket 1")
		var journal []deactivation.Audit
		a.journal = func(line deactivation.Audit) error { journal = append(journal, line); return nil }
		if err := a.begin(t.Context(), nil, deactivation.AuditItem{ID: "a.b.0"}); err != nil {
			t.Fatal(err)
		}
		off := journal[0].At.Sub(logs.date).Abs()
		if off > time.Minute || len(logs.lines) != 2 || corrected != (a.ahead != 0) {
			t.Errorf("%v: %v off, ahead %v, %d lines", behind, off, a.ahead, len(logs.lines))
		}
	}
}

// TestLinesThatTheLogDoesNotAcceptStopTheCommand: AWS answers 200 and drops them.
func TestLinesThatTheLogDoesNotAcceptStopTheCommand(t *testing.T) {
	t.Parallel()
	cmd, _ := auditedCommand(t)
	a := newAudit(cmd, nil, auditedPlace(t, &fakeLogs{drop: true}), "jo@host", "ticket 1")
	if err := a.begin(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is this machine's clock right?") {
		t.Errorf("begin returns %v", err)
	}
}
