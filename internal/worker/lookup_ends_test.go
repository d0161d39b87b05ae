package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// finish delivers everything in the queue until it is empty, each time after the longest wait that the worker asked for,
// and returns what was logged of it.
func (r *harness) finish(c *clock, bodies ...string) []telemetry.Message {
	r.t.Helper()
	r.source.hurry = true
	before := len(r.logged())
	for round := 0; ; round++ {
		last := r.work(bodies...)
		bodies = nil
		if r.source.Len() == 0 {
			return r.logged()[before:]
		}
		if round == 50 {
			r.t.Fatalf("still in the queue: %+v", last)
		}
		var longest time.Duration
		for _, m := range last {
			longest = max(longest, m.RetryIn)
		}
		c.wait(longest)
	}
}

// TestWhereAMessageGoesThatMayNotBeActedOn: to the dead-letter queue with the code, without a write. A person's release lets
// a review act, and neither a record that does not match nor an order without a license.
func TestWhereAMessageGoesThatMayNotBeActedOn(t *testing.T) {
	t.Parallel()
	many := func(n int) (licenses []licenseapitest.License) {
		for i := range n {
			licenses = append(licenses, owned(i+1, "pi_1", "hw"))
		}
		return licenses
	}
	for name, c := range map[string]struct {
		licenses []licenseapitest.License
		request  func(*deactivation.Request)
		habits   licenseapitest.Habits
		code     string
		released int // writes after a release
	}{
		"more licenses than a message may act on": {licenses: many(11), code: lookup.CodeTooMany, released: 22},
		"part of an order": {
			licenses: many(2), code: lookup.CodePartial, released: 4,
			request: func(r *deactivation.Request) { r.Scope = deactivation.ScopeItems },
		},
		"an id that a buyer can write": {
			licenses: many(1), code: lookup.CodeUnconfirmed, released: 2,
			request: func(r *deactivation.Request) { r.Lookup.Order[0].Buyer = true },
		},
		"a license that was given back": {
			licenses: []licenseapitest.License{func() licenseapitest.License {
				l := owned(1, "pi_1", "hw")
				l.TimeDisabled = time.Now().Add(time.Hour)
				return l
			}()},
			code: lookup.CodeGivenBack, released: 2,
		},
		"a license that was made after the event": {
			licenses: []licenseapitest.License{func() licenseapitest.License {
				l := owned(1, "pi_1", "hw")
				l.CreatedAt = time.Now().Add(25 * time.Hour)
				return l
			}()},
			code: lookup.CodeNewerThanEvent, released: 2,
		},
		"a record of another order": {
			licenses: []licenseapitest.License{owned(1, "pi_1", "hw"), owned(2, "pi_12", "hw")},
			habits:   licenseapitest.Habits{MatchParts: true}, code: lookup.CodeMismatch,
		},
		"records without keys": {licenses: many(1), habits: licenseapitest.Habits{NullKeys: true}, code: lookup.CodeMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := refund(1, "pi_1")
			if c.request != nil {
				c.request(&request)
			}
			api := bothAPIs(t, c.licenses...)
			api.SetHabits(c.habits)
			r := newHarness(t, api, lookingUp)
			m := r.work(wire(request))[0]
			letters := r.letters()
			if len(letters) != 1 || len(ledger(api)) != 0 || r.source.Len() != 0 || letters[0].Body != wire(request) {
				t.Fatalf("%d letters, writes %v, %d in the queue: %+v", len(letters), ledger(api), r.source.Len(), m)
			}
			letter := deactivation.ParseDeadLetter(letters[0].Attributes)
			if letter.Reason != deactivation.ReasonRejected || letter.Code != c.code || letter.Detail == "" || m.LookupEnd != c.code || m.Decision != deactivation.DecisionReject {
				t.Errorf("letter %+v, end %q, decision %q; want %s", letter, m.LookupEnd, m.Decision, c.code)
			}

			request.Released = deactivation.Release{By: "ada", At: time.Now(), Reason: "it is right"}
			r.work(wire(request))
			if got := len(ledger(api)); got != c.released || (len(r.letters()) == 0) != (c.released > 0) {
				t.Errorf("after a release %d writes, want %d; and a letter where there are none", got, c.released)
			}
		})
	}
}

