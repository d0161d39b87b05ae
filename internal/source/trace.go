package source

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"license-deactivator/internal/deactivation"
)

// trace collects what the evaluation of one event reads. It is nil except in Explain; its methods do nothing on nil.
type trace struct {
	hidden    map[string]bool // values that the event names as a license or a device
	tests     []Test          // tests since the last step ended
	testMode  bool
	modeTests []Test // tests of the test mode
	rules     []ExplainedRule
	licenses  []ExplainedLicense
}

// addTest adds one test of the current step. The caller checks that t is not nil, since a Test is costly to make.
func (t *trace) addTest(test Test) { t.tests = append(t.tests, test) }

// endTestMode ends the step that decides whether the event belongs to the sender's test mode.
func (t *trace) endTestMode(is bool) {
	if t != nil {
		t.testMode, t.modeTests, t.tests = is, t.tests, nil
	}
}

// endRule ends the step that evaluates a rule.
func (t *trace) endRule(r ExplainedRule) {
	if t != nil {
		r.Tests, t.tests = t.tests, nil
		t.rules = append(t.rules, r)
	}
}

// addLicense adds a license that the current rule found.
func (t *trace) addLicense(l deactivation.License, from map[string][]Origin) {
	if t != nil {
		t.licenses = append(t.licenses, ExplainedLicense{l, from})
	}
}

// absent is how a value that is absent or null is shown.
const absent = "absent or null"

// Bounds of how much of an event's values is shown.
const (
	shownRunes = 80 // of a text
	shownItems = 5  // of a list
)

// show prints a value that a condition reads: a text in quotes, a few items of a list, and the kind of anything else.
// Values under a sensitive path, and those that the event names as a license or a device, are shortened.
func (t *trace) show(path string, value any) string {
	switch v := value.(type) {
	case nil:
		return absent
	case string:
		if t.hidden[v] || isSensitive(path) {
			return deactivation.Shorten(printable(v))
		}
		return "'" + printable(v) + "'"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		digits := strconv.FormatFloat(v, 'f', -1, 64)
		if t.hidden[digits] || isSensitive(path) {
			return deactivation.Shorten(digits)
		}
		return digits
	case []any:
		return t.showList(path, v)
	case map[string]any:
		return fmt.Sprintf("an object of %d", len(v))
	}
	return "something else"
}

func (t *trace) showList(path string, items []any) string {
	if len(items) == 0 {
		return "an empty list"
	}
	var parts []string
	for _, item := range items {
		switch item.(type) {
		case []any, map[string]any:
			return fmt.Sprintf("a list of %d", len(items))
		}
		if len(parts) == shownItems {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, t.show(path, item))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// isSensitive reports whether a path, by its name, may hold a key or another secret.
func isSensitive(path string) bool {
	path = strings.ToLower(path)
	for _, word := range []string{"key", "hardware", "password", "secret", "token", "signature", "authorization", "username"} {
		if strings.Contains(path, word) {
			return true
		}
	}
	return false
}

// printable bounds a text of an event and replaces the characters that a terminal would execute or not show.
func printable(text string) string {
	var out strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > shownRunes {
			out.WriteString("…")
			break
		}
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "<U+%04X>", r)
		}
	}
	return out.String()
}

// oneLine returns an expression of a file without its line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
