package lookup_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// checkTexts checks that texts for people hold no keys, devices and addresses.
func checkTexts(t *testing.T, r lookup.Result) {
	t.Helper()
	for _, secret := range []string{"OTHER-KEY", "example.com", managementKey} {
		if strings.Contains(r.Detail+r.Report.String(), secret) {
			t.Errorf("%q is in %q or %q", secret, r.Detail, r.Report.String())
		}
	}
}

// TestTheReportSaysWhatWasFoundDoneAndProved checks the line for people.
func TestTheReportSaysWhatWasFoundDoneAndProved(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	a.serve(t, owned(1, "AAAA-BBBB-CCCC-DDDD", "hw1", "hw2"))
	r := refund()
	r.Lookup.Order = append([]deactivation.Candidate{{ID: "n/a"}, {ID: "ch_1"}}, r.Lookup.Order...)
	result, _ := a.work(t, a.lookup(t), r, nil)
	const want = `order__store_id "n/a": 0 licenses (no id: the API is not asked for it); order__store_id "ch_1": 0 licenses; ` +
		`order__store_id "pi_1": 1 license; license 1 …DDDD of XY: 2 active devices, 2 deactivated, now disabled with 0 active devices`
	if got := result.Report.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again, _ := a.work(t, a.lookup(t), r, nil)
	if again.Outcome != deactivation.AlreadyInactive || again.Code != lookup.CodeAlreadyDisabled || again.StillUsable {
		t.Errorf("the second time: %+v", again)
	}
}

// TestNamedDevicesAreFreedWithoutTheManagementAPI: only the part that needs that API waits.
func TestNamedDevicesAreFreedWithoutTheManagementAPI(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"management-down", "management-gone", "management-403", "management-html"} {
		a := newAPIs(t)
		fake := a.serve(t, owned(1, "KEY-1", "hw1", "hw2"))
		if err := fake.Fail(fault); err != nil {
			t.Fatal(err)
		}
		r := refund()
		r.LicenseKey, r.Product, r.HardwareID = "KEY-1", "XY", "hw2"
		l := a.lookup(t)
		result := l.Run(t.Context(), a.job(r))
		if result.Outcome != deactivation.Deferred || result.Err == nil || (result.Fault != "") != (fault == "management-403") {
			t.Errorf("%s: %+v", fault, result)
		}
		if diff := cmp.Diff([]licenseapitest.Write{freed(1, "hw2")}, fake.Ledger()); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", fault, diff)
		}
		if err := fake.Fail(); err != nil {
			t.Fatal(err)
		}
		a.wait(time.Minute)
		if result := l.Run(t.Context(), a.job(r)); result.Outcome != deactivation.Deactivated {
			t.Errorf("%s, and it is up again: %+v", fault, result)
		}
	}
}

// TestTheBrakeIsAskedBeforeTheFirstWrite: it is called with every license that is about to be written to, and with no
// other.
func TestTheBrakeIsAskedBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	no := false
	done := owned(3, "KEY-3")
	done.Enabled = &no
	fake := a.serve(t, owned(1, "KEY-1", "hw1"), owned(2, "KEY-2"), done, licenseapitest.License{
		ID: 4, Product: "US", Username: "u@example.com", Order: "pi_1", CustomerEmail: "a@example.com", Devices: []string{"hw1"},
	})
	var asked [][]string
	job := a.job(refund())
	job.Admit = func(licenses []string) deactivation.Reason {
		asked = append(asked, licenses)
		if n := len(fake.Ledger()); n > 0 {
			t.Errorf("asked after %d writes", n)
		}
		return ""
	}
	if result := a.lookup(t).Run(t.Context(), job); result.Outcome != deactivation.Deactivated {
		t.Errorf("%+v", result)
	}
	if diff := cmp.Diff([][]string{{"license_key:KEY-1", "license_key:KEY-2", "license:4"}}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestARunEndsWithItsContext checks every wait.
func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result := a.lookup(t).Run(ctx, a.job(refund())); result.Outcome != deactivation.Deferred || result.Fault != "" {
		t.Errorf("%+v", result)
	}
	if len(fake.Ledger()) != 0 {
		t.Errorf("writes %v", fake.Ledger())
	}
}

