package history

import (
	"fmt"
	"strings"

	"license-deactivator/internal/deactivation"
)

// Query is the question in the language of CloudWatch Logs Insights. Its text holds no license key.
//
// An equality on an indexed field (template.yaml) reads only the lines that have the value: the id of an event's request, and
// a run. An order and a line with several licenses have several values in one text, for which there is a pattern; it reads
// every line of the time, and so does the pattern of an event with its requests.
func (q Question) Query() string {
	return "fields @timestamp, @message\n" +
		"| filter " + q.filter() + "\n" +
		"| sort @timestamp asc\n" +
		fmt.Sprintf("| limit %d", maxRows)
}

func (q Question) filter() string {
	switch {
	case q.Order != "":
		return deactivation.LogOrder + " like " + part(q.Order)
	case q.LicenseHash != "":
		return deactivation.LogLicenseHash + " like " + part(q.LicenseHash)
	case q.ID != "":
		event, isRequest := eventOf(q.ID)
		if !isRequest {
			return deactivation.LogID + " like /^" + escaped(q.ID) + `(\.[0-9]+)?$/` // with the requests of an event
		}
		return isOneOf(deactivation.LogID, []string{q.ID, event})
	case !q.redrives.IsZero():
		return fmt.Sprintf(`%s = "%s" and %s = "%s" and %s = "%s"`, deactivation.LogText, deactivation.LogAudit,
			deactivation.LogCommand, commandRedrive, deactivation.LogPhase, deactivation.AuditBegin)
	}
	return isOneOf(deactivation.LogRun, []string{q.Run})
}

// part is the pattern of a text that is joined with others by blanks.
func part(text string) string { return "/(^| )" + escaped(text) + "( |$)/" }

// isOneOf is the condition that a field is one of the texts.
func isOneOf(field string, texts []string) string {
	var quoted, whole []string
	for _, text := range texts {
		if !isPlain(text) {
			whole = append(whole, field+" like /^"+escaped(text)+"$/")
			continue
		}
		quoted = append(quoted, `"`+text+`"`)
	}
	if len(whole) > 0 { // AWS does not document how a text escapes quotes and backslashes; a pattern needs neither
		for _, text := range quoted {
			whole = append(whole, field+" = "+text)
		}
		return strings.Join(whole, " or ")
	}
	if len(quoted) == 1 {
		return field + " = " + quoted[0]
	}
	return field + " in [" + strings.Join(quoted, ", ") + "]"
}

// isPlain reports whether a text means itself between quotes.
func isPlain(text string) bool {
	for _, r := range text {
		if !isLiteral(r) && !strings.ContainsRune(" .:/+@=,", r) {
			return false
		}
	}
	return true
}

// escaped is a text as a pattern that matches exactly it. A dot and a slash have a backslash; every other character but
// letters, digits, "_" and "-" is written by its number, so that neither the pattern nor the query around it gives it a
// meaning: an id comes from a stranger.
func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case isLiteral(r):
			out.WriteRune(r)
		case r == '.' || r == '/':
			out.WriteString(`\` + string(r))
		default:
			fmt.Fprintf(&out, `\x{%X}`, r)
		}
	}
	return out.String()
}

func isLiteral(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}
