package throttle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/throttle"
)

// TestLimitersThatShareALimitKeepItTogether: also when each alone would use it up, and neither takes it all.
func TestLimitersThatShareALimitKeepItTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most, span = 20, 10 * time.Second
		shared := throttle.NewShared(throttle.Limit{Calls: most, In: span})
		var mu sync.Mutex
		var starts []time.Time
		made := map[float64]int{}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var callers sync.WaitGroup
		for _, perSecond := range []float64{10, 3} {
			l := throttle.NewLimiter(throttle.LimiterConfig{
				CallsPerSecond: perSecond, Shared: shared, Pause: time.Second, LongestPause: time.Minute, Recovery: time.Minute,
			})
			callers.Go(func() {
				for {
					at, err := l.Wait(ctx)
					if err != nil {
						if !errors.Is(err, throttle.ErrExceedsDeadline) {
							t.Errorf("error %v", err)
						}
						return
					}
					mu.Lock()
					starts = append(starts, at)
					made[perSecond]++
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		slices.SortFunc(starts, time.Time.Compare)
		for i := most; i < len(starts); i++ {
			if within := starts[i].Sub(starts[i-most]); within < span {
				t.Fatalf("%d calls in %v", most+1, within)
			}
		}
		if n := len(starts); n < 220 || made[3] < 40 || made[10] < 40 {
			t.Errorf("%d calls in two minutes, %v; want 240, and no limiter without its part", n, made)
		}
	})
}
