package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
)

// greet prints the addresses, the settings and the fixed secrets. page is the address of the console; "" without one.
func (o localOptions) greet(w io.Writer, page, address string, called apis, webhooks secrets.Webhooks) {
	if page != "" {
		fmt.Fprintf(w, "Console      %s\n", page)
	}
	fmt.Fprintf(w, "Webhook      %s/webhooks/{source}\n", address)
	fmt.Fprintf(w, "Invocation   %s/2015-03-31/functions/webhook/invocations\n", address)
	if o.licenseAPI != "" {
		fmt.Fprintf(w, "License API  %s (not a fake: licenses are really deactivated)\n", called.license)
	} else {
		fmt.Fprintf(w, "License API  %s (fake)\n", called.license)
	}
	fmt.Fprintf(w, "Look-up      %s\n", o.describeLookUp(called))
	fmt.Fprintf(w, "Rate         %v calls a second, %d calls in flight\n", o.callsPerSecond, o.callsInFlight)
	if o.mode == modeWatch {
		fmt.Fprintln(w, "Mode         watch: every event is decided, no license is deactivated")
	}
	if o.surgeLimit > 0 {
		fmt.Fprintf(w, "Brake        %s of a source in an hour\n", count(o.surgeLimit, "license"))
	}
	if o.secretsFile != "" {
		fmt.Fprintf(w, "Secrets      of %s, for %s\n", o.secretsFile, cmp.Or(strings.Join(webhooks.Sources(), ", "), "no sender: every delivery is answered 404"))
	} else {
		fmt.Fprintf(w, "Secrets      fixed ones, for trials only:\n")
		for _, name := range webhooks.Sources() {
			fmt.Fprintf(w, "             %-16s %s\n", name, strings.ReplaceAll(firstSecret(webhooks)(name), "\n", `\n`))
		}
	}
	if len(o.faults) > 0 {
		fmt.Fprintf(w, "Faults       %s\n", strings.Join(o.faults, ", "))
	}
	fmt.Fprintln(w)
}

// stillIntervals is the number of intervals without a change after which the progress is printed again.
const stillIntervals = 5

// progress prints at once that samples are sent, then once a second how many, until it is ended. With --json it prints
// nothing.
func (o localOptions) progress(out *printer, tried *sample.Run, samples int) (end func()) {
	if o.asJSON {
		return func() {}
	}
	fmt.Fprintf(out.stdout, "Sending %s …\n", count(samples, "sample"))
	done := make(chan struct{})
	var printing sync.WaitGroup
	printing.Go(func() {
		tick := time.NewTicker(cmp.Or(o.clock.progress, time.Second))
		defer tick.Stop()
		var last string
		for still := 0; ; still++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			sent, requests, final := tried.Progress()
			text := fmt.Sprintf("  %d of %s sent; %d of %s with a final outcome", sent, count(samples, "sample"), final, count(requests, "request"))
			if text != last || still >= stillIntervals {
				fmt.Fprintln(out.stdout, text)
				last, still = text, 0
			}
		}
	})
	return func() {
		close(done)
		printing.Wait()
		fmt.Fprintln(out.stdout)
	}
}

// printResults prints a table with a line for each sample, and each mismatch. It returns how many samples did not match
// their expected result. With --json it prints only the mismatches, to stderr.
func printResults(out *printer, results []sample.Result) (mismatched int) {
	for _, r := range results {
		if len(r.Mismatches) > 0 {
			mismatched++
		}
	}
	if !out.asJSON {
		printTable(out.stdout, results)
	}
	for _, r := range results {
		for _, mismatch := range r.Mismatches {
			fmt.Fprintf(out.people(), "WRONG  %s: %s\n", r.Sample.Name(), mismatch)
		}
	}
	if !out.asJSON {
		fmt.Fprintf(out.stdout, "\n%s, %d matched their expected result, %d did not.\n", count(len(results), "sample"), len(results)-mismatched, mismatched)
	}
	return mismatched
}

func printTable(w io.Writer, results []sample.Result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tSAMPLE\tANSWER\tRULE\tOUTCOME\tWHY")
	for _, r := range results {
		mark := "ok"
		if len(r.Mismatches) > 0 {
			mark = "WRONG"
		}
		fmt.Fprintf(table, "%s\t%s\t%d %s\t%s\t%s\t%s\n", mark, r.Sample.Name(), r.Status, r.Answer, orDash(r.Rule), outcomes(r), why(r))
	}
	_ = table.Flush() // checkedWriter keeps a write error
}

// outcomes lists the outcomes of a sample's requests, each once with its number: "2 deactivated".
func outcomes(r sample.Result) string {
	var order []string
	number := map[string]int{}
	for _, m := range r.Outcomes {
		name := cmp.Or(string(m.Outcome), "waiting")
		if number[name] == 0 {
			order = append(order, name)
		}
		number[name]++
	}
	var parts []string
	for _, name := range order {
		if n := number[name]; n > 1 {
			name = fmt.Sprintf("%d %s", n, name)
		}
		parts = append(parts, name)
	}
	return orDash(strings.Join(parts, ", "))
}

