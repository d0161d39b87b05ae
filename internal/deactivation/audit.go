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

// AuditItem is one dead letter, request or license that a destructive command acts on. In a log group each item is a line of
// its own, with the text LogAudit and the phase, command, actor and comment of its Audit. An ID is then one value, which the
// field index finds, and a command that acts on many thousand letters has lines of the usual size. Its fields have the names
// of the other lines, so that the same queries find it. It holds no key.
type AuditItem struct {
	ID          string `json:"id,omitempty"` // of the request, or of the event (EventRequestID); of a license that is enabled again one of its own
	Source      string `json:"source,omitempty"`
	Event       string `json:"event,omitempty"`        // the sender's id of it
	Order       string `json:"order,omitempty"`        // JoinTexts of the order's ids
	LicenseHash string `json:"license_hash,omitempty"` // HashLicense
	License     string `json:"license,omitempty"`      // Shorten
	Device      string `json:"device,omitempty"`       // Shorten
	Product     string `json:"product,omitempty"`
	Cause       string `json:"cause,omitempty"`
	Run         string `json:"run,omitempty"`

	Reason   Reason `json:"reason,omitempty"`   // of the dead letter
	Code     string `json:"code,omitempty"`     // of the dead letter; at the end of a failure
	Decision string `json:"decision,omitempty"` // what the command does with it: one of the constants below
	Outcome  string `json:"outcome,omitempty"`  // at the end; at the beginning it is empty
	Detail   string `json:"detail,omitempty"`   // at the end, of a failure
}

// What a command does with an AuditItem.
const (
	AuditUnchanged = "unchanged" // the letter's message is sent as it is
	AuditReleased  = "released"  // the message is sent with a Release
	AuditMapped    = "mapped"    // requests are made of the letter's event
	AuditMade      = "made"      // the request that is made of an event
	AuditPurged    = "purged"    // the letter is deleted
	AuditEnable    = "enable"    // the license is enabled again
)

// Outcomes of an AuditItem.
const (
	AuditKept    = "kept"    // the letter was to be moved, and is still in the dead-letter queue
	AuditEnabled = "enabled" // the license is enabled
)

// Phases of an Audit.
const (
	AuditBegin = "begin"
	AuditEnd   = "end"
)

// LogAudit is the text of an Audit's line in a log group.
const LogAudit = "audit"

// AuditItem is the item of a command that acts on the request.
func (r Request) AuditItem(decision string) AuditItem {
	item := AuditItem{
		ID: CleanText(r.ID), Source: r.Source, Event: CleanText(r.Event), Order: JoinTexts(r.OrderIDs()), License: Shorten(r.LicenseKey), Device: Shorten(r.HardwareID),
		Product: CleanText(r.Product), Cause: r.Cause, Run: CleanText(r.Run), Decision: decision,
	}
	if r.LicenseKey != "" {
		item.LicenseHash = HashLicense(r.LicenseKey)
	}
	return item
}
