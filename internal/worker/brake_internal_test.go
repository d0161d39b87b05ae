package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noon is the start of an hour.
func noon() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

// stopped is a brake whose clock the test sets.
func stopped(limit int) (b *brake, now *time.Time) {
	at := noon()
	return newBrake(limit, func() time.Time { return at }), &at
}

func TestTheBrakeCountsDistinctLicensesOfASourceAndHour(t *testing.T) {
	t.Parallel()
	b, _ := stopped(2)
	for _, step := range []struct {
		what, source string
		at           time.Time
		licenses     []string
		held         bool
	}{
		{"the first", "stripe", noon(), []string{"A"}, false},
		{"the same again", "stripe", noon().Add(59 * time.Minute), []string{"A"}, false},
		{"a second", "stripe", noon().Add(time.Hour - 1), []string{"B"}, false},
		{"a third", "stripe", noon(), []string{"C"}, true},
		{"one that is counted", "stripe", noon(), []string{"B"}, false},
		{"the third, of another source", "shopify", noon(), []string{"C"}, false},
		{"the third, in the next hour", "stripe", noon().Add(time.Hour), []string{"C"}, false},
		{"the third, in the hour before", "stripe", noon().Add(-1), []string{"C"}, false},
		{"another zone, the same hour", "stripe", noon().In(time.FixedZone("Kathmandu", 5*3600+45*60)), []string{"D"}, true},
		{"without a time", "stripe", time.Time{}, []string{"C", "D"}, false},
		{"without a time again", "stripe", time.Time{}, []string{"E"}, true},
	} {
		held := b.admit(step.source, step.at, step.licenses...)
		if (held != "") != step.held {
			t.Errorf("%s: held %q, want %v", step.what, held, step.held)
		}
	}
	if held := b.admit("stripe", noon(), "F"); held != "more than 2 licenses of stripe received in the hour from 2026-11-29T12:00:00Z for one instance of the worker; this worker did nothing, a person decides" {
		t.Errorf("held: %q", held)
	}
}

// TestTheBrakeAdmitsAllLicensesOrNone checks what the look-up needs: it must not act on half of an order.
func TestTheBrakeAdmitsAllLicensesOrNone(t *testing.T) {
	t.Parallel()
	b, _ := stopped(5)
	for _, step := range []struct {
		licenses []string
		held     bool
	}{
		{[]string{"A", "B", "C"}, false},
		{[]string{"C", "D", "E", "F"}, true}, // three more
		{[]string{"C", "D", "D", "E"}, false},
		{[]string{"A", "E"}, false},
		{[]string{"F"}, true},
		{nil, false},
	} {
		if held := b.admit("stripe", noon(), step.licenses...); (held != "") != step.held {
			t.Errorf("%v: held %q, want %v", step.licenses, held, step.held)
		}
	}
}

func TestNoLimitIsNoBrake(t *testing.T) {
	t.Parallel()
	b, _ := stopped(0)
	for n := range 1000 {
		if held := b.admit("stripe", noon(), fmt.Sprint(n)); held != "" {
			t.Fatalf("license %d: %s", n, held)
		}
	}
	if len(b.windows) > 0 {
		t.Error("it counts although there is no limit")
	}
}

// TestAWindowIsForgottenADayAfterItsLastUse: a surge that is refused keeps its window, otherwise it would start again
// while it lasts.
func TestAWindowIsForgottenADayAfterItsLastUse(t *testing.T) {
	t.Parallel()
	b, now := stopped(1)
	b.admit("stripe", noon(), "A")
	for range 40 { // more than a day and a half
		*now = now.Add(time.Hour)
		if b.admit("stripe", noon(), "B") == "" {
			t.Fatalf("the window was forgotten %v after the first license, and used an hour ago", now.Sub(noon()))
		}
	}
	*now = now.Add(windowIdle + time.Minute)
	if held := b.admit("stripe", noon(), "B"); held != "" {
		t.Errorf("a day after its last use: %s", held)
	}
	if len(b.windows) != 1 || b.sum != 1 {
		t.Errorf("%d windows with %d licenses, want one of each", len(b.windows), b.sum)
	}
}