// TestAnOrderWithoutALicenseIsTriedAgainAndThenALetter, unless the shop sells other things, too. The waits are no faults
// and no failures.
func TestAnOrderWithoutALicenseIsTriedAgainAndThenALetter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		none    string
		outcome deactivation.Outcome
		letters int
	}{{"", deactivation.Rejected, 1}, {deactivation.NoneIgnore, deactivation.AlreadyInactive, 0}} {
		api := bothAPIs(t)
		time := &clock{}
		r := newHarness(t, api, lookingUp, time.set)
		request := refund(1, "pi_1")
		request.Lookup.None = c.none
		logged := r.finish(time, wire(request))

		var waits []string
		for _, m := range logged[:len(logged)-1] {
			waits = append(waits, m.RetryIn.Round(1e9).String())
			if m.Outcome != deactivation.Deferred || m.Code != deactivation.CodeNoLicense || m.Decision != deactivation.DecisionWait || m.LookupEnd != "" {
				t.Errorf("a wait: %+v", m)
			}
		}
		if diff := cmp.Diff([]string{"2m0s", "3m0s", "3m0s", "7m0s", "45m0s"}, waits); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		last := logged[len(logged)-1]
		if last.Outcome != c.outcome || last.Code != deactivation.CodeNoLicense || last.LookupEnd != telemetry.LookupNotFound || r.dead.Len() != c.letters {
			t.Errorf("the end: %+v with %d letters", last, r.dead.Len())
		}
		if r.faults() > 0 || !strings.Contains(string(r.log.Bytes()), `"NotFound":[1]`) {
			t.Errorf("%d faults, in the log\n%s", r.faults(), r.log.Bytes())
		}
	}
}

// TestARefundBeforeItsFulfilmentIsFoundLater.
func TestARefundBeforeItsFulfilmentIsFoundLater(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t)
	time := &clock{}
	r := newHarness(t, api, lookingUp, time.set)
	r.source.hurry = true
	if m := r.work(wire(refund(1, "pi_1")))[0]; m.Outcome != deactivation.Deferred {
		t.Fatalf("before the fulfilment: %+v", m)
	}
	if err := api.Add(owned(1, "pi_1", "hw")); err != nil {
		t.Fatal(err)
	}
	time.wait(3 * 60e9)
	logged := r.finish(time)
	if logged[len(logged)-1].Outcome != deactivation.Deactivated || len(ledger(api)) != 2 {
		t.Errorf("after it: %+v, writes %v", logged, ledger(api))
	}
}

