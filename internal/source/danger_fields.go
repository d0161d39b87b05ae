package source

import (
	"slices"

	"license-deactivator/internal/expression"
)

// neighbourDangers adds a warning for each rule with a cause that does not compare the neighbour of an id in the signed
// text: 1000234 and Refunded have the signature of 1000 and 234Refunded, which is another order.
func (s *Source) neighbourDangers(add func(line int, warning bool, format string, args ...any)) {
	ids := s.idFields()
	for _, scheme := range s.verification.schemes {
		for _, pair := range scheme.Neighbours() {
			for i, id := range pair {
				next := pair[1-i]
				if !slices.Contains(ids, id) {
					continue
				}
				for n := range s.rules {
					if r := &s.rules[n]; r.deactivates() && !s.compares(r, next) {
						add(r.line, true, "rule %q does not compare %s, which is signed next to %s without a mark between them: who has seen a delivery could move characters from one to the other; compare %s with whole values", r.name, next, id, next)
					}
				}
			}
		}
	}
}

// idFields lists the fields by which a license or an order is found.
func (s *Source) idFields() (names []string) {
	add := func(e *expression.Expression) {
		if e != nil {
			roots, _ := e.Roots()
			names = append(names, roots...)
		}
	}
	for _, place := range s.licenses.order {
		add(place.objects)
		add(place.pairs)
	}
	lookups := []lookup{s.lookup}
	for _, r := range s.rules {
		lookups = append(lookups, r.lookup)
	}
	for _, l := range lookups {
		for _, c := range slices.Concat(l.order, l.subscription) {
			add(c.path)
		}
	}
	return names
}

// compares reports whether a rule holds only after it has read the field.
func (s *Source) compares(r *rule, field string) bool {
	reads := func(e *expression.Expression) bool {
		if e == nil {
			return false
		}
		roots, _ := e.Roots()
		return slices.Contains(roots, field)
	}
	if len(r.types) > 0 && len(s.event.kind) == 1 && reads(s.event.kind[0].path) {
		return true
	}
	return len(r.when) > 0 && !slices.ContainsFunc(r.when, func(t test) bool { return !reads(t.path) })
}
