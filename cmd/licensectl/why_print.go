package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// shownTimelines is how many requests are printed in full; of a bulk run those that need a person come first in --json.
const shownTimelines = 20

// stepIndent is where the second line of a step begins, in a terminal that is too narrow for one.
const stepIndent = 6

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// printAnswer prints the timelines, then how many requests had which outcome, then what the answer cost.
func printAnswer(w io.Writer, name string, a history.Answer) {
	if a.Found {
		fmt.Fprintf(w, "%s\n", strings.ToUpper(name[:1])+name[1:])
	}
	shown := a.Requests
	if len(shown) > shownTimelines {
		shown = nil
		for _, r := range a.Requests {
			if needsPerson(r) && len(shown) < shownTimelines {
				shown = append(shown, r)
			}
		}
	}
	for _, r := range shown {
		printTimeline(w, r)
	}
	if hidden := len(a.Requests) - len(shown); hidden > 0 {
		fmt.Fprintln(w, "\n"+fold(w, count(hidden, "request")+" more; --json has all, --id shows one.", 0))
	}
	printSummary(w, a)
}

// needsPerson reports whether somebody has to look at a request.
func needsPerson(r history.Request) bool {
	switch deactivation.Outcome(r.Outcome) {
	case deactivation.Deactivated, deactivation.AlreadyInactive, history.OutcomePurged, history.OutcomeRedriven, deactivation.AuditEnabled:
		return false
	}
	return true
}

func printTimeline(w io.Writer, r history.Request) {
	outcome := r.Outcome
	if r.Reason != "" && r.Reason != r.Outcome {
		outcome += ", " + r.Reason
	}
	if r.Code != "" {
		outcome += ", " + r.Code
	}
	fmt.Fprintln(w, "\n"+fold(w, r.ID+": "+outcome, stepIndent))
	var about []string
	for _, part := range []struct{ what, text string }{
		{"license", r.License}, {"user", r.User}, {"product", r.Product}, {"device", r.Device}, {"order", r.Order}, {"cause", r.Cause}, {"run", r.Run},
	} {
		if part.text != "" {
			about = append(about, part.what+" "+part.text)
		}
	}
	if len(about) > 0 {
		fmt.Fprintln(w, fold(w, "  "+strings.Join(about, ", "), stepIndent))
	}
	for _, s := range r.Steps {
		by := ""
		if s.By != "" && !strings.Contains(s.Text, s.By) {
			by = " (by " + s.By + ")"
		}
		fmt.Fprintln(w, fold(w, fmt.Sprintf("  %s  %-9s  %s%s", s.At.UTC().Format(time.DateTime), s.Step, s.Text, by), stepIndent))
	}
}

// printSummary prints the number of requests by outcome, and what was scanned.
func printSummary(w io.Writer, a history.Answer) {
	var parts []string
	for _, outcome := range a.Outcomes() {
		parts = append(parts, fmt.Sprintf("%d %s", a.Counts[outcome], outcome))
	}
	if len(parts) > 0 {
		fmt.Fprintln(w, "\n"+fold(w, fmt.Sprintf("%s: %s. Times are UTC.", count(len(a.Requests), "request"), strings.Join(parts, ", ")), 0))
	}
	if len(a.Scan.Groups) == 0 {
		return
	}
	scanned := fmt.Sprintf("Scanned %s of %s in %.1f s, %s USD.", size(a.Scan.Bytes), count(len(a.Scan.Groups), "log group"), a.Scan.Seconds, dollars(a.Scan.Dollars))
	fmt.Fprintln(w, fold(w, scanned, 0))
}

// size is a number of bytes for a person.
func size(bytes int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if bytes >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(unit.size), unit.name)
		}
	}
	return count(int(bytes), "byte")
}

// dollars is an amount, with the digits that matter.
func dollars(amount float64) string {
	if amount > 0 && amount < 0.0001 {
		return "less than 0.0001"
	}
	return fmt.Sprintf("about %.4f", amount)
}

// followed is one object of --follow --json.
type followed struct {
	At       time.Time `json:"at"`
	ID       string    `json:"id"`
	Outcome  string    `json:"outcome"`
	Code     string    `json:"code"`
	Attempts int       `json:"attempts"`
	Reason   string    `json:"reason,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	License  string    `json:"license,omitempty"`
}

// printOutcome prints a line of --follow, if the log line is about an outcome.
func (o *whyOptions) printOutcome(w io.Writer, l history.Line) error {
	outcome := l.Outcome
	switch l.Text {
	case deactivation.LogMessage:
	case deactivation.LogDeadLetter:
		outcome = string(deactivation.Rejected)
	default: // a delivery, or what a command does
		return nil
	}
	if o.asJSON {
		return writeJSON(w, followed{l.Time, l.ID, outcome, l.Code, l.Attempts, l.Reason, l.Detail, l.License})
	}
	why := strings.Join(nonEmpty(l.License, l.Code, l.Reason, l.Detail), ", ")
	_, err := fmt.Fprintln(w, fold(w, fmt.Sprintf("%s  %-16s  %s  %s", l.Time.UTC().Format(time.TimeOnly), outcome, l.ID, why), stepIndent))
	return err
}

func nonEmpty(texts ...string) []string {
	var kept []string
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// shortKey is the end of a key that a person has given.
func shortKey(key string) string { return deactivation.Shorten(strings.TrimSpace(key)) }
