package throttle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// production returns a limiter with the worker's configuration in production.
func production(callsPerSecond float64, limits ...Limit) *Limiter {
	return NewLimiter(LimiterConfig{
		CallsPerSecond: callsPerSecond, Limits: limits, Pause: time.Second, LongestPause: 15 * time.Minute, Recovery: time.Minute,
	})
}

// starts waits for so many calls and returns when each may start, relative to start.
func starts(t *testing.T, l *Limiter, n int, start time.Time) []time.Duration {
	t.Helper()
	at := make([]time.Duration, n)
	for i := range at {
		started, err := l.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at[i] = started.Sub(start)
	}
	return at
}

// most is the most starts in any half-open time span of that length.
func most(at []time.Duration, span time.Duration) int {
	most, first := 0, 0
	for i := range at {
		for at[i]-at[first] >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestLimiterMakesUpForTheGapBetweenBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := production(10)
		var at []time.Duration
		for range 10 { // batches of twenty; each ends with a call of 300 ms
			at = append(at, starts(t, l, 20, start)...)
			time.Sleep(300 * time.Millisecond)
		}
		if last := at[len(at)-1]; last > 20200*time.Millisecond {
			t.Errorf("200 calls at 10/s took %v, want 20 s: the gaps between batches are not made up for", last)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 80*time.Millisecond {
				t.Fatalf("call %d starts %v after the one before, want 80 ms at least", i, gap)
			}
		}
		if n := most(at, 10*time.Second); n > 100+5 {
			t.Errorf("%d calls in ten seconds, want 10/s and what half a second makes up for", n)
		}
	})
}

func TestWindowIsKeptWhateverComesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := production(20.0/3, Limit{66, 10 * time.Second})
		time.Sleep(time.Hour)
		var at []time.Duration
		for i := range 60 { // batches of twenty with a gap between them
			at = append(at, starts(t, l, 20, start)...)
			time.Sleep(time.Duration(i%6) * 100 * time.Millisecond)
		}
		if n := most(at, 10*time.Second); n != 66 {
			t.Errorf("%d calls in ten seconds, want 66", n)
		}
		took := (at[len(at)-1] - at[0]).Seconds()
		if rate := float64(len(at)-1) / took; rate < 6.6*0.99 {
			t.Errorf("%.3f calls a second, want 6.6", rate)
		}
	})
}

func TestCallsStartOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := production(100)
		time.Sleep(time.Minute)
		var mu sync.Mutex
		var at []time.Duration
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				started, err := l.Wait(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				at = append(at, started.Sub(start))
			})
		}
		callers.Wait()
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 8*time.Millisecond {
				t.Fatalf("call %d starts %v after the one before, want 8 ms at least: idle time is no burst", i, gap)
			}
		}
	})
}

func TestWaitDoesNotOutliveItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := production(0.1)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if _, err := l.Wait(ctx); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v, want a start after 10 s", err, time.Since(start))
		}
		if _, err := l.Wait(ctx); !errors.Is(err, ErrExceedsDeadline) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v, want ErrExceedsDeadline at once", err, time.Since(start))
		}
		// A failed Wait uses no call.
		if at := starts(t, l, 1, start); at[0] != 20*time.Second {
			t.Errorf("the next invocation starts its call after %v, want 20 s", at[0])
		}
		cancelled, end := context.WithCancel(t.Context())
		go end()
		if _, err := l.Wait(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's error", err)
		}
		if at := starts(t, l, 1, start); at[0] != 30*time.Second {
			t.Errorf("after one that was cancelled the call starts after %v, want 30 s", at[0])
		}
	})
}

func TestPauseHoldsEveryCall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		retryAfter      time.Duration
		pause           time.Duration
		retryAfterAgain time.Duration
	}{
		{"Retry-After", 7 * time.Second, 7 * time.Second, 0},
		{"no Retry-After", 0, time.Second, 0},
		{"more than the longest pause", 24 * time.Hour, 15 * time.Minute, 0},
		{"longer from another call", 7 * time.Second, 9 * time.Second, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := production(100)
				begun := time.Now()
				time.Sleep(time.Minute)
				start := time.Now()
				next := make(chan time.Duration)
				go func() { next <- starts(t, l, 2, start)[1] }()
				time.Sleep(time.Millisecond) // the first call has started, the second waits
				if got := l.On429(begun, test.retryAfter, "http_429"); got == 0 {
					t.Error("the first 429 does not lower the rate")
				}
				if got := l.On429(begun, test.retryAfterAgain, "http_429"); got != 0 {
					t.Error("a call that was in flight lowers the rate again")
				}
				if got := l.Rate(); got != 50 {
					t.Errorf("%v calls a second after one 429 and one of a call that was in flight, want half of 100", got)
				}
				if got := <-next; got != test.pause+time.Millisecond {
					t.Errorf("the next call starts after %v, want %v", got, test.pause)
				}
			})
		})
	}
}

func TestPauseBeyondTheContextIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := production(100)
		l.On429(time.Now(), 5*time.Minute, "http_429")
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := l.Wait(ctx)
		paused, ok := errors.AsType[*PausedError](err)
		if !ok || paused.Left != 4*time.Minute || paused.Code != "http_429" {
			t.Errorf("%v, want a pause of 4 min", err)
		}
	})
}

// TestRateIsLoweredAndRecovers checks the rate over time: each 429 halves it, to an eighth at least, and half of the
// rate comes back within a minute after the pause.
func TestRateIsLoweredAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := production(8)
		at := func() float64 { return l.Rate() }
		again := func() {
			time.Sleep(time.Nanosecond)
			l.On429(time.Now(), 2*time.Second, "http_429")
			time.Sleep(time.Nanosecond)
		}
		steps := []struct {
			what string
			do   func()
			want float64
		}{
			{"at first", func() {}, 8},
			{"a 429", again, 4},
			{"in the pause", func() { time.Sleep(2 * time.Second) }, 4},
			{"half a minute", func() { time.Sleep(30 * time.Second) }, 6},
			{"a 429", again, 3},
			{"a 429", again, 1.5},
			{"a 429", again, 1},
			{"a 429: an eighth at least", again, 1},
			{"the pause and a minute", func() { time.Sleep(62 * time.Second) }, 5},
			{"a minute", func() { time.Sleep(time.Minute) }, 8},
			{"an hour", func() { time.Sleep(time.Hour) }, 8},
		}
		for _, step := range steps {
			step.do()
			if got := at(); got < step.want-0.001 || got > step.want+0.001 {
				t.Errorf("%s: %.3f calls a second, want %v", step.what, got, step.want)
			}
		}
	})
	slowest := production(0.3)
	for range 5 {
		slowest.On429(time.Now(), 0, "")
	}
	if got := slowest.Rate(); got != leastPerSecond {
		t.Errorf("%v calls a second, want one in ten seconds at least", got)
	}
	if got := production(0.02).Rate(); got != 0.02 {
		t.Errorf("%v calls a second of a rate of 0.02", got)
	}
}
