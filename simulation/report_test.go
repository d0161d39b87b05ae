package simulation

import (
	"fmt"
	"sync"
	"testing"
)

// report logs a seed's stats and fails the test with its violations.
func (h *harness) report(t *testing.T) {
	t.Helper()
	t.Logf("%s", &h.stats)
	if len(h.violations) == 0 {
		return
	}
	for _, v := range h.violations {
		t.Error(v)
	}
	seed := h.scenario.seed
	t.Errorf("seed %d fails; alone: go test ./simulation -run '^TestSimulation$' -v -sim.messages=%d -sim.seed=%d", seed, *simMessages, seed)
}

// stats counts what happened in one seed, or in all.
type stats struct {
	mu sync.Mutex

	seeds, messages          int
	outageDays               int // seeds with a day without the License API
	calls, dials, awsCalls   int
	connectionsLost          int // ended by the API without an answer
	reached, served, limited int // calls at the API: all, within its limits, refused by its limits

	managementDials, managementCalls, managementConnectionsLost int // as above, of the Management API
	managementReached, managementServed, managementLimited      int
	lookUps, namedFirst, mismatched                             int            // look-ups; receives of one whose named device was free before the Management API answered; letters after a wrong answer
	killedIn                                                    map[string]int // kills by the kind of call of the Management API

	coldStarts, kills, timeouts         int
	failedBatches, receives             int
	deactivated, inactive, deadLettered int
	held, watched                       int     // dead letters of the guards, which were released and redriven
	mostReceives                        int     // of one message
	busiest                             float64 // calls in the busiest minute, as a part of the rate
}

// String implements fmt.Stringer.
func (s *stats) String() string {
	return fmt.Sprintf("%d seeds (%d with a day without the API), %d messages, %d receives (at most %d of one), %d calls (%d refused by the limits), busiest minute %.3f of the pace, %d cold starts, %d kills, %d time-outs, %d failed batches; %d deactivated, %d already inactive, %d dead letters; before that %d held and %d watched; %d look-ups with %d calls of the Management API (%d refused by the limits), %d waited after their named device, %d letters of a mismatch, killed %v",
		s.seeds, s.outageDays, s.messages, s.receives, s.mostReceives, s.calls, s.limited, s.busiest, s.coldStarts, s.kills, s.timeouts, s.failedBatches, s.deactivated, s.inactive, s.deadLettered, s.held, s.watched,
		s.lookUps, s.managementCalls, s.managementLimited, s.namedFirst, s.mismatched, s.killedIn)
}

// add adds one seed's stats to the total.
func (s *stats) add(o *stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range []struct {
		to   *int
		from int
	}{
		{&s.seeds, o.seeds}, {&s.messages, o.messages}, {&s.outageDays, o.outageDays}, {&s.calls, o.calls}, {&s.dials, o.dials},
		{&s.awsCalls, o.awsCalls}, {&s.limited, o.limited}, {&s.connectionsLost, o.connectionsLost},
		{&s.coldStarts, o.coldStarts}, {&s.kills, o.kills}, {&s.timeouts, o.timeouts}, {&s.failedBatches, o.failedBatches},
		{&s.receives, o.receives}, {&s.deactivated, o.deactivated}, {&s.inactive, o.inactive}, {&s.deadLettered, o.deadLettered},
		{&s.held, o.held}, {&s.watched, o.watched},
		{&s.managementCalls, o.managementCalls}, {&s.managementLimited, o.managementLimited}, {&s.lookUps, o.lookUps},
		{&s.namedFirst, o.namedFirst}, {&s.mismatched, o.mismatched},
	} {
		*n.to += n.from
	}
	for kind, n := range o.killedIn {
		if s.killedIn == nil {
			s.killedIn = map[string]int{}
		}
		s.killedIn[kind] += n
	}
	s.busiest, s.mostReceives = max(s.busiest, o.busiest), max(s.mostReceives, o.mostReceives)
}

// count adds one to a field of s and returns the sum.
func (s *stats) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
	return *n
}

// countKill counts a kill in a kind of call of the Management API; "" is no such call.
func (s *stats) countKill(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killedIn == nil {
		s.killedIn = map[string]int{}
	}
	if kind != "" {
		s.killedIn[kind]++
	}
}

func (s *stats) countReceive(attempts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receives++
	s.mostReceives = max(s.mostReceives, attempts)
}

func (s *stats) countMinute(part float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busiest = max(s.busiest, part)
}
