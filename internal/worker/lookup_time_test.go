package worker_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

// lookingUpInVirtualTime is inVirtualTime with the look-up on, for the stack of these settings and a fake of these licenses.
func lookingUpInVirtualTime(t *testing.T, stack worker.Stack, licenses []licenseapitest.License, test func(t *testing.T, r *harness, api *licenseapitest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := bothAPIs(t, licenses...)
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
			stack.LookUp = true
			if err := stack.Check(time.Minute); err != nil {
				t.Fatal(err)
			}
			cfg.API, cfg.CallsPerSecond, cfg.Limits = client, stack.PerInstance(), stack.Limits()
			cfg.LookUp = stack.LookUpPart(managementapi.Config{DialContext: listener.dial}, nil, time.Minute)
		})
		test(t, r, api)
		close(listener.closed)
		_ = server.Close()
		<-stopped
	})
}

// defaults are the settings of template.yaml, for one worker.
func defaults() worker.Stack {
	return worker.Stack{CallsPerSecond: 10, Instances: 1, LiveShare: 0.5, ManagementCallsPerMinute: 180}
}

// TestMessagesOfOneLicenseNeverCallAtTheSameTime: those that find its order by different ids, that name it, and that name
// other devices of it.
func TestMessagesOfOneLicenseNeverCallAtTheSameTime(t *testing.T) {
	t.Parallel()
	one := owned(1, "pi_1", "hardware-1", "hw-2", "hw-3", "hw-4")
	one.Subscription = "sub_1"
	stack := defaults()
	stack.CallsPerSecond = 20
	stack.ManagementCallsPerMinute = 600
	lookingUpInVirtualTime(t, stack, []licenseapitest.License{one}, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
			return licenseapitest.Fault{Delay: 700 * time.Millisecond}
		})
		bySubscription, byKey, named, other := refund(2), refund(3), request(1), request(4)
		bySubscription.Lookup.Subscription.ID = "sub_1"
		byKey.LicenseKey = licenseKey(1)
		other.License = named.License
		other.HardwareID = "hw-3"
		namedToo := named
		namedToo.ID, namedToo.Disable = "stripe.evt_5.0", true
		logged := r.work(wire(refund(6, "pi_1")), wire(bySubscription), wire(byKey), wire(named), wire(other), wire(namedToo))
		for _, m := range logged {
			if m.Outcome != deactivation.Deactivated && m.Outcome != deactivation.AlreadyInactive {
				t.Errorf("%+v", m)
			}
		}
		if n := api.Counts().AtOnce; n != 1 {
			t.Errorf("%d calls for the license at the same time", n)
		}
		if left := api.State().Licenses[0]; len(left.Devices) > 0 || *left.Enabled {
			t.Errorf("left: %+v", left)
		}
	})
}

// TestAUsersDevicesAreResetWhileNoCallForTheUserRuns: a reset is a call of the other API for the same license.
func TestAUsersDevicesAreResetWhileNoCallForTheUserRuns(t *testing.T) {
	t.Parallel()
	user := owned(1, "pi_1", "hw-1", "hw-2", "hw-3", "hw-4")
	user.LicenseKey, user.Username = "", "ada@example.com"
	stack := defaults()
	stack.ManagementCallsPerMinute = 600
	lookingUpInVirtualTime(t, stack, []licenseapitest.License{user}, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		var mu sync.Mutex
		var until time.Time // of the latest call for the user
		alone := func() licenseapitest.Fault {
			const takes = 900 * time.Millisecond
			mu.Lock()
			defer mu.Unlock()
			if left := time.Until(until); left > 0 {
				t.Errorf("a call starts %v before another one for the same user ends", left)
			}
			until = time.Now().Add(takes)
			return licenseapitest.Fault{Delay: takes}
		}
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { return alone() })
		api.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
			if strings.HasSuffix(c.Path, "/reset/") {
				return alone()
			}
			return licenseapitest.Fault{}
		})
		bodies := []string{wire(refund(1, "pi_1"))}
		for n := range 4 {
			named := request(n + 2)
			named.Origin = deactivation.OriginDirect
			named.License = deactivation.License{Product: "XY", Username: "ada@example.com", HardwareID: "hw-" + strconv.Itoa(n+1)}
			bodies = append(bodies, wire(named))
		}
		r.work(bodies...)
		if left := api.State().Licenses[0]; len(left.Devices) > 0 || r.source.Len()+r.dead.Len() > 0 {
			t.Errorf("left: %+v, %+v", left, r.logged())
		}
	})
}

