package source

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/expression"
)

// This file finds what a sender's file allows and should not. A fault that does not depend on the deliveries is refused
// when the file is loaded (alwaysWrong); the rest is for `licensectl sources check` (Dangers). A condition is tried on
// events, not parsed: on the empty one, on events with odd values in all fields, and on events that satisfy the rest of
// it.

// maxTolerance is the oldest signature that needs no report. Senders that sign a time use five minutes; anybody who has
// seen a delivery can send it again within that time.
const maxTolerance = time.Hour

// Danger is something that a file allows and should not, and what to do about it.
type Danger struct {
	Line    int // of the file
	Text    string
	Warning bool // false: it can deactivate a license that should not be, or lose an event
}

// Dangers lists the dangers of the file in the order of its lines.
func (s *Source) Dangers() []Danger {
	var all []Danger
	add := func(line int, warning bool, format string, args ...any) {
		all = append(all, Danger{line, fmt.Sprintf(format, args...), warning})
	}
	for _, scheme := range s.verification.schemes {
		if scheme.spec.Tolerance > maxTolerance {
			add(scheme.line, false, "tolerance is %s: anybody who sees a delivery can send it again within that time; 5m is enough for clocks and for retries, which are signed again",
				strings.TrimSuffix(scheme.spec.Tolerance.String(), "0s"))
		}
	}
	if len(s.verification.require) > 0 {
		for _, d := range conditionDangers(s.verification.require) {
			add(s.verification.requireLine, false, "require %s: it would let pass what it is to keep out", d)
		}
	}
	for _, d := range conditionDangers(s.event.test) {
		add(s.event.testLine, false, "test %s: real events would be ignored as those of a test mode", d)
	}
	if s.licenses.lines != nil {
		for _, d := range conditionDangers(s.licenses.lines.refunded) {
			add(s.licenses.lines.refundedLine, false, "lines.refunded %s: a line that is still paid for would count as refunded", d)
		}
	}
	for i := range s.rules {
		r := &s.rules[i]
		if r.review || r.reversal {
			continue // a person decides
		}
		what := "an event that it does not mean would be ignored"
		if r.deactivates() {
			what = "it would deactivate a license for an event that it does not mean"
		}
		for _, d := range conditionDangers(r.when) {
			// A type says what the event is, so a rule of a type may be meant to match without the field.
			add(r.line, len(r.types) > 0 && d.onEmpty, "rule %q %s: %s", r.name, d, what)
		}
	}
	s.neighbourDangers(add)
	slices.SortStableFunc(all, func(a, b Danger) int { return a.Line - b.Line })
	return all
}

// alwaysWrong returns the fault of a rule that does not depend on the deliveries. Such a file is not loaded.
func (r *rule) alwaysWrong() (problem string) {
	if r.review || r.reversal || len(r.types) > 0 || !holdsOnEverything(r.when) {
		return ""
	}
	if r.deactivates() {
		return "holds on every event: it would deactivate a license for each; say which events matter"
	}
	return "holds on every event, so no later rule would ever be tried, and unknown events would be dropped; name the events to ignore"
}

// pingProblem returns the problem of a ping's pattern that matches events: an unsigned delivery of one would be
// answered with success and dropped.
func (v verification) pingProblem() string {
	if v.ping == nil {
		return ""
	}
	for _, event := range []string{`{"id":"evt_1","type":"refunded"}`, `[{"id":1}]`, "id=1&status=refunded", "<Notification><Id>1</Id></Notification>"} {
		if v.ping.MatchString(event) {
			return "ping matches events, such as " + event + ": unsigned ones would be answered with success and dropped; match only the sender's ping"
		}
	}
	return ""
}

// conditionDanger describes how a condition holds although it should not.
type conditionDanger struct {
	onEmpty bool
	text    string
}

func (d conditionDanger) String() string { return d.text }

// conditionDangers returns the ways in which a condition holds without the fields that it concerns.
func conditionDangers(c condition) (all []conditionDanger) {
	for _, t := range c {
		if t.path == nil {
			continue
		}
		before := len(all)
		for _, e := range t.path.Equalities() {
			if comparesAbsent(e) {
				left, right := oneLine(e.Left.String()), oneLine(e.Right.String())
				all = append(all, conditionDanger{text: fmt.Sprintf(
					"holds where %s and %s are both missing, since null == null is true; add && %s != `null`", left, right, left)})
			}
		}
		if len(all) == before && holdsOn(t.path, map[string]any{}) {
			all = append(all, conditionDanger{true, fmt.Sprintf(
				"holds on an event without any of its fields (%s); compare with the intended value, as in status == 'refunded'", oneLine(t.path.String()))})
		}
	}
	return all
}