// TestADeviceThatTheAPIRefusesEndsInALetterAfterAllOthers: the other devices are freed, and the license is disabled.
func TestADeviceThatTheAPIRefusesEndsInALetterAfterAllOthers(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hw-1", "hw-2", "hw-3"))
	api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		if c.HardwareID == "hw-2" {
			return licenseapitest.Fault{Status: 400, Body: licenseapitest.ErrorBody(400, "validation_error", "refused")}
		}
		return licenseapitest.Fault{}
	})
	r := newHarness(t, api, lookingUp)
	r.work(wire(refund(1, "pi_1")))
	letters := r.letters()
	if len(letters) != 1 || letters[0].Attributes["code"] != "validation_error" || letters[0].Attributes["reason"] != "rejected" {
		t.Errorf("letters %v", letters)
	}
	if diff := cmp.Diff([]string{"deactivate_license 1 hw-1", "deactivate_license 1 hw-3", "disable 1"}, ledger(api)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestALicenseThatTheAPIRefusesForNowHoldsUpNoOther: the order's other licenses are done in the same receive. Their success shows
// that the refusal is that license's own, so that it is a letter from the fifth receive on.
func TestALicenseThatTheAPIRefusesForNowHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hw-1", "hw-2"), owned(2, "pi_1", "hw-3"))
	api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		if c.LicenseKey == licenseKey(1) {
			return licenseapitest.Fault{Status: 400, Body: licenseapitest.ErrorBody(400, "locked_by_support", "no")}
		}
		return licenseapitest.Fault{}
	})
	r := newHarness(t, api, lookingUp)
	r.source.hurry = true
	message := refund(1, "pi_1")
	m := r.work(wire(message))[0]
	if m.Outcome != deactivation.Deferred || m.Code != "locked_by_support" || m.RetryIn > 30*time.Second {
		t.Errorf("first receive: %+v", m)
	}
	if diff := cmp.Diff([]string{"deactivate_license 2 hw-3", "disable 2"}, ledger(api)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	for receive := 2; receive < 5; receive++ {
		if m := r.work()[0]; m.Outcome != deactivation.Deferred || m.Code != "locked_by_support" {
			t.Errorf("receive %d: %+v", receive, m)
		}
	}
	m = r.work()[0]
	if m.Reason != deactivation.ReasonRejected || m.Code != "locked_by_support" || !strings.Contains(m.Detail, "of license 1") {
		t.Errorf("last receive: %+v", m)
	}
	if diff := cmp.Diff([]string{"deactivate_license 2 hw-3", "disable 2", "disable 1"}, ledger(api)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if r.faults() != 0 || r.dead.Len() != 1 {
		t.Errorf("%d faults, %d letters", r.faults(), r.dead.Len())
	}
}

// TestTheBrakeCountsWhatALookupFindsBeforeTheFirstWrite: all licenses of a message or none. A named license counts before
// its own call, and once.
func TestTheBrakeCountsWhatALookupFindsBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	licenses := []licenseapitest.License{owned(1, "pi_1", "hw-1"), owned(2, "pi_1", "hw-2"), owned(3, "pi_2", "hw-3"), owned(4, "pi_3", "hardware-4")}
	api := bothAPIs(t, licenses...)
	r := newHarness(t, api, lookingUp, func(cfg *worker.Config) { cfg.SurgeLimit = 2 })
	named := request(4)
	named.Origin, named.Disable, named.ReceivedAt = deactivation.OriginEvent, true, atNoon()
	at := func(q deactivation.Request) string {
		q.ReceivedAt = atNoon()
		return wire(q)
	}
	for _, c := range []struct {
		body   string
		reason deactivation.Reason
		writes int // so far
	}{
		{wire(named), "", 2}, // one license
		{at(refund(1, "pi_1")), deactivation.ReasonHeld, 2},            // two more
		{at(refund(3, "pi_2")), "", 4},                                 // one more
		{wire(named), "", 4},                                           // counted already
		{at(refund(5, "pi_1")), deactivation.ReasonHeld, 4},            // none is left
		{at(released(refund(6, "pi_1"))), "", 8},                       // a person has decided
		{at(refund(7, "ch_404")), deactivation.Reason("no letter"), 8}, // nothing found counts nothing
	} {
		m := r.work(c.body)[0]
		if c.reason == "no letter" {
			if m.Outcome != deactivation.Deferred {
				t.Errorf("%s: %+v", m.ID, m)
			}
			continue
		}
		if m.Reason != c.reason || len(ledger(api)) != c.writes {
			t.Errorf("%s: reason %q, writes %v; want %q and %d", m.ID, m.Reason, ledger(api), c.reason, c.writes)
		}
		if c.reason == deactivation.ReasonHeld && (m.Code != deactivation.CodeSurge || m.Decision != deactivation.DecisionHold || m.LookupEnd != "held" ||
			!strings.Contains(m.Detail, "more than 2 licenses of stripe")) {
			t.Errorf("held: %+v", m)
		}
	}
}

func released(r deactivation.Request) deactivation.Request {
	r.Released = deactivation.Release{By: "ada", At: atNoon(), Reason: "real"}
	return r
}

