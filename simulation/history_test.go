package simulation

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// history is what was observed of a seed's system from outside, and the violations.
type history struct {
	now     func() time.Duration
	delayed atomic.Int64 // sends to a queue that are not visible yet

	mu         sync.Mutex
	accepted   map[string]*request               // by the request id that the sender was given
	parked     map[string]bool                   // unmappable events whose sender got a success answer
	outcomes   map[string]deactivation.Outcome   // the last final one, by request id
	refusals   map[string]map[time.Duration]bool // starts of the spans in which the account was refused, by key or user name
	seen       map[surgeWindow]map[string]bool   // licenses that the worker has seen, by what the brake counts in
	violations []string
}

// maxViolations is how many violations of a seed are kept.
const maxViolations = 10

// violation records that a statement does not hold.
func (h *history) violation(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.violations) < maxViolations {
		h.violations = append(h.violations, fmt.Sprintf("after %v: ", h.now().Round(time.Second))+fmt.Sprintf(format, args...))
	}
}

// recordAccepted records that the webhook accepted a request under an id: from now on it must not be lost.
func (h *history) recordAccepted(id string, q *request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accepted == nil {
		h.accepted = map[string]*request{}
	}
	h.accepted[id] = q
}

// recordParked records that the webhook answered an unmappable event with success.
func (h *history) recordParked(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parked == nil {
		h.parked = map[string]bool{}
	}
	h.parked[d.source+"/"+fmt.Sprint(d.number)] = true
}

// recordRefusal records that a call for that license key or user name was refused in the span that starts then.
func (h *history) recordRefusal(license string, from time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refusals == nil {
		h.refusals = map[string]map[time.Duration]bool{}
	}
	if h.refusals[license] == nil {
		h.refusals[license] = map[time.Duration]bool{}
	}
	h.refusals[license][from] = true
}

// recordOutcome records a message's final outcome.
func (h *history) recordOutcome(m telemetry.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outcomes == nil {
		h.outcomes = map[string]deactivation.Outcome{}
	}
	h.outcomes[m.ID] = m.Outcome
}
