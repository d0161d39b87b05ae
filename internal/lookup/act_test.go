package lookup_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

// TestARefusedDeviceStopsNothingElse: the others are deactivated, the license is disabled, and the letter names the
// device.
func TestARefusedDeviceStopsNothingElse(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hardware-0001", "hardware-0002"))
	fake.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		if c.HardwareID == "hardware-0001" {
			return licenseapitest.Fault{Status: 400, Body: licenseapitest.ErrorBody(400, "blacklisted", "no")}
		}
		return licenseapitest.Fault{}
	})
	result, _ := a.work(t, a.lookup(t), refund(), nil)
	if result.Outcome != deactivation.Rejected || result.Code != "blacklisted" || !strings.Contains(result.Detail, "…0001") {
		t.Errorf("%+v", result)
	}
	if diff := cmp.Diff([]licenseapitest.Write{freed(1, "hardware-0002"), disabled(1)}, fake.Ledger()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestAWriteWithoutEffectIsNoEnd: a 200 counts only if reading back shows the effect.
func TestAWriteWithoutEffectIsNoEnd(t *testing.T) {
	t.Parallel()
	user := licenseapitest.License{ID: 3, Product: "US", Username: "u@example.com", Order: "pi_1", CustomerEmail: "a@example.com", Devices: []string{"hw1"}}
	for _, c := range []struct {
		license licenseapitest.License
		code    string
	}{{owned(1, "KEY-1", "hw1"), lookup.CodeStillEnabled}, {user, lookup.CodeStillActive}} {
		a := newAPIs(t)
		fake := a.serve(t, c.license)
		fake.SetHabits(licenseapitest.Habits{IgnoreWrites: true})
		l := a.lookup(t)
		if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deferred || result.Code != c.code || result.Fault == "" {
			t.Errorf("%+v, want %s", result, c.code)
		}
		fake.SetHabits(licenseapitest.Habits{})
		if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
			t.Errorf("then: %+v", result)
		}
	}
}

// TestAResetWithoutEffectKeepsTheLicenseEnabled: the devices come first, also where the API begins to write again between the
// reset and the disabling. The other license of the order does not wait.
func TestAResetWithoutEffectKeepsTheLicenseEnabled(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	user := licenseapitest.License{ID: 3, Product: "US", Username: "u@example.com", Order: "pi_1", CustomerEmail: "a@example.com", Devices: []string{"hw1"}}
	fake := a.serve(t, user, owned(4, "KEY-4"))
	ignored := false
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if !strings.HasSuffix(c.Path, "/reset/") || ignored {
			return licenseapitest.Fault{}
		}
		ignored = true
		return licenseapitest.Fault{Status: 200, Body: `{"message":"Device reset and license updated."}`}
	})
	l := a.lookup(t)
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deferred || result.Code != lookup.CodeStillActive || result.Fault == "" {
		t.Errorf("%+v, want %s", result, lookup.CodeStillActive)
	}
	if diff := cmp.Diff([]licenseapitest.Write{disabled(4)}, fake.Ledger()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
		t.Errorf("then: %+v", result)
	}
	if writes := fake.Ledger(); len(writes) != 3 || writes[1].Device != "hw1" || writes[2] != disabled(3) {
		t.Errorf("writes: %+v", writes)
	}
}

// TestADisableThatIsRefused: it becomes a letter, unless the license is disabled nevertheless.
func TestADisableThatIsRefused(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1"))
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if strings.HasSuffix(c.Path, "/disable/") {
			return licenseapitest.Fault{Status: 400, Body: `{"detail":"no"}`}
		}
		return licenseapitest.Fault{}
	})
	l := a.lookup(t)
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Rejected || result.Code != "http_400" || !strings.Contains(result.Detail, "license 1 is not disabled") {
		t.Errorf("%+v", result)
	}
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if strings.HasSuffix(c.Path, "/disable/") {
			return licenseapitest.Fault{Status: 400, Body: `{"detail":"no"}`, After: true}
		}
		return licenseapitest.Fault{}
	})
	if result := l.Run(t.Context(), a.job(refund())); result.Outcome != deactivation.Deactivated {
		t.Errorf("disabled and refused: %+v", result)
	}
}

// TestALetterNamesEveryRefusal of a device and of a disabling.
func TestALetterNamesEveryRefusal(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hardware-0001"), owned(2, "KEY-2", "hardware-0002"), owned(3, "KEY-3"))
	fake.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		if c.HardwareID == "hardware-0001" {
			return licenseapitest.Fault{Status: 400, Body: licenseapitest.ErrorBody(400, "blacklisted", "no")}
		}
		return licenseapitest.Fault{}
	})
	fake.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		if strings.HasSuffix(c.Path, "/2/disable/") || strings.HasSuffix(c.Path, "/3/disable/") {
			return licenseapitest.Fault{Status: 400, Body: `{"detail":"no"}`}
		}
		return licenseapitest.Fault{}
	})
	result, _ := a.work(t, a.lookup(t), refund(), nil)
	for _, refused := range []string{"of license 1: ", "license 2 is not disabled", "license 3 is not disabled"} {
		if result.Outcome != deactivation.Rejected || result.Code != "blacklisted" || !strings.Contains(result.Detail, refused) {
			t.Errorf("%+v, want %q", result, refused)
		}
	}
}

