package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// managementKinds are the kinds of a failpoint of the Management API, besides habits. Each affects a call with the
// failpoint's chance, except "down" and "unauthorized", which affect every call.
func managementKinds() []string {
	return []string{"errors", "limits", "slow", "resets", "page", "html", "cut", "refused", "unauthorized", "down", "down"}
}

// managementHabits are failpoints in which the Management API answers wrongly.
func managementHabits() map[string]func(*licenseapitest.Habits) {
	return map[string]func(*licenseapitest.Habits){
		"filters ignored":  func(h *licenseapitest.Habits) { h.IgnoreFilters = true },
		"matched in part":  func(h *licenseapitest.Habits) { h.MatchParts = true },
		"filters refused":  func(h *licenseapitest.Habits) { h.RefuseFilters = true },
		"foreign license":  func(h *licenseapitest.Habits) { h.ForeignLicense = true },
		"foreign device":   func(h *licenseapitest.Habits) { h.ForeignDevice = true },
		"duplicates":       func(h *licenseapitest.Habits) { h.Duplicates = true },
		"null keys":        func(h *licenseapitest.Habits) { h.NullKeys = true },
		"pages that shift": func(h *licenseapitest.Habits) { h.ShiftPages, h.PageSize = true, 1 },
		"writes ignored":   func(h *licenseapitest.Habits) { h.IgnoreWrites = true },
	}
}

// makeManagement makes the failpoints and the rotations of the Management API, from random numbers of their own. In
// one seed of outageSeeds it is down for a day.
func (s *scenario) makeManagement() {
	r := rng(s.seed, "management", 0)
	s.stack.LookUp, s.stack.ManagementCallsPerMinute = true, 180 // the template's
	if s.seed%2 == 0 {
		s.stack.ManagementCallsPerMinute = []int{180, 300, 600}[r.IntN(3)]
	}
	kinds := managementKinds()
	for kind := range managementHabits() {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for range 6 + r.IntN(10) {
		from := between(r, 0, lastFailpoint)
		f := failpoint{span{from, min(from+between(r, time.Minute, 2*time.Hour), s.end)}, kinds[r.IntN(len(kinds))], 0.3 + 0.7*r.Float64()}
		s.managementFailpoints = append(s.managementFailpoints, f)
	}
	if s.seed%outageSeeds == 13 {
		from := between(r, time.Hour, 18*time.Hour)
		s.managementFailpoints = append([]failpoint{{span{from, from + day}, "down", 1}}, s.managementFailpoints...)
	}
	s.habits = licenseapitest.Habits{RefuseRepeats: r.IntN(2) == 0, NumberedLicenses: r.IntN(2) == 0}
	if r.IntN(4) == 0 {
		s.habits.PageSize = 1 + r.IntN(2)
	}
	s.makeManagementRotations(r)
}

// makeManagementRotations makes up to two rotations of the Management key. They do not overlap with those of the License
// API's key, since a secret has only one previous version.
func (s *scenario) makeManagementRotations(r *rand.Rand) {
	taken := slices.Clone(s.rotations)
	for n := range r.IntN(3) {
		at := between(r, 0, lastFailpoint)
		gap := between(r, 0, []time.Duration{time.Second, 10 * time.Minute, time.Hour}[r.IntN(3)])
		change := rotation{at, at + gap, fmt.Sprintf("management-key-%d", n+1)}
		if r.IntN(2) == 0 {
			change.api, change.secret = change.secret, change.api
		}
		if !slices.ContainsFunc(taken, change.overlaps) {
			taken, s.managementRotations = append(taken, change), append(s.managementRotations, change)
		}
	}
	slices.SortFunc(s.managementRotations, func(a, b rotation) int { return cmp.Compare(a.begin(), b.begin()) })
}

func (c rotation) begin() time.Duration    { return min(c.api, c.secret) }
func (c rotation) complete() time.Duration { return max(c.api, c.secret) }

func (c rotation) overlaps(o rotation) bool {
	return c.begin() <= o.complete()+time.Minute && o.begin() <= c.complete()+time.Minute
}

// managementFault returns the fault of one call. It depends on the failpoint, the call and the number of equal calls
// before it.
func (h *harness) managementFault(c licenseapitest.ManagementCall) licenseapitest.Fault {
	h.count(&h.managementServed)
	now := h.now()
	r := rng(h.scenario.seed, c.Method+c.Path+c.Query.Encode(), uint64(c.Times)) //nolint:gosec // a count
	delay := h.scenario.latency/2 + time.Duration(r.Int64N(int64(h.scenario.latency)))
	f := h.scenario.managementFailpointAt(now)
	always := f.kind == "down" || f.kind == "unauthorized"
	if f.kind == "" || !always && r.Float64() >= f.chance {
		return licenseapitest.Fault{Delay: delay}
	}
	fault := managementFaultOf(f.kind, r.IntN, now)
	fault.Delay += delay
	if fault.Reset {
		h.monitor.managementLost()
	}
	return fault
}

// managementFaultOf picks a fault of a kind. None of them is the fault of a message.
func managementFaultOf(kind string, pick func(int) int, now time.Duration) licenseapitest.Fault {
	html := http.Header{"Content-Type": {"text/html"}}
	var faults []licenseapitest.Fault
	switch kind {
	case "page":
		faults = []licenseapitest.Fault{{Status: 200, Body: "<html>maintenance</html>", Header: html}, {Status: 200}, {Status: 200, Body: "{}"},
			{Status: 200, Body: "<html>maintenance</html>", Header: html, After: true}}
	case "html":
		faults = []licenseapitest.Fault{{Status: 400, Body: "<html>blocked</html>", Header: html}, {Status: 404, Body: "<html>lost</html>", Header: html},
			{Status: 403, Body: "<html>blocked</html>", Header: html}, {Status: 400}}
	case "cut":
		faults = []licenseapitest.Fault{{Cut: true, After: true}, {Status: 500, Body: `{"detail":"Server error"}`, Cut: true}}
	case "unauthorized":
		faults = []licenseapitest.Fault{{Status: 403, Body: `{"detail":"Authentication credentials were not provided."}`}}
	case "down", "resets", "errors", "limits", "slow":
		return faultOf(kind, pick, now)
	}
	if len(faults) == 0 { // "refused" concerns connections, a habit the answers
		return licenseapitest.Fault{}
	}
	return faults[pick(len(faults))]
}

// refusesManagementConnection reports whether the Management API refuses the nth connection, now.
func (h *harness) refusesManagementConnection(n uint64) bool {
	f := h.scenario.managementFailpointAt(h.now())
	return f.kind == "refused" && rng(h.scenario.seed, "dial management", n).Float64() < f.chance ||
		f.kind == "down" && int(h.now()/time.Hour)%5 == 4
}

// changeHabits gives the Management API the habits of each moment.
func (h *harness) changeHabits() {
	s := &h.scenario
	var changes []time.Duration
	for _, f := range s.managementFailpoints {
		changes = append(changes, f.from, f.to)
	}
	slices.Sort(changes)
	for _, at := range changes {
		h.sleepUntil(at)
		habits := s.habits
		if change := managementHabits()[s.managementFailpointAt(at).kind]; change != nil {
			change(&habits)
		}
		h.api.SetHabits(habits)
	}
}

// managementFailpointAt returns the Management API's failpoint; its kind is "" when nothing fails.
func (s *scenario) managementFailpointAt(at time.Duration) failpoint {
	for _, f := range s.managementFailpoints {
		if f.contains(at) {
			return f
		}
	}
	return failpoint{}
}