// TestTwoCopiesOfAMessageInTwoEnvironmentsReachOneState.
func TestTwoCopiesOfAMessageInTwoEnvironmentsReachOneState(t *testing.T) {
	t.Parallel()
	licenses := []licenseapitest.License{owned(1, "pi_1", "hw-1", "hw-2"), owned(2, "pi_1", "hw-3")}
	lookingUpInVirtualTime(t, defaults(), licenses, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		api.SetHabits(licenseapitest.Habits{RefuseRepeats: true})
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
			return licenseapitest.Fault{Delay: 300 * time.Millisecond}
		})
		other, err := worker.New(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		event := r.batch(wire(refund(1, "pi_1")))
		var copies sync.WaitGroup
		for _, h := range []*worker.Handler{r.handler, other} {
			copies.Go(func() {
				if response, err := h.Handle(t.Context(), event); err != nil || len(response.BatchItemFailures) > 0 {
					t.Errorf("%+v, %v", response, err)
				}
			})
		}
		copies.Wait()
		want := []string{"deactivate_license 1 hw-1", "deactivate_license 1 hw-2", "deactivate_license 2 hw-3", "disable 1", "disable 2"}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(ledger(api)))); diff != "" || r.dead.Len() > 0 {
			t.Errorf("%d dead letters, writes (-want +got):\n%s", r.dead.Len(), diff)
		}
	})
}

// TestASagaStopsBeforeTheDeadlineAndContinuesAtTheNextReceive: no call starts in the last four seconds of an invocation or
// lasts into its last three, and what is done is not done again.
func TestASagaStopsBeforeTheDeadlineAndContinuesAtTheNextReceive(t *testing.T) {
	t.Parallel()
	var devices []string
	for n := range 50 {
		devices = append(devices, "hw-"+strconv.Itoa(n))
	}
	stack := defaults()
	stack.CallsPerSecond = 0.8
	lookingUpInVirtualTime(t, stack, []licenseapitest.License{owned(1, "pi_1", devices...), owned(2, "pi_2", "hardware-2")},
		func(t *testing.T, r *harness, api *licenseapitest.Server) {
			r.source.hurry = true
			var deadline time.Time
			api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
				if left := time.Until(deadline); left < 4*time.Second-10*time.Millisecond {
					t.Errorf("a call starts %v before the deadline", left)
				}
				return licenseapitest.Fault{Delay: 900 * time.Millisecond, After: true}
			})
			api.OnManagementCall(func(licenseapitest.ManagementCall) licenseapitest.Fault {
				if left := time.Until(deadline); left < 4*time.Second-10*time.Millisecond {
					t.Errorf("a look-up's call starts %v before the deadline", left)
				}
				return licenseapitest.Fault{Delay: 900 * time.Millisecond, After: true}
			})
			receive := func(bodies ...string) {
				event := r.batch(bodies...)
				deadline = time.Now().Add(time.Minute)
				ctx, cancel := context.WithDeadline(t.Context(), deadline)
				defer cancel()
				r.handle(ctx, event)
				if left := time.Until(deadline); left < 2900*time.Millisecond {
					t.Errorf("the invocation ends %v before its deadline", left)
				}
			}
			receive(wire(refund(1, "pi_1")), wire(request(2)))
			for n := 0; r.source.Len() > 0; n++ {
				if n == 5 {
					t.Fatalf("not done after %d receives: %+v", n, r.logged())
				}
				time.Sleep(time.Second)
				receive()
			}
			logged := r.logged()
			last := logged[len(logged)-1]
			if last.Outcome != deactivation.Deactivated || len(ledger(api)) != 52 || len(api.Ledger()) != 52 {
				t.Errorf("%d writes, %d of them with an effect, want 52; the end: %+v", len(api.Ledger()), len(ledger(api)), last)
			}
			for _, m := range logged[:len(logged)-1] {
				if m.ID == request(2).ID {
					continue
				}
				if m.Outcome != deactivation.Deferred || !m.Returned || !strings.Contains(m.Detail, "no time left") {
					t.Errorf("a receive in between: %+v", m)
				}
			}
		})
}

