package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
)

// previewEvent is the last event of a preview with --json.
type previewEvent struct {
	Event  string `json:"event"` // preview
	Count  int    `json:"count"` // what --expect wants
	Run    string `json:"run"`
	Target string `json:"target"`
	bulk.Summary
	RejectedFile   string  `json:"rejected_file,omitempty"`
	Sent           int     `json:"sent,omitempty"` // by earlier acts of the run
	Seconds        float64 `json:"seconds"`
	CallsPerMinute float64 `json:"calls_per_minute"`
	PlanPerMinute  int     `json:"plan_calls_per_minute,omitempty"`
}

// rejectedEvent is a rejected row.
type rejectedEvent struct {
	Event string `json:"event"` // rejected
	bulk.RejectedRow
}

// previewMargin is the width of the names of a preview's lines.
const previewMargin = len("Licenses  ")

// printPreview prints what would happen.
func (o *deactivateOptions) printPreview(cmd *cobra.Command, r *bulk.Run, job bulk.Job) {
	s := r.Plan.Summary
	sent, _ := r.Sent()
	rejectedFile := ""
	if s.Rejected > 0 {
		rejectedFile = job.Rejected
	}
	if o.asJSON {
		var events []any
		for _, row := range s.FirstRejected {
			events = append(events, rejectedEvent{"rejected", row})
		}
		events = append(events, previewEvent{
			Event: "preview", Count: s.Valid, Run: r.Plan.Header.Run, Target: r.Plan.Header.Target, Summary: s, RejectedFile: rejectedFile, Sent: sent,
			Seconds: o.pace.time(s.Valid).Seconds(), CallsPerMinute: 60 * o.pace.callsPerSecond, PlanPerMinute: o.pace.planCallsPerMinute,
		})
		_ = printObjects(cmd, events...) // the output keeps its first error
		return
	}
	w := cmd.OutOrStdout()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n"+strings.Repeat(" ", previewMargin), "\n\t"))
	}
	line("File", "%s", job.Name)
	line("Target", "%s", r.Plan.Header.Target)
	line("Run", "%s", r.Plan.Header.Run)
	line("Columns", "%s", columnsText(s, r.Plan.Header.Set))
	if len(s.Ignored) > 0 {
		line("Ignored", "%s", ignoredText(s.Ignored))
	}
	line("Rows", "%d: %d valid, %s, %d rejected", s.Rows, s.Valid, count(s.Duplicates, "duplicate"), s.Rejected)
	if sent > 0 {
		line("Sent", "%d of %d by earlier commands of this run", sent, s.Valid)
	}
	line("Licenses", "%s", licensesText(s))
	line("Devices", "%s", devicesText(s))
	line("Time", "%s at %s a second%s", roughly(o.pace.time(s.Valid)), callsText(o.pace.callsPerSecond), o.pace.from)
	line("Quota", "%s", o.pace.quota())
	_ = table.Flush() // likewise
	printRows(w, s)
	if s.Rejected > 0 {
		fmt.Fprintf(w, "\n%s rejected, all in %s\n", count(s.Rejected, "row"), job.Rejected)
		for _, row := range s.FirstRejected {
			fmt.Fprintf(w, "  line %d  %s: %s\n", row.Line, row.Code, row.Message)
		}
	}
	if s.Valid > o.max {
		fmt.Fprintf(w, "\n%d valid rows are more than --max %d: to act add --max %d\n", s.Valid, o.max, s.Valid)
	}
	fmt.Fprintln(w)
}

// rounded is a pace with at most two digits behind the point.
func rounded(pace float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", pace), "0"), ".")
}

// callsText is a number of calls: "1 call", "0.5 calls".
func callsText(pace float64) string {
	if pace == 1 {
		return "1 call"
	}
	return rounded(pace) + " calls"
}

// columnsText says which column is which field, and what --set adds.
func columnsText(s bulk.Summary, set []string) string {
	var texts []string
	for _, c := range s.Columns {
		if c.Name == c.Field {
			texts = append(texts, c.Field)
		} else {
			texts = append(texts, visible(c.Name)+" → "+c.Field)
		}
	}
	for _, name := range set {
		texts = append(texts, name+" (--set)")
	}
	if len(texts) == 0 {
		return "whole rows"
	}
	return wrappedList(texts, previewMargin)
}

func ignoredText(columns []string) string {
	var texts []string
	for _, name := range columns {
		texts = append(texts, visible(name))
	}
	return wrappedList(texts, previewMargin)
}

func licensesText(s bulk.Summary) string {
	text := numberText(s.Licenses)
	if len(s.Products) > 0 {
		var products []string
		for _, p := range s.Products {
			products = append(products, fmt.Sprintf("%s %d", visible(p.Product), p.Rows))
		}
		if s.OtherProducts > 0 {
			products = append(products, fmt.Sprintf("%d more", s.OtherProducts))
		}
		text += " of " + count(len(s.Products)+s.OtherProducts, "product") + " (rows: " + strings.Join(products, ", ") + ")"
	}
	if s.OrderOnly > 0 {
		text += fmt.Sprintf("; %s only an order, all of whose licenses are found", names(s.OrderOnly))
	}
	return text
}

func devicesText(s bulk.Summary) string {
	text := numberText(s.Devices)
	if s.EveryDevice > 0 {
		text += fmt.Sprintf("; %s no device: every device of their licenses", names(s.EveryDevice))
	}
	return text
}

func names(rows int) string {
	if rows == 1 {
		return "1 row names"
	}
	return fmt.Sprintf("%d rows name", rows)
}

func numberText(n bulk.Number) string {
	if n.About {
		return fmt.Sprintf("about %d", n.N)
	}
	return fmt.Sprint(n.N)
}

// printRows prints the first valid rows.
func printRows(w io.Writer, s bulk.Summary) {
	if len(s.First) == 0 {
		return
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LINE\tPRODUCT\tLICENSE\tDEVICE\tORDER\tCAUSE")
	for _, row := range s.First {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", row.Line, orDash(visible(row.Product)), orDash(visible(row.License)),
			orDash(visible(row.Device)), orDash(visible(row.Order)), row.Cause)
	}
	if more := s.Valid - len(s.First); more > 0 {
		fmt.Fprintf(table, "… %d more\n", more)
	}
	_ = table.Flush()
}
