package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// README.md and the pages of docs/ show commands in two kinds of fenced blocks:
//
//	sh        commands alone
//	console   commands behind "$ ", each followed by everything that it prints
//
// A block of a page may say what a command of an sh block prints:
//
//	text output   everything that the block before it prints
//	text local    lines that the page's `licensectl local` prints, among others
//
// A block with file=NAME in its info string is the content of that file in the reader's folder, from there on.

// TestCommandsOfThePagesPrintWhatThePagesShow runs every command of README.md and docs/ that needs no AWS, page by page,
// in a folder that holds a checkout's events/ and sources/, and the files of the page. It fails for a command that
// it cannot run, and lists those that it does not run, with the reason.
func TestCommandsOfThePagesPrintWhatThePagesShow(t *testing.T) { //nolint:paralleltest // a page's commands need its folder as working directory, which is the process's
	pages, ran := allPages(t), 0
	shared := startLocal(t) // what `licensectl local` without flags is on every page: it sends each sample once
	for _, p := range pages {
		s := newSession(t, p, shared)
		for _, b := range p.blocks {
			s.block(b)
		}
		for _, command := range inline(p.text) {
			s.inline(command)
		}
		ran += s.ran
	}
	t.Logf("%d commands of %d pages were run", ran, len(pages))
	if ran < 60 {
		t.Error("the test looked in the wrong place")
	}
}

// TestCommandsOfThePagesStandInTheirBlocks finds a command that the test above would not see.
func TestCommandsOfThePagesStandInTheirBlocks(t *testing.T) {
	t.Parallel()
	for _, p := range allPages(t) {
		for _, b := range p.blocks {
			for line := range strings.Lines(b.text) {
				prompt := strings.HasPrefix(line, "$ ")
				switch {
				case b.info == "console":
				case prompt:
					t.Errorf("%s: %s in a block %q: give what a command prints in a block console", p.file, strings.TrimSpace(line), b.info)
				case b.info != "sh" && !strings.HasPrefix(b.info, "text ") && commandLike.MatchString(line):
					t.Errorf("%s: %s in a block %q: put commands into a block sh", p.file, strings.TrimSpace(line), b.info)
				}
			}
		}
	}
}

var commandLike = regexp.MustCompile(`^\s*(aws|sam|go|make|licensectl|curl|jq|openssl|cp|rm|mkdir|git|npm|pip) [a-z./-]`)

// block runs a block's commands, or compares what it shows.
func (s *session) block(b docBlock) {
	s.t.Helper()
	if b.file != "" {
		s.write(b.file, b.text)
	}
	switch b.info {
	case "console":
		for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
			lines := strings.SplitAfter(part, "\n")
			commands := joined(lines[0])
			for len(commands) == 0 && len(lines) > 1 { // it goes on in the next line
				lines = append([]string{lines[0] + lines[1]}, lines[2:]...)
				commands = joined(lines[0])
			}
			s.output = ""
			if s.run(commands[0]) {
				s.compare(commands[0], strings.Join(lines[1:], ""))
			}
		}
	case "sh":
		s.output = ""
		for _, command := range joined(b.text) {
			s.run(command)
		}
	case "text output":
		s.compare("the block before", b.text)
	case "text local":
		for line := range strings.Lines(b.text) {
			line = spaced(line)
			if !s.local().printed(func(text string) bool { return strings.Contains(spaced(text), line) }) {
				s.t.Errorf("%s: licensectl local does not print %s", s.page, line)
			}
		}
	}
}

func (s *session) write(name, text string) {
	s.t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o600)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", s.page, err)
	}
}

// inline runs a command of a code span, unless it stands for others: it has a placeholder, or names a file of the reader's.
func (s *session) inline(span string) {
	s.t.Helper()
	words := strings.Fields(span)
	for _, word := range words {
		_, err := os.Stat(word)
		if placeholder.MatchString(word) || fileLike.MatchString(word) && err != nil {
			s.skip(span, word+" stands for the reader's own")
			return
		}
	}
	cmd, rest, err := newRoot(clock{}).Find(words[1:])
	if err == nil && len(rest) == 0 && cmd.Parent().Name() != "sources" {
		return // the name of a command; those of sources alone are whole without an argument
	}
	s.run(span)
}

