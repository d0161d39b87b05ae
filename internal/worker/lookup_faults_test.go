package worker_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestWhereAMessageGoesWhenTheManagementAPIFails: it is kept, with a code and, where a person has to correct something, one
// configuration fault. Meanwhile the devices that messages name are freed, and no other license is written to. When the
// failure ends, so does the message.
func TestWhereAMessageGoesWhenTheManagementAPIFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		code  string
		cause string // of the configuration fault; "": none
	}{
		{"management-503", "http_503", ""},
		{"management-down", "http_503", ""},
		{"management-gone", "connection", ""},
		{"management-cut", "unreadable", ""},
		{"management-html", "unreadable", ""},
		{"management-duplicates", "unreadable", ""},
		{"management-403", "http_403", "the Management API refuses the key"},
		{"management-filters-ignored", "filters_untrusted", "the Management API ignores its filters"},
		{"management-filters-refused", "http_400", "the Management API refuses a filter"},
		{"management-foreign-device", "filters_untrusted", "the Management API ignores its filters"},
		{"management-writes-ignored", "still_enabled", "answers 200 to a write and changes nothing"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			api := bothAPIs(t, owned(1, "pi_1", "hw-1"), owned(2, "pi_2", "hardware-2", "hw-2"), owned(3, "pi_3", "hardware-3"))
			if err := api.Fail(c.fault); err != nil {
				t.Fatal(err)
			}
			time := &clock{}
			r := newHarness(t, api, lookingUp, time.set)
			r.source.hurry = true
			named := request(2)
			named.Disable = true
			logged := r.work(wire(refund(1, "pi_1")), wire(named), wire(request(3)))

			for _, m := range logged {
				switch {
				case m.ID == request(3).ID:
					if m.Outcome != deactivation.Deactivated {
						t.Errorf("a message that needs no look-up: %+v", m)
					}
				case m.Outcome != deactivation.Deferred || m.Code != c.code || m.Detail == "" || m.RetryIn < 15e9 || m.LookupEnd != "":
					t.Errorf("%s: %+v, want deferred %s", m.ID, m, c.code)
				}
			}
			writes := ledger(api)
			if !slices.Contains(writes, "deactivate_license 2 hardware-2") || !slices.Contains(writes, "deactivate_license 3 hardware-3") {
				t.Errorf("writes %v, want the named devices among them", writes)
			}
			if c.code != "still_enabled" && len(writes) != 2 {
				t.Errorf("writes %v, want those of the named devices alone", writes)
			}
			if want := map[bool]int{true: 1}[c.cause != ""]; r.faults() != want || !strings.Contains(string(r.log.Bytes()), c.cause) {
				t.Errorf("%d faults, want %d with %q", r.faults(), want, c.cause)
			}

			if err := api.Fail(); err != nil {
				t.Fatal(err)
			}
			api.OnManagementCall(nil)
			api.SetHabits(licenseapitest.Habits{})
			time.wait(5 * 60e9) // the probe of the filters
			for _, m := range r.finish(time) {
				if m.Outcome != deactivation.Deactivated && m.Outcome != deactivation.AlreadyInactive {
					t.Errorf("after the failure: %+v", m)
				}
			}
			if left := active(api); left != 1 || r.dead.Len() > 0 { // somebody else's
				t.Errorf("%d devices active, %d dead letters", left, r.dead.Len())
			}
		})
	}
}

// TestAManagementKeyThatIsMissingIsAConfigurationFault, and nothing waits for it that does not need it.
func TestAManagementKeyThatIsMissingIsAConfigurationFault(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"none":  fmt.Sprintf(`{"api_key":%q,"shared_key":%q}`, testAPIKey, testSharedKey),
		"empty": fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":""}`, testAPIKey, testSharedKey),
		"a key that cannot be sent": fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":"canary management"}`,
			testAPIKey, testSharedKey),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := bothAPIs(t, owned(1, "pi_1", "hw-1"), owned(2, "pi_2", "hardware-2", "hw-2"), owned(3, "pi_3", "hardware-3"))
			r := newHarness(t, api, lookingUp)
			r.secret.text = text
			r.source.hurry = true
			named := request(2)
			named.Disable = true
			got := map[string]string{}
			for _, m := range r.work(wire(refund(1, "pi_1")), wire(refund(4, "pi_4")), wire(named), wire(request(3))) {
				got[m.ID] = fmt.Sprint(m.Outcome, " ", m.RetryIn.Round(time.Minute))
			}
			want := map[string]string{
				request(1).ID: "deferred 15m0s", request(4).ID: "deferred 15m0s", named.ID: "deferred 15m0s", request(3).ID: "deactivated 0s",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"deactivate_license 2 hardware-2", "deactivate_license 3 hardware-3"}, slices.Sorted(slices.Values(ledger(api)))); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if log := string(r.log.Bytes()); r.faults() != 1 || !strings.Contains(log, "add management_api_key") || strings.Contains(log, "canary management") {
				t.Errorf("%d faults in\n%s", r.faults(), log)
			}
			if n := api.Counts().Management; n != 0 {
				t.Errorf("%d calls of the Management API without a key", n)
			}

			r.secret.rotate(secretText(testSharedKey))
			for _, m := range r.work() {
				if done := m.Outcome == deactivation.Deactivated; done != (m.ID != request(4).ID) {
					t.Errorf("with the key: %+v", m)
				}
			}
		})
	}
}

