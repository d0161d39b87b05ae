package worker_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// pipes is a listener whose connections stay in memory, so that time may be virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// inVirtualTime runs test with a worker that calls api over memory, at ten calls a second, in a bubble of synctest.
func inVirtualTime(t *testing.T, licenses int, test func(t *testing.T, r *harness, api *licenseapitest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := fakeAPI(t, licenses)
		listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_ = server.Serve(listener)
		}()
		r := newHarnessAt(t, "http://127.0.0.1"+licenseapitest.Base, func(cfg *worker.Config) {
			client, err := licenseapi.New(licenseapi.Config{
				BaseURL: "http://127.0.0.1" + licenseapitest.Base, Authorizer: unsigned{}, DialContext: listener.dial,
			})
			if err != nil {
				t.Fatal(err)
			}
			cfg.API, cfg.CallsPerSecond = client, 10
		})
		test(t, r, api)
		close(listener.closed)
		_ = server.Close()
		<-stopped
	})
}

// run runs the event source mapping for that long: batches of twenty, each with a minute.
func (r *harness) run(d time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		received := r.batch().Records
		for records := range slices.Chunk(received, 20) {
			ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
			r.handle(ctx, events.SQSEvent{Records: records})
			cancel()
		}
		if len(received) == 0 {
			time.Sleep(time.Second)
		}
	}
}

// refusedWith is a 403 with a code that is not documented.
func refusedWith(code string) licenseapitest.Fault {
	return licenseapitest.Fault{Status: http.StatusForbidden, Body: licenseapitest.ErrorBody(http.StatusForbidden, code, "refused")}
}

func TestOneRefusedLicenseStopsNobody(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, 20, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
			if c.LicenseKey == licenseKey(7) {
				return refusedWith("license_locked")
			}
			return licenseapitest.Fault{}
		})
		r.handle(t.Context(), r.batch(requests(20)...))
		want := map[deactivation.Outcome]int{deactivation.Deactivated: 19, deactivation.Deferred: 1}
		if diff := cmp.Diff(want, count(r.logged())); diff != "" {
			t.Errorf("the first batch (-want +got):\n%s", diff)
		}

		r.run(20 * time.Minute)
		letters := r.letters()
		if len(letters) != 1 || r.source.Len() > 0 {
			t.Fatalf("%d dead letters, %d in the queue; want the refused one", len(letters), r.source.Len())
		}
		got := letters[0].Attributes
		if got["reason"] != "rejected" || got["code"] != "license_locked" || got["attempts"] != "5" {
			t.Errorf("dead letter %v, want it rejected with its code at the fifth receive", got)
		}
		if r.faults() > 0 {
			t.Errorf("%d configuration faults for one license", r.faults())
		}
	})
}

func TestSuspendedAccountEmptiesNoQueue(t *testing.T) {
	t.Parallel()
	const messages = 1000
	inVirtualTime(t, messages, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		var suspended atomic.Bool
		var calls atomic.Int64
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
			if !suspended.Load() {
				return licenseapitest.Fault{}
			}
			calls.Add(1)
			return refusedWith("account_suspended")
		})
		r.work(requests(messages)[:200]...) // the environment had successes before
		suspended.Store(true)
		for n := 200; n < messages; n += 20 { // and messages at the fifth receive arrive while it is suspended
			event := r.batch(requests(messages)[n : n+20]...)
			for i := range event.Records {
				event.Records[i].Attributes["ApproximateReceiveCount"] = "5"
			}
			r.handle(t.Context(), event)
		}
		r.run(time.Hour)
		if r.dead.Len() > 0 || active(api) != messages-200 {
			t.Errorf("%d dead letters, %d devices active; want none and %d", r.dead.Len(), active(api), messages-200)
		}
		if r.faults() == 0 {
			t.Error("no configuration fault")
		}
		if n := calls.Load(); n > 8*messages {
			t.Errorf("%d calls in an hour: they do not stop", n)
		}

		suspended.Store(false)
		r.run(time.Hour)
		if r.dead.Len() > 0 || active(api) > 0 || r.source.Len() > 0 {
			t.Errorf("afterwards %d dead letters, %d devices active, %d in the queue; want none", r.dead.Len(), active(api), r.source.Len())
		}
	})
}

