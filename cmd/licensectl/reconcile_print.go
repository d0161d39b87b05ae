package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
)

// announce says what is read and how long it takes.
func (o *reconcileOptions) announce(cmd *cobra.Command, s survey) {
	if o.asJSON {
		return
	}
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "Columns   %s\n", columnsText(bulk.Summary{Columns: s.columns}, o.setNames()))
	compared := slices.DeleteFunc(slices.Clone(s.ignored), func(column string) bool { return !isAddressColumn(column) })
	ignored := slices.DeleteFunc(slices.Clone(s.ignored), isAddressColumn)
	if len(compared) > 0 {
		fmt.Fprintf(w, "Compared  %s, where an order is a short number\n", strings.Join(compared, ", "))
	}
	if len(ignored) > 0 {
		fmt.Fprintf(w, "Ignored   %s\n", ignoredText(ignored))
	}
	perMinute := o.spring.managementPerMinute
	takes := time.Duration(float64(s.todo*callsPerRow) / perMinute * float64(time.Minute))
	fmt.Fprintf(w, "Time      %s at %v calls a minute, %d a row\n\n", roughly(takes), rounded(perMinute), callsPerRow)
}

// Columns of the line of a row; the last one is what is left of the screen.
const (
	rowFormat  = "%-6v  %-9s  %-7v  %s\n"
	rowMargin  = 6 + 2 + 9 + 2 + 7 + 2
	rowReasons = 8 // where the reason below it begins
)

// printRow prints the result for one row. The header comes before the first.
func (o *reconcileOptions) printRow(cmd *cobra.Command, r checkedRow) {
	if o.asJSON {
		_ = printObjects(cmd, r) // the output keeps its first error
		return
	}
	o.progress.clear()
	w := cmd.OutOrStdout()
	if !o.headed {
		fmt.Fprintf(w, rowFormat, "LINE", "STATE", "DEVICES", "LOOKED UP BY")
		o.headed = true
	}
	devices := "-" // not read
	switch r.State {
	case stateActive, stateNoDevice, stateDisabled:
		devices = strconv.Itoa(r.Devices)
	}
	fmt.Fprintf(w, rowFormat, r.Line, r.State, devices, orDash(cut(visible(r.By), screenColumns-rowMargin)))
	if reason := strings.TrimPrefix(r.Code+": "+r.Reason, ": "); r.Reason != "" {
		fmt.Fprintf(w, "%*s%s\n", rowReasons, "", wrapped(visible(reason), rowReasons))
	}
}

// reconcileEnd is the last object of --json.
type reconcileEnd struct {
	Event   string         `json:"event"` // end
	Count   int            `json:"count"` // rows that were written to the file of the active devices
	Rows    int            `json:"rows"`
	Checked int            `json:"checked"`
	States  map[string]int `json:"states"`
	File    string         `json:"file,omitempty"`
	Stopped string         `json:"stopped,omitempty"`
}

// printSum sums the rows up. stopped is why the command ended before the last one.
func (o *reconcileOptions) printSum(cmd *cobra.Command, s reconciled, active *bulk.ActiveFile, stopped string) {
	file := ""
	if active.Rows() > 0 {
		file = o.out
	}
	if o.asJSON {
		_ = printObjects(cmd, reconcileEnd{"end", active.Rows(), s.rows, s.checked, s.states, file, stopped}) // likewise
		return
	}
	w := cmd.OutOrStdout()
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Checked\t%d of %s\n", s.checked, count(s.rows, "row"))
	for _, state := range rowStates() {
		if n := s.states[state]; n > 0 {
			fmt.Fprintf(table, "%s\t%d%s\n", state, n, meaningOf(state))
		}
	}
	_ = table.Flush() // likewise
	switch {
	case file != "":
		text := are(active.Rows(), "active device") + " in " + file
		if o.fromLine > 1 {
			text = count(active.Rows(), "active device") + " added to " + file
		}
		fmt.Fprintf(w, "\n%s. To see what deactivating them does:\n  licensectl deactivate %s\n", text, shellWord(file)+o.next())
	case stopped == "":
		fmt.Fprintln(w, "\nNo license of the file has an active device.")
	}
}

// meaningOf is a note beside a state.
func meaningOf(state string) string {
	switch state {
	case stateActive:
		return " (their devices can use the license)"
	case stateNoDevice:
		return " (enabled: it can be activated again)"
	case stateReview:
		return " (a person decides: licensectl resolve)"
	}
	return ""
}
