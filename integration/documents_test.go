package integration

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/telemetry"
	"license-deactivator/sources"
)

// documents are the texts that a person follows: the pages, and the template with the texts of its alarms.
func documents(t *testing.T) map[string]string {
	t.Helper()
	names := []string{"../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "../template.yaml", "../samconfig.toml"}
	err := filepath.WalkDir("../docs", func(name string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimPrefix(name, "../")] = string(content)
	}
	return texts
}

// awsCommands are the commands of the AWS CLI that a document may name, with the options that each may have. A tagged
// test compares them with AWS's own models (documents_aws_test.go).
func awsCommands() map[string][]string {
	return map[string][]string{
		"cloudformation describe-stacks":     {"stack-name"},
		"lambda invoke":                      {"function-name", "payload"},
		"lambda list-event-source-mappings":  {"function-name"},
		"lambda update-event-source-mapping": {"uuid", "enabled", "no-enabled"},
		"cloudwatch describe-alarms":         {"alarm-name-prefix", "state-value"},
		"lambda get-account-settings":        {},
		"logs tail":                          {"since", "filter-pattern", "follow"},
		"logs create-export-task":            {"log-group-name", "from", "to", "destination"},
		"logs describe-export-tasks":         {},
		"lambda put-function-concurrency":    {"function-name", "reserved-concurrent-executions"},
		"lambda delete-function-concurrency": {"function-name"},
		"secretsmanager get-secret-value":    {"secret-id"},
		"secretsmanager put-secret-value":    {"secret-id", "secret-string"},
		"sqs receive-message":                {"queue-url", "max-number-of-messages", "visibility-timeout", "wait-time-seconds", "message-attribute-names"},
		"sqs send-message":                   {"queue-url", "message-body"},
		"sqs delete-message":                 {"queue-url", "receipt-handle"},
		"sqs get-queue-attributes":           {"queue-url", "attribute-names"},
		"sqs delete-queue":                   {"queue-url"},
		"sqs start-message-move-task":        {"source-arn", "destination-arn", "max-number-of-messages-per-second"},
		"sqs list-message-move-tasks":        {"source-arn"},
	}
}

// ofTheCLI reports whether a command is the AWS CLI's own, and no operation of a service: `aws logs tail`.
// https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html
func ofTheCLI(command string) bool { return command == "logs tail" }

// awsGlobalOptions are those that every command has.
func awsGlobalOptions() []string {
	return []string{"query", "output", "region", "endpoint-url", "no-sign-request", "cli-binary-format"}
}

// awsCommand is one command of the AWS CLI in a document.
type awsCommand struct {
	name    string // "sqs send-message"
	options []string
}

var (
	awsCall   = regexp.MustCompile(`\baws ([a-z0-9]+ [a-z0-9-]+)((?:<[A-Za-z]+>|[^\n` + "`" + `|>#)&])*)`)
	awsOption = regexp.MustCompile(`(?:^|\s)--([a-z0-9-]+)`)
)

func awsCommandsIn(text string) []awsCommand {
	var commands []awsCommand
	for _, match := range awsCall.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		c := awsCommand{name: match[1]}
		for _, option := range awsOption.FindAllStringSubmatch(match[2], -1) {
			c.options = append(c.options, option[1])
		}
		commands = append(commands, c)
	}
	return commands
}

func TestDocumentsNameCommandsOfAWSThatExist(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, text := range documents(t) {
		for _, c := range awsCommandsIn(text) {
			allowed, ok := awsCommands()[c.name]
			if !ok {
				t.Errorf("%s: aws %s: no such command, or not in awsCommands yet", name, c.name)
				continue
			}
			used[c.name] = true
			for _, option := range c.options {
				if !slices.Contains(allowed, option) && !slices.Contains(awsGlobalOptions(), option) {
					t.Errorf("%s: aws %s has no option --%s, or it is not in awsCommands yet", name, c.name, option)
				}
			}
			if c.name == "sqs start-message-move-task" && (!slices.Contains(c.options, "source-arn") || !slices.Contains(c.options, "destination-arn")) {
				t.Errorf("%s: aws %s without both ARNs: SQS refuses letters that a function has sent", name, c.name)
			}
		}
	}
	for name := range awsCommands() {
		if !used[name] {
			t.Errorf("no document names aws %s: take it out of awsCommands", name)
		}
	}
}

// TestCommandsOfAWSAreFoundInText holds the search itself to examples.
func TestCommandsOfAWSAreFoundInText(t *testing.T) {
	t.Parallel()
	got := awsCommandsIn("see `aws sqs delete-queue --queue-url <X>`, or\n\n    batch=$(aws sqs receive-message --queue-url <X> \\\n" +
		"      --wait-time-seconds 5 | jq --raw) && aws lambda invoke --payload file://a > --out\n\nwithout aws, and on AWS Lambda")
	want := []awsCommand{
		{"sqs delete-queue", []string{"queue-url"}},
		{"sqs receive-message", []string{"queue-url", "wait-time-seconds"}},
		{"lambda invoke", []string{"payload"}},
	}
	if text(fmt.Sprint(got)) != text(fmt.Sprint(want)) {
		t.Errorf("got %v, want %v", got, want)
	}
}

var (
	placeholder    = regexp.MustCompile(`<([A-Z][a-z][A-Za-z]+)>(?:[^A-Za-z]|$)`)
	parameterValue = regexp.MustCompile("`([A-Z][A-Za-z]+)=")
)

