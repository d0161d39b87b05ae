package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"license-deactivator/internal/deactivation"
)

// trace takes down what the evaluation of one event looks at. Its methods do nothing on nil, and nil it is wherever
// nobody asks why.
type trace struct {
	facts  facts // of the event, with no trace of their own
	hidden map[string]bool
	event  ExplainedEvent
	tests  []Test  // since the last step
	lent   origins // of the products and devices of lines without a license of their own
}

// newTrace begins the trace of an event. Whatever the event names as a license or a device is shortened wherever it
// stands, also when no rule asks for it.
func (s *Source) newTrace(f facts) *trace {
	t := &trace{facts: f, hidden: map[string]bool{}}
	named := []facts{f}
	if s.lines != nil {
		parts, _ := s.lines.of(record{exact: f.exact, normalised: f.normalised})
		for _, part := range parts {
			named = append(named, facts{exact: part.exact})
		}
	}
	places := s.license
	if s.lines != nil {
		places = slices.Concat(places, s.lines.license)
	}
	for _, one := range named {
		for _, p := range places {
			if found, err := search([]place{p}, one); err == nil {
				for _, text := range slices.Concat(found.licenseKeys, found.hardwareIDs, []string{found.username}) {
					t.hidden[text] = true
				}
			}
		}
	}
	return t
}

// test takes down one test of a condition, with the values that it reads.
func (t *trace) test(of test, f facts, holds bool, err error) {
	if t == nil {
		return
	}
	taken := Test{Line: f.line, Holds: holds}
	if err != nil {
		taken.Problem = err.Error()
	}
	if of.path == nil {
		taken.Text = fmt.Sprintf("header %s is '%s'", of.header, of.is)
		taken.Reads = []Fact{{Name: "header " + of.header, Text: t.show(of.header, orNil(f.headers, of.header))}}
	} else {
		taken.Text = oneLine(of.path.text)
		for _, path := range reads(of.path.text) {
			found, err := path.search(f.normalised)
			if err == nil {
				taken.Reads = append(taken.Reads, Fact{Name: oneLine(path.text), Text: t.show(path.text, found)})
			}
		}
	}
	t.tests = append(t.tests, taken)
}

func orNil(headers map[string]string, name string) any {
	if text, ok := headers[name]; ok {
		return text
	}
	return nil
}

// testMode ends the step in which the test mode was looked at.
func (t *trace) testMode(is bool) {
	if t == nil {
		return
	}
	t.event.TestMode, t.event.Tests, t.tests = is, t.tests, nil
}

// rule ends the step in which a rule was looked at.
func (t *trace) rule(r *rule, verdict Verdict) {
	if t == nil {
		return
	}
	taken := explainRule(r, verdict)
	taken.Tests, t.tests = t.tests, nil
	t.event.Rules = append(t.event.Rules, taken)
}

// license takes down a license that the rule found.
func (t *trace) license(l deactivation.License, from found) {
	if t == nil {
		return
	}
	t.event.Licenses = append(t.event.Licenses, ExplainedLicense{l, from.from})
}

// origins says of each field of a found where it stood.
type origins map[string][]Origin

// read notes that here was read from the objects of a place.
func (t *trace) read(here *found, p place, objects []map[string]any, line int) {
	if t == nil {
		return
	}
	here.from = origins{}
	for field := range here.texts() {
		here.from[field] = []Origin{{p.named(field, objects), line}}
	}
}

// came says where the fields of f stood, which is before filled up from other.
func (f found) came(before, other found) origins {
	from, had := origins{}, before.texts()
	for field := range f.texts() {
		if _, ok := had[field]; ok {
			from[field] = before.from[field]
		} else {
			from[field] = other.from[field]
		}
	}
	return from
}

// texts are the fields that a found has.
func (f found) texts() map[string][]string {
	texts := map[string][]string{
		"license_key": f.licenseKeys, "hardware_id": f.hardwareIDs, "username": {f.username}, "license_id": {f.licenseID},
		"product": {f.product}, "bundle_code": {f.bundleCode},
	}
	for field, of := range texts {
		if len(of) == 0 || of[0] == "" {
			delete(texts, field)
		}
	}
	return texts
}

// lend notes what a line without a license of its own says of the order's.
func (t *trace) lend(line found) {
	if t == nil {
		return
	}
	if t.lent == nil {
		t.lent = origins{}
	}
	for field, from := range line.from {
		t.lent[field] = append(t.lent[field], from...)
	}
}

// borrow notes what the order's license has from such lines: the product where the order names none, and the devices
// where the lines name any.
func (t *trace) borrow(whole *found, order found, devices bool) {
	if t == nil {
		return
	}
	from := origins{}
	for field, of := range whole.from {
		from[field] = of
	}
	if order.product == "" && whole.product != "" {
		from["product"] = t.lent["product"]
	}
	if devices {
		from["hardware_id"] = t.lent["hardware_id"]
	}
	whole.from = from
}

// named says where in a place a field stands: "data.object.metadata.license_key".
func (p place) named(field string, objects []map[string]any) string {
	name := field
	for _, other := range fieldNames(field) {
		if slices.ContainsFunc(objects, func(o map[string]any) bool { return o[other] != nil && o[other] != "" }) {
			name = other
			break
		}
	}
	switch {
	case p.field != "":
		return oneLine(p.objects.text)
	case p.pairs != nil && p.name != "":
		return name + " in " + oneLine(p.pairs.text)
	case p.pairs != nil:
		return oneLine(p.pairs.text) + "." + name + "." + p.value
	case p.objects.text == "@":
		return name
	}
	return oneLine(p.objects.text) + "." + name
}

// Bounds of what is shown of an event's values.
const (
	shownRunes = 80 // of a text
	shownItems = 5  // of a list
)

// show prints a value that a condition reads: a text in quotes, a list of a few, and of anything else what it is.
// What may be a key, and what the event names as license or device, is shortened.
func (t *trace) show(path string, found any) string {
	switch v := found.(type) {
	case nil:
		return "absent or null"
	case string:
		if t.hidden[v] || telling(path) {
			return deactivation.Shorten(printable(v))
		}
		return "'" + printable(v) + "'"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		digits := strconv.FormatFloat(v, 'f', -1, 64)
		if t.hidden[digits] || telling(path) {
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

// telling says whether a path's name speaks of what is not to be shown whole.
func telling(path string) bool {
	path = strings.ToLower(path)
	for _, word := range []string{"key", "hardware", "password", "secret", "token", "signature", "authorization", "username"} {
		if strings.Contains(path, word) {
			return true
		}
	}
	return false
}

// printable bounds a text of an event and replaces what a terminal would obey or not show.
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

// oneLine is an expression of a file without its line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
