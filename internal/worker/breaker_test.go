package worker_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/throttle"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

func TestOpenBreakerDefersTheRestAsIfTried(t *testing.T) {
	t.Parallel()
	api := &answering{status: 503}
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 4 })
	logged := r.work(requests(40)...)
	skipped := 0
	for _, m := range logged {
		if m.Outcome != deactivation.Deferred || m.Code != "http_503" {
			t.Errorf("%s is %s (%s), want deferred (http_503)", m.ID, m.Outcome, m.Code)
		}
		if m.RetryIn < 15*time.Second || m.RetryIn > 30*time.Second {
			t.Errorf("%s comes back in %v, want its backoff", m.ID, m.RetryIn)
		}
		if strings.HasPrefix(m.Detail, "not called") {
			skipped++
		}
	}
	// Five failures open it; the other three calls may already be in flight.
	if api.calls < 5 || api.calls > 8 || skipped != 40-api.calls {
		t.Errorf("%d calls, %d skipped; want 5 to 8, and the others skipped", api.calls, skipped)
	}

	before := api.calls
	again := r.work(requests(60)[40:]...)
	if api.calls != before || len(again) != 20 {
		t.Errorf("the next batch makes %d calls", api.calls-before)
	}
}

func TestOutageThatEndsIsFoundByOneCall(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	api := fakeAPI(t, 60)
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		if down.Load() {
			return licenseapitest.Fault{Status: 503}
		}
		return licenseapitest.Fault{}
	})
	r := newHarness(t, api, func(cfg *worker.Config) {
		cfg.CallsInFlight, cfg.Backoff.First = 1, 30*time.Nanosecond // the next call is the probe
	})
	r.work(requests(20)...)
	down.Store(false)
	got := map[string]deactivation.Outcome{} // by id: the first twenty come again after a second, which may have passed
	for _, m := range r.work(requests(40)[20:]...) {
		got[m.ID] = m.Outcome
	}
	for n := 21; n <= 40; n++ {
		if id := request(n).ID; got[id] != deactivation.Deactivated {
			t.Errorf("%s is %q, want deactivated", id, got[id])
		}
	}
	if log := string(r.log.Bytes()); !strings.Contains(log, `"to":"open"`) || !strings.Contains(log, `"to":"closed"`) {
		t.Error("the log has no lines of its opening and closing")
	}
}

func TestPauseBeyondTheInvocationDefersAsIfTried(t *testing.T) {
	t.Parallel()
	api := &answering{status: 429, header: map[string]string{"Retry-After": "300"}}
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.handle(ctx, r.batch(requests(20)...))
	for _, m := range r.logged() {
		if m.Outcome != deactivation.Deferred || m.Code != "http_429" || m.RetryIn < 290*time.Second || m.RetryIn > 300*time.Second {
			t.Errorf("%s is %s (%s) and comes back in %v, want deferred (http_429) for the rest of 300 s", m.ID, m.Outcome, m.Code, m.RetryIn)
		}
	}
	if api.calls != 1 {
		t.Errorf("%d calls, want 1", api.calls)
	}
	if n := strings.Count(string(r.log.Bytes()), "rate limited, the pace is lowered"); n != 1 {
		t.Errorf("logged %d times that the pace is lowered, want once", n)
	}
}

// TestPauseOfEveryFormHoldsTheInstance answers the first call with a 429 in each of its forms, and checks when the others start.
func TestPauseOfEveryFormHoldsTheInstance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		retryAfter func() string
		least      time.Duration
	}{
		{"seconds", func() string { return "1" }, time.Second},
		{"a date", func() string { return time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat) }, 900 * time.Millisecond},
		{"absent", func() string { return "" }, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := fakeAPI(t, 5)
			var calls []time.Time
			api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
				calls = append(calls, time.Now())
				if c.Number > 1 {
					return licenseapitest.Fault{}
				}
				h := http.Header{}
				if value := test.retryAfter(); value != "" {
					h.Set("Retry-After", value)
				}
				return licenseapitest.Fault{Status: 429, Header: h}
			})
			r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 1 })
			if got := count(r.work(requests(5)...)); got[deactivation.Deactivated] != 4 || got[deactivation.Deferred] != 1 {
				t.Errorf("outcomes %v, want 4 deactivated after the pause", got)
			}
			slices.SortFunc(calls, time.Time.Compare)
			if len(calls) != 5 || calls[1].Sub(calls[0]) < test.least {
				t.Errorf("the second call comes %v after the 429, want %v at least", calls[1].Sub(calls[0]), test.least)
			}
		})
	}
}

func TestBadLimitIsNamed(t *testing.T) {
	t.Parallel()
	for _, bad := range []throttle.Limit{{Calls: 0, In: time.Second}, {Calls: 1}} {
		_, err := worker.New(worker.Config{Limits: []throttle.Limit{{Calls: 1, In: time.Second}, bad}})
		if err == nil || !strings.Contains(err.Error(), "worker: Limits[1] ") || strings.Contains(err.Error(), "Limits[0]") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
