package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"license-deactivator/internal/expression"
)

// This file finds what a file reads and its sender does not sign: fields of a form outside of `covers`, and the fields
// that carry the signature. Such fields are not even in the tree that expressions read (Verified.covered), so a file that
// names one is mistaken; checkCovers says so when it is loaded.

// reading is one expression of a file that reads the event, and what it decides.
type reading struct {
	what string
	path *expression.Expression
}

// checkCovers adds a problem for each expression that reads what a scheme of the file does not sign.
func (s *Source) checkCovers(add func(line int, format string, args ...any)) {
	for _, scheme := range s.verification.schemes {
		if scheme.ReadsForm() && s.event.format != formatForm {
			add(scheme.line, "verify reads fields of a form, so body must be form")
			continue
		}
		if scheme.CoversPart() {
			s.checkPartlySigned(scheme, add)
		}
		for _, r := range s.readings() {
			if problem := scheme.readsUnsigned(r.path); problem != "" {
				add(cmp.Or(r.path.Line(), scheme.line), "%s %s", r.what, problem)
			}
		}
	}
}

// checkPartlySigned checks the places that need no expression: the body's hash as the event's id, and headers.
func (s *Source) checkPartlySigned(scheme *scheme, add func(line int, format string, args ...any)) {
	if len(s.event.id) == 0 {
		add(scheme.line, "event.id is missing: without it the id is the body's SHA-256, and anybody could change the fields that are not signed; make one of signed fields, as in join('-', [ORDER_ID, TYPE])")
	}
	for _, v := range []struct {
		name string
		of   value
	}{{"event.id", s.event.id}, {"event.type", s.event.kind}, {"event.time", s.event.at}} {
		if v.of.unsigned() {
			add(scheme.line, "%s comes from an unsigned header, next to a signature of some fields: anybody could change it", v.name)
		}
	}
}

// readsUnsigned returns the problem of an expression that reads a field that the scheme does not sign, else "".
func (s *scheme) readsUnsigned(e *expression.Expression) string {
	names, whole := e.Roots()
	if !s.CoversPart() {
		for _, name := range names {
			if slices.ContainsFunc(s.SignatureFields(), func(field string) bool { return rootOf(field) == name }) {
				return fmt.Sprintf("reads %s, a field of a signature, which is not signed itself", name)
			}
		}
		return ""
	}
	if whole {
		return fmt.Sprintf("reads the whole form (%s), of which only some fields are signed; name the field", oneLine(e.String()))
	}
	for _, name := range names {
		if !slices.ContainsFunc(s.spec.Covers, func(field string) bool { return rootOf(field) == name }) {
			return fmt.Sprintf("reads %s, which is not signed: anybody who has seen a delivery could change it. Signed are %s", name, strings.Join(s.spec.Covers, ", "))
		}
	}
	return ""
}

// rootOf is the name under which a field of a form is found at the top of the event: IPN_PID of IPN_PID[0].
func rootOf(field string) string {
	if at := strings.IndexByte(field, '['); at > 0 {
		return field[:at]
	}
	return field
}

// readings lists the expressions that are evaluated on a delivery or on an event. Those of a line are evaluated on what
// lines.each has found.
func (s *Source) readings() (all []reading) {
	add := func(what string, e *expression.Expression) {
		if e != nil {
			all = append(all, reading{what, e})
		}
	}
	addValue := func(what string, v value) {
		for _, r := range v {
			add(what, r.path)
		}
	}
	addCondition := func(what string, c condition) {
		for _, t := range c {
			add(what, t.path)
		}
	}
	addLookup := func(what string, l lookup) {
		for _, c := range slices.Concat(l.order, l.subscription) {
			add(what, c.path)
		}
		addValue(what+".email", l.email)
		addCondition(what+".when", l.when)
	}
	addCondition("verify.require", s.verification.require)
	add("event.records", s.event.records)
	addValue("event.id", s.event.id)
	addValue("event.type", s.event.kind)
	addValue("event.time", s.event.at)
	addCondition("event.test", s.event.test)
	for _, place := range s.licenses.order {
		add("license", cmp.Or(place.objects, place.pairs))
	}
	if l := s.licenses.lines; l != nil {
		add("lines.each", l.each)
		if l.join != nil {
			add("lines.join", l.join.parts)
		}
	}
	addLookup("lookup", s.lookup)
	for i := range s.rules {
		r := &s.rules[i]
		what := fmt.Sprintf("rule %q", r.name)
		addCondition(what, r.when)
		addLookup(what+" in its lookup", r.lookup)
	}
	return all
}
