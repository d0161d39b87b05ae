package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"license-deactivator/internal/sample"
)

// obeyed is what a terminal obeys: a colour, a bell, a return to the line's start, a line of its own. hidden is what it
// does not show: the other direction of writing, and no width. A license field may hold what is hidden.
const (
	obeyed = "\x1b[2J\x07\r\nRESULT       accepted\u009b"
	hidden = "\u202e\u200b"
)

// spoil appends a text to one text of a value, the nth, and counts them.
func spoil(value any, with string, n int, seen *int) any {
	switch v := value.(type) {
	case string:
		if *seen++; *seen-1 == n {
			return v + with
		}
	case []any:
		for i := range v {
			v[i] = spoil(v[i], with, n, seen)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = spoil(v[key], with, n, seen)
		}
	}
	return value
}

func TestExplainPrintsNothingThatATerminalObeys(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stripe/full-refund", "paddle/refund", "standard/order-refunded"} {
		i := slices.IndexFunc(builtInSamples(t), func(s sample.Sample) bool { return s.Name() == name })
		if i < 0 {
			t.Fatalf("no sample %s", name)
		}
		sample := builtInSamples(t)[i]
		escaped := 0
		for n, texts := 0, 1; n < texts; n++ {
			for _, with := range []string{obeyed, hidden} {
				var body any
				if err := json.Unmarshal(sample.Body, &body); err != nil {
					t.Fatal(err)
				}
				texts = 0
				content, err := json.Marshal(spoil(body, with, n, &texts))
				if err != nil {
					t.Fatal(err)
				}
				args := []string{"-", "--source", sample.Source}
				for header, text := range sample.Headers {
					args = append(args, "--header", header+": "+text+hidden)
				}
				_, stdout, stderr := explained(t, string(content), args...)
				if strings.Count(stdout, "\nRESULT") != 1 {
					t.Errorf("%s: a value makes a line of its own:\n%s", name, stdout)
				}
				for _, r := range stdout + stderr {
					if r != '\n' && !unicode.IsPrint(r) {
						t.Fatalf("%s: U+%04X is printed:\n%q", name, r, stdout)
					}
				}
				escaped += strings.Count(stdout, "<U+")
			}
		}
		if escaped == 0 {
			t.Errorf("%s: no value is shown", name)
		}
	}
}

func TestExplainPrintsNothingOfAFilesNameThatATerminalObeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "a\x1b[2J\u202e.json")
	if err := os.WriteFile(name, []byte(`{"type":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{name, "--source", "standard"}, {filepath.Dir(name) + "/\x1b[2J"}, {dir + "/\x1b"}} {
		_, stdout, stderr := explained(t, "", args...)
		if strings.ContainsAny(stdout+stderr, "\x1b\u202e") || !strings.Contains(stdout+stderr, "<U+001B>") {
			t.Errorf("%q: %q", args, stdout+stderr)
		}
	}
}
