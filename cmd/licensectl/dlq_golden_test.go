package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The golden files of dlq hold what each command prints: without a terminal both streams, on a terminal what it shows.
// Generate them with: go test ./cmd/licensectl -run Golden -update
const dlqGolden = "testdata/dlq"

// dlqScenario is one command on a full dead-letter queue.
type dlqScenario struct {
	name  string
	args  string // separated by blanks
	typed string // on the terminal, after the prompt; the file without a terminal has no prompt
	empty bool   // the dead-letter queue is empty
	watch bool   // the stack is in watch mode
}

func dlqScenarios() []dlqScenario {
	return []dlqScenario{
		{name: "list", args: "list"},
		{name: "list-ids", args: "list --ids --reason held,rejected"},
		{name: "list-json", args: "list --json --reason held,rejected"},
		{name: "list-empty", args: "list", empty: true},
		{name: "list-none", args: "list --source shopify"},
		{name: "show-request", args: "show stripe.partial.0"},
		{name: "show-moved", args: "show stripe.moved.0"},
		{name: "show-event", args: "show " + noHardwareID},
		{name: "show-reversed", args: "show stripe.evt_2ZKPBx1Vd2AiuKf5DqYZYkgv"},
		{name: "show-json", args: "show stripe.held.0 " + noHardwareID + " --json"},
		{name: "show-none", args: "show stripe.nothing.0"},
		{name: "redrive-all", args: "redrive"},
		{name: "redrive-json", args: "redrive --reason held,reversed --json"},
		{name: "redrive-held", args: "redrive --reason held --comment ticket-4711", typed: "2"},
		{name: "redrive-held-typed-wrong", args: "redrive --reason held --comment ticket-4711", typed: "3"},
		{name: "redrive-yes", args: "redrive --reason held --comment ticket-4711 --yes --expect 2"},
		{name: "redrive-yes-json", args: "redrive --reason held --comment ticket-4711 --yes --expect 2 --json"},
		{name: "redrive-wrong-count", args: "redrive --reason held --comment ticket-4711 --yes --expect 20"},
		{name: "redrive-watch", args: "redrive --reason watched --stack shop", watch: true},
		{name: "redrive-old", args: "redrive --reason stale --max 1"},
		{name: "redrive-remap", args: "redrive --reason unmappable --remap"},
		{name: "redrive-set", args: "redrive --id " + noHardwareID + " --set hardware_id=AB-12345678"},
		{name: "redrive-none", args: "redrive --source shopify"},
		{name: "purge-reversed", args: "purge --reason reversed"},
		{name: "purge-yes", args: "purge --reason reversed --comment ticket-4711 --yes --expect 1"},
		{name: "export", args: "export --reason crashed"},
		{name: "no-target", args: "list --queue-url https://sqs.example/1/jobs"},
		{name: "no-such-reason", args: "list --reason hold"},
		{name: "no-such-stack", args: "list --stack nowhere"},
	}
}

func TestGoldenOutputOfDLQ(t *testing.T) {
	t.Parallel()
	for _, s := range dlqScenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			t.Run("no terminal", func(t *testing.T) {
				t.Parallel()
				q := s.queues(t)
				var out, errs bytes.Buffer
				code := fast().run(t.Context(), s.command(q), strings.NewReader(""), &out, &errs)
				golden(t, s.name+".txt", fmt.Sprintf("$ licensectl dlq %s\n%s-- stderr\n%s-- exit code %d\n", s.args, q.fixed(out.String()), q.fixed(errs.String()), code))
			})
			t.Run("terminal", func(t *testing.T) {
				t.Parallel()
				q := s.queues(t)
				code, shown := onTerminal(t, s.typed, s.command(q)...)
				golden(t, s.name+".terminal.txt", fmt.Sprintf("$ licensectl dlq %s\n%s-- exit code %d\n", s.args, q.fixed(shown), code))
			})
		})
	}
}