// why returns what an operator needs next: code, reason or rule.
func why(r sample.Result) string {
	if len(r.Outcomes) == 0 {
		switch {
		case r.Answer == deactivation.Unmappable:
			return "dead letter: " + r.Why
		case r.Answer == deactivation.Reversed:
			return "dead letter: " + string(deactivation.Reversed)
		case r.Answer == deactivation.Ignored && r.Rule == "":
			return "no rule matches"
		}
		return orDash(r.Why)
	}
	var parts []string
	lookedUp := false
	for _, m := range r.Outcomes {
		if text := explainMessage(m); text != "" && !strings.Contains(strings.Join(parts, "\n"), text) {
			parts = append(parts, text)
		}
		lookedUp = lookedUp || m.LookupShort != ""
	}
	text := orDash(strings.Join(parts, "; "))
	if lookedUp {
		text = cut(text, maxWhy)
	}
	return text
}

func orDash(text string) string { return cmp.Or(text, "-") }

// printer prints outcomes as they happen. With --json they are objects from the start, else lines for people, once the
// samples' table is printed.
type printer struct {
	mu             sync.Mutex
	stdout, stderr io.Writer
	asJSON         bool
	opened         bool
}

// people returns the writer of texts for people: with --json stderr, so that they are not between the objects.
func (p *printer) people() io.Writer {
	if p.asJSON {
		return p.stderr
	}
	return p.stdout
}

// open starts printing lines for people.
func (p *printer) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = true
}

// outcomeLine is one object of --json.
type outcomeLine struct {
	ID       string               `json:"id"`
	Source   string               `json:"source"`
	Outcome  deactivation.Outcome `json:"outcome"`
	Code     string               `json:"code"`
	Attempts int                  `json:"attempts"`
	Reason   deactivation.Reason  `json:"reason,omitempty"` // of a dead letter
	Cause    string               `json:"cause,omitempty"`
	Rule     string               `json:"rule,omitempty"`
	Detail   string               `json:"detail,omitempty"`
	RetryIn  float64              `json:"retry_in_s,omitempty"`
}

// outcome prints the outcome of one receive of a message.
func (p *printer) outcome(m telemetry.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.asJSON:
		line, err := json.Marshal(outcomeLine{
			ID: m.ID, Source: m.Source, Outcome: m.Outcome, Code: m.Code, Attempts: m.Attempts, Reason: m.Reason,
			Cause: m.Cause, Rule: m.Rule, Detail: m.Detail, RetryIn: m.RetryIn.Seconds(),
		})
		if err == nil {
			_, _ = p.stdout.Write(append(line, '\n'))
		}
	case p.opened:
		p.line(string(m.Outcome), m.ID, explainMessage(m))
	}
}

// delivery prints the answer to an event or to a direct invocation.
func (p *printer) delivery(d telemetry.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened && !p.asJSON { // with --json it is in the log lines
		p.line(string(d.Answer), strings.Trim(d.Source+" "+d.Event, " "), explainDelivery(d))
	}
}

// refused prints that the webhook function refused a payload as a whole. Its caller got the error, and no other code
// logs it.
func (p *printer) refused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asJSON {
		fmt.Fprintf(p.stderr, "licensectl: warning: invocation refused: %v\n", err)
		return
	}
	p.line("refused", "invocation", err.Error())
}

// line prints a line for people. p.mu is held.
func (p *printer) line(what, name, why string) {
	if why != "" {
		why = "  (" + why + ")"
	}
	fmt.Fprintf(p.stdout, "%s  %-16s %s%s\n", time.Now().Format(time.TimeOnly), what, name, why)
}

// explainMessage says why a message has its outcome.
func explainMessage(m telemetry.Message) string {
	var parts []string
	if m.Code != "" && !(m.Outcome == deactivation.AlreadyInactive && m.LookupShort != "") { // the look-up's words say it
		parts = append(parts, m.Code)
	}
	if m.Reason != "" {
		parts = append(parts, "dead letter: "+string(m.Reason))
	}
	if m.Outcome == deactivation.Deferred {
		parts = append(parts, "again in "+m.RetryIn.Round(time.Second/10).String())
	}
	if m.Attempts > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", m.Attempts))
	}
	if m.LookupShort == "" {
		return strings.Join(parts, ", ")
	}
	return cut(strings.Join(append(parts, m.LookupShort), ", "), maxWhy)
}

// maxWhy is how many columns the words about a look-up have.
const maxWhy = 60

// cut shortens a text to so many characters, with … at its end.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// explainDelivery says why an event got its answer.
func explainDelivery(d telemetry.Delivery) string {
	var parts []string
	if d.Rule != "" {
		parts = append(parts, d.Rule)
	}
	if len(d.Missing) > 0 {
		parts = append(parts, "dead letter: missing "+strings.Join(d.Missing, ", "))
	}
	if d.Problem != "" {
		parts = append(parts, d.Problem)
	}
	if d.Answer == deactivation.Ignored && d.Rule == "" {
		parts = append(parts, "no rule matches")
	}
	if d.Answer == deactivation.Reversed {
		parts = append(parts, "dead letter: "+string(deactivation.Reversed))
	}
	return strings.Join(parts, "; ")
}