// TestInWatchModeALookupReadsAndWritesNothing: every message that is not to be tried again is a letter with the reason
// watched, which says what would have been done.
func TestInWatchModeALookupReadsAndWritesNothing(t *testing.T) {
	t.Parallel()
	second := owned(2, "pi_2", "hw-3")
	second.CreatedAt = atNoon().Add(-60 * 24 * 60 * 60e9)
	api := bothAPIs(t, owned(1, "pi_1", "hw-1", "hw-2"), second, owned(3, "pi_2", "hw-4"), owned(4, "pi_4", "hardware-4"))
	time := &clock{}
	r := newHarness(t, api, lookingUp, watching, time.set, func(cfg *worker.Config) { cfg.SurgeLimit = 2 })
	named := request(4)
	named.Origin, named.Disable, named.ReceivedAt = deactivation.OriginEvent, true, atNoon().Add(-2*60*60e9)
	other := refund(5, "pi_2")
	other.Scope = deactivation.ScopeItems
	nothing := refund(6, "ch_404")
	nothing.Lookup.None = deactivation.NoneIgnore
	late := refund(7)
	late.License, late.OccurredAt = request(2).License, atNoon().Add(-90*24*60*60e9) // its license is newer
	user := refund(8)
	user.License = deactivation.License{Product: "XY", Username: "bob@example.com", HardwareID: "hardware-8"} // and nothing to look it up by
	for _, c := range []struct {
		request      deactivation.Request
		code, detail string
	}{
		{refund(1, "pi_1"), "", `would deactivate 2 devices and disable 1 license: order__store_id "pi_1": 1 license`},
		{refund(2, "pi_2"), deactivation.CodeSurge, "would hold it: more than 2 licenses of stripe"},
		{named, "", "would deactivate 1 device and disable 1 license: license_key"},
		{other, lookup.CodePartial, "would end it as rejected: part of the order was refunded"},
		{nothing, deactivation.CodeNoLicense, `would end it as already_inactive: order__store_id "ch_404": 0 licenses`},
		{late, lookup.CodeNewerThanEvent, "would deactivate license …0002 of XY on device …re-2, and then end it as rejected: license 2 was made at "},
		{user, "", "would deactivate 1 device and disable 0 licenses: the request holds no id that a license can be looked up by, and would not be disabled"},
	} {
		logged := r.finish(time, wire(c.request))
		letters := r.letters()
		if len(letters) != 1 {
			t.Fatalf("%s: %d letters: %+v", c.request.ID, len(letters), logged)
		}
		letter := deactivation.ParseDeadLetter(letters[0].Attributes)
		if letter.Reason != deactivation.ReasonWatched || letter.Code != c.code || !strings.HasPrefix(letter.Detail, c.detail) {
			t.Errorf("%s: letter %+v, want code %q and %q", c.request.ID, letter, c.code, c.detail)
		}
	}
	if len(api.Ledger()) > 0 {
		t.Errorf("writes %v", api.Ledger())
	}
}

// TestWithoutLookUpOnlyNamedDevicesAreFreed: as before there was one, whatever a message says about its order.
func TestWithoutLookUpOnlyNamedDevicesAreFreed(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hardware-1", "other"))
	r := newHarness(t, api)
	named := request(1)
	named.Disable, named.Buyer = true, true
	noDevice := refund(2, "pi_1")
	for _, m := range r.work(wire(named), wire(noDevice)) {
		if want := map[string]string{named.ID: "deactivated ", noDevice.ID: "rejected missing_hardware_id"}[m.ID]; string(m.Outcome)+" "+m.Code != want {
			t.Errorf("%s: %s %s, want %s", m.ID, m.Outcome, m.Code, want)
		}
	}
	if diff := cmp.Diff([]string{"deactivate_license 1 hardware-1"}, ledger(api)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestALookupThatNeverSucceedsIsExhausted: at receive 290, as every other message.
func TestALookupThatNeverSucceedsIsExhausted(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t)
	if err := api.Fail("management-down"); err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, api, lookingUp)
	for _, receives := range []string{"289", "290"} {
		event := r.batch(wire(refund(1, "pi_1")))
		event.Records[0].Attributes["ApproximateReceiveCount"] = receives
		r.handle(t.Context(), event)
	}
	letters := r.letters()
	if len(letters) != 1 || r.source.Len() != 1 || letters[0].Attributes["reason"] != "exhausted" || letters[0].Attributes["code"] != "http_503" {
		t.Errorf("letters %v, %d in the queue", letters, r.source.Len())
	}
}