// holdsOn reports whether a condition holds on an event. Neither an error nor another value counts.
func holdsOn(e *expression.Expression, event map[string]any) bool {
	holds, err := e.Holds(expression.Tree{Exact: event, Normalised: event})
	return holds && err == nil
}

// holdsOnEverything reports whether a condition holds on the empty event, and on events in which every field that it
// reads is odd or has a value that it names.
func holdsOnEverything(c condition) bool {
	return slices.ContainsFunc(c, func(t test) bool {
		if t.path == nil || !holdsOn(t.path, map[string]any{}) {
			return false
		}
		fields, each := settable(t.path), map[string]any{}
		for i, field := range fields {
			set(each, field, fmt.Sprint("odd ", i))
		}
		events := []map[string]any{each}
		for _, odd := range append(valuesIn(t.path), nil, "", 1.5, false, []any{}, map[string]any{}) {
			event := map[string]any{"odd": odd}
			for _, field := range fields {
				set(event, field, odd)
			}
			events = append(events, event)
		}
		return !slices.ContainsFunc(events, func(event map[string]any) bool { return !holdsOn(t.path, event) })
	})
}

// maxTried bounds the events on which a comparison is tried.
const maxTried = 20_000

// comparesAbsent reports whether a condition holds on an event in which both sides of a comparison are missing. It tries
// the values that the condition names in its other fields: all combinations, or as many at random as maxTried.
func comparesAbsent(e expression.Equality) bool {
	sides := slices.Concat(e.Left.Paths(), e.Right.Paths())
	if len(e.Left.Paths()) == 0 || len(e.Right.Paths()) == 0 {
		return false // a comparison with a constant
	}
	left, err := e.Left.Operand(nothing())
	right, rightErr := e.Right.Operand(nothing())
	if err != nil || rightErr != nil || !reflect.DeepEqual(left, right) {
		return false
	}
	var fields [][]string
	var values [][]any // of each field; a field may also be absent
	total := 1
	for _, field := range settable(e.In) {
		if slices.ContainsFunc(sides, func(p *expression.Expression) bool { return touches(p.String(), field) }) {
			continue
		}
		of := valuesOf(field, e.In)
		fields, values = append(fields, field), append(values, of)
		total = min(total*(len(of)+1), maxTried+1)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same events each time
	for n := range min(total, maxTried) {
		event := map[string]any{}
		for i, field := range fields {
			choices := len(values[i]) + 1
			which := n % choices
			if n /= choices; total > maxTried {
				which = random.IntN(choices)
			}
			if which < len(values[i]) {
				set(event, field, values[i][which])
			}
		}
		if holdsOn(e.In, event) {
			return true
		}
	}
	return false
}

func nothing() expression.Tree {
	return expression.Tree{Exact: map[string]any{}, Normalised: map[string]any{}}
}

// valuesOf lists the values with which a condition compares a field, and true. If it compares the field with none, they
// are every value of valuesIn.
func valuesOf(field []string, in *expression.Expression) []any {
	name, values := strings.Join(field, "."), []any{true}
	for _, other := range in.Equalities() {
		constant := other.Right
		switch name {
		case other.Left.String():
		case other.Right.String():
			constant = other.Left
		default:
			continue
		}
		if value, err := constant.Operand(nothing()); err == nil && len(constant.Paths()) == 0 {
			values = append(values, value)
		}
	}
	if len(values) == 1 {
		return valuesIn(in)
	}
	return values
}

// plainPath is a path of only names, which can be set in an event.
var plainPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// settable lists the plain paths that a condition reads, each as its names.
func settable(e *expression.Expression) (paths [][]string) {
	for _, p := range e.Paths() {
		if plainPath.MatchString(p.String()) {
			paths = append(paths, strings.Split(p.String(), "."))
		}
	}
	return paths
}

// touches reports whether setting a field may change what a path reads: they begin with the same name, and one is
// within the other.
// the other.
func touches(path string, field []string) bool {
	if !plainPath.MatchString(path) {
		return strings.HasPrefix(path, field[0])
	}
	names := strings.Split(path, ".")
	n := min(len(names), len(field))
	return slices.Equal(names[:n], field[:n])
}

// set sets a field of an event, and makes the objects on the way to it.
func set(event map[string]any, field []string, value any) {
	for _, name := range field[:len(field)-1] {
		inner, ok := event[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			event[name] = inner
		}
		event = inner
	}
	event[field[len(field)-1]] = value
}

// valuesIn lists the values that a condition names, and some that it may test without naming them.
func valuesIn(e *expression.Expression) []any {
	values := []any{true, "odd", 1.0}
	texts, jsons := e.Literals()
	for _, text := range texts {
		values = append(values, text)
	}
	for _, text := range jsons {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			continue
		}
		values = append(values, value)
		if list, ok := value.([]any); ok {
			values = append(values, list...)
		}
	}
	return values
}
