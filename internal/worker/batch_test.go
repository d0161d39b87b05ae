package worker_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// gate is an API that blocks calls until it is opened, and records them.
type gate struct {
	entered chan string // license keys, in the order of arrival
	open    chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan string, 100), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.entered <- licenseOf(r)
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
	_, _ = w.Write([]byte("license_deactivated"))
}

func TestCallsInFlightRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	api := newGate()
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 3 })
	event := r.batch(requests(6)...)
	go func() {
		// With fewer than three calls at once it hangs here until the test's time-out.
		for range 3 {
			<-api.entered
		}
		select {
		case <-api.entered:
			t.Error("a fourth call came before one of three ended")
		default:
		}
		close(api.open)
	}()
	r.handle(t.Context(), event)
	if got := count(r.logged()); got[deactivation.Deactivated] != 6 {
		t.Errorf("outcomes %v", got)
	}
}

func TestDuplicatesOfOneMessageDoNoHarm(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 5)
	// Long enough for two calls for one license to overlap, if the worker allowed it.
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		return licenseapitest.Fault{Delay: 20 * time.Millisecond}
	})
	r := newHarness(t, api)
	event := r.batch(slices.Concat(requests(5), requests(5), requests(5))...)
	event.Records = append(event.Records, event.Records[:5]...) // SQS delivers the same message twice
	r.handle(t.Context(), event)

	want := map[deactivation.Outcome]int{deactivation.Deactivated: 5, deactivation.AlreadyInactive: 15}
	if diff := cmp.Diff(want, count(r.logged())); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if most := api.Counts().AtOnce; most != 1 {
		t.Errorf("%d calls for one license at the same time", most)
	}
	if r.source.Len() > 0 {
		t.Errorf("%d left", r.source.Len())
	}
}

func TestPanicIsOneMessagesAlone(t *testing.T) {
	t.Parallel()
	for receives, want := range map[string]deactivation.Outcome{
		"1": deactivation.Deferred, "4": deactivation.Deferred, "5": deactivation.Rejected, "6": deactivation.Rejected,
	} {
		t.Run("receive "+receives, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, confirming(), func(cfg *worker.Config) {
				cfg.CallsInFlight, cfg.Secrets = 1, &panicking{Secrets: cfg.Secrets, at: 2}
			})
			event := r.batch(requests(3)...)
			for _, record := range event.Records {
				record.Attributes["ApproximateReceiveCount"] = receives
			}
			r.handle(t.Context(), event)

			got := count(r.logged())
			if got[deactivation.Deactivated] != 2 || got[want] != 1 {
				t.Errorf("outcomes %v, want two deactivated and one %s", got, want)
			}
			if want == deactivation.Deferred {
				return
			}
			letter := r.letters()[0].Attributes
			if letter["reason"] != "crashed" || letter["detail"] != "a panic (*errors.errorString)" || letter["attempts"] != receives {
				t.Errorf("dead letter %v", letter)
			}
		})
	}
}

// panicking panics at the at-th Get.
type panicking struct {
	worker.Secrets
	at   int32
	gets atomic.Int32
}

func (p *panicking) Get(ctx context.Context) (secrets.Held[secrets.License], error) {
	if p.gets.Add(1) == p.at {
		panic(errors.New("canary-in-a-panic " + licenseKey(1)))
	}
	return p.Secrets.Get(ctx)
}

func TestCancelledInvocationKeepsWhatWasNotDone(t *testing.T) {
	t.Parallel()
	api := newGate()
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 2 })
	event := r.batch(append(requests(6), "invalid")...)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-api.entered
		<-api.entered
		cancel() // with two calls in flight
	}()
	r.handle(ctx, event)

	got := count(r.logged())
	if got[deactivation.Deferred] != 6 || got[deactivation.Rejected] != 1 || r.source.Len() != 6 || r.dead.Len() != 1 {
		t.Errorf("outcomes %v, %d in the queue, %d dead letters", got, r.source.Len(), r.dead.Len())
	}
	handedBack := 0
	for _, m := range r.logged() {
		if m.RetryIn == 0 && m.Outcome == deactivation.Deferred {
			handedBack++
		}
	}
	if handedBack != 4 {
		t.Errorf("%d handed back at once, want the 4 that were not called", handedBack)
	}
}

