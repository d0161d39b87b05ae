package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mentioned finds licensectl with what follows it. It ends where the shell would, at the end of a code span and at an
// ellipsis.
var mentioned = regexp.MustCompile("\\blicensectl((?: +[^\\s`#|>()…,;:]+)+)")

// TestDocumentsNameCommandsOfLicensectlThatExist reads every page, the template with the texts of its alarms, and the help
// of each command: a person who follows them must not meet an unknown command or flag.
func TestDocumentsNameCommandsOfLicensectlThatExist(t *testing.T) {
	t.Parallel()
	found := 0
	for name, text := range documents(t) {
		for _, command := range commandsIn(name, text) {
			found++
			if problem := misunderstood(command); problem != "" {
				t.Errorf("%s: licensectl %s: %s", name, command, problem)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d commands found: the search is wrong", found)
	}
}

// TestWhatIsNoCommandIsFound holds the search and the check to examples.
func TestWhatIsNoCommandIsFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"`licensectl explain FILE` takes it":                                        "explain FILE",
		"a\n\n    go run ./cmd/licensectl local --once \\\n      --fail storm  # b": "local --once --fail storm",
		"```sh\nlicensectl sources check | less\n```":                               "sources check",
		"`licensectl send --source X --case Y`, `licensectl frobnicate`":            "send --source X --case Y\nfrobnicate",
		"licensectl runs it, and `internal/local` is what licensectl shows":         "",
	} {
		if got := strings.Join(commandsIn("page.md", text), "\n"); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
	if got := commandsIn("template.yaml", "AlarmDescription: See licensectl dlq list."); len(got) != 1 || got[0] != "dlq list." {
		t.Errorf("in the text of an alarm: found %q", got)
	}
	for command, ok := range map[string]bool{
		"local": true, "sources check": true, "local --once --fail storm": true, "--help": true, "explain FILE": true,
		"dlq list": true, "dlq list.": false, "sources frobnicate": false, "local --frobnicate": false, "frobnicate": false,
	} {
		if problem := misunderstood(command); (problem == "") != ok {
			t.Errorf("licensectl %s: %q", command, problem)
		}
	}
}

// documents are the texts that name commands.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/senders/*.md", "template.yaml", "samconfig.toml", "sources/*.yaml"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s (%v)", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(content)
		}
	}
	for _, c := range newRoot(clock{}).Commands() {
		texts["licensectl "+c.Name()+" --help"] = c.Example
	}
	return texts
}

// commandsIn are what stands behind licensectl: in Markdown where it is code, elsewhere everywhere.
func commandsIn(name, text string) []string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	if strings.HasSuffix(name, ".md") {
		text = codeIn(text)
	}
	var commands []string
	for _, match := range mentioned.FindAllStringSubmatch(text, -1) {
		commands = append(commands, strings.Join(strings.Fields(match[1]), " "))
	}
	return commands
}

// codeIn is the code of a page: its blocks, fenced or indented by four, and its code spans, one a line.
func codeIn(text string) string {
	var blocks, prose strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		fence := strings.HasPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case fence:
			fenced = !fenced
		case fenced, strings.HasPrefix(line, "    "):
			blocks.WriteString(line)
		default:
			prose.WriteString(line)
		}
	}
	return blocks.String() + "\n" + strings.Join(code(prose.String()), "\n")
}

// misunderstood says why licensectl would not understand a command, or "".
func misunderstood(command string) string {
	cmd, rest, err := newRoot(clock{}).Find(strings.Fields(command))
	if err != nil {
		return err.Error()
	}
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "no such command below " + cmd.CommandPath()
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err.Error()
	}
	return ""
}
