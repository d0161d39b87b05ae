package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/webhook"
)

// Measures of the printed page, in columns.
const (
	ruleWidth    = 100
	headingWidth = 13
	columnWidth  = 44 // a longer cell does not widen its column
)

// Bounds of what is printed of one event; no real one comes near.
const (
	shownLicenses  = 5   // with all their fields; the requests are listed all
	shownTests     = 30  // of one rule: a line of the order each
	shownBodyRunes = 400 // of the answer
)

// page prints sections: a heading at the left edge, its lines beside and below it.
type page struct {
	w       io.Writer
	heading string
}

func (p *page) section(heading string) {
	p.heading = heading
	fmt.Fprintln(p.w)
}

func (p *page) line(format string, args ...any) {
	text := fmt.Sprintf("%-*s%s", headingWidth, p.heading, fmt.Sprintf(format, args...))
	fmt.Fprintln(p.w, strings.TrimRight(text, " "))
	p.heading = ""
}

// prose is line for a text that may be longer than the page is wide.
func (p *page) prose(text string) {
	if text == "" {
		return
	}
	for _, line := range wrap(text, ruleWidth-headingWidth) {
		p.line("%s", line)
	}
}

func wrap(text string, width int) []string {
	var lines []string
	var line string
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// row is one line of aligned columns.
type row []string

// table prints rows with aligned columns. A very long cell pushes its own row alone.
func (p *page) table(rows []row) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if n := utf8.RuneCountInString(cell); n <= columnWidth {
				widths[i] = max(widths[i], n)
			}
		}
	}
	for _, r := range rows {
		var text strings.Builder
		for i, cell := range r {
			text.WriteString(cell)
			if i < len(r)-1 {
				text.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+2))
			}
		}
		p.line("%s", text.String())
	}
}

func printExplanation(w io.Writer, s subject, e webhook.Explanation) {
	p := &page{w: w}
	fmt.Fprintln(w, s.name)
	if s.about != "" {
		for _, line := range wrap(s.about, ruleWidth) {
			fmt.Fprintln(w, line)
		}
	}
	p.section("RESULT")
	p.prose(result(e))
	p.signature(s, e)
	for i, event := range e.Events {
		if len(e.Events) > 1 {
			title := fmt.Sprintf("── Event %d of %d ", i+1, len(e.Events))
			fmt.Fprintf(w, "\n%s%s\n", title, strings.Repeat("─", ruleWidth-utf8.RuneCountInString(title)))
			p.section("BECOMES")
			p.prose(becomes(event))
		}
		p.event(event)
	}
	if len(e.Events) > 1 {
		fmt.Fprintf(w, "\n%s\n", strings.Repeat("─", ruleWidth))
	}
	p.answer(s, e)
}

// result says it all in one sentence.
func result(e webhook.Explanation) string {
	switch {
	case e.Ping:
		return "ignored: it is the sender's ping, by which it tries the address."
	case e.Refused != "":
		return fmt.Sprintf("refused with %d: %s.", e.Status, plainly(e.Refused).why)
	case len(e.Events) == 1:
		return becomes(e.Events[0])
	}
	var parts []string
	for _, answer := range []deactivation.Answer{deactivation.Accepted, deactivation.Unmappable, deactivation.Ignored} {
		n := 0
		for _, event := range e.Events {
			if event.Answer == answer {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, answer))
		}
	}
	return fmt.Sprintf("%s in one delivery: %s.", count(len(e.Events), "event"), strings.Join(parts, ", "))
}

func becomes(e webhook.ExplainedEvent) string {
	by := fmt.Sprintf("the rule \"%s\"", e.Rule)
	switch {
	case e.Answer == deactivation.Accepted:
		return fmt.Sprintf("accepted: %s by %s.", count(len(e.Requests), "deactivation"), by)
	case e.Answer == deactivation.Ignored && e.TestMode:
		return "ignored: it comes from the sender's test mode. A deployment with TEST_EVENTS=accept would go on."
	case e.Answer == deactivation.Ignored && e.Rule == "":
		return "ignored: no rule matches."
	case e.Answer == deactivation.Ignored:
		return "ignored by " + by + "."
	case e.Rule == "":
		return "unmappable: " + e.Problem + ". A person must look at it."
	case e.Problem == "":
		return fmt.Sprintf("unmappable: %s wants a deactivation, but the event lacks %s. A person must look at it.", by, strings.Join(e.Missing, ", "))
	}
	return fmt.Sprintf("unmappable: %s matches, but %s. A person must look at it.", by, e.Problem)
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func (p *page) signature(s subject, e webhook.Explanation) {
	p.section("SIGNATURE")
	switch {
	case e.Ping:
		p.line("none, and none is needed for a ping")
		return
	case e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnsupportedMediaType:
		p.line("not looked at: the delivery is refused before")
		return
	case e.Status == http.StatusNotFound:
		p.line("not checked: there is no secret for %q, so nothing of it is believed", s.source.Name)
	case e.Status == http.StatusServiceUnavailable:
		p.line("not checked: the secret for %q cannot be used; see licensectl sources check --secrets", s.source.Name)
	case !e.Believed:
		p.line("REFUSED")
		verdict := plainly(e.Refused)
		p.prose(verdict.why + ".")
		p.prose("Scheme: " + strings.Join(s.source.Schemes(), "; or "))
		p.prose(verdict.hint)
		return
	case !e.Checked:
		p.line("not checked")
	default:
		p.line("valid")
	}
	if s.signature != "" {
		p.prose(s.signature)
	}
	p.prose("Scheme: " + e.Scheme)
}

// refusal is why a delivery goes no further, in plain words, and what to look at.
type refusal struct{ about, why, hint string }

// plainly finds the words for an error of pkg/signing; every other is plain already.
func plainly(why string) refusal {
	for _, r := range []refusal{
		{"signing: missing", "the signature is missing, or a header that it covers", "Give the sender's headers with --header, and the address with its query with --url."},
		{"signing: malformed", "the signature is not in the sender's form", "Give the headers as the sender sent them."},
		{"signing: stale", "the signature is genuine, but too old", "Of a delivery that was saved, say when it came with --at."},
		{"signing: in the future", "the signature is genuine, but made at a later time", "A clock is wrong, or --at is."},
		{"signing: signature does not match", "the signature does not match", "Another secret, another address (--url), or a body that is not byte for byte the sender's."},
	} {
		if strings.HasPrefix(why, r.about) {
			return r
		}
	}
	return refusal{why: why}
}

func (p *page) event(e webhook.ExplainedEvent) {
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
	}
	if len(e.Lookup) > 0 {
		p.section("ORDER")
		p.line("can be found by")
		p.table(factRows(e.Lookup))
	}
	switch {
	case len(e.Requests) > 0:
		p.requests(e)
	case e.Answer == deactivation.Unmappable:
		p.section("DEAD LETTER")
		var why []string
		if len(e.Missing) > 0 {
			why = append(why, "missing "+strings.Join(e.Missing, ", "))
		}
		if e.Problem != "" {
			why = append(why, e.Problem)
		}
		p.prose("reason unmappable, detail \"" + strings.Join(why, "; ") + "\"")
		p.prose("The whole event waits in the dead-letter queue until a person mends the order or the sender's file.")
	}
}