// TestA401WithoutACodeNeverRejects refuses one license by a 401 for an hour, while others succeed.
func TestA401WithoutACodeNeverRejects(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, 40, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
			if c.LicenseKey == licenseKey(7) {
				return licenseapitest.Fault{Status: http.StatusUnauthorized}
			}
			return licenseapitest.Fault{}
		})
		r.handle(t.Context(), r.batch(wire(request(7))))
		for n := range 30 {
			r.work(wire(request(8 + n)))
			r.run(2 * time.Minute)
		}
		if r.dead.Len() > 0 || r.source.Len() != 1 {
			t.Errorf("%d dead letters, %d in the queue; want the refused message in the queue", r.dead.Len(), r.source.Len())
		}
	})
}

// TestARefusalAfterAnOutageIsNotTheFifth: the outage used up the first four receives, so the first refusals are few.
func TestARefusalAfterAnOutageIsNotTheFifth(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, 40, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		var refusals atomic.Int64
		api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
			if c.LicenseKey != licenseKey(7) {
				return licenseapitest.Fault{}
			}
			if refusals.Add(1) > 4 { // a 403 is signed again once, so two receives
				return licenseapitest.Fault{}
			}
			return refusedWith("too_busy")
		})
		event := r.batch(wire(request(7)))
		event.Records[0].Attributes["ApproximateReceiveCount"] = "9"
		r.handle(t.Context(), event)
		for receive := range 2 { // each time after a success of others
			time.Sleep(time.Second)
			r.work(wire(request(20 + receive)))
			event.Records[0].Attributes["ApproximateReceiveCount"] = strconv.Itoa(10 + receive)
			r.handle(t.Context(), event)
		}
		var outcomes []deactivation.Outcome
		for _, m := range r.logged() {
			if m.ID == request(7).ID {
				outcomes = append(outcomes, m.Outcome)
			}
		}
		want := []deactivation.Outcome{deactivation.Deferred, deactivation.Deferred, deactivation.Deactivated}
		if diff := cmp.Diff(want, outcomes); diff != "" || r.dead.Len() > 0 {
			t.Errorf("%d dead letters, outcomes (-want +got):\n%s", r.dead.Len(), diff)
		}
	})
}

// TestSuspendedAccountUnderATrickleRejectsNobody: with two licenses there are never three in a row.
func TestSuspendedAccountUnderATrickleRejectsNobody(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, 3, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		r.work(requests(3)[2])
		if err := api.Fail("suspended"); err != nil {
			t.Fatal(err)
		}
		r.work(requests(1)...)
		r.run(10 * time.Minute)
		r.work(requests(2)[1])
		r.run(12 * time.Hour)
		if r.dead.Len() > 0 || r.source.Len() != 2 {
			t.Errorf("%d dead letters, %d in the queue; want both kept", r.dead.Len(), r.source.Len())
		}
	})
}

func TestThreeLicensesInARowAreTheDeployments(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"not_found", "brand_new"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			api := failure(404, code)
			r := newHarness(t, api, func(cfg *worker.Config) { cfg.CallsInFlight = 1 })
			logged := r.work(requests(20)...)
			if api.calls != 3 || r.faults() != 1 {
				t.Errorf("%d calls, %d faults; want three calls and one fault", api.calls, r.faults())
			}
			for i, m := range logged {
				backoff := m.RetryIn >= 15*time.Second && m.RetryIn <= 30*time.Second
				if m.Outcome != deactivation.Deferred || m.Code != code || backoff != (i < 2) || (m.RetryIn == 15*time.Minute) != (i >= 2) {
					t.Errorf("message %d is %s (%s) and comes back in %v", i+1, m.Outcome, m.Code, m.RetryIn)
				}
			}
			if again := r.work(requests(40)[20:]...); api.calls != 4 || again[0].RetryIn != 15*time.Minute || r.faults() != 2 {
				t.Errorf("the next batch makes %d calls, want one", api.calls-3)
			}
		})
	}
}

