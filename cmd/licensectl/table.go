package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"license-deactivator/internal/sample"
)

// printResults prints a line for each sample and returns how many did not match their expected result.
func printResults(w io.Writer, results []sample.Result) (wrong int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tSAMPLE\tANSWER\tRULE\tOUTCOME\tWHY")
	for _, r := range results {
		mark := "ok"
		if len(r.Mismatches) > 0 {
			mark = "WRONG"
			wrong++
		}
		fmt.Fprintf(table, "%s\t%s\t%d %s\t%s\t%s\t%s\n", mark, r.Sample.Name(), r.Status, r.Answer, orDash(r.Rule), outcomes(r), why(r))
	}
	_ = table.Flush()
	for _, r := range results {
		for _, mismatch := range r.Mismatches {
			fmt.Fprintf(w, "WRONG  %s: %s\n", r.Sample.Name(), mismatch)
		}
	}
	fmt.Fprintf(w, "\n%d samples, %d matched their expected result, %d did not.\n", len(results), len(results)-wrong, wrong)
	return wrong
}

// outcomes lists the outcomes of a sample's messages, each once with its number: "2 deactivated".
func outcomes(r sample.Result) string {
	var order []string
	count := map[string]int{}
	for _, m := range r.Outcomes {
		name := string(m.Outcome)
		if name == "" {
			name = "waiting"
		}
		if count[name] == 0 {
			order = append(order, name)
		}
		count[name]++
	}
	var parts []string
	for _, name := range order {
		if n := count[name]; n > 1 {
			name = fmt.Sprintf("%d %s", n, name)
		}
		parts = append(parts, name)
	}
	return orDash(strings.Join(parts, ", "))
}

// why says what an operator would want to know next.
func why(r sample.Result) string {
	if len(r.Outcomes) == 0 {
		switch {
		case r.Answer == "unmappable":
			return "dead letter: " + r.Why
		case r.Answer == "ignored" && r.Rule == "":
			return "no rule matches"
		}
		return orDash(r.Why)
	}
	var parts []string
	for _, m := range r.Outcomes {
		if text := explain(m); text != "" && !strings.Contains(strings.Join(parts, "\n"), text) {
			parts = append(parts, text)
		}
	}
	return orDash(strings.Join(parts, "; "))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