func TestNeeded(t *testing.T) {
	t.Parallel()
	device := deactivation.Request{License: deactivation.License{Product: "XY", LicenseKey: "K", HardwareID: "hw"}}
	for name, c := range map[string]struct {
		change func(*deactivation.Request)
		want   bool
	}{
		"a device alone":          {func(*deactivation.Request) {}, false},
		"no device":               {func(r *deactivation.Request) { r.HardwareID = "" }, true},
		"a device, and disable":   {func(r *deactivation.Request) { r.Disable = true }, true},
		"a buyer's device":        {func(r *deactivation.Request) { r.Buyer = true }, true},
		"a bundle":                {func(r *deactivation.Request) { r.Action, r.HardwareID = deactivation.ActionDeactivateBundle, "" }, false},
		"the action by its name":  {func(r *deactivation.Request) { r.Action, r.Disable = deactivation.ActionDeactivateLicense, true }, true},
		"candidates and a device": {func(r *deactivation.Request) { r.Lookup = refund().Lookup }, false},
	} {
		r := device
		c.change(&r)
		if got := lookup.Needed(r); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestNewNamesEveryBadField(t *testing.T) {
	t.Parallel()
	_, err := lookup.New(lookup.Config{NotFound: []time.Duration{2, 1}, ProbeEvery: -1, MaxLicenses: -1, MaxDevices: -1, MaxReleased: -1})
	if err == nil {
		t.Fatal("got nil")
	}
	for _, want := range []string{"NotFound", "ProbeEvery", "MaxLicenses", "MaxDevices", "MaxReleased"} {
		if !strings.Contains(err.Error(), "lookup: "+want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if _, err := lookup.New(lookup.Config{NotFound: []time.Duration{}}); err == nil {
		t.Error("no wait at all was taken")
	}
}

// TestTheBrakeCountsANamedUserOnce: it gets one identity before the named device's call and before the look-up's writes.
func TestTheBrakeCountsANamedUserOnce(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	a.serve(t, licenseapitest.License{ID: 3, Product: "US", Username: "u@example.com", Order: "pi_1", CustomerEmail: "a@example.com", Devices: []string{"hw1", "hw2"}})
	r := refund()
	r.Username, r.Product, r.HardwareID = "u@example.com", "US", "hw1"
	var asked []string
	job := a.job(r)
	job.Admit = func(licenses []string) deactivation.Reason {
		asked = append(asked, licenses...)
		return ""
	}
	if result := a.lookup(t).Run(t.Context(), job); result.Outcome != deactivation.Deactivated {
		t.Errorf("%+v", result)
	}
	if diff := cmp.Diff([]string{r.Identity(), r.Identity()}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWatchModeSaysWhatWouldBeWritten: the devices and licenses, and the brake's keys of those that an event names and
// of those that were found.
func TestWatchModeSaysWhatWouldBeWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*deactivation.Request)
		detail  string
		counted []string
	}{
		{"an order", func(*deactivation.Request) {}, "would deactivate 3 devices and disable 2 licenses: ", []string{"license_key:KEY-1", "license_key:KEY-2"}},
		{"devices alone", func(r *deactivation.Request) { r.Disable = false }, "would deactivate 3 devices and disable 0 licenses: ",
			[]string{"license_key:KEY-1", "license_key:KEY-2"}},
		{"a named device and its license", func(r *deactivation.Request) { r.LicenseKey, r.Product, r.HardwareID = "KEY-1", "XY", "hw1" },
			"would deactivate 2 devices and disable 1 license: ", []string{"license_key:KEY-1", "license_key:KEY-1"}},
		{"a direct row that disables", func(r *deactivation.Request) {
			r.LicenseKey, r.Product, r.HardwareID, r.Origin = "KEY-1", "XY", "hw1", deactivation.OriginDirect
		}, "would deactivate 1 device and disable 1 license: ", []string{"license_key:KEY-1", "license_key:KEY-1"}},
	} {
		a := newAPIs(t)
		fake := a.serve(t, owned(1, "KEY-1", "hw1", "hw2"), owned(2, "KEY-2", "hw3"))
		r := refund()
		c.change(&r)
		var counted []string
		result, _ := a.work(t, a.lookup(t), r, func(j *lookup.Job) {
			j.Watch = true
			j.Admit = func(licenses []string) deactivation.Reason { counted = append(counted, licenses...); return "" }
		})
		if result.Reason != deactivation.ReasonWatched || !strings.HasPrefix(result.Detail, c.detail) || len(fake.Ledger()) > 0 {
			t.Errorf("%s: %s %q with %d writes, want watched and %q", c.name, result.Reason, result.Detail, len(fake.Ledger()), c.detail)
		}
		if diff := cmp.Diff(c.counted, counted); diff != "" {
			t.Errorf("%s: counted (-want +got):\n%s", c.name, diff)
		}
	}
}