func TestOneLicenseManyTimesIsNotThreeLicenses(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(403, "brand_new"), func(cfg *worker.Config) { cfg.CallsInFlight = 1 })
	var bodies []string
	for n := range 6 {
		one := request(1)
		one.ID, one.HardwareID = request(n+1).ID, request(n+1).HardwareID
		bodies = append(bodies, wire(one))
	}
	r.work(bodies...)
	if r.faults() > 0 {
		t.Errorf("%d configuration faults for one license", r.faults())
	}
}

func TestAMaintenancePageDeactivatesNobody(t *testing.T) {
	t.Parallel()
	const messages = 60
	inVirtualTime(t, messages, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		if err := api.Fail("maintenance"); err != nil {
			t.Fatal(err)
		}
		r.work(requests(messages)...)
		r.run(30 * time.Minute)
		if got := count(r.logged()); len(got) != 1 || got[deactivation.Deferred] == 0 || active(api) != messages || r.source.Len() != messages {
			t.Errorf("outcomes %v, %d in the queue; want all deferred", got, r.source.Len())
		}
		if r.faults() == 0 {
			t.Error("no configuration fault")
		}
		if err := api.Fail(); err != nil {
			t.Fatal(err)
		}
		r.run(time.Hour)
		if got := count(r.logged()); got[deactivation.Deactivated] != messages || r.source.Len() > 0 || r.dead.Len() > 0 {
			t.Errorf("afterwards outcomes %v, %d in the queue, %d dead letters", got, r.source.Len(), r.dead.Len())
		}
	})
}

func TestAPageAfterTheWorkEndsAsAlreadyInactive(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, 1, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		if err := api.Fail("page-after"); err != nil {
			t.Fatal(err)
		}
		r.work(requests(1)...)
		r.run(10 * time.Minute)
		logged := r.logged()
		if last := logged[len(logged)-1]; logged[0].Outcome != deactivation.Deferred || last.Outcome != deactivation.AlreadyInactive || r.source.Len() > 0 {
			t.Errorf("%s, then %s; want deferred and already_inactive", logged[0].Outcome, last.Outcome)
		}
		if r.faults() != 1 { // the second page in a row
			t.Errorf("%d configuration faults, want one", r.faults())
		}
	})
}

func TestTheLastReceivesAreDeadLetteredAsExhausted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		api  *answering
		code string
	}{
		{"an outage", failure(503, "internal_error"), "internal_error"},
		{"too many calls", &answering{status: 429}, "http_429"},
		{"a configuration fault", failure(400, "read_only_api_key"), "read_only_api_key"},
		{"a proxy", &answering{status: 200}, "http_200"},
		{"a refusal", failure(403, "brand_new"), "brand_new"},
	} {
		for receives, exhausted := range map[string]bool{"289": false, "290": true, "300": true} {
			t.Run(test.name+" "+receives, func(t *testing.T) {
				t.Parallel()
				r := newHarness(t, &answering{status: test.api.status, body: test.api.body})
				event := r.batch(requests(1)...)
				event.Records[0].Attributes["ApproximateReceiveCount"] = receives
				r.handle(t.Context(), event)
				letters := r.letters()
				if len(letters) != map[bool]int{true: 1}[exhausted] {
					t.Fatalf("%d dead letters", len(letters))
				}
				if !exhausted {
					return
				}
				got := letters[0].Attributes
				if got["reason"] != "exhausted" || got["code"] != test.code || got["detail"] == "" || got["attempts"] != receives {
					t.Errorf("dead letter %v, want exhausted with code %s and its detail", got, test.code)
				}
			})
		}
	}
}

