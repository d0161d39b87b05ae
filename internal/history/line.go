package history

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// Line is one log line, with the fields of deactivation's constants. An absent field is zero.
type Line struct {
	Time        time.Time `json:"timestamp"`
	Level       string    `json:"level,omitempty"`
	Text        string    `json:"message"` // LogMessage, LogDelivery, LogDeadLetter or LogAudit
	ID          string    `json:"id,omitempty"`
	Source      string    `json:"source,omitempty"`
	Event       string    `json:"event,omitempty"`
	Cause       string    `json:"cause,omitempty"`
	Rule        string    `json:"rule,omitempty"`
	Order       string    `json:"order,omitempty"` // deactivation.JoinTexts, like LicenseHash
	Run         string    `json:"run,omitempty"`
	LicenseHash string    `json:"license_hash,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Code        string    `json:"code,omitempty"`
	Detail      string    `json:"detail,omitempty"`
	By          string    `json:"by,omitempty"`
	Comment     string    `json:"comment,omitempty"`
	Decision    string    `json:"decision,omitempty"`
	Outcome     string    `json:"outcome,omitempty"`
	Class       string    `json:"class,omitempty"`
	Attempts    int       `json:"attempts,omitempty"`
	Latency     float64   `json:"latency_ms,omitempty"`
	RetryIn     *float64  `json:"retry_in_s,omitempty"`
	Action      string    `json:"action,omitempty"`
	License     string    `json:"license,omitempty"` // shortened
	User        string    `json:"user,omitempty"`    // hashed
	Device      string    `json:"device,omitempty"`  // shortened
	Product     string    `json:"product,omitempty"`
	KeyVersion  string    `json:"secret_version,omitempty"`
	Lookup      string    `json:"lookup,omitempty"`
	ReceivedAt  time.Time `json:"received_at,omitzero"`
	OccurredAt  time.Time `json:"occurred_at,omitzero"`

	ReleasedBy     string    `json:"released_by,omitempty"`
	ReleasedAt     time.Time `json:"released_at,omitzero"`
	ReleasedReason string    `json:"released_reason,omitempty"`

	Values       string   `json:"values,omitempty"`
	Answer       string   `json:"answer,omitempty"`
	Status       int      `json:"status,omitempty"`
	RequestCount int      `json:"request_count,omitempty"`
	Requests     []string `json:"requests,omitempty"`
	Missing      []string `json:"missing,omitempty"`
	Problem      string   `json:"problem,omitempty"`
	DryRun       bool     `json:"dry_run,omitempty"`

	Invocation string `json:"requestId,omitempty"` // Lambda's id of it

	// Of the line of a command of licensectl (deactivation.Audit, deactivation.AuditItem).
	Phase   string `json:"phase,omitempty"`
	Command string `json:"command,omitempty"`
	Actor   string `json:"actor,omitempty"`
}

// parse reads a log line. ok is false for a line that is none of those that a question is about: a metric, a line of the
// runtime.
func parse(text []byte) (l Line, ok bool) {
	if err := json.Unmarshal(text, &l); err != nil {
		return Line{}, false
	}
	switch l.Text {
	case deactivation.LogMessage, deactivation.LogDelivery, deactivation.LogDeadLetter, deactivation.LogAudit:
		return l, true
	}
	return Line{}, false
}

// byTime sorts lines, oldest first. Lines of one time keep their order. A delivery counts from when it was received: the
// worker may log a request before the webhook logs the delivery that it came with.
func byTime(lines []Line) {
	slices.SortStableFunc(lines, func(a, b Line) int { return a.began().Compare(b.began()) })
}

func (l Line) began() time.Time {
	if l.Text == deactivation.LogDelivery && !l.ReceivedAt.IsZero() && l.ReceivedAt.Before(l.Time) {
		return l.ReceivedAt
	}
	return l.Time
}

// Key is a text that differs between different lines. A line that two queries return has the same one.
func (l Line) Key() string {
	return strings.Join([]string{l.Time.Format(time.RFC3339Nano), l.Text, l.ID, l.Invocation, l.Event, l.Outcome, strconv.Itoa(l.Attempts), l.Phase, l.Decision}, "\x00")
}

// isFinal reports whether a message with that outcome has left the queue.
func isFinal(outcome string) bool {
	return outcome != "" && deactivation.Outcome(outcome) != deactivation.Deferred
}
