package deactivation

import "time"

// Audit is the line that a destructive command writes when it begins and when it ends, also when it fails. It holds no
// secret: Arguments are without the values that may be one.
type Audit struct {
	At        time.Time      `json:"at"`
	Phase     string         `json:"phase"`   // AuditBegin or AuditEnd
	Command   string         `json:"command"` // such as "licensectl deactivate"
	Actor     string         `json:"actor"`   // who acts
	Comment   string         `json:"comment"` // why
	Arguments []string       `json:"arguments,omitempty"`
	Counts    map[string]int `json:"counts,omitempty"` // at the beginning what was confirmed, at the end what was done
	Error     string         `json:"error,omitempty"`  // at the end: why it stopped
}

// Phases of an Audit.
const (
	AuditBegin = "begin"
	AuditEnd   = "end"
)

// LogAudit is the text of an Audit's line in a log group.
const LogAudit = "audit"