// TestAChangedManagementKeyIsReadAtOnce: a refused key is compared with the secret, and a new one is used in the same
// receive. The License API's credentials are not doubted for it.
func TestAChangedManagementKeyIsReadAtOnce(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hw-1"), owned(2, "pi_2", "hw-2"), owned(3, "pi_3", "hw-3"))
	r := newHarness(t, api, lookingUp)
	r.work(wire(refund(1, "pi_1")))
	api.RotateManagement("canary-management-key-2")
	r.secret.rotate(strings.Replace(secretText(testSharedKey), testManagementKey, "canary-management-key-2", 1))
	if m := r.work(wire(refund(2, "pi_2")))[0]; m.Outcome != deactivation.Deactivated || r.faults() != 0 {
		t.Errorf("with a changed key: %+v, %d faults", m, r.faults())
	}
	api.RotateManagement("canary-management-key-3") // at LicenseSpring alone
	if m := r.work(wire(refund(3, "pi_3")))[0]; m.Outcome != deactivation.Deferred || m.Code != "http_403" || r.faults() != 1 {
		t.Errorf("with a refused key: %+v, %d faults", m, r.faults())
	}
	if log := string(r.log.Bytes()); strings.Contains(log, "AWSPREVIOUS") || strings.Contains(log, "canary-management-key-") {
		t.Errorf("the log\n%s", log)
	}
}

// TestTheManagementKeyMayBeChangedInEitherOrder: while LicenseSpring does not accept the new key yet, the one before is used.
func TestTheManagementKeyMayBeChangedInEitherOrder(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hw-1"), owned(2, "pi_2", "hw-2"))
	before := &secret{text: secretText(testSharedKey), version: "v1"}
	r := newHarness(t, api, lookingUp, func(cfg *worker.Config) {
		now := &secret{text: strings.Replace(secretText(testSharedKey), testManagementKey, "canary-management-key-2", 1), version: "v2"}
		cfg.LookUp.Keys = secrets.NewCacheWithPrevious(now, before, secrets.ParseManagement)
	})
	if m := r.work(wire(refund(1, "pi_1")))[0]; m.Outcome != deactivation.Deactivated || r.faults() != 0 || m.KeyVersion != "v1" {
		t.Errorf("before LicenseSpring has the new key: %+v, %d faults", m, r.faults())
	}
	api.RotateManagement("canary-management-key-2")
	if m := r.work(wire(refund(2, "pi_2")))[0]; m.Outcome != deactivation.Deactivated || r.faults() != 0 {
		t.Errorf("after it: %+v, %d faults", m, r.faults())
	}
}

// TestAManagementKeyThatCannotBeReadNowIsNoFault: the message backs off.
func TestAManagementKeyThatCannotBeReadNowIsNoFault(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hw-1"))
	keys := &secret{err: fmt.Errorf("%w: throttled", secrets.ErrUnavailable)}
	r := newHarness(t, api, lookingUp, func(cfg *worker.Config) { cfg.LookUp.Keys = secrets.NewCache(keys, secrets.ParseManagement) })
	m := r.work(wire(refund(1, "pi_1")))[0]
	if m.Outcome != deactivation.Deferred || m.RetryIn > 30*time.Second || r.faults() != 0 || !strings.Contains(m.Detail, "cannot be read now") {
		t.Errorf("%+v, %d faults", m, r.faults())
	}
}