// TestMemoryIsBoundedWhateverTheMessagesHold: what cannot be counted is held, since a dropped window would let others
// pass.
func TestMemoryIsBoundedWhateverTheMessagesHold(t *testing.T) {
	t.Parallel()
	t.Run("hours", func(t *testing.T) {
		t.Parallel()
		b, now := stopped(10)
		for n := range 3 * maxWindows {
			held := b.admit("stripe", noon().Add(time.Duration(n)*time.Hour), "A")
			if (held != "") != (n >= maxWindows) {
				t.Fatalf("window %d: held %q", n, held)
			}
		}
		if held := b.admit("stripe", noon(), "B"); held != "" {
			t.Errorf("a window that is kept: %s", held)
		}
		*now = now.Add(windowIdle + time.Minute)
		if held := b.admit("stripe", noon().Add(-time.Hour), "A"); held != "" {
			t.Errorf("a day later: %s", held)
		}
	})
	t.Run("licenses", func(t *testing.T) {
		t.Parallel()
		b, _ := stopped(maxCounted)
		half := make([]string, maxCounted/2)
		for i := range half {
			half[i] = fmt.Sprint(i)
		}
		for _, step := range []struct {
			source, held string
			licenses     []string
		}{
			{"a", "", half}, {"b", "", half}, {"c", "the brake counts 200000 licenses in 2 hours, and keeps no more", []string{"1"}}, {"b", "", half[:1]},
		} {
			if held := b.admit(step.source, noon(), step.licenses...); !strings.HasPrefix(held, step.held) || step.held == "" && held != "" {
				t.Errorf("source %s: held %q, want %q", step.source, held, step.held)
			}
		}
	})
}

// TestTheBrakeKeepsItsTwoPromises compares it with a simple count: an hour with at most limit licenses is never held,
// and never more than limit of an hour are admitted, in any order of arrival.
func TestTheBrakeKeepsItsTwoPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		b, _ := stopped(limit)
		type key struct {
			source string
			hour   int
		}
		admitted, asked := map[key]map[int]bool{}, map[key]map[int]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "messages") {
			k := key{rapid.SampledFrom([]string{"stripe", "shopify"}).Draw(t, "source"), rapid.IntRange(0, 3).Draw(t, "hour")}
			l := rapid.IntRange(0, 9).Draw(t, "license")
			if admitted[k] == nil {
				admitted[k], asked[k] = map[int]bool{}, map[int]bool{}
			}
			asked[k][l] = true
			minute := time.Duration(rapid.IntRange(0, 59).Draw(t, "minute")) * time.Minute
			held := b.admit(k.source, noon().Add(time.Duration(k.hour)*time.Hour+minute), fmt.Sprint(l)) != ""
			if !held {
				admitted[k][l] = true
			}
			switch {
			case held && len(asked[k]) <= limit:
				t.Fatalf("held license %d of an hour with %d", l, len(asked[k]))
			case held && admitted[k][l]:
				t.Fatalf("held license %d, which was admitted before", l)
			case len(admitted[k]) > limit:
				t.Fatalf("admitted %d", len(admitted[k]))
			}
		}
	})
}

func TestAnInstancesPartOfTheSurgeLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, instances, part int }{{50, 2, 25}, {50, 3, 16}, {2, 2, 1}, {0, 2, 0}, {7, 1, 7}} {
		s := Stack{CallsPerSecond: 10, Instances: c.instances, SurgeLimit: c.limit}
		if got := s.SurgePart(); got != c.part {
			t.Errorf("%d ÷ %d: part %d, want %d", c.limit, c.instances, got, c.part)
		}
		if err := s.Check(time.Minute); err != nil {
			t.Errorf("%d ÷ %d: %v", c.limit, c.instances, err)
		}
	}
	err := Stack{CallsPerSecond: 10, Instances: 3, SurgeLimit: 2}.Check(time.Minute)
	if err == nil || !strings.Contains(err.Error(), "SURGE_LIMIT 2 ÷ WORKER_INSTANCES 3 is less than one license for each") {
		t.Errorf("a part of less than one license: %v", err)
	}
}
