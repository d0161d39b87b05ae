package bulk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
)

// Counts counts the requests of a run by their latest outcome. A request without an outcome is in none.
type Counts struct {
	Outcomes map[deactivation.Outcome]int
	Codes    map[string]int // of the rejected ones; optional
}

// Final returns how many requests have a final outcome.
func (c Counts) Final() int {
	n := 0
	for outcome, count := range c.Outcomes {
		if outcome != deactivation.Deferred {
			n += count
		}
	}
	return n
}

// String lists the outcomes, such as "8 deactivated, 2 rejected (license_not_found 2)".
func (c Counts) String() string {
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(c.Outcomes)) {
		if n := c.Outcomes[outcome]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(outcome), "_", " ")))
		}
	}
	if len(parts) == 0 {
		return "no outcome"
	}
	var codes []string
	for _, code := range slices.Sorted(maps.Keys(c.Codes)) {
		codes = append(codes, fmt.Sprintf("%s %d", code, c.Codes[code]))
	}
	if len(codes) > 0 {
		return strings.Join(parts, ", ") + " (" + strings.Join(codes, ", ") + ")"
	}
	return strings.Join(parts, ", ")
}

// Outcomes returns the outcomes of a run so far. An error means that they cannot be read.
type Outcomes func(ctx context.Context, run string) (Counts, error)

// Times between two looks at the outcomes: the first is short for a small run, and later ones do not ask a log group more
// often than is useful.
const (
	firstLook = 500 * time.Millisecond
	lastLook  = 10 * time.Second
)

// Canary says when the outcomes of the first rows stop a run.
type Canary struct {
	Off bool // send without a look at the outcomes

	// MaxFailing is the share of rejected ones among the first 50 rows, 0 to 1, above which the run stops.
	MaxFailing float64

	// Patience is how long the outcomes may take.
	Patience time.Duration
}

// look waits for the final outcomes of the accepted rows, and returns an error that wraps ErrStopped if the run must not go
// on: too many are rejected, or the outcomes do not come in time. The share counts among the first rows, of which the accepted
// ones may be a part: then it is too many if it is certain, or if all of them are rejected.
func (c Canary) look(ctx context.Context, run string, accepted, first int, outcomes Outcomes, progress func(Progress)) (Counts, error) {
	if outcomes == nil {
		return Counts{}, fmt.Errorf("%w: the outcomes of the first %d rows cannot be read here", ErrStopped, accepted)
	}
	end := time.Now().Add(c.Patience)
	for wait := firstLook; ; wait = min(wait+wait/2, lastLook) {
		counts, err := outcomes(ctx, run)
		if err != nil {
			return counts, fmt.Errorf("%w: the outcomes of the first %d rows cannot be read: %w", ErrStopped, accepted, err)
		}
		progress(Progress{Phase: PhaseOutcomes, Done: int64(min(counts.Final(), accepted)), Total: int64(accepted)})
		switch rejected := counts.Outcomes[deactivation.Rejected]; {
		case float64(rejected) > c.MaxFailing*float64(first):
			return counts, fmt.Errorf("%w: of the first %d rows more than %.0f %% are rejected: %s", ErrStopped, first, 100*c.MaxFailing, counts)
		case rejected > 0 && rejected == accepted && c.MaxFailing < 1:
			return counts, fmt.Errorf("%w: the first %d rows are all rejected: %s", ErrStopped, accepted, counts)
		}
		if counts.Final() >= accepted {
			return counts, nil
		}
		if left := time.Until(end); left <= 0 {
			return counts, fmt.Errorf("%w: %d of the first %d rows have no final outcome after %v: %s", ErrStopped, accepted-counts.Final(), accepted, c.Patience, counts)
		}
		if err := deadline.Sleep(ctx, wait); err != nil {
			return counts, err
		}
	}
}

// Follow waits until every accepted request of a run has a final outcome. It ends early only with ctx, or when the outcomes
// cannot be read.
func Follow(ctx context.Context, run string, accepted int, outcomes Outcomes, progress func(Progress)) (Counts, error) {
	for wait := firstLook; ; wait = min(wait+wait/2, lastLook) {
		counts, err := outcomes(ctx, run)
		if err != nil {
			return counts, err
		}
		progress(Progress{Phase: PhaseOutcomes, Done: int64(min(counts.Final(), accepted)), Total: int64(accepted)})
		if counts.Final() >= accepted {
			return counts, nil
		}
		if err := deadline.Sleep(ctx, wait); err != nil {
			return counts, err
		}
	}
}

// Tally counts the requests of a run by their outcomes, from those of all receives, in any order and also twice. It counts each
// request once: a success is the last word, since a rejected request that was redriven may end well, and keeps a hash of
// each. The zero value is empty.
type Tally struct {
	done     seen             // succeeded
	rejected map[string]*seen // by code; one that succeeds later is in done, too
	deferred map[digest]struct{}
	counts   Counts
}

// Add takes an outcome of a request. code says why it was rejected.
func (t *Tally) Add(id string, outcome deactivation.Outcome, code string) {
	if t.counts.Outcomes == nil {
		t.rejected, t.deferred, t.counts = map[string]*seen{}, map[digest]struct{}{}, Counts{map[deactivation.Outcome]int{}, map[string]int{}}
	}
	d := digestOf(id)
	before, wasRejected := t.rejection(d)
	switch {
	case t.done.has(d), wasRejected && (outcome == deactivation.Rejected || outcome == deactivation.Deferred):
		return
	case outcome == deactivation.Deferred:
		t.deferred[d] = struct{}{}
		return
	case wasRejected: // and was redriven
		t.counts.Outcomes[deactivation.Rejected]--
		if t.counts.Codes[before]--; t.counts.Codes[before] == 0 {
			delete(t.counts.Codes, before)
		}
	}
	delete(t.deferred, d)
	t.counts.Outcomes[outcome]++
	if outcome != deactivation.Rejected {
		t.done.add(d)
		return
	}
	t.counts.Codes[code]++
	if t.rejected[code] == nil {
		t.rejected[code] = &seen{}
	}
	t.rejected[code].add(d)
}

// rejection returns the code with which a request was rejected.
func (t *Tally) rejection(d digest) (code string, found bool) {
	for code, rejected := range t.rejected {
		if rejected.has(d) {
			return code, true
		}
	}
	return "", false
}

// Counts returns the counts so far.
func (t *Tally) Counts() Counts {
	c := Counts{maps.Clone(t.counts.Outcomes), maps.Clone(t.counts.Codes)}
	if n := len(t.deferred); n > 0 {
		c.Outcomes[deactivation.Deferred] = n
	}
	return c
}
