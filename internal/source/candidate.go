package source

import (
	"slices"
	"strings"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// candidate is one place of an id under which LicenseSpring may know an order or a subscription.
type candidate struct {
	textReader
	weak  bool // a short number that other shops also have
	buyer bool // a buyer can write it

	// Changes of the text, where LicenseSpring may hold another form of the id.
	without string // this beginning is removed; a text that does not have it is no candidate
	first   int    // only so many characters; a text that is not longer is no candidate. 0: all
}

// read returns the id, "" for none.
func (c candidate) read(f facts) (string, error) {
	text, err := c.textReader.read(f)
	if err != nil {
		return "", err
	}
	if c.without != "" {
		rest, ok := strings.CutPrefix(text, c.without)
		if !ok {
			return "", nil
		}
		text = rest
	}
	if c.first > 0 {
		if utf8.RuneCountInString(text) <= c.first {
			return "", nil
		}
		text = string([]rune(text)[:c.first])
	}
	return text, nil
}

// usable returns the candidate's id as the look-up may use it; false for none. An id that the Management API is never
// asked for (too short, a placeholder) and one from a header that is not signed are none: anybody could name an order.
func (c candidate) usable(f facts, filter func(string) managementapi.Filter) (deactivation.Candidate, bool) {
	if !c.trusted() {
		return deactivation.Candidate{}, false
	}
	id, err := c.read(f)
	if err != nil || deactivation.CheckText("lookup", id) != nil || filter(id).Check() != nil {
		return deactivation.Candidate{}, false
	}
	return deactivation.Candidate{ID: id, Weak: c.weak, Buyer: c.buyer}, true
}

// describe says where the id is, and what it counts for.
func (c candidate) describe() string {
	text := c.from()
	switch {
	case c.without != "":
		text += " without " + c.without
	case c.first > 0:
		text += ", shortened"
	}
	switch {
	case c.weak:
		return text + " (weak)"
	case c.buyer:
		return text + " (buyer)"
	}
	return text
}

// explain reads the candidate and returns where its id came from. It returns nothing without one. With lookUp it says of
// an id that the look-up does not use that it is for people alone.
func (c candidate) explain(name string, f facts, lookUp bool, filter func(string) managementapi.Filter) (Fact, bool) {
	text, err := c.read(f)
	if err != nil || text == "" {
		return Fact{}, false
	}
	from := c.from()
	switch {
	case c.without != "":
		from += " without " + c.without
	case c.first > 0:
		from += ", shortened"
	}
	_, usable := c.usable(f, filter)
	switch {
	case lookUp && !usable:
		from += " (for people alone: no license is looked up by it)"
	case c.weak:
		from += " (a short number, so it counts for little)"
	case c.buyer:
		from += " (a buyer can write it, so it counts only if it is confirmed)"
	}
	return Fact{name, printable(text), from}, true
}

// maxCandidates bounds the order ids of one look-up: each can cost a call of the Management API.
const maxCandidates = 10

// usableOrders are the usable ids of a list, each once: sure ids come before weak ones, and ids that the sender made
// itself before those that a buyer can write.
func usableOrders(candidates []candidate, f facts) []deactivation.Candidate {
	var all []deactivation.Candidate
	for _, c := range candidates {
		found, ok := c.usable(f, managementapi.ByOrder)
		same := slices.IndexFunc(all, func(other deactivation.Candidate) bool { return other.ID == found.ID })
		switch {
		case !ok:
		case same < 0:
			all = append(all, found)
		case !isSure(all[same]) && isSure(found):
			all[same] = found
		}
	}
	slices.SortStableFunc(all, func(a, b deactivation.Candidate) int { return certainty(b) - certainty(a) })
	return all[:min(len(all), maxCandidates)]
}

// isSure reports whether a license that the id finds needs no confirmation.
func isSure(c deactivation.Candidate) bool { return !c.Weak && !c.Buyer }

func certainty(c deactivation.Candidate) int {
	switch {
	case isSure(c):
		return 2
	case !c.Buyer:
		return 1
	}
	return 0
}
