package lookup_test

import (
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestFiltersThatCannotBeTrustedStopTheLookup: it stops for five minutes at a time, for every message, until the probe
// succeeds.
func TestFiltersThatCannotBeTrustedStopTheLookup(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, append(others(), owned(1, "KEY-1", "hw1"))...)
	fake.SetHabits(licenseapitest.Habits{IgnoreFilters: true})
	l := a.lookup(t)
	expect := func(calls int, retry time.Duration) {
		t.Helper()
		before := fake.Counts().Management
		result := l.Run(t.Context(), a.job(refund()))
		if result.Outcome != deactivation.Deferred || result.Code != lookup.CodeUntrusted || result.Fault == "" || result.RetryIn != retry {
			t.Errorf("%+v, want a stop for %v", result, retry)
		}
		if got := fake.Counts().Management - before; got != calls {
			t.Errorf("%d calls, want %d", got, calls)
		}
	}
	expect(1, 5*time.Minute)
	a.wait(time.Minute)
	expect(0, 4*time.Minute)
	fake.SetHabits(licenseapitest.Habits{})
	expect(0, 4*time.Minute)
	a.wait(4 * time.Minute)
	fake.SetHabits(licenseapitest.Habits{IgnoreFilters: true})
	expect(1, 5*time.Minute)
	a.wait(5 * time.Minute)
	if len(fake.Ledger()) != 0 {
		t.Errorf("writes %v", fake.Ledger())
	}
	fake.SetHabits(licenseapitest.Habits{})
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
		t.Errorf("once the probe holds: %+v", result)
	}
}

// TestFiltersThatStopWorkingAreNoticedByARecord: the environment has trusted them before.
func TestFiltersThatStopWorkingAreNoticedByARecord(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, append(others(), owned(1, "KEY-1", "hw1"))...)
	l := a.lookup(t)
	other := refund()
	other.ID, other.Lookup.Order = "other", []deactivation.Candidate{{ID: "pi_2"}}
	if result := l.Run(t.Context(), a.job(other)); result.Outcome != deactivation.Deactivated {
		t.Fatalf("%+v", result)
	}
	writes := len(fake.Ledger())
	fake.SetHabits(licenseapitest.Habits{IgnoreFilters: true})
	if result := l.Run(t.Context(), a.job(refund())); result.Code != lookup.CodeUntrusted || result.Outcome != deactivation.Deferred {
		t.Errorf("%+v", result)
	}
	fake.SetHabits(licenseapitest.Habits{ForeignLicense: true}) // the probe also finds it
	a.wait(5 * time.Minute)
	if result := l.Run(t.Context(), a.job(refund())); result.Code != lookup.CodeUntrusted {
		t.Errorf("%+v", result)
	}
	if got := len(fake.Ledger()); got != writes {
		t.Errorf("%d writes", got-writes)
	}
}

// TestBadHabitsOfTheAPI: nothing is written, and the message is kept or is a letter with the reason.
func TestBadHabitsOfTheAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		habits licenseapitest.Habits
		want   string
	}{
		"filters ignored":        {licenseapitest.Habits{IgnoreFilters: true}, "deferred filters_untrusted"},
		"matched in part":        {licenseapitest.Habits{MatchParts: true}, "rejected mismatch"},
		"filters refused":        {licenseapitest.Habits{RefuseFilters: true}, "deferred http_400"},
		"foreign license":        {licenseapitest.Habits{ForeignLicense: true}, "deferred filters_untrusted"},
		"foreign device":         {licenseapitest.Habits{ForeignDevice: true}, "deferred filters_untrusted"},
		"every record once more": {licenseapitest.Habits{Duplicates: true}, "deferred unreadable"},
		"keys that are null":     {licenseapitest.Habits{NullKeys: true}, "rejected mismatch"},
		"pages that shift":       {licenseapitest.Habits{ShiftPages: true, PageSize: 1}, "deferred unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPIs(t)
			fake := a.serve(t, append(others(), owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2"))...)
			fake.SetHabits(c.habits)
			result := a.lookup(t).Run(t.Context(), a.job(refund()))
			if got := string(result.Outcome) + " " + result.Code; got != c.want || result.Detail == "" {
				t.Errorf("got %s, want %s: %s", got, c.want, result.Detail)
			}
			if len(fake.Ledger()) != 0 {
				t.Errorf("writes %v", fake.Ledger())
			}
		})
	}
}