func factRows(facts []webhook.Fact) []row {
	rows := make([]row, len(facts))
	for i, f := range facts {
		rows[i] = row{f.Name, f.Text, "from " + f.From}
	}
	return rows
}

func (p *page) rules(e webhook.ExplainedEvent) {
	p.section("RULES")
	if len(e.Rules) > 0 && e.Rules[0].Verdict == "" {
		p.line("not looked at")
		return
	}
	width := 0
	for _, r := range e.Rules {
		if n := utf8.RuneCountInString(r.Name); r.Verdict != "" && n <= columnWidth {
			width = max(width, n)
		}
	}
	rest := 0
	for i, r := range e.Rules {
		if r.Verdict == "" {
			rest++
			continue
		}
		p.line("%d. %-*s  %s", i+1, width, r.Name, verdict(r))
		if r.Verdict == webhook.Decides && len(r.Types) > 0 {
			p.line("   type is %s   holds", strings.Join(r.Types, " or "))
		}
		p.tests(r.Tests, "   ")
	}
	if rest > 0 {
		p.line("The first that matches decides, so %s not looked at.", map[bool]string{true: "1 more is", false: fmt.Sprintf("%d more are", rest)}[rest == 1])
	}
}

func verdict(r webhook.ExplainedRule) string {
	switch r.Verdict {
	case webhook.Off:
		return "off: it is switched off in the sender's file"
	case webhook.OtherType:
		return "no: it is for " + strings.Join(r.Types, " or ")
	case webhook.DoesNot:
		return "no: its condition does not hold"
	case webhook.Fails:
		return "FAILS: its condition is neither true nor false"
	case webhook.NoSuchLine:
		return "no: no line with a license of its own was refunded in full"
	}
	if r.Ignore {
		return "YES: ignore the event"
	}
	return "YES: deactivate, cause " + r.Cause
}

// tests prints conditions with the values that decided them.
func (p *page) tests(tests []webhook.Test, indent string) {
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

func (p *page) licenses(e webhook.ExplainedEvent) {
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

// lookedFor lists where the missing fields were looked for.
func lookedFor(e webhook.ExplainedEvent) []row {
	var rows []row
	for _, field := range e.Missing {
		for i, place := range e.Places[field] {
			if i == 0 {
				rows = append(rows, row{field, "as " + place})
			} else {
				rows = append(rows, row{"", "as " + place})
			}
		}
	}
	return rows
}

func origin(from []webhook.Origin) string {
	var words []string
	for _, o := range from {
		word := o.Place
		if o.Line > 0 {
			word = fmt.Sprintf("line %d: %s", o.Line, o.Place)
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

func (p *page) requests(e webhook.ExplainedEvent) {
	p.section("REQUESTS")
	for _, r := range e.Requests {
		name := r.LicenseKey
		if name == "" {
			name = r.Username
		}
		p.line("%s", r.ID)
		p.line("  deactivate %s of %s on device %s, cause %s", deactivation.Shorten(name), r.Product, deactivation.Shorten(r.HardwareID), r.Cause)
	}
}

func (p *page) answer(s subject, e webhook.Explanation) {
	p.section("ANSWER")
	p.line("%d %s: %s", e.Status, http.StatusText(e.Status), meaning(e.Status))
	body := []rune(e.Body)
	if strings.HasPrefix(e.Body, "<") {
		_, ack, _ := strings.Cut(e.Body, "<Ack>")
		ack, _, _ = strings.Cut(ack, "</Ack>")
		body = []rune("<Ack>" + ack + "</Ack> in the SOAP envelope that " + s.source.Name + " reads")
	}
	if len(body) > shownBodyRunes {
		body = append(body[:shownBodyRunes], '…')
	}
	p.line("%s", string(body))
}

// meaning says what the sender makes of a status.
func meaning(status int) string {
	switch {
	case status < http.StatusMultipleChoices:
		return "the sender counts it as delivered"
	case status == http.StatusServiceUnavailable:
		return "the sender sends it again later"
	}
	return "the sender counts it as failed; nothing is kept of it"
}
