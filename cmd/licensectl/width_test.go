package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// longWord is a text that no terminal can break at a blank: an id, an address, a command's flag.
func longWord(line string, columns int) bool {
	for word := range strings.FieldsSeq(line) {
		if utf8.RuneCountInString(word) > columns/2 {
			return true
		}
	}
	return false
}

// TestPagesFitATerminalOf60Columns: no line is longer, but for a word that is.
func TestPagesFitATerminalOf60Columns(t *testing.T) {
	t.Parallel()
	const columns = 60
	d := newDay(t)
	d.run()
	logs := httptest.NewServer(d.logs)
	t.Cleanup(logs.Close)
	for name, args := range map[string][]string{
		"list":          {"dlq", "list"},
		"list each":     {"dlq", "list", "--ids"},
		"show":          {"dlq", "show", "stripe.partial.0"},
		"show an event": {"dlq", "show", noHardwareID},
		"redrive":       {"dlq", "redrive"},
		"remap":         {"dlq", "redrive", "--id", noHardwareID, "--remap"},
		"why":           {"why", "1005", "--stack", "shop", "--endpoint-url", logs.URL},
		"why, held":     {"why", "1009", "--stack", "shop", "--endpoint-url", logs.URL},
		"explain":       {"explain", "stripe/full-refund"},
		"explain, many": {"explain", "paddle/refund", "fastspring/returns", "shopify/partial-refund"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "explain") {
				args = explainable(t, args)
			}
			if args[0] == "dlq" { // a queue of its own: a command hides the letters from the others for a moment
				args = append(args, "--endpoint-url", newDeadQueues(t).fill(t).endpoint)
			}
			code, shown := onTerminalOf(t, columns, "", args...)
			if code != exitDone || shown == "" {
				t.Fatalf("exit code %d\n%s", code, shown)
			}
			for line := range strings.Lines(shown) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "This is a preview") || strings.HasPrefix(line, "licensectl: ") { // stderr
					continue
				}
				if n := utf8.RuneCountInString(line); n > columns && !longWord(line, columns) {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if t.Failed() {
				t.Log(shown)
			}
		})
	}
}

// explainable are the arguments with the samples' files in place of their names, of those that there are.
func explainable(t *testing.T, args []string) []string {
	t.Helper()
	files := []string{args[0]}
	for _, s := range builtInSamples(t) {
		for _, name := range args[1:] {
			if s.Name() == name {
				files = append(files, "../../events/"+name+".json")
			}
		}
	}
	if len(files) == 1 {
		t.Fatalf("no sample of %v", args[1:])
	}
	return files
}

func TestALineIsFoldedAtItsBlanks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line   string
		indent int
		want   string
	}{
		{"short", 4, "short"},
		{strings.Repeat("x", 40), 4, strings.Repeat("x", 40)},
		{"  one two three four five six seven eight nine ten", 4, "  one two three four five six seven\n    eight nine ten"},
		{"a  b   " + strings.Repeat("y", 36), 2, "a  b  \n  " + strings.Repeat("y", 36)},
		{strings.Repeat("w", 50) + " end", 2, strings.Repeat("w", 50) + "\n  end"},
		{"größe größe größe größe größe größe größe", 2, "größe größe größe größe größe größe\n  größe"},
	} {
		if diff := cmp.Diff(c.want, fold(sized{nil, 40}, c.line, c.indent)); diff != "" {
			t.Error(diff)
		}
	}
	line := strings.Repeat("word ", 100)
	if got := fold(&bytes.Buffer{}, line, 2); got != line {
		t.Errorf("a file's line is folded: %s", got)
	}
}

// TestATableThatDoesNotFitIsPrintedAsBlocks: without the columns that are empty.
func TestATableThatDoesNotFitIsPrintedAsBlocks(t *testing.T) {
	t.Parallel()
	header := []string{"REASON", "CODE", "DETAIL"}
	rows := [][]string{{"held", "surge", "51 licenses in an hour, at most 50"}, {"stale", "-", "old"}}
	var wide, narrow bytes.Buffer
	printColumns(&wide, header, rows)
	if want := "REASON  CODE   DETAIL\nheld    surge  51 licenses in an hour, at most 50\nstale   -      old\n"; wide.String() != want {
		t.Errorf("wide: %s", &wide)
	}
	printColumns(sized{&narrow, 40}, header, rows)
	want := fmt.Sprintf("REASON  held\nCODE    surge\nDETAIL  51 licenses in an hour, at most\n%s50\n\nREASON  stale\nDETAIL  old\n", strings.Repeat(" ", 8))
	if diff := cmp.Diff(want, narrow.String()); diff != "" {
		t.Error(diff)
	}
}

// TestColumnsGivesTheWidthOfAnyOutput: also of a pipe, and before that of the terminal.
func TestColumnsGivesTheWidthOfAnyOutput(t *testing.T) { //nolint:paralleltest // COLUMNS is the process's
	_, terminal := openPTY(t)
	if got := outputWidth(terminal); os.Getenv("COLUMNS") == "" && got != 0 {
		t.Errorf("a terminal that does not say its width has %d columns", got)
	}
	for value, want := range map[string]int{"60": 60, "200": 200, "10": minWidth, "": 0, "0": 0, "x": 0, "-5": 0} {
		t.Setenv("COLUMNS", value)
		for _, w := range []io.Writer{&bytes.Buffer{}, terminal, &checkedWriter{to: terminal}} {
			if got := outputWidth(w); got != want {
				t.Errorf("COLUMNS=%s: %d columns, want %d", value, got, want)
			}
		}
		if got := pageWidth(terminal); want > ruleWidth && got != ruleWidth || want > 0 && want <= ruleWidth && got != want || want == 0 && got != ruleWidth {
			t.Errorf("COLUMNS=%s: a page of %d columns", value, got)
		}
	}
}
