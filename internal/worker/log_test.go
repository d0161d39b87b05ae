package worker_test

import (
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/worker"
)

// TestTheLineSaysWhatTheWorkerDecided: whether it acted, and if it did not, why the message was not called.
func TestTheLineSaysWhatTheWorkerDecided(t *testing.T) {
	t.Parallel()
	asked := request(1)
	asked.By, asked.Comment, asked.ReceivedAt, asked.OccurredAt = "ada", "ticket 7", atNoon(), atNoon().Add(-time.Minute)
	for name, c := range map[string]struct {
		body   string
		change func(*worker.Config)
		secret error
		want   deactivation.Decision
	}{
		"called":                {wire(asked), func(*worker.Config) {}, nil, deactivation.DecisionAct},
		"watch mode":            {wire(asked), watching, nil, deactivation.DecisionWatch},
		"not a message":         {`{"v":1}`, func(*worker.Config) {}, nil, deactivation.DecisionReject},
		"no secret can be read": {wire(asked), func(*worker.Config) {}, secrets.ErrUnavailable, deactivation.DecisionWait},
	} {
		r := newHarness(t, confirming(), c.change)
		r.secret.err = c.secret
		got := r.work(c.body)[0]
		if got.Decision != c.want {
			t.Errorf("%s: got %q, want %q", name, got.Decision, c.want)
		}
		if c.want == deactivation.DecisionAct && (got.By != "ada" || got.Comment != "ticket 7" || !got.ReceivedAt.Equal(asked.ReceivedAt) || !got.OccurredAt.Equal(asked.OccurredAt)) {
			t.Errorf("%s: the line lacks who asked, why or when: %+v", name, got)
		}
	}
	held := newHarness(t, confirming(), func(cfg *worker.Config) { cfg.SurgeLimit = 1 })
	for i, want := range []deactivation.Decision{deactivation.DecisionAct, deactivation.DecisionHold} {
		m := request(i + 1)
		m.ReceivedAt = atNoon()
		if got := held.work(wire(m))[0].Decision; got != want {
			t.Errorf("license %d of a limit of 1: got %q, want %q", i+1, got, want)
		}
	}
}
