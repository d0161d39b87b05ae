package throttle

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestIdleTimeIsNotMadeUpFor shows that CALLS_PER_SECOND is obeyed as given, with a burst of 1.
func TestIdleTimeIsNotMadeUpFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, calls = 10, 20
		l := production(perSecond)
		for _, idle := range []time.Duration{time.Second, time.Hour} {
			time.Sleep(idle)
			begin := time.Now()
			for range calls {
				if _, err := l.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took, least := time.Since(begin), (calls-1)*time.Second/perSecond-time.Millisecond; took < least {
				t.Errorf("after %v idle %d calls took %v, want %v at least", idle, calls, took, least)
			}
		}
	})
}