func TestExhaustedThatTheDeadLetterQueueRefusesIsKept(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(503, "internal_error"))
	r.dead.refuse = func(int) bool { return true }
	event := r.batch(requests(1)...)
	event.Records[0].Attributes["ApproximateReceiveCount"] = "290"
	r.handle(t.Context(), event)
	if got := r.logged()[0]; got.Outcome != deactivation.Deferred || got.RetryIn < 14*time.Minute || r.source.Len() != 1 {
		t.Errorf("%s, comes back in %v; want deferred with back-off", got.Outcome, got.RetryIn)
	}
}

// TestAMessageIsReturnedWithoutACallOnlyOnceInARow: at the speed of an event source mapping 300 receives take minutes.
func TestAMessageIsReturnedWithoutACallOnlyOnceInARow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		callsPerSecond float64
		receives       string
		atOnce         bool
	}{
		{"the first time", 0.1, "1", true},
		{"the second", 0.1, "2", false},
		{"the third", 0.1, "3", true},
		{"no call in the invocation", 0.01, "1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clock := &clocked{start: time.Now()}
				r := newHarnessAt(t, "http://127.0.0.1", func(cfg *worker.Config) { cfg.Secrets, cfg.CallsPerSecond = clock, test.callsPerSecond })
				event := r.batch(requests(10)...)
				for i := range event.Records {
					event.Records[i].Attributes["ApproximateReceiveCount"] = test.receives
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r.handle(ctx, event)
				left := slices.DeleteFunc(r.logged(), func(m telemetry.Message) bool { return m.Detail != "no time left for one more call" })
				if len(left) != 10-len(clock.at) || len(left) == 0 {
					t.Fatalf("%d calls and %d messages without one", len(clock.at), len(left))
				}
				for _, m := range left {
					if atOnce := m.RetryIn == 0; atOnce != test.atOnce {
						t.Errorf("%s comes back in %v, want at once: %t", m.ID, m.RetryIn, test.atOnce)
					}
				}
			})
		})
	}
}

func TestAStackThatCannotCallIsRefused(t *testing.T) {
	t.Parallel()
	const invocation = time.Minute
	for _, test := range []struct {
		name  string
		stack worker.Stack
		want  []string // parts of the error; none: it is fine
	}{
		{"the defaults", worker.Stack{CallsPerSecond: 10, Instances: 2, LiveShare: 0.5}, nil},
		{"the template's least", worker.Stack{CallsPerSecond: 0.2, Instances: 2, LiveShare: 0.5}, nil},
		{"two calls of the plan in a minute", worker.Stack{CallsPerSecond: 10, Instances: 2, PlanCallsPerMinute: 8, LiveShare: 0.5}, nil},
		{"one, which is just too late", worker.Stack{CallsPerSecond: 10, Instances: 2, PlanCallsPerMinute: 4, LiveShare: 0.5},
			[]string{"is one call in 1m0.3s", "an invocation has 56s"}},
		{"the plan's part", worker.Stack{CallsPerSecond: 10, Instances: 20, PlanCallsPerMinute: 60, LiveShare: 0.9},
			[]string{"PLAN_CALLS_PER_MINUTE 60 × (1 − LIVE_SHARE 0.9) ÷ WORKER_INSTANCES 20 is one call in 3m21s"}},
		{"more instances than calls in a second", worker.Stack{CallsPerSecond: 50, Instances: 51},
			[]string{"WORKER_INSTANCES 51 × 1 call is above the License API's limit of 50 calls in 1s"}},
		{"more than an address has", worker.Stack{CallsPerSecond: 20, Instances: 201},
			[]string{"limit of 50 calls in 1s", "WORKER_INSTANCES 201 × 1 call is above the License API's limit of 200 calls in 10s"}},
		{"a vendor with other limits", worker.Stack{CallsPerSecond: 300, Instances: 250}, nil},
	} {
		err := test.stack.Check(invocation)
		if (err != nil) != (len(test.want) > 0) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", test.name, part, err)
			}
		}
	}
}