// TestGoldenHelpOfDLQ: the help of each command.
func TestGoldenHelpOfDLQ(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "list", "show", "redrive", "purge", "export"} {
		code, stdout, stderr := command(t, strings.Fields("dlq "+name+" --help")...)
		if code != exitDone || stderr != "" {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
		golden(t, strings.TrimSuffix("help-"+name, "-")+".txt", stdout)
	}
}

func (s dlqScenario) queues(t *testing.T) *deadQueues {
	t.Helper()
	q := newDeadQueues(t)
	if !s.empty {
		q.fill(t)
	}
	if s.watch {
		q.aws.stacks["shop"]["Mode"] = "watch"
	}
	return q
}

func (s dlqScenario) command(q *deadQueues) []string {
	return append(append([]string{"dlq"}, strings.Fields(s.args)...), "--endpoint-url", q.endpoint)
}

// fixed replaces what differs in every run.
func (q *deadQueues) fixed(text string) string {
	text = strings.ReplaceAll(text, q.endpoint, "http://127.0.0.1:8080")
	for _, one := range []struct{ pattern, with string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`, "MESSAGE-ID"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`, "TIME"},
		{`"SentTimestamp":"\d+"`, `"SentTimestamp":"MILLISECONDS"`},
		{`Plan [0-9a-f]{12}`, "Plan HASH"},
		{`hash [0-9a-f]{12}`, "hash HASH"},
		{`"plan":"[0-9a-f]{12}"`, `"plan":"HASH"`},
		{`"actor":"[^"]*"`, `"actor":"ACTOR"`},
		{`\b\d\ds `, "0s  "}, // the age of a letter without attributes, in a column of three
		{`\b\ds `, "0s "},
		{`\b\d+s\n`, "0s\n"},
	} {
		text = regexp.MustCompile(one.pattern).ReplaceAllString(text, one.with)
	}
	return text
}

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(dlqGolden, name)
	if *update {
		if err := os.MkdirAll(dlqGolden, 0o755); err != nil { //nolint:gosec // a folder of the repository
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
	noCanary(t, strings.ReplaceAll(got, exportedKeys, ""))
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); it is now\n%s", path, err, got)
	}
}

// exportedKeys is what an export alone prints: the message.
const exportedKeys = `\"product\":\"XY\",\"license_key\":\"CANARY-KEY-0000-1234\",\"hardware_id\":\"CANARY-HARDWARE-5678\"`

// TestTheExamplesOfDLQRun runs each example of each help on a full dead-letter queue, with the stack of the example.
func TestTheExamplesOfDLQRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "my-sources"), checkout()["sources"]); err != nil {
		t.Fatal(err)
	}
	ran := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | licensectl explain -") // TestAnExportIsWhatExplainReads
			q := newDeadQueues(t).fill(t)
			q.aws.stacks["license-deactivator"] = outputsOf("shop")
			var args []string
			for _, match := range shellWords.FindAllStringSubmatch(strings.TrimPrefix(line, "licensectl "), -1) {
				word := match[1] + match[2] + match[3]
				word = strings.ReplaceAll(word, "stripe.evt_3Nx.0", "stripe.held.0")
				word = strings.ReplaceAll(word, "stripe.evt_3Nx", noHardwareID)
				for _, name := range []string{"my-sources", "letters.ndjson"} {
					if word == name {
						word = filepath.Join(dir, name)
					}
				}
				args = append(args, strings.ReplaceAll(word, "http://"+defaultAddress, q.endpoint))
			}
			if !strings.Contains(line, "--endpoint-url") {
				args = append(args, "--endpoint-url", q.endpoint)
			}
			want := exitDone
			if strings.Contains(line, "--expect 12") { // the queue of the test has two
				want = exitHeld
			}
			if code, stdout, stderr := command(t, args...); code != want {
				t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
			}
			ran++
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newDLQ(&files{}, clock{}))
	if ran < 12 {
		t.Errorf("%d examples were run", ran)
	}
}
