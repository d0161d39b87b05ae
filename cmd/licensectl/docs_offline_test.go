package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// varying are the parts of an output that differ in every run: a UUID, a date, an id made from the content.
var varying = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT|ops\.[0-9a-f]{32}`)

// TestTheOfflinePageShowsWhatTheCommandsPrint runs the commands of docs/offline.md in their order, against a licensectl
// local and a fake-api of the test's own.
func TestTheOfflinePageShowsWhatTheCommandsPrint(t *testing.T) {
	t.Parallel()
	page := readPage(t, "offline.md")
	dir := t.TempDir()
	secrets := page.fenced("json secrets")
	if len(secrets) != 1 {
		t.Fatalf("%d blocks of json secrets, want one", len(secrets))
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets.json"), []byte(secrets[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"http://" + defaultAddress:     start(t, "local", quick).address,
		"http://" + defaultFakeAddress: start(t, "fake-api").address,
	}
	ran := 0
	for _, block := range page.fenced("console") {
		for _, step := range strings.Split("\n"+block, "\n$ licensectl ")[1:] {
			line, want, _ := strings.Cut(step, "\n")
			_, stdout, stderr := command(t, argumentsIn(line, dir, places)...)
			got := strings.ReplaceAll(stdout+stderr, dir+string(filepath.Separator), "")
			for shown, real := range places {
				got = strings.ReplaceAll(got, real, shown)
			}
			got, want = varying.ReplaceAllString(got, "…"), varying.ReplaceAllString(want, "…")
			if unpadded(got) != unpadded(want) {
				t.Errorf("licensectl %s prints\n%s\nthe page shows\n%s", line, got, want)
			}
			ran++
		}
	}
	if ran < 6 {
		t.Errorf("%d commands were run: the test looked in the wrong place", ran)
	}
}

// argumentsIn reads a command line of the page. Its files are in dir, its addresses those of the test.
func argumentsIn(line, dir string, places map[string]string) []string {
	var args []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		for _, arg := range strings.Fields(part) {
			if strings.HasSuffix(arg, ".req") || strings.HasSuffix(arg, ".json") {
				arg = filepath.Join(dir, arg)
			}
			for shown, real := range places {
				arg = strings.Replace(arg, shown, real, 1)
			}
			args = append(args, arg)
		}
	}
	return args
}

// unpadded is a text without the columns' padding, which the length of the folder's name decides.
func unpadded(text string) string {
	return regexp.MustCompile(` {2,}`).ReplaceAllString(strings.TrimSpace(text), "  ")
}