// TestTheQuotaIsTheMessagesWait: 429 is not an outage.
func TestTheQuotaIsTheMessagesWait(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1"))
	fake.OnManagementCall(func(licenseapitest.ManagementCall) licenseapitest.Fault {
		return licenseapitest.Fault{Status: 429, Header: map[string][]string{"Retry-After": {"17"}}}
	})
	result := a.lookup(t).Run(t.Context(), a.job(refund()))
	if result.Outcome != deactivation.Deferred || result.Code != "http_429" || result.RetryIn != 17*time.Second || result.Fault != "" || result.Waiting {
		t.Errorf("%+v", result)
	}
}

// TestADeactivationThatHasToWaitStopsTheRun: it stops before anything is disabled.
func TestADeactivationThatHasToWaitStopsTheRun(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, owned(1, "KEY-1", "hw1", "hw2"))
	job := a.job(refund())
	job.Deactivate = func(ctx context.Context, l deactivation.License) lookup.Answer {
		if l.HardwareID == "hw2" {
			return lookup.Answer{Outcome: deactivation.Deferred, Code: "http_429", Detail: "later", RetryIn: time.Minute}
		}
		return a.deactivate(ctx, l)
	}
	result := a.lookup(t).Run(t.Context(), job)
	if result.Outcome != deactivation.Deferred || result.Code != "http_429" || result.RetryIn != time.Minute || result.Detail != "later" {
		t.Errorf("%+v", result)
	}
	if diff := cmp.Diff([]licenseapitest.Write{freed(1, "hw1")}, fake.Ledger()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestTwoMessagesOfOneEnvironmentNeverCallForOneLicenseAtOnce: the second waits until the first has read back.
func TestTwoMessagesOfOneEnvironmentNeverCallForOneLicenseAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := lookup.New(lookup.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var inside, calls, together atomic.Int64
		deactivate := func(context.Context, deactivation.License) lookup.Answer {
			calls.Add(1)
			if inside.Add(1) > 1 {
				together.Add(1)
			}
			time.Sleep(time.Second) // every other goroutine runs as far as it can
			inside.Add(-1)
			return lookup.Answer{Outcome: deactivation.Deactivated}
		}
		var messages sync.WaitGroup
		for _, id := range []string{"one", "other"} {
			r := refund()
			r.ID = id
			messages.Go(func() { l.Run(t.Context(), lookup.Job{Request: r, Management: &oneLicense{}, Deactivate: deactivate}) })
		}
		messages.Wait()
		if calls.Load() != 4 || together.Load() != 0 {
			t.Errorf("%d calls, %d of them while another was made", calls.Load(), together.Load())
		}
	})
}

// TestAMessageThatWaitsForALicenseEndsWithItsContext: the first message has not read back yet.
func TestAMessageThatWaitsForALicenseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := lookup.New(lookup.Config{})
		if err != nil {
			t.Fatal(err)
		}
		deactivate := func(context.Context, deactivation.License) lookup.Answer {
			time.Sleep(time.Minute)
			return lookup.Answer{Outcome: deactivation.Deactivated}
		}
		go l.Run(t.Context(), lookup.Job{Request: refund(), Management: &oneLicense{}, Deactivate: deactivate})
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		result := l.Run(ctx, lookup.Job{Request: refund(), Management: &oneLicense{}, Deactivate: deactivate})
		if result.Outcome != deactivation.Deferred || result.Code != "timeout" {
			t.Errorf("%+v", result)
		}
		time.Sleep(time.Hour)
	})
}

// oneLicense is a Management API with one license of two devices, which a message finds in the state before the other
// message's writes.
type oneLicense struct{ disabled bool }

func (m *oneLicense) Licenses(_ context.Context, by managementapi.Filter, _ int) (managementapi.List[managementapi.License], error) {
	license := managementapi.License{ID: 1, Key: "KEY-1", Order: "pi_1", Enabled: !m.disabled, Product: managementapi.Product{ID: 5, ShortCode: "XY"}}
	if !by.Matches(license) {
		return managementapi.List[managementapi.License]{Whole: true}, nil
	}
	return managementapi.List[managementapi.License]{Records: []managementapi.License{license}, Count: 1, Whole: true}, nil
}

func (m *oneLicense) Devices(_ context.Context, license int64, _ int) (managementapi.List[managementapi.Device], error) {
	if license != 1 {
		return managementapi.List[managementapi.Device]{Whole: true}, nil
	}
	devices := []managementapi.Device{{ID: 1, HardwareID: "hw1", Active: true, License: 1}, {ID: 2, HardwareID: "hw2", Active: true, License: 1}}
	return managementapi.List[managementapi.Device]{Records: devices, Count: 2, Whole: true}, nil
}

func (m *oneLicense) Disable(context.Context, int64) error {
	m.disabled = true
	return nil
}

func (m *oneLicense) ResetDevice(context.Context, int64) error { return nil }
