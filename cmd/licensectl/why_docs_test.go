package main

import (
	"bytes"
	"flag"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// changing are the parts of an answer that differ in every run: times, waits, and what was scanned in which time.
var changing = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}Z?|again in [0-9a-z.]+|in [0-9]+ ms|Scanned .* USD|was [0-9]+h([0-9]+m)? old`)

var writeWhy = flag.Bool("why.write", false, "write the answers into docs/why.md") //nolint:gochecknoglobals // a flag

// TestTheQuestionsOfThePageWhyHaveTheirAnswers runs each command of docs/why.md against what both handlers log in a day with
// every kind of answer and outcome, and compares what it prints with the page. -why.write writes the answers of today.
func TestTheQuestionsOfThePageWhyHaveTheirAnswers(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	d.run()
	server := httptest.NewServer(d.logs)
	t.Cleanup(server.Close)
	page, err := os.ReadFile("../../docs/why.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	blocks := strings.Split(string(page), "```console\n$ ")
	today := blocks[0]
	for _, block := range blocks[1:] {
		shown, rest, _ := strings.Cut(block, "\n```")
		command, want, _ := strings.Cut(shown, "\n")
		asked++
		var out bytes.Buffer
		args := append(words(command)[1:], "--endpoint-url", server.URL)
		code := fast().run(t.Context(), args, strings.NewReader(dayKey(4)), &out, &out)
		if code != exitDone {
			t.Errorf("%s: exit code %d", command, code)
		}
		got := strings.TrimSpace(out.String())
		today += "```console\n$ " + command + "\n" + got + "\n```" + rest
		if diff := cmp.Diff(changing.ReplaceAllString(want, "…"), changing.ReplaceAllString(got, "…")); diff != "" {
			t.Errorf("%s (-page +printed):\n%s\n%s", command, diff, got)
		}
	}
	if *writeWhy {
		if err := os.WriteFile("../../docs/why.md", []byte(today), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if asked < 10 {
		t.Errorf("%d questions, want ten", asked)
	}
	for _, query := range d.logs.Queries() {
		if strings.Contains(query, "CCCC") {
			t.Errorf("a key is in the query:\n%s", query)
		}
	}
}

// words splits a command at blanks outside of quotes.
func words(command string) (words []string) {
	for _, match := range shellWords.FindAllStringSubmatch(command, -1) {
		words = append(words, match[1]+match[2]+match[3])
	}
	return words
}
