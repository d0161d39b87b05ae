package deactivation

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DeadLetter holds the attributes of a message in the dead-letter queue. Both handlers write it, and tools read it.
type DeadLetter struct {
	Reason    Reason    // ReasonExhausted where there are no attributes: SQS itself moved the message
	Code      string    // the License API's, or http_<status>; "" where the reason is not an API answer
	Detail    string    // why, for a person; without secrets
	Attempts  int       // receives of the message; 0 where it was never received
	FailedAt  time.Time // to the second, UTC
	Source    string
	RequestID string // for an event: source and event id
}

// Names of the attributes in the queue.
const (
	attributeReason    = "reason"
	attributeCode      = "code"
	attributeDetail    = "detail"
	attributeAttempts  = "attempts"
	attributeFailedAt  = "failed_at"
	attributeSource    = "source"
	attributeRequestID = "request_id"
)

// Attributes returns the letter as SQS message attributes of type String. Empty ones are left out, since SQS refuses
// them; texts are cleaned (CleanText), since SQS refuses control characters.
func (d DeadLetter) Attributes() map[string]string {
	attributes := map[string]string{
		attributeReason:    string(d.Reason),
		attributeCode:      CleanText(d.Code),
		attributeDetail:    CleanText(d.Detail),
		attributeSource:    CleanText(d.Source),
		attributeRequestID: CleanText(d.RequestID),
	}
	if d.Attempts > 0 {
		attributes[attributeAttempts] = strconv.Itoa(d.Attempts)
	}
	if !d.FailedAt.IsZero() {
		attributes[attributeFailedAt] = d.FailedAt.UTC().Format(time.RFC3339)
	}
	for name, value := range attributes {
		if value == "" {
			delete(attributes, name)
		}
	}
	return attributes
}

// ParseDeadLetter reads the attributes of a message in the dead-letter queue. It returns no error: a person may have
// put the message there, so what cannot be read stays zero. Without a reason it is ReasonExhausted.
func ParseDeadLetter(attributes map[string]string) DeadLetter {
	d := DeadLetter{
		Reason:    Reason(attributes[attributeReason]),
		Code:      attributes[attributeCode],
		Detail:    attributes[attributeDetail],
		Source:    attributes[attributeSource],
		RequestID: attributes[attributeRequestID],
	}
	d.Attempts, _ = strconv.Atoi(attributes[attributeAttempts])
	d.FailedAt, _ = time.Parse(time.RFC3339, attributes[attributeFailedAt])
	if d.Reason == "" {
		d.Reason = ReasonExhausted
	}
	return d
}

// maxCleanRunes bounds a text in a log line or an attribute, in characters: enough for a sentence, and ten such
// attributes are far below the queue's 1 MiB.
const maxCleanRunes = 256

// CleanText makes a text fit for a log line and for an SQS attribute: valid UTF-8 of at most 256 characters, without
// characters that SQS refuses (control characters, U+FFFE, U+FFFF), without line breaks, trimmed. The last character
// of a text that was cut is "…".
func CleanText(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFFFE' || r == '\uFFFF' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > maxCleanRunes {
		text = string(runes[:maxCleanRunes-1]) + "…"
	}
	return text
}