func TestCallUnderWayEndsWithTheDeadlineRule(t *testing.T) {
	t.Parallel()
	r := newHarness(t, newGate()) // never opened
	event := r.batch(requests(2)...)
	ctx, cancel := context.WithTimeout(t.Context(), 4200*time.Millisecond) // the call ends after 1.2 s
	defer cancel()
	r.handle(ctx, event)
	for _, m := range r.logged() {
		if m.Outcome != deactivation.Deferred || m.Code != "timeout" || m.RetryIn < 15*time.Second {
			t.Errorf("%s (%s), comes back in %v; want deferred (timeout) with backoff", m.Outcome, m.Code, m.RetryIn)
		}
	}
}

func TestPastTheDeadlineNothingIsBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := &clocked{start: time.Now()}
		r := newHarnessAt(t, "http://127.0.0.1", func(cfg *worker.Config) { cfg.Secrets = clock })
		event := r.batch(append(requests(3), "invalid")...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.handle(ctx, event)
		if len(clock.at) > 0 || r.dead.Len() > 0 || len(r.source.deferred) > 0 || r.source.Len() != 4 {
			t.Errorf("%d turns, %d dead letters, %d hidden, %d kept; want 0, 0, 0, 4",
				len(clock.at), r.dead.Len(), len(r.source.deferred), r.source.Len())
		}
	})
}

// clocked records when the worker reaches a message, and ends its processing there with a panic, so that no socket is
// needed.
type clocked struct {
	mu    sync.Mutex
	start time.Time
	at    []time.Duration
}

func (c *clocked) Get(context.Context) (secrets.Held[secrets.License], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Since(c.start))
	panic(errors.New("far enough"))
}

func (c *clocked) Refresh(context.Context, string) (secrets.Held[secrets.License], error) {
	panic("not reached")
}

func TestPaceBeginsEmptyAndKeepsItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := &clocked{start: time.Now()}
		r := newHarnessAt(t, "http://127.0.0.1", func(cfg *worker.Config) { cfg.Secrets, cfg.CallsPerSecond = clock, 2 })
		r.work(requests(3)...)
		time.Sleep(10 * time.Second) // idle time allows one call, not a burst
		r.work(requests(2)...)

		want := []time.Duration{
			500 * time.Millisecond, time.Second, 1500 * time.Millisecond,
			11500 * time.Millisecond, 12 * time.Second,
		}
		if diff := cmp.Diff(want, clock.at); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
	})
}

func TestNoCallBeginsInTheLastFourSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := &clocked{start: time.Now()}
		r := newHarnessAt(t, "http://127.0.0.1", func(cfg *worker.Config) { cfg.Secrets, cfg.CallsPerSecond = clock, 1 })
		event := r.batch(append(requests(100), "invalid")...)
		ctx, cancel := context.WithTimeout(t.Context(), 60500*time.Millisecond)
		defer cancel()
		r.handle(ctx, event)

		if n := len(clock.at); n != 56 || clock.at[n-1] != 56*time.Second {
			t.Errorf("%d turns, the last after %v; want 56 in 60.5 s − 3 s − 1 s", n, clock.at[n-1])
		}
		handedBack := 0
		for _, m := range r.logged() {
			if m.Outcome == deactivation.Deferred && m.RetryIn == 0 {
				handedBack++
			}
		}
		if handedBack != 44 || r.dead.Len() != 1 || r.source.Len() != 100 {
			t.Errorf("%d handed back at once, %d dead letters, %d kept; want 44, 1, 100", handedBack, r.dead.Len(), r.source.Len())
		}
	})
}
