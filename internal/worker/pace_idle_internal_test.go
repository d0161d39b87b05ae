package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestATimeWithoutWorkIsNotMadeUpFor: CALLS_PER_SECOND is obeyed as given, with a burst of 1.
func TestATimeWithoutWorkIsNotMadeUpFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, calls = 10, 20
		p := newPace(perSecond, nil, Backoff{First: 30 * time.Second, Cap: 15 * time.Minute})
		for _, idle := range []time.Duration{time.Second, time.Hour} {
			time.Sleep(idle)
			begin := time.Now()
			for range calls {
				if _, err := p.turn(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took, least := time.Since(begin), (calls-1)*time.Second/perSecond-time.Millisecond; took < least {
				t.Errorf("after %v without work %d calls took %v, want %v at least", idle, calls, took, least)
			}
		}
	})
}