// TestAReleasedOrderIsDoneOrEndsAtOnce: one that cannot be read within an invocation is a letter that says what to do. It would
// use the quota up at each receive, for three days, and write nothing.
func TestAReleasedOrderIsDoneOrEndsAtOnce(t *testing.T) {
	t.Parallel()
	for licenses, want := range map[int]string{80: "deactivated ", 200: "rejected too_many"} {
		var order []licenseapitest.License
		for n := range licenses {
			order = append(order, owned(n+1, "pi_1", "hw-"+strconv.Itoa(n)))
		}
		lookingUpInVirtualTime(t, defaults(), order, func(t *testing.T, r *harness, api *licenseapitest.Server) {
			r.source.hurry = true
			event := r.batch(wire(released(refund(1, "pi_1"))))
			for n := 0; r.source.Len() > 0 && n < 5; n++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				r.handle(ctx, event)
				cancel()
				time.Sleep(time.Second)
				event = r.batch()
			}
			logged := r.logged()
			m := logged[len(logged)-1]
			if got := string(m.Outcome) + " " + m.Code; got != want {
				t.Errorf("%d licenses: %s after %d receives, want %s: %s", licenses, got, len(logged), want, m.Detail)
			}
			if m.Outcome == deactivation.Rejected && (!strings.Contains(m.Detail, "licensectl resolve") || len(api.Ledger()) > 0) {
				t.Errorf("%d licenses: %q, %d writes", licenses, m.Detail, len(api.Ledger()))
			}
		})
	}
}

// TestA429OfTheManagementAPIPausesItsCallsAlone.
func TestA429OfTheManagementAPIPausesItsCallsAlone(t *testing.T) {
	t.Parallel()
	lookingUpInVirtualTime(t, defaults(), []licenseapitest.License{owned(1, "pi_1", "hw-1"), owned(2, "pi_2", "hardware-2")},
		func(t *testing.T, r *harness, api *licenseapitest.Server) {
			api.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
				if c.Number > 1 {
					return licenseapitest.Fault{}
				}
				return licenseapitest.Fault{Status: 429, Header: http.Header{"Retry-After": {"600"}}}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r.handle(ctx, r.batch(wire(refund(1, "pi_1")), wire(refund(3, "pi_3")), wire(request(2))))
			for _, m := range r.logged() {
				switch {
				case m.ID == request(2).ID:
					if m.Outcome != deactivation.Deactivated {
						t.Errorf("a message that needs no look-up: %+v", m)
					}
				case m.Outcome != deactivation.Deferred || m.Code != "http_429" || m.RetryIn < 9*time.Minute || m.RetryIn > 10*time.Minute:
					t.Errorf("%+v", m)
				}
			}
			if n := api.Counts().Management; n != 1 || r.faults() != 0 {
				t.Errorf("%d calls of the Management API, %d faults", n, r.faults())
			}
			time.Sleep(10 * time.Minute)
			r.run(2 * time.Minute)
			if got := len(ledger(api)); got != 3 {
				t.Errorf("after the pause: writes %v", ledger(api))
			}
		})
}

