package history

import (
	"fmt"
	"strconv"
	"strings"

	"license-deactivator/internal/deactivation"
)

// Query is the question in the language of CloudWatch Logs Insights. Its text holds no license key.
//
// An equality on an indexed field (template.yaml) reads only the lines that have the value: an id, and a run. An order and a
// line with several licenses have several values in one text, for which there is a pattern; it reads every line of the time.
func (q Question) Query() string {
	order := "asc"
	if q.latest {
		order = "desc"
	}
	return "fields @timestamp, @message\n" +
		"| filter " + q.filter() + "\n" +
		"| sort @timestamp " + order + "\n" +
		fmt.Sprintf("| limit %d", maxRows)
}

func (q Question) filter() string {
	switch {
	case q.Order != "":
		return deactivation.LogOrder + " like " + part(q.Order)
	case q.LicenseHash != "":
		return deactivation.LogLicenseHash + " like " + part(q.LicenseHash)
	case q.ID != "":
		return ofID(q.ID)
	}
	if q.latest {
		return isOneOf(deactivation.LogText, latestTexts())
	}
	return isOneOf(deactivation.LogRun, []string{q.Run})
}

// Bounds of a list of ids. AWS allows 10,000 characters in a query.
// Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
const (
	maxListedRequests = 50 // of one event; an event makes a request for each line of its order that has a license
	maxListCharacters = 8000
)

// ofID is the condition that a line is about an id. What ends in a number may be a request, whose event has a line too, or an
// event whose own id is a number (shopify.1001), whose requests have lines too.
func ofID(id string) string {
	ids := []string{id}
	pattern := ""
	if event, isRequest := eventOf(id); isRequest {
		ids = append(ids, event)
		pattern = " or " + deactivation.LogID + " like /^" + escaped(event) + "$/"
	}
	for n := range maxListedRequests {
		ids = append(ids, id+"."+strconv.Itoa(n))
	}
	if list := isOneOf(deactivation.LogID, ids); isPlain(id) && len(list) <= maxListCharacters {
		return list
	}
	return deactivation.LogID + " like /^" + escaped(id) + `(\.[0-9]+)?$/` + pattern
}

// part is the pattern of a text that is joined with others (deactivation.JoinTexts).
func part(text string) string { return "/(^| )" + escaped(deactivation.JoinedText(text)) + "( |$)/" }

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
