package bulk

import (
	"math"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"license-deactivator/internal/deactivation"
)

// TestTheSetIsAsAMap, with digests that collide in their tables and slots.
func TestTheSetIsAsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var set seen
		all := map[digest]bool{}
		for range rapid.IntRange(0, 400).Draw(t, "n") {
			d := digest{rapid.Uint32Range(1, 3).Draw(t, "table"), rapid.SampledFrom([]uint32{0, 1, 1 << 31, math.MaxUint32}).Draw(t, "slot"), rapid.Uint32Range(0, 50).Draw(t, "rest")}
			if has := set.has(d); has != all[d] {
				t.Fatalf("has %v: %v", d, has)
			}
			if isNew := set.add(d); isNew == all[d] {
				t.Fatalf("add %v: new %v", d, isNew)
			}
			all[d] = true
		}
	})
}

// TestAMillionDigestsTakeFewBytes: the rest of 64 MiB is for the program.
func TestAMillionDigestsTakeFewBytes(t *testing.T) { //nolint:paralleltest // it measures the heap
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var set seen
	for i := range 1_000_000 {
		if !set.add(digestOf(itoa(i))) {
			t.Fatalf("%d is not new", i)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+20<<20 {
		t.Errorf("a million digests take %d bytes, want at most 20 MiB", after.HeapAlloc-before.HeapAlloc)
	}
	runtime.KeepAlive(&set)
}

func TestDifferentTextsAreCountedExactlyUpToALimitThenWithin1InAThousand(t *testing.T) {
	t.Parallel()
	var d distinct
	if n, exact := d.count(); n != 0 || !exact {
		t.Errorf("none: %d, %v", n, exact)
	}
	for i := range 300_000 {
		d.add(itoa(i))
		d.add(itoa(i / 2))
		if i+1 == exactCount {
			if n, exact := d.count(); n != exactCount || !exact {
				t.Errorf("%d, exact %v, want %d", n, exact, exactCount)
			}
		}
	}
	if n, exact := d.count(); exact || math.Abs(float64(n)-300_000) > 300 {
		t.Errorf("%d, exact %v, want about 300,000", n, exact)
	}
}

func TestATallyCountsEachRequestOnce(t *testing.T) {
	t.Parallel()
	var tally Tally
	if c := tally.Counts(); c.Final() != 0 || c.String() != "no outcome" {
		t.Errorf("of nothing: %v", c)
	}
	for _, o := range []struct {
		id      string
		outcome deactivation.Outcome
		code    string
	}{
		{"a", "deferred", ""}, {"a", "deferred", ""}, {"b", "deactivated", ""}, {"b", "already_inactive", ""}, {"b", "deferred", ""},
		{"c", "deferred", ""}, {"c", "rejected", "license_not_found"}, {"c", "rejected", "license_not_found"}, {"d", "rejected", "unknown_product"},
		{"e", "rejected", "license_disabled"}, {"e", "deferred", ""}, {"e", "deactivated", ""}, {"e", "rejected", "license_disabled"}, // redriven, and the first line is read again
	} {
		tally.Add(o.id, o.outcome, o.code)
	}
	want := Counts{
		Outcomes: map[deactivation.Outcome]int{"deferred": 1, "deactivated": 2, "rejected": 2},
		Codes:    map[string]int{"license_not_found": 1, "unknown_product": 1},
	}
	if diff := cmp.Diff(want, tally.Counts()); diff != "" {
		t.Error(diff)
	}
	if got := tally.Counts().String(); got != "2 deactivated, 1 deferred, 2 rejected (license_not_found 1, unknown_product 1)" {
		t.Error(got)
	}
}