// TestDocumentsNameOutputsAndParametersThatExist: <QueueUrl> is an output of the stack, LogLevel=INFO a parameter.
func TestDocumentsNameOutputsAndParametersThatExist(t *testing.T) {
	t.Parallel()
	template := readTemplate(t)
	found := 0
	for name, text := range documents(t) {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for section, pattern := range map[string]*regexp.Regexp{"Outputs": placeholder, "Parameters": parameterValue} {
			for _, match := range pattern.FindAllStringSubmatch(text, -1) {
				if found++; at(template, section, match[1]) == nil {
					t.Errorf("%s: %s is not among the %s of template.yaml", name, match[1], section)
				}
			}
		}
	}
	if found == 0 {
		t.Error("nothing found: the search is wrong")
	}
}

// table returns the rows of the first table of a page whose header begins with that cell.
func table(t *testing.T, page, header string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n| "+header+" |")
	if !ok {
		t.Fatalf("no table of %q", header)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 {
				break
			}
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows[1:] // without the rule below the header
}

// TestThePageOfOperationsListsEveryMetricAndAlarm: a row each, and the counts in words are those counted.
func TestThePageOfOperationsListsEveryMetricAndAlarm(t *testing.T) {
	t.Parallel()
	operations := documents(t)["docs/operations.md"]
	alarms, alarmMetrics := map[string]bool{}, 0
	ofSenders, senderMetrics := 0, 0 // with look-up alone: one row for all
	for _, a := range alarmDefinitions(t) {
		if strings.HasPrefix(a.id, "NotFound") {
			ofSenders++
			senderMetrics += len(a.metrics)
			continue
		}
		alarms[a.id] = true
		alarmMetrics += len(a.metrics)
	}
	if files := sourceFiles(t); ofSenders != files {
		t.Errorf("%d senders have an alarm for orders without a license, of %d", ofSenders, files)
	}

	var metrics []string
	for _, row := range table(t, operations, "metric") {
		metrics = append(metrics, row[0])
	}
	slices.Sort(metrics)
	if !slices.Equal(metrics, telemetry.Metrics()) {
		t.Errorf("metrics on the page: %v, in the code: %v", metrics, telemetry.Metrics())
	}

	var listed []string
	const each = "`NotFound…Alarm`, one for each sender, with look-up"
	for _, row := range table(t, operations, "alarm") {
		listed = append(listed, strings.Trim(row[0], "`"))
		if len(row) != 4 || slices.Contains(row, "") || !strings.Contains(row[2], "`") || !strings.Contains(row[3], "**Over** ") {
			t.Errorf("the row of %s has no meaning, first look by a command, fix, and when it is over: %q", row[0], row)
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(alarms)), strings.Trim(each, "`")))); !slices.Equal(listed, want) {
		t.Errorf("alarms on the page: %v, in the template: %v", listed, want)
	}

	for name, want := range map[string]string{
		"docs/operations.md": fmt.Sprintf("%d metrics and %d alarms, with look-up one more alarm for each sender", len(metrics), len(alarms)),
		"docs/deploy.md": fmt.Sprintf("| %d alarms on %d metrics; with look-up %d more on %d | %.2f; %.2f |", len(alarms), alarmMetrics, ofSenders, senderMetrics,
			0.10*float64(alarmMetrics), 0.10*float64(alarmMetrics+senderMetrics)),
	} {
		if !strings.Contains(documents(t)[name], want) {
			t.Errorf("%s does not say %q", name, want)
		}
	}
	if want := fmt.Sprintf("each of the %d metrics", len(metrics)); !strings.Contains(documents(t)["docs/deploy.md"], want) {
		t.Errorf("docs/deploy.md does not say %q", want)
	}
}

// sourceFiles is how many senders have a file.
func sourceFiles(t *testing.T) int {
	t.Helper()
	files, err := fs.Glob(sources.FS(), "*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sender's file: %v", err)
	}
	return len(files)
}

var documentReference = regexp.MustCompile(`(docs/[a-z]+\.md)(?:, "([^"]+)")?`)

// TestAlarmTextsSayWhatToDo: whole sentences, and each page and heading that they name exists.
func TestAlarmTextsSayWhatToDo(t *testing.T) {
	t.Parallel()
	pages := documents(t)
	for _, a := range alarmDefinitions(t) {
		if len(a.description) < 100 || len(a.description) > 1024 || !strings.HasSuffix(a.description, ".") || strings.Contains(a.description, "\n") {
			t.Errorf("%s: %q: say in whole sentences what it means and what to do, in at most 1024 characters", a.id, a.description)
		}
		for _, match := range documentReference.FindAllStringSubmatch(a.description, -1) {
			page, ok := pages[match[1]]
			if !ok || match[2] != "" && !strings.Contains(page, "\n## "+match[2]+"\n") {
				t.Errorf("%s: there is no %s", a.id, match[0])
			}
		}
	}
}

// TestThePageNamesTheTwoLinesOfAnArchitecture: what a region without arm64 changes stands in the files as the page says.
func TestThePageNamesTheTwoLinesOfAnArchitecture(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	pages := documents(t)
	for line, in := range map[string]string{"Architectures: [arm64]": pages["template.yaml"], "LAMBDA_GOARCH ?= arm64": string(makefile)} {
		if strings.Count(in, line) != 1 || !strings.Contains(pages["docs/operations.md"], "`"+line+"`") {
			t.Errorf("%q is not one line of its file, or not on the page", line)
		}
	}
}
