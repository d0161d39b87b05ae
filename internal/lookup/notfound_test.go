package lookup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestARefundBeforeItsFulfilmentIsFound: the license is created while the message waits.
func TestARefundBeforeItsFulfilmentIsFound(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{time.Minute, 10 * time.Minute, 50 * time.Minute} {
		a := newAPIs(t)
		a.serve(t, others()...)
		l, r := a.lookup(t), refund()
		result := l.Run(t.Context(), a.job(r))
		for range 3 {
			if result.Outcome != deactivation.Deferred || !result.Waiting {
				break
			}
			a.wait(result.RetryIn)
			if a.now().Sub(noon()) >= late && len(a.fake.Load().State().Licenses) == len(others()) {
				a.serve(t, append(others(), owned(1, "KEY-1", "hw1"))...)
			}
			result = l.Run(t.Context(), a.job(r))
		}
		if want := []licenseapitest.Write{freed(1, "hw1"), disabled(1)}; result.Outcome != deactivation.Deactivated || !cmp.Equal(a.fake.Load().Ledger(), want) {
			t.Errorf("made after %v: %+v", late, result)
		}
	}
}

// TestTheWaitsForALicenseGoByTheAgeOfTheMessage: 2, 15 and 60 minutes, and a later attempt at any age.
func TestTheWaitsForALicenseGoByTheAgeOfTheMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age  time.Duration
		want []time.Duration
	}{
		{0, []time.Duration{2 * time.Minute, 13 * time.Minute, 45 * time.Minute}},
		{119 * time.Second, []time.Duration{time.Second, 13 * time.Minute, 45 * time.Minute}},
		{20 * time.Minute, []time.Duration{40 * time.Minute}},
		{time.Hour, []time.Duration{2 * time.Minute}},
		{72 * time.Hour, []time.Duration{2 * time.Minute}},
	} {
		a := newAPIs(t)
		a.serve(t, others()...)
		r := refund()
		r.ReceivedAt = noon().Add(-c.age)
		result, before := a.work(t, a.lookup(t), r, nil)
		var got []time.Duration
		for _, wait := range before {
			got = append(got, wait.RetryIn)
		}
		if !slices.Equal(got, c.want) || result.Code != lookup.CodeNoLicense || result.Outcome != deactivation.Rejected {
			t.Errorf("from %v on: waits %v, want %v; %+v", c.age, got, c.want, result)
		}
	}
}

// TestTwoCopiesOfAnOldMessageDoNotCountAsALaterTry: both are looked up at the same moment.
func TestTwoCopiesOfAnOldMessageDoNotCountAsALaterTry(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	a.serve(t, others()...)
	l, r := a.lookup(t), refund()
	r.ReceivedAt = noon().Add(-72 * time.Hour)
	for range 2 {
		if result := l.Run(t.Context(), a.job(r)); !result.Waiting {
			t.Errorf("got %+v, want a wait", result)
		}
	}
	a.wait(2 * time.Minute)
	if result := l.Run(t.Context(), a.job(r)); result.Outcome != deactivation.Rejected {
		t.Errorf("got %+v", result)
	}
}

// TestAMessageThatComesBackIsLookedUpTwiceAgain: after its end, by redrive, and after its license was created.
func TestAMessageThatComesBackIsLookedUpTwiceAgain(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	a.serve(t, others()...)
	l, r := a.lookup(t), refund()
	r.ReceivedAt = noon().Add(-72 * time.Hour)
	for range 2 {
		if result, before := a.work(t, l, r, nil); result.Outcome != deactivation.Rejected || len(before) != 1 {
			t.Errorf("%d waits, then %+v", len(before), result)
		}
	}
	l.Run(t.Context(), a.job(r))
	a.serve(t, owned(1, "KEY-1", "hw1"))
	if result := l.Run(t.Context(), a.job(r)); result.Outcome != deactivation.Deactivated {
		t.Errorf("%+v", result)
	}
	a.serve(t, others()...)
	a.wait(time.Hour)
	if result, before := a.work(t, l, r, nil); result.Outcome != deactivation.Rejected || len(before) != 1 {
		t.Errorf("%d waits, then %+v", len(before), result)
	}
}
