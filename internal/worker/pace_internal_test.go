package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// production is what functions/worker sets.
func production() Backoff { return Backoff{First: 30 * time.Second, Cap: 15 * time.Minute} }

// turns takes so many turns and returns when each came, from the beginning.
func turns(t *testing.T, p *pace, n int, start time.Time) []time.Duration {
	t.Helper()
	at := make([]time.Duration, n)
	for i := range at {
		turn, err := p.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at[i] = turn.Sub(start)
	}
	return at
}

// most is the most turns in any span of that length, its end left out.
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

func TestLimitsAreOneInstancesParts(t *testing.T) {
	t.Parallel()
	const (
		plan = 3600
		// The API's spans and the margin.
		minute, address, second = 60300 * time.Millisecond, 10050 * time.Millisecond, 1005 * time.Millisecond
	)
	for _, test := range []struct {
		name  string
		stack Stack
		want  []Limit
		share float64
	}{
		{"default, plan not known", Stack{CallsPerSecond: 10, Instances: 2},
			[]Limit{{100, address}, {25, second}}, 5},
		{"three instances from one address", Stack{CallsPerSecond: 20, Instances: 3, PlanCallsPerMinute: plan, LiveShare: 0.5},
			[]Limit{{600, minute}, {66, address}, {16, second}}, 20.0 / 3},
		{"three instances from three", Stack{CallsPerSecond: 30, Instances: 3, PlanCallsPerMinute: plan, LiveShare: 0.5},
			[]Limit{{600, minute}, {100, address}, {16, second}}, 10},
		{"one instance has one address", Stack{CallsPerSecond: 50, Instances: 1},
			[]Limit{{200, address}, {50, second}}, 50},
		{"less than a call in the span", Stack{CallsPerSecond: 40, Instances: 100, PlanCallsPerMinute: 60, LiveShare: 0.5},
			[]Limit{{1, 201 * time.Second}, {4, address}, {1, 2 * second}}, 0.4},
		{"a vendor with other limits", Stack{CallsPerSecond: 300, Instances: 2}, nil, 150},
		{"and a plan", Stack{CallsPerSecond: 300, Instances: 2, PlanCallsPerMinute: 18000, LiveShare: 0},
			[]Limit{{9000, minute}}, 150},
	} {
		if diff := cmp.Diff(test.want, test.stack.Limits()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if got := test.stack.Share(); got != test.share {
			t.Errorf("%s: share %v, want %v", test.name, got, test.share)
		}
	}
}

// TestAllInstancesTogetherKeepTheLimits has every stack whose ceiling is within what the API allows.
func TestAllInstancesTogetherKeepTheLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stack := Stack{
			CallsPerSecond:     rapid.Float64Range(0.02, 20).Draw(t, "calls"),
			Instances:          rapid.IntRange(1, 1000).Draw(t, "instances"),
			PlanCallsPerMinute: rapid.IntRange(1, 18_000).Draw(t, "plan"),
			LiveShare:          rapid.Float64Range(0, 0.99).Draw(t, "live"),
		}
		allowed := []Limit{
			{int(float64(stack.PlanCallsPerMinute) * (1 - stack.LiveShare)), planSpan}, {perAddress, addressSpan}, {perAuthorization, authorizationSpan},
		}
		for i, l := range stack.Limits() {
			together := float64(l.Calls*stack.Instances) / l.In.Seconds()
			if most := (float64(allowed[i].Calls) + 1) / allowed[i].In.Seconds(); together > most || l.Calls < 1 {
				t.Errorf("%+v: all call %v a second for limit %+v of %+v", stack, together, l, allowed[i])
			}
		}
	})
}

func TestPaceMakesUpForTheTimeBetweenBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(10, nil, production())
		var at []time.Duration
		for range 10 { // batches of twenty, each of which ends with a call of 300 ms
			at = append(at, turns(t, p, 20, start)...)
			time.Sleep(300 * time.Millisecond)
		}
		if last := at[len(at)-1]; last > 20200*time.Millisecond {
			t.Errorf("200 turns at 10/s took %v, want 20 s: the time between batches is lost", last)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 80*time.Millisecond {
				t.Fatalf("turn %d comes %v after the one before, want 80 ms at least", i, gap)
			}
		}
		if n := most(at, 10*time.Second); n > 100+5 {
			t.Errorf("%d turns in ten seconds, want 10/s and what half a second makes up for", n)
		}
	})
}

func TestWindowIsKeptWhateverComesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(20.0/3, []Limit{{66, 10 * time.Second}}, production())
		time.Sleep(time.Hour)
		var at []time.Duration
		for i := range 60 { // batches of twenty and what is between them
			at = append(at, turns(t, p, 20, start)...)
			time.Sleep(time.Duration(i%6) * 100 * time.Millisecond)
		}
		if n := most(at, 10*time.Second); n != 66 {
			t.Errorf("%d turns in ten seconds, want 66", n)
		}
		took := (at[len(at)-1] - at[0]).Seconds()
		if rate := float64(len(at)-1) / took; rate < 6.6*0.99 {
			t.Errorf("%.3f turns a second, want 6.6", rate)
		}
	})
}

func TestTurnsComeOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(100, nil, production())
		time.Sleep(time.Minute)
		var mu sync.Mutex
		var at []time.Duration
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				turn, err := p.turn(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				at = append(at, turn.Sub(start))
			})
		}
		callers.Wait()
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 8*time.Millisecond {
				t.Fatalf("turn %d comes %v after the one before, want 8 ms at least: idle time is no burst", i, gap)
			}
		}
	})
}

func TestTurnDoesNotOutliveTheInvocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(0.1, nil, production())
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if _, err := p.turn(ctx); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v, want a turn after 10 s", err, time.Since(start))
		}
		if _, err := p.turn(ctx); !errors.Is(err, errNoTurn) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v, want errNoTurn at once", err, time.Since(start))
		}
		// What was given up is not used up.
		if at := turns(t, p, 1, start); at[0] != 20*time.Second {
			t.Errorf("the next invocation has its turn after %v, want 20 s", at[0])
		}
		cancelled, end := context.WithCancel(t.Context())
		go end()
		if _, err := p.turn(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's error", err)
		}
		if at := turns(t, p, 1, start); at[0] != 30*time.Second {
			t.Errorf("after one that was cancelled the turn comes after %v, want 30 s", at[0])
		}
	})
}

func TestPauseHoldsEveryTurn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		retryAfter      time.Duration
		pause           time.Duration
		retryAfterAgain time.Duration
	}{
		{"as told", 7 * time.Second, 7 * time.Second, 0},
		{"not told", 0, time.Second, 0},
		{"told more than the cap", 24 * time.Hour, 15 * time.Minute, 0},
		{"told longer by another call", 7 * time.Second, 9 * time.Second, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPace(100, nil, production())
				begun := time.Now()
				time.Sleep(time.Minute)
				start := time.Now()
				next := make(chan time.Duration)
				go func() { next <- turns(t, p, 2, start)[1] }()
				time.Sleep(time.Millisecond) // the first turn is taken, the second is waited for
				if got := p.slow.heard(begun, test.retryAfter, "http_429"); got == 0 {
					t.Error("the first 429 does not lower the pace")
				}
				if got := p.slow.heard(begun, test.retryAfterAgain, "http_429"); got != 0 {
					t.Error("a call that was under way lowers the pace again")
				}
				if got := p.slow.of(p.share, time.Now()); got != 50 {
					t.Errorf("%v calls a second after one 429 and one of a call that was under way, want half of 100", got)
				}
				if got := <-next; got != test.pause+time.Millisecond {
					t.Errorf("the next turn comes after %v, want %v", got, test.pause)
				}
			})
		})
	}
}

func TestPauseBeyondTheInvocationIsSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(100, nil, production())
		p.slow.heard(time.Now(), 5*time.Minute, "http_429")
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.turn(ctx)
		paused, ok := errors.AsType[*pausedError](err)
		if !ok || paused.left != 4*time.Minute || paused.code != "http_429" {
			t.Errorf("%v, want a pause of 4 min", err)
		}
	})
}

// TestPaceIsLoweredAndComesBack draws the pace: halved by each 429, an eighth at least, and half of the share comes
// back in a minute after the pause.
func TestPaceIsLoweredAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(8, nil, production())
		at := func() float64 { return float64(p.slow.of(p.share, time.Now())) }
		again := func() {
			time.Sleep(time.Nanosecond)
			p.slow.heard(time.Now(), 2*time.Second, "http_429")
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
	slowest := newPace(0.3, nil, production())
	for range 5 {
		slowest.slow.heard(time.Now(), 0, "")
	}
	if got := slowest.slow.of(slowest.share, time.Now()); got != leastPerSecond {
		t.Errorf("%v calls a second, want one in ten seconds at least", got)
	}
	if got := newSlow(production()).of(0.02, time.Now()); got != 0.02 {
		t.Errorf("%v calls a second of a share of 0.02", got)
	}
}