var (
	placeholder = regexp.MustCompile(`…|<|^-$|^[A-Z]+$`)
	fileLike    = regexp.MustCompile(`\.(json|req|csv)$`)
)

// compare compares what the commands since the block's beginning have printed with what the page shows.
func (s *session) compare(command, want string) {
	s.t.Helper()
	got := s.shown.Replace(s.output)
	if strings.HasPrefix(command, "licensectl dlq ") {
		got, want = varyingLetters.ReplaceAllString(got, "…"), varyingLetters.ReplaceAllString(want, "…")
	}
	if strings.HasPrefix(command, "licensectl why ") {
		got, want = changing.ReplaceAllString(got, "…"), changing.ReplaceAllString(want, "…")
		got, want = varyingSteps.ReplaceAllString(got, "…"), varyingSteps.ReplaceAllString(want, "…")
	}
	got, want = varying.ReplaceAllString(strings.TrimSpace(got), "…"), varying.ReplaceAllString(strings.TrimSpace(want), "…")
	if got != want {
		s.t.Errorf("%s: %s prints\n%s\nthe page shows\n%s", s.page, command, got, want)
	}
}

// varying are the parts of an output that differ in every run: a UUID, a date, an id made from the
// content, a bulk run.
var varying = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT|(?:ops\.|\b)[0-9a-f]{32}`)

// varyingLetters are the parts of an output of dlq that differ in every run: an audit line, a time, an age, a plan's hash.
var varyingLetters = regexp.MustCompile(`(?m)^\{"at":.*\}$|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC, [0-9]+[sm] ago|\b[0-9]+[sm] *(?:$|\b(?:released|unchanged|mapped|purged)$)|Plan [0-9a-f]{12}|was [0-9]+h(?:[0-9]+m)? old`)

// varyingSteps are those of an output of why, beside changing: the person of this machine.
var varyingSteps = regexp.MustCompile(`\(by [^ ()@]+@[^ ()@]+\)`)

// spaced is a line without the width of its columns and without the time of day at its beginning.
func spaced(text string) string {
	return strings.Join(strings.Fields(regexp.MustCompile(`(?m)^[0-9]{2}:[0-9]{2}:[0-9]{2} `).ReplaceAllString(text, "")), " ")
}

// joined are the commands of a block: a line each, but for one that ends in a backslash, has an open quote or is a loop.
// Lines of comments are dropped.
func joined(text string) []string {
	var commands []string
	command := ""
	for line := range strings.Lines(text) {
		command += strings.TrimRight(line, "\n")
		if rest, more := strings.CutSuffix(command, "\\"); more {
			command = rest
			continue
		}
		if strings.Contains(command, "while ") && !strings.HasSuffix(command, "done") || strings.Count(command, "'")%2 == 1 {
			command += "\n"
			continue
		}
		if command = strings.TrimSpace(command); command != "" && !strings.HasPrefix(command, "#") {
			commands = append(commands, command)
		}
		command = ""
	}
	return commands
}

// inline are the commands of licensectl in a page's code spans.
func inline(text string) []string {
	var prose strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			fenced = !fenced
		} else if !fenced {
			prose.WriteString(line)
		}
	}
	commands := map[string]bool{}
	for _, span := range code(prose.String()) {
		span = strings.Join(strings.Fields(strings.ReplaceAll(span, "go run ./cmd/licensectl", "licensectl")), " ")
		if strings.HasPrefix(span, "licensectl ") {
			commands[span] = true
		}
	}
	return slices.Sorted(maps.Keys(commands))
}

// allPages are README.md and the pages of docs/.
func allPages(t *testing.T) []docPage {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "senders/*.md"} {
		files, err := filepath.Glob(filepath.Join(docsFolder, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s in docs/: %v", pattern, err)
		}
		for _, file := range files {
			name, err := filepath.Rel(docsFolder, file)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(name))
		}
	}
	pages := []docPage{readPage(t, "../README.md")}
	for _, name := range names {
		pages = append(pages, readPage(t, name))
	}
	return pages
}

// enterFolder makes a page's folder the working directory: a checkout's events/ and sources/.
func enterFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, files := range checkout() {
		if err := os.CopyFS(name, files); err != nil {
			t.Fatal(err)
		}
	}
}
