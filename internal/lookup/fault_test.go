package lookup_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestKilledAfterEveryCallAndRunAgain: after a kill at any call, a new process reaches the end state of the first.
func TestKilledAfterEveryCallAndRunAgain(t *testing.T) {
	t.Parallel()
	inWorlds(t, 40, func(a *apis, w *world) string {
		a.begin(t, w)
		result, _ := a.work(t, a.lookup(t), w.request, w.release)
		calls := a.made()
		for at := 1; at <= calls; at++ {
			fake := a.begin(t, w)
			a.kill(at)
			l := a.lookup(t)
			for a.made() < at {
				job := a.job(w.request)
				w.release(&job)
				if r := l.Run(t.Context(), job); r.Outcome == deactivation.Deferred && a.made() < at {
					a.wait(r.RetryIn)
				}
			}
			a.wait(30 * time.Second)
			again, _ := a.work(t, a.lookup(t), w.request, w.release)
			if problem := compare(w, settled(judge(w), again), fake, &again); problem != "" {
				return fmt.Sprintf("killed at call %d of %d: %s\nwithout: %s %s", at, calls, problem, result.Outcome, result.Code)
			}
		}
		return ""
	})
}

// settled is the verdict for a run that finds the work of an earlier one done.
func settled(want *verdict, result lookup.Result) *verdict {
	if result.Outcome == deactivation.AlreadyInactive && want.outcome == deactivation.Deactivated {
		want.outcome = result.Outcome
	}
	return want
}

// TestTwoCopiesAtTheSameTime: in one environment or in two, they reach the end state of one.
func TestTwoCopiesAtTheSameTime(t *testing.T) {
	t.Parallel()
	inWorlds(t, 10, func(a *apis, w *world) string {
		fake := a.begin(t, w)
		fake.SetHabits(licenseapitest.Habits{RefuseRepeats: w.seed%3 == 0})
		one := a.lookup(t)
		other := one
		if w.seed%2 == 0 {
			other = a.lookup(t)
		}
		var results [2]lookup.Result
		var copies sync.WaitGroup
		for i, l := range []*lookup.Lookup{one, other} {
			copies.Go(func() { results[i], _ = a.work(t, l, w.request, w.release) })
		}
		copies.Wait()
		for _, result := range results {
			if problem := compare(w, settled(judge(w), result), fake, &result); problem != "" {
				return problem
			}
		}
		return ""
	})
}

// TestFaultsThatPass: with enough receives every world ends as without the faults.
func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	faults := []string{"management-503", "management-429", "management-cut", "management-html", "management-pages-short", "management-repeats-refused",
		"503", "429-bare", "reset-after", "cut-after"}
	inWorlds(t, 10, func(a *apis, w *world) string {
		fake := a.begin(t, w)
		names := []string{faults[w.seed%uint64(len(faults))], faults[w.seed/7%uint64(len(faults))]}
		if err := fake.Fail(names...); err != nil {
			return err.Error()
		}
		result, _ := a.work(t, a.lookup(t), w.request, w.release)
		if problem := compare(w, settled(judge(w), result), fake, &result); problem != "" {
			return fmt.Sprint(names, ": ", problem)
		}
		return ""
	})
}

// TestNoBadHabitOfTheAPIMakesAWrongWrite: nothing is written if the records cannot be trusted, and the message is kept
// or is a letter with the reason. Licenses that the event itself names need none of those records.
func TestNoBadHabitOfTheAPIMakesAWrongWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		habits licenseapitest.Habits
		// none requires that no write comes from the look-up in this world.
		none func(w *world) bool
	}{
		{"filters ignored", licenseapitest.Habits{IgnoreFilters: true}, hasRows},
		{"foreign license", licenseapitest.Habits{ForeignLicense: true}, hasRows},
		{"foreign device", licenseapitest.Habits{ForeignDevice: true}, func(w *world) bool { return w.wholeLicense() && w.hasDevices() }},
		{"filters refused", licenseapitest.Habits{RefuseFilters: true}, always},
		{"every record twice", licenseapitest.Habits{Duplicates: true}, always},
		{"matched in part", licenseapitest.Habits{MatchParts: true}, never},
		{"null keys", licenseapitest.Habits{NullKeys: true}, never},
		{"pages shift", licenseapitest.Habits{ShiftPages: true, PageSize: 1}, never},
		{"writes ignored", licenseapitest.Habits{IgnoreWrites: true}, never},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorlds(t, 20, func(a *apis, w *world) string {
				fake := a.begin(t, w)
				fake.SetHabits(c.habits)
				l := a.lookup(t)
				var result lookup.Result
				for range 5 { // the longest schedule has four looks
					job := a.job(w.request)
					w.release(&job)
					if result = l.Run(t.Context(), job); result.Outcome != deactivation.Deferred {
						break
					}
					a.wait(max(result.RetryIn, time.Minute))
				}
				return w.checkHabit(fake, result, c.habits, c.none(w))
			})
		})
	}
}

func always(*world) bool    { return true }
func never(*world) bool     { return false }
func hasRows(w *world) bool { return len(w.rows) > 0 }

func (w *world) wholeLicense() bool {
	return w.request.HardwareID == "" || w.request.Disable && w.request.Origin != deactivation.OriginDirect
}

func (w *world) hasDevices() bool {
	return slices.ContainsFunc(w.rows, func(l licenseapitest.License) bool { return len(l.Devices) > 0 })
}

// checkHabit: without a write by the look-up the message is kept, a letter, or done by what it names; with one, the
// write went to a license that the oracle would have written to.
func (w *world) checkHabit(fake *licenseapitest.Server, result lookup.Result, habits licenseapitest.Habits, none bool) string {
	want := judge(w)
	named := map[int64]bool{} // by the event itself
	if w.request.HardwareID != "" && !w.request.Buyer {
		own := &verdict{freed: map[int64]map[string]bool{}, touched: map[int64]bool{}}
		own.callLicenseAPI(w, w.request.License)
		named = own.touched
	}
	lookedUp := false
	for _, write := range fake.Ledger() {
		if named[write.License] && write.Act == licenseapitest.ActDeactivateLicense {
			continue
		}
		lookedUp = true
		if none || !want.touched[write.License] || w.stranger(write.License) != "" {
			return fmt.Sprintf("a write: %+v; result %s %s", write, result.Outcome, result.Code)
		}
		l := w.rows[slices.IndexFunc(w.rows, func(l licenseapitest.License) bool { return l.ID == write.License })]
		if habits.NullKeys && l.LicenseKey != "" {
			return fmt.Sprintf("a write to a license whose record has no key: %+v", write)
		}
	}
	if result.Outcome == deactivation.Deferred || result.Outcome == deactivation.Rejected {
		if result.Code == "" || result.Detail == "" {
			return fmt.Sprintf("kept or rejected without a reason: %+v", result)
		}
		return ""
	}
	switch {
	case result.Code == lookup.CodeNoLicense, !lookup.Needed(w.request), len(named) > 0 && !lookedUp:
		return "" // no license was found, or none was needed
	case habits.IgnoreWrites && want.outcome == deactivation.Deactivated && (len(want.disabled) > 0):
		return fmt.Sprintf("the API ignores writes, and the message ended as %s %s", result.Outcome, result.Code)
	case none && lookedUp:
		return fmt.Sprintf("ended as %s %s", result.Outcome, result.Code)
	}
	return ""
}