// TestAnOutageOfTheManagementAPIOpensItsBreakerAlone: its calls stop, and those of the License API go on.
func TestAnOutageOfTheManagementAPIOpensItsBreakerAlone(t *testing.T) {
	t.Parallel()
	var licenses []licenseapitest.License
	var bodies []string
	for n := range 30 {
		licenses = append(licenses, owned(n+1, fmt.Sprint("pi_", n+1), request(n+1).HardwareID, "another"))
		r := request(n + 1)
		r.Disable = n%2 == 0
		bodies = append(bodies, wire(r))
	}
	api := bothAPIs(t, licenses...)
	if err := api.Fail("management-down"); err != nil {
		t.Fatal(err)
	}
	one := func(cfg *worker.Config) { cfg.LookUp.AtOnce = 1 } // several at once would share the error of a probe
	r := newHarness(t, api, lookingUp, one)
	logged := r.work(bodies...)
	if got := count(logged); got[deactivation.Deactivated] != 15 || got[deactivation.Deferred] != 15 {
		t.Errorf("outcomes %v", got)
	}
	if n := len(ledger(api)); n != 30 {
		t.Errorf("%d named devices freed, want 30", n)
	}
	if n := api.Counts().Management; n != 5 {
		t.Errorf("%d calls of the Management API, which is down", n)
	}
	skipped := slices.ContainsFunc(logged, func(m telemetry.Message) bool {
		return strings.Contains(m.Detail, "did not answer the previous calls") && m.Code == "http_503" && m.RetryIn >= 15*time.Second
	})
	if !skipped || !strings.Contains(string(r.log.Bytes()), `"message":"breaker","api":"management"`) {
		t.Errorf("no message was skipped by the open breaker: %+v", logged)
	}
}

// TestAPageInPlaceOfTheManagementAPIIsAnOutage: its breaker opens, and the metric says unavailable.
func TestAPageInPlaceOfTheManagementAPIIsAnOutage(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = w.Write([]byte("<html>maintenance</html>"))
	})
	var bodies []string
	for n := range 30 {
		bodies = append(bodies, wire(refund(n+1, "pi_1")))
	}
	one := func(cfg *worker.Config) { cfg.LookUp.AtOnce = 1 } // several at once would share the error of a probe
	r := newHarness(t, page, lookingUp, one)
	if got := count(r.work(bodies...)); got[deactivation.Deferred] != 30 {
		t.Errorf("outcomes %v", got)
	}
	if n := calls.Load(); n != 5 {
		t.Errorf("%d calls, of which the first five show that it is a page", n)
	}
	log := string(r.log.Bytes())
	if !strings.Contains(log, `"outcome":"unavailable"`) || strings.Contains(log, `"outcome":"ok"`) {
		t.Errorf("the metrics\n%s", log)
	}
}

// killer serves an API until the call at which the worker is killed: that call has its effect, and neither it nor a later
// one gets an answer.
type killer struct {
	api http.Handler

	mu        sync.Mutex
	calls, at int
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.calls++
	killed, now := k.at > 0 && k.calls > k.at, k.at > 0 && k.calls == k.at
	k.mu.Unlock()
	if killed {
		panic(http.ErrAbortHandler)
	}
	if now {
		k.api.ServeHTTP(discard{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
	k.api.ServeHTTP(w, r)
}

// revive ends the kill and returns how many calls there were.
func (k *killer) revive() (calls int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls, k.calls, k.at = k.calls, 0, 0
	return calls
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// TestAWorkerThatIsKilledAtAnyCallIsFollowedByOneThatEndsTheWork: a new environment that gets the message again reaches the
// state of one that was not killed.
func TestAWorkerThatIsKilledAtAnyCallIsFollowedByOneThatEndsTheWork(t *testing.T) {
	t.Parallel()
	run := func(at int) (state licenseapitest.State, calls int) {
		api := bothAPIs(t, owned(1, "pi_1", "hardware-1", "hw-2"), owned(2, "pi_1", "hw-3"))
		api.SetHabits(licenseapitest.Habits{RefuseRepeats: true})
		k := &killer{api: api, at: at}
		time := &clock{}
		r := newHarness(t, k, lookingUp, time.set)
		r.source.hurry = true
		message := request(1)
		message.Disable, message.Lookup.Order = true, []deactivation.Candidate{{ID: "pi_1"}}
		if _, err := r.handler.Handle(t.Context(), r.batch(wire(message))); err != nil { // and its answer is lost
			t.Fatal(err)
		}
		calls = k.revive()
		again, err := worker.New(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.handler = again
		if at == 0 {
			return api.State(), calls
		}
		r.finish(time)
		if r.dead.Len() > 0 {
			t.Errorf("killed at call %d: %d dead letters", at, r.dead.Len())
		}
		return api.State(), calls
	}
	want, calls := run(0)
	if calls < 8 {
		t.Fatalf("%d calls", calls)
	}
	for at := 1; at <= calls; at++ {
		got, _ := run(at)
		for i := range got.Licenses { // the times at which it was disabled
			got.Licenses[i].TimeDisabled = want.Licenses[i].TimeDisabled
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("killed at call %d of %d (-want +got):\n%s", at, calls, diff)
		}
	}
}
