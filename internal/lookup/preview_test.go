package lookup_test

import (
	"errors"
	"strconv"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

// TestPreviewReadsWhatRunWouldDo: Preview names the licenses and their devices, and Run then writes to exactly those.
func TestPreviewReadsWhatRunWouldDo(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, append(others(), owned(1, "KEY-AAAA-1111", "hw1", "hw2"), owned(2, "KEY-AAAA-2222"))...)
	l := a.lookup(t)
	p := l.Preview(t.Context(), a.job(refund()))
	if !p.Acts() || len(p.Licenses) != 2 || len(fake.Ledger()) != 0 {
		t.Fatalf("%+v, %d writes", p.Result, len(fake.Ledger()))
	}
	first, second := p.Licenses[0], p.Licenses[1]
	if first.License.ID != 1 || len(first.Free) != 2 || len(first.Late) != 0 || !first.Disable || second.License.ID != 2 || len(second.Free) != 0 || !second.Disable {
		t.Errorf("planned %d with %d devices, %d with %d devices", first.License.ID, len(first.Free), second.License.ID, len(second.Free))
	}
	if r := l.Run(t.Context(), a.job(refund())); r.Outcome != deactivation.Deactivated || len(fake.Ledger()) != 4 {
		t.Errorf("%+v, writes %v", r, fake.Ledger())
	}
}

// TestPreviewShowsWhatAReviewHolds: the licenses are known, and nothing would be written to them.
func TestPreviewShowsWhatAReviewHolds(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	licenses := others()
	for i := range 11 {
		licenses = append(licenses, owned(int64(i+1), "KEY-"+strconv.Itoa(i), "hw1"))
	}
	fake := a.serve(t, licenses...)
	job := a.job(refund())
	p := a.lookup(t).Preview(t.Context(), job)
	if p.Acts() || p.Result.Code != lookup.CodeTooMany || len(p.Licenses) != 11 || p.Licenses[0].Free != nil {
		t.Errorf("held: %+v, %d licenses", p.Result, len(p.Licenses))
	}
	job.Released = true
	if p = a.lookup(t).Preview(t.Context(), job); !p.Acts() || len(p.Licenses) != 11 || len(p.Licenses[10].Free) != 1 {
		t.Errorf("released: %+v, %d licenses", p.Result, len(p.Licenses))
	}
	nobody := refund()
	nobody.Lookup.Order[0].ID = "pi_nobody"
	job.Request = nobody
	if p = a.lookup(t).Preview(t.Context(), job); p.Acts() || p.Result.Code != lookup.CodeNoLicense || len(p.Licenses) != 0 {
		t.Errorf("of nobody: %+v, %d licenses", p.Result, len(p.Licenses))
	}
	if len(fake.Ledger()) != 0 {
		t.Errorf("writes %v", fake.Ledger())
	}
}

func TestFiltersAreProbedWithAValueThatNoneHas(t *testing.T) {
	t.Parallel()
	a := newAPIs(t)
	fake := a.serve(t, append(others(), owned(1, "KEY-AAAA-1111", "hw1"))...)
	if err := lookup.CheckFilters(t.Context(), a.management); err != nil {
		t.Errorf("filters that work: %v", err)
	}
	fake.SetHabits(licenseapitest.Habits{IgnoreFilters: true})
	if err := lookup.CheckFilters(t.Context(), a.management); !errors.Is(err, lookup.ErrUntrusted) {
		t.Errorf("filters that are ignored: %v", err)
	}
	fake.SetHabits(licenseapitest.Habits{})
	fake.RotateManagement("another")
	if err := lookup.CheckFilters(t.Context(), a.management); managementapi.KindOf(err) != managementapi.KindUnauthorized {
		t.Errorf("a wrong key: %v", err)
	}
}
