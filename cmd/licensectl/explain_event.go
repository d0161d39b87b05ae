package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
)

// Bounds of what is printed of one event; real events are far below.
const (
	shownLicenses = 5  // with all their fields; every request is listed
	shownTests    = 30 // of one rule: one for each line of the order
)

func (p *page) event(e source.ExplainedEvent, body []byte) {
	p.section("EVENT")
	p.table(factRows(e.About))
	if len(e.Tests) > 0 {
		p.section("TEST MODE")
		p.line("%s", map[bool]string{true: "yes", false: "no"}[e.TestMode])
		p.tests(e.Tests, "")
	}
	p.rules(e)
	p.licenses(e)
	if len(e.Missing) > 0 {
		p.section("LOOKED FOR")
		p.table(lookedFor(e))
		for _, text := range nearlyNamed(body, e.Missing, e.Searched) {
			p.prose("Hint: " + text + ".")
		}
	}
	if len(e.Lookup) > 0 {
		p.section("ORDER")
		p.line("can be found by")
		p.table(factRows(e.Lookup))
	}
	switch {
	case len(e.Requests) > 0:
		p.requests(e)
		if e.Answer == deactivation.Stale {
			p.deadLetter(e)
		}
	case e.Answer == deactivation.Unmappable, e.Answer == deactivation.Reversed:
		p.deadLetter(e)
	}
}

// deadLetter shows what the operator finds in the dead-letter queue.
func (p *page) deadLetter(e source.ExplainedEvent) {
	p.section("DEAD LETTER")
	code := ""
	if e.Code != "" {
		code = ", code " + e.Code
	}
	p.prose(fmt.Sprintf("reason %s%s, detail \"%s\"", e.Answer, code, webhook.LetterDetail(e.Missing, []source.Mapping{e.Mapping})))
	do := "finds the license by the order and sends the request by hand"
	switch {
	case e.Answer == deactivation.Reversed:
		do = "decides whether a license has to be activated again"
	case e.Code == deactivation.CodeReview:
		do = "decides, and sends the request by hand"
	case e.Code == deactivation.CodeUnreadable:
		do = "reads it"
	case e.Code == deactivation.CodeUnknownShape:
		do = "decides, and adds a rule to the sender's file for the next one"
	}
	if e.Answer == deactivation.Stale {
		p.prose("Each request stays in the dead-letter queue until an operator sends it on to the queue.")
		return
	}
	p.prose("The whole event stays in the dead-letter queue, and nothing sends it again: an operator " + do + ".")
}

func factRows(facts []source.Fact) []row {
	rows := make([]row, len(facts))
	for i, f := range facts {
		rows[i] = row{f.Name, f.Text, "from " + f.From}
	}
	return rows
}

func (p *page) rules(e source.ExplainedEvent) {
	p.section("RULES")
	if len(e.Rules) == 0 || e.Rules[0].Result == "" {
		p.line("not evaluated")
		return
	}
	width := 0
	for _, r := range e.Rules {
		if n := utf8.RuneCountInString(r.Name); r.Result != "" && n <= columnWidth {
			width = max(width, n)
		}
	}
	rest := 0
	for i, r := range e.Rules {
		if r.Result == "" {
			rest++
			continue
		}
		p.line("%d. %-*s  %s", i+1, width, r.Name, verdict(r))
		if r.Result == source.Matched && len(r.Types) > 0 {
			p.line("   type is %s   holds", strings.Join(r.Types, " or "))
		}
		p.tests(r.Tests, "   ")
	}
	if rest > 0 {
		p.line("The first that matches decides, so %s not evaluated.", map[bool]string{true: "1 more is", false: fmt.Sprintf("%d more are", rest)}[rest == 1])
	}
}

func verdict(r source.ExplainedRule) string {
	switch r.Result {
	case source.Disabled:
		return "off: it is disabled in the sender's file"
	case source.TypeMismatch:
		return "no: it is for " + strings.Join(r.Types, " or ")
	case source.ConditionFalse:
		return "no: its condition does not hold"
	case source.ConditionError:
		return "FAILS: its condition is neither true nor false"
	case source.NoRefundedLine:
		return "no: no line with its own license was refunded in full"
	}
	switch {
	case r.Ignore:
		return "YES: ignore the event"
	case r.Review:
		return "YES: keep the event for review"
	case r.Reversal:
		return "YES: keep the event, which takes an earlier one back"
	}
	return "YES: deactivate, cause " + r.Cause
}

// tests prints conditions with the values that they were evaluated on.
func (p *page) tests(tests []source.Test, indent string) {
	for i, t := range tests {
		if i == shownTests {
			p.line("%s… and %d more", indent, len(tests)-shownTests)
			return
		}
		of := ""
		if t.Line > 0 {
			of = fmt.Sprintf("line %d: ", t.Line)
		}
		verdict := "does not hold"
		switch {
		case t.Problem != "":
			verdict = "cannot be decided"
		case t.Holds:
			verdict = "holds"
		}
		p.line("%s%s%s   %s", indent, of, t.Text, verdict)
		rows := make([]row, len(t.Reads))
		for i, f := range t.Reads {
			rows[i] = row{indent + "  " + f.Name, "is " + f.Text}
		}
		p.table(rows)
	}
}

func (p *page) licenses(e source.ExplainedEvent) {
	for i, l := range e.Licenses {
		p.section("LICENSE")
		if i == shownLicenses {
			p.line("… and %d more", len(e.Licenses)-shownLicenses)
			return
		}
		if len(e.Licenses) > 1 {
			p.line("%d of %d", i+1, len(e.Licenses))
		}
		var rows []row
		add := func(field, text string, needed bool) {
			switch {
			case text != "":
				rows = append(rows, row{field, text, "from " + origin(l.From[field])})
			case needed:
				rows = append(rows, row{field, "MISSING"})
			}
		}
		add("license_key", deactivation.Shorten(l.LicenseKey), l.Identity() == "")
		add("username", deactivation.Shorten(l.Username), false)
		add("license_id", l.LicenseID.String(), false)
		add("product", l.Product, true)
		add("bundle_code", l.BundleCode, false)
		add("hardware_id", deactivation.Shorten(l.HardwareID), true)
		p.table(rows)
	}
}

// lookedFor lists where each missing field was searched.
func lookedFor(e source.ExplainedEvent) []row {
	var rows []row
	for _, field := range e.Missing {
		for i, place := range e.Searched[field] {
			if i == 0 {
				rows = append(rows, row{field, "as " + place})
			} else {
				rows = append(rows, row{"", "as " + place})
			}
		}
	}
	return rows
}

func origin(from []source.Origin) string {
	var words []string
	for _, o := range from {
		word := o.Where
		if o.Line > 0 {
			word = fmt.Sprintf("line %d: %s", o.Line, o.Where)
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

func (p *page) requests(e source.ExplainedEvent) {
	p.section("REQUESTS")
	for _, r := range e.Requests {
		p.line("%s", r.ID)
		p.line("  %s, cause %s", acts(r), r.Cause)
		if r.Scope != "" {
			p.lookUp(r)
		}
	}
}
