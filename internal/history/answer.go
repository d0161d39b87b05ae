package history

import (
	"maps"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// Answer is what became of what a question is about. In JSON it is the answer of licensectl why --json and of GET /history
// of licensectl local.
type Answer struct {
	Question Question       `json:"question"`
	Found    bool           `json:"found"`
	Requests []Request      `json:"requests"` // requests, and events that made none, by the time of their first line
	Counts   map[string]int `json:"counts"`   // requests by outcome
	Lines    []Line         `json:"lines"`    // the log lines behind it, oldest first
	Scan     Scan           `json:"scan"`
}

// Outcomes of a Request beside those of a message (deactivation.Outcome) and the answers to an event that made no request
// (deactivation.Answer).
const (
	// OutcomeWaiting: it is in the queue, and the worker has not received it yet.
	OutcomeWaiting = "waiting"
	// OutcomePurged: a person has deleted its dead letter.
	OutcomePurged = "purged"
	// OutcomeRedriven: a person has made requests of the event, which have timelines of their own.
	OutcomeRedriven = "redriven"
	// OutcomeAsked: a person has asked to enable a license again, and the log does not say what came of it.
	OutcomeAsked = "asked"
)

// Request is one request with its timeline, or one event that made no request.
type Request struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"` // the latest; deactivated also where a repeated event found nothing left to do
	Reason  string `json:"reason,omitempty"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"`

	Source  string `json:"source,omitempty"`
	Event   string `json:"event,omitempty"`
	Order   string `json:"order,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Run     string `json:"run,omitempty"`
	By      string `json:"by,omitempty"`
	Comment string `json:"comment,omitempty"`
	License string `json:"license,omitempty"` // shortened
	User    string `json:"user,omitempty"`    // hashed
	Device  string `json:"device,omitempty"`  // shortened
	Product string `json:"product,omitempty"`

	Steps []Step `json:"steps"`
}

// Step is one thing that happened.
type Step struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"` // one of the constants Step…
	Text string    `json:"text"`
	By   string    `json:"by,omitempty"` // the person who did it
}

// The steps, in the order in which they usually come.
const (
	StepDelivered = "delivered" // the sender's event, or a person's invocation, was received
	StepDecided   = "decided"   // by which rule, on which values
	StepQueued    = "queued"
	StepReleased  = "released" // a person let a held message act
	StepRedriven  = "redriven" // it came back from the dead-letter queue, or was sent again
	StepPurged    = "purged"   // a person deleted its dead letter
	StepKept      = "kept"     // its dead letter was to be redriven or purged, and was not
	StepAsked     = "asked"    // a person asked to enable the license again
	StepFailed    = "failed"
	StepTried     = "tried"
	StepAnswered  = "answered"  // by the License API
	StepLookedUp  = "looked up" // which licenses and devices there are
	StepVerified  = "verified"  // the same, with the state that was read back after the writes
	StepDone      = "done"
	StepDeferred  = "deferred"
	StepParked    = "parked" // in the dead-letter queue
)

// Tell makes the answer to a question from the lines that were found. It puts them in order first: lines of several looks,
// and of two functions, come in any.
func Tell(q Question, found Found) Answer {
	found.Lines = slices.Clone(found.Lines)
	byTime(found.Lines)
	t := teller{question: q, byID: map[string]*progress{}, own: map[string]bool{}}
	for _, line := range found.Lines {
		t.own[line.ID] = t.own[line.ID] || line.Text != deactivation.LogDelivery
	}
	for _, line := range found.Lines {
		switch line.Text {
		case deactivation.LogDelivery:
			t.delivery(line)
		case deactivation.LogDeadLetter:
			t.deadLetter(line)
		case deactivation.LogMessage:
			t.message(line)
		case deactivation.LogAudit:
			t.audit(line)
		}
	}
	a := Answer{Question: q, Requests: t.requests(), Counts: map[string]int{}, Lines: found.Lines, Scan: found.Scan}
	if a.Lines == nil {
		a.Lines = []Line{}
	}
	for _, r := range a.Requests {
		a.Counts[r.Outcome]++
	}
	a.Found = len(a.Requests) > 0
	return a
}

// Expected is how many different requests the lines of a bulk run say were queued: the ids that they list, and the number of
// further requests where a line lists only its first ids. A batch that was sent twice, since the answer to it was lost, has two
// lines with the same first ids, and counts once.
func (a Answer) Expected() int {
	ids, more := map[string]bool{}, map[string]int{}
	for _, line := range a.Lines {
		if line.Text != deactivation.LogDelivery || line.DryRun {
			continue
		}
		for _, id := range line.Requests {
			ids[id] = true
		}
		if n := line.RequestCount - len(line.Requests); n > 0 {
			batch := strings.Join(line.Requests, "\x00")
			more[batch] = max(more[batch], n)
		}
	}
	n := len(ids)
	for _, further := range more {
		n += further
	}
	return n
}

// Finished is how many requests have left the queue.
func (a Answer) Finished() int {
	n := 0
	for _, r := range a.Requests {
		if isFinal(r.Outcome) && r.Outcome != OutcomeWaiting {
			n++
		}
	}
	return n
}

// Outcomes lists the outcomes in Counts, sorted.
func (a Answer) Outcomes() []string { return slices.Sorted(maps.Keys(a.Counts)) }