// TestARecordOfSomebodyElseIsThisOrdersOwnOddityIfTheProbeHolds: then it is a letter for this order, and others
// continue.
func TestARecordOfSomebodyElseIsThisOrdersOwnOddityIfTheProbeHolds(t *testing.T) {
	t.Parallel()
	const license = `{"id":901,"license_key":"OTHER-KEY-0001","order_store_id":"pi_12","enabled":true}`
	for name, c := range map[string]struct{ path, record, detail string }{
		"a license": {"/licenses/", license, "license 901"},
		"a device":  {"/devices/", `{"id":7,"hardware_id":"hw1","device_active":true,"license":901}`, "license 901"},
		"a device of another key": {
			"/devices/", `{"id":7,"hardware_id":"hw1","device_active":true,"license":{"id":1,"license_key":"OTHER-KEY-0001"}}`, "different keys: … and …0001",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPIs(t)
			fake := a.serve(t, append(others(), owned(1, "KEY-1", "hw1"))...)
			fake.OnManagementCall(func(call licenseapitest.ManagementCall) licenseapitest.Fault {
				if call.Path != c.path || call.Query.Get("order__store_id") != "pi_1" && call.Query.Get("license") != "1" {
					return licenseapitest.Fault{}
				}
				return licenseapitest.Fault{Status: 200, Body: `{"count":1,"results":[` + c.record + `]}`}
			})
			l := a.lookup(t)
			result := l.Run(t.Context(), a.job(refund()))
			if result.Outcome != deactivation.Rejected || result.Code != lookup.CodeMismatch || !strings.Contains(result.Detail, c.detail) {
				t.Errorf("%+v", result)
			}
			checkTexts(t, result)
			if len(fake.Ledger()) != 0 {
				t.Errorf("writes %v", fake.Ledger())
			}
			other := refund()
			other.Lookup.Order = []deactivation.Candidate{{ID: "pi_2"}}
			if result := l.Run(t.Context(), a.job(other)); result.Outcome != deactivation.Deactivated {
				t.Errorf("another order: %+v", result)
			}
		})
	}
}

// TestAnErrorOfTheProbeIsOnlyAnError: it decides nothing.
func TestAnErrorOfTheProbeIsOnlyAnError(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1"))
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if c.Number == 1 {
			return licenseapitest.Fault{Status: 503}
		}
		return licenseapitest.Fault{}
	})
	l := a.lookup(t)
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deferred || result.Code != "http_503" || result.Fault != "" {
		t.Errorf("%+v", result)
	}
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
		t.Errorf("%+v", result)
	}
}

// TestAProbeByAnUnknownLicenseMayBeRefused: the API may check that the license of a list of devices exists.
func TestAProbeByAnUnknownLicenseMayBeRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404} {
		a := newAPIs(t)
		fake := a.serve(t, owned(1, "KEY-1", "hw1"))
		fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
			if c.Path == "/devices/" && c.Query.Get("license") != "1" {
				return licenseapitest.Fault{Status: status, Body: `{"license":["Select a valid choice."]}`}
			}
			return licenseapitest.Fault{}
		})
		result := a.lookup(t).Run(t.Context(), a.job(refund()))
		if want := map[int]deactivation.Outcome{400: deactivation.Deactivated, 404: deactivation.Deferred}[status]; result.Outcome != want {
			t.Errorf("%d: %+v, want %s", status, result, want)
		}
	}
}

// TestAValueThatTheAPIRefusesIsTheValues: the filter works for other values, so the next candidate is tried.
func TestAValueThatTheAPIRefusesIsTheValues(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1"))
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if c.Query.Get("order__store_id") == "odd" {
			return licenseapitest.Fault{Status: 400, Body: `{"detail":"odd"}`}
		}
		return licenseapitest.Fault{}
	})
	r := refund()
	r.Lookup.Order = []deactivation.Candidate{{ID: "odd"}, {ID: "pi_1"}}
	l := a.lookup(t)
	if result := l.Run(t.Context(), a.job(r)); result.Outcome != deactivation.Deactivated {
		t.Errorf("%+v", result)
	}
	r.ID, r.Lookup.Order = "odd", []deactivation.Candidate{{ID: "odd"}}
	if result, _ := a.work(t, l, r, nil); result.Outcome != deactivation.Rejected || result.Code != "http_400" {
		t.Errorf("nothing else: %+v", result)
	}
}

// TestARefusedListOfDevicesIsNoFaultOfTheMessage: the license was just found, so the API refuses its own filter. One that is
// refused for every license would otherwise empty the queue into letters.
func TestARefusedListOfDevicesIsNoFaultOfTheMessage(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, append(others(), owned(1, "KEY-1", "hw1"))...)
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if c.Path == "/devices/" {
			return licenseapitest.Fault{Status: 400, Body: `{"order_by":["Select a valid choice."]}`}
		}
		return licenseapitest.Fault{}
	})
	l := a.lookup(t)
	result := l.Run(t.Context(), a.job(refund()))
	if result.Outcome != deactivation.Deferred || result.Code != "http_400" || result.Fault == "" || len(fake.Ledger()) != 0 {
		t.Errorf("%+v, writes %v", result, fake.Ledger())
	}
	fake.OnManagementCall(nil)
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
		t.Errorf("then: %+v", result)
	}
}