// TestAManagementAPIThatHangsHoldsNobodyUp: named devices are freed at the License API's rate, and no longer.
func TestAManagementAPIThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	var licenses []licenseapitest.License
	var bodies []string
	for n := range 20 {
		licenses = append(licenses, owned(n+1, fmt.Sprint("pi_", n+1), request(n+1).HardwareID, "another"))
		named := request(n + 1)
		named.Disable = n%2 == 0
		bodies = append(bodies, wire(named))
	}
	lookingUpInVirtualTime(t, defaults(), licenses, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		if err := api.Fail("management-hang"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var lastCall time.Duration
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
			lastCall = time.Since(begin)
			return licenseapitest.Fault{Delay: 100 * time.Millisecond}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.handle(ctx, r.batch(bodies...))
		if n := len(ledger(api)); n != 20 || lastCall > 2500*time.Millisecond {
			t.Errorf("%d devices freed, the last after %v", n, lastCall)
		}
		if got := count(r.logged()); got[deactivation.Deactivated] != 10 || got[deactivation.Deferred] != 10 || r.dead.Len() > 0 {
			t.Errorf("outcomes %v", got)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("the invocation took %v: the breaker did not end it", took)
		}
		if err := api.Fail(); err != nil {
			t.Fatal(err)
		}
		api.OnManagementCall(nil)
		r.run(5 * time.Minute)
		if n := active(api); n != 11 { // of those that name one device, the other one; and somebody else's
			t.Errorf("after the outage %d devices are active, want 11: %+v", n, r.logged())
		}
	})
}

// TestTheQuotasOfBothAPIsHoldWhileLookupsDrain: with the whole quota of the Management API, and named devices beside it,
// no call is refused, and the quota is used.
func TestTheQuotasOfBothAPIsHoldWhileLookupsDrain(t *testing.T) {
	t.Parallel()
	const orders, named = 200, 400
	var licenses []licenseapitest.License
	var bodies []string
	for n := range orders + named {
		id, body := fmt.Sprint("pi_", n+1), wire(request(n+1))
		if n%3 == 0 {
			body = wire(refund(n+1, id))
		}
		licenses, bodies = append(licenses, owned(n+1, id, request(n+1).HardwareID)), append(bodies, body)
	}
	stack := worker.Stack{CallsPerSecond: 20, Instances: 1, LiveShare: 0.5, ManagementCallsPerMinute: 600}
	lookingUpInVirtualTime(t, stack, licenses, func(t *testing.T, r *harness, api *licenseapitest.Server) {
		both := newAddress(t, 200, 10*time.Second)
		api.Limit(licenseapitest.Published())
		api.LimitManagement(licenseapitest.ManagementPlan())
		slow := licenseapitest.Fault{Delay: 150 * time.Millisecond}
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { both.call(); return slow })
		api.OnManagementCall(func(licenseapitest.ManagementCall) licenseapitest.Fault { both.call(); return slow })
		begin := time.Now()
		r.source.hurry = true
		event := r.batch(bodies...)
		for batch := range slices.Chunk(event.Records, 60) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			r.handle(ctx, events.SQSEvent{Records: batch})
			cancel()
		}
		took := time.Since(begin)
		if left := active(api); left != 1 || r.dead.Len() > 0 {
			t.Errorf("%d devices active, %d dead letters", left, r.dead.Len())
		}
		for answer, n := range api.Counts().Answers {
			if strings.HasSuffix(answer, "429") {
				t.Errorf("%d answers %s", n, answer)
			}
		}
		calls := api.Counts().Management
		if quota := took.Minutes() * 600; float64(calls) < 0.95*quota {
			t.Errorf("%d calls of the Management API in %v, which allow %.0f", calls, took, quota)
		}
	})
}

// address counts the calls of one address in a rolling span, to both APIs.
type address struct {
	t    *testing.T
	most int
	span time.Duration

	mu    sync.Mutex
	times []time.Time
}

func newAddress(t *testing.T, most int, span time.Duration) *address {
	return &address{t: t, most: most, span: span}
}

func (a *address) call() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.times = append(slices.DeleteFunc(a.times, func(t time.Time) bool { return now.Sub(t) >= a.span }), now)
	if len(a.times) > a.most {
		a.t.Errorf("%d calls of one address in %v", len(a.times), a.span)
	}
}
