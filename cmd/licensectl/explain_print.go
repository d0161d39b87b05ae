package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
)

// shownBodyRunes is how many characters of an answer are printed.
const shownBodyRunes = 400

func printExplanation(w io.Writer, s subject, e webhook.Explanation) {
	(&page{w: w}).explanation(s, e)
}

// explainedForPage is an explanation for the console's page.
func explainedForPage(s subject, e webhook.Explanation) console.Explanation {
	out := console.Explanation{Name: s.name, About: s.about}
	(&page{w: io.Discard, keep: &out.Sections}).explanation(s, e)
	return out
}

func (p *page) explanation(s subject, e webhook.Explanation) {
	p.outside(s.name)
	if s.about != "" {
		for _, line := range wrap(s.about, pageWidth(p.w)) {
			p.outside(line)
		}
	}
	p.section("RESULT")
	p.prose(result(e))
	p.signature(s, e)
	for i, event := range e.Events {
		if len(e.Events) > 1 {
			title := fmt.Sprintf("── Event %d of %d ", i+1, len(e.Events))
			fmt.Fprintf(p.w, "\n%s%s\n", title, strings.Repeat("─", pageWidth(p.w)-utf8.RuneCountInString(title)))
			p.section("BECOMES")
			p.prose(becomes(event))
		}
		p.event(event, s.body())
		if s.lookUpHelps(i, event) {
			p.prose("Hint: with the look-up on (LOOK_UP=on) it is no dead letter but is looked up; licensectl explain --look-up shows by what.")
		}
	}
	if len(e.Events) > 1 {
		fmt.Fprintf(p.w, "\n%s\n", strings.Repeat("─", pageWidth(p.w)))
	}
	p.answer(s, e)
}

// result is the summary in one sentence.
func result(e webhook.Explanation) string {
	switch {
	case e.Ping:
		return "ignored: it is the ping with which the sender tests the address."
	case e.Refused != "":
		return fmt.Sprintf("refused with %d: %s.", e.Status, describeRefusal(e.Refused).why)
	case len(e.Events) == 1:
		return becomes(e.Events[0])
	}
	var parts []string
	for _, answer := range []deactivation.Answer{deactivation.Accepted, deactivation.Unmappable, deactivation.Stale, deactivation.Reversed, deactivation.Ignored} {
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

func becomes(e source.ExplainedEvent) string {
	by := fmt.Sprintf("the rule \"%s\"", e.Rule)
	switch {
	case e.Answer == deactivation.Accepted:
		return fmt.Sprintf("accepted: %s by %s.", asksFor(e), by)
	case e.Answer == deactivation.Stale:
		return fmt.Sprintf("stale: %s asks for %s, but %s. An operator must review it.", by, asksFor(e), e.Problem)
	case e.Answer == deactivation.Ignored && e.TestMode:
		return "ignored: it comes from the sender's test mode. A deployment with TEST_EVENTS=accept treats it as a real event."
	case e.Answer == deactivation.Ignored && e.Rule == "":
		return "ignored: no rule matches."
	case e.Answer == deactivation.Ignored && e.Problem != "":
		return fmt.Sprintf("ignored: %s matches, but %s.", by, e.Problem)
	case e.Answer == deactivation.Ignored:
		return "ignored by " + by + "."
	case e.Answer == deactivation.Reversed:
		return "reversed: " + by + " says that it takes an earlier event back. An operator must review it."
	case e.Rule == "":
		return "unmappable: " + e.Problem + ". An operator must review it."
	case e.Code == deactivation.CodeReview:
		return fmt.Sprintf("unmappable: %s keeps it %s. An operator must review it.", by, e.Problem)
	case e.Problem == "":
		return fmt.Sprintf("unmappable: %s needs a deactivation, but the event lacks %s. An operator must review it.", by, strings.Join(e.Missing, ", "))
	}
	return fmt.Sprintf("unmappable: %s matches, but %s. An operator must review it.", by, e.Problem)
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
		p.line("not checked: the delivery is refused before")
		return
	case e.Status == http.StatusNotFound:
		p.line("not checked: there is no secret for %q, so the delivery is not accepted", s.source.Name)
	case e.Status == http.StatusServiceUnavailable:
		p.line("not checked: the secret for %q cannot be used; see licensectl sources check --secrets", s.source.Name)
	case !e.Verified:
		p.line("REFUSED")
		verdict := describeRefusal(e.Refused)
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

// refusal is why a delivery is refused, for a person, and what to check.
type refusal struct{ about, why, hint string }

// describeRefusal returns the refusal for an error of pkg/signing. Any other error describes itself.
func describeRefusal(why string) refusal {
	for _, r := range []refusal{
		{"signing: missing", "the signature is missing, or a header that it covers", "Give the sender's headers with --header, and the address with its query with --url."},
		{"signing: malformed", "the signature is not in the sender's form", "Give the headers as the sender sent them."},
		{"signing: stale", "the signature is genuine, but too old", "For a stored delivery, give the time of its arrival with --at."},
		{"signing: in the future", "the signature is genuine, but its time is in the future", "A clock or --at is wrong."},
		{"signing: signature does not match", "the signature does not match", "Another secret, another address (--url), or a body that is not byte for byte the sender's."},
	} {
		if detail, ok := strings.CutPrefix(why, r.about); ok {
			if detail, ok = strings.CutPrefix(detail, ": "); ok {
				r.why += " (" + detail + ")"
			}
			return r
		}
	}
	return refusal{why: why}
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

// meaning says how the sender treats a status.
func meaning(status int) string {
	switch {
	case status < http.StatusMultipleChoices:
		return "the sender counts it as delivered"
	case status == http.StatusServiceUnavailable:
		return "the sender retries it later"
	}
	return "the sender counts it as failed; nothing of it is stored"
}
