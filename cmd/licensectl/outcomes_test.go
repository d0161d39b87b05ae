package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// update writes docs/outcomes.md anew: go test ./cmd/licensectl -run Outcomes -update
var update = flag.Bool("update", false, "write the documentation that is made from code") //nolint:gochecknoglobals // a flag of the test

const outcomesFile = "../../docs/outcomes.md"

const outcomesHead = `# Outcomes: what became of a message, and what to do

Made from the tables in the code (` + "`pkg/licenseapi/codes.go`, `internal/worker/treatment.go`" + `); a test holds this page to them.

Find the message's ` + "`code`" + ` (in the dead letter's attributes, or in the log line) below. Answers are judged in this order: status
429, 408 and 5xx by the status alone; then a known code; then 401 and 403; then any other 4xx. A message that is still deferred at its
290th receive, after nearly three days, goes to the dead-letter queue with the reason ` + "`exhausted`" + ` and its last code.

| log line | level | metric (namespace LicenseDeactivator) |
|---|---|---|
| deactivated, already_inactive, deferred | INFO | Messages by service and outcome; Answers by class |
| rejected | WARN | the same, and DeadLetters by service and reason; WorkerDeadLetterAlarm fires |
| configuration fault | ERROR | ConfigurationFaults; its alarm fires |

`

const offlineHead = `## As the answer to a request file

An offline deactivation posts a file with a signature, an API key and a date of its own beside the header's; these codes may
mean either.

| code | class | what it means |
|---|---|---|
`

const outcomesTail = `## Without a code of the API

| code | class | when | outcome |
|---|---|---|---|
| (none) | deactivated | status 200 and a body that says ` + "`license_deactivated`" + ` | deactivated |
| ` + "`http_200`" + ` | unconfirmed | status 200 and any other body: a proxy's page, say | deferred |
| ` + "`http_408`, `http_5xx`" + ` | unavailable | the server's trouble | deferred |
| ` + "`http_429`" + ` | rate_limited | too many calls | deferred |
| ` + "`http_401`, `http_403`" + ` | unauthorized | refused without a known code: signed again once, then as under unauthorized | deferred |
| ` + "`http_402`, `http_409`, `http_423`, `http_425`" + ` | refused | as under refused | deferred |
| ` + "`http_3xx`" + ` | misconfigured | a redirect: the address is wrong | deferred, configuration fault |
| ` + "`http_4xx`" + ` | unavailable | any other 4xx without a readable body: a proxy, say | deferred |
| ` + "`timeout`, `connection`, `canceled`" + ` | unavailable | no answer came; what was done is unknown, and repeating is safe | deferred |
| any other code with a 4xx | refused | a code that this release does not know; redrive its dead letters after one that does | deferred |

## Reasons of a dead letter

| reason | what it is | what to do |
|---|---|---|
| rejected | the License API's answer, see the code above | correct the data, send the request again |
| unmappable | an event that matters, without license data; ` + "`detail`" + ` names what is missing | put the data onto the order or the source's file; ` + "`licensectl explain`" + ` shows what was looked for |
| invalid | not a message of ours | find out who may send to the queue |
| crashed | the worker panicked over it five times | tell us, with the log's stack |
| undelivered | the queue did not take the request in time | send it on to the queue |
| exhausted | deferred at 290 receives: an outage or a configuration fault of nearly three days (69 h 42 min at least); ` + "`code` and `detail`" + ` are the last ones | end the cause, then redrive it |
| (no attributes) | SQS moved it after 300 receives: the same, and the worker could not send it | redrive it |
`

func outcomesPage() string {
	var page strings.Builder
	page.WriteString(outcomesHead)
	for kind := licenseapi.KindDeactivated; kind <= licenseapi.KindFileRefused; kind++ {
		v := worker.TreatmentOf(kind)
		fmt.Fprintf(&page, "## %s\n\n**%s**, %s.\n", kind, v.Outcome, v.Happens)
		if v.Fault != "" {
			fmt.Fprintf(&page, "\nConfiguration fault: %s.\n", v.Fault)
		}
		if v.Todo != "" {
			fmt.Fprintf(&page, "\nWhat to do: %s.\n", v.Todo)
		}
		rows := 0
		for _, code := range licenseapi.Codes() {
			if code.Kind != kind {
				continue
			}
			if rows == 0 {
				page.WriteString("\n| code | what it means |\n|---|---|\n")
			}
			fmt.Fprintf(&page, "| `%s` | %s |\n", code.Code, code.Meaning)
			rows++
		}
		page.WriteString("\n")
	}
	page.WriteString(offlineHead)
	for _, code := range licenseapi.OfflineCodes() {
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", code.Code, code.Kind, code.Meaning)
	}
	page.WriteString("\n" + outcomesTail)
	return page.String()
}

func TestTheOutcomesPageIsMadeFromTheTables(t *testing.T) {
	t.Parallel()
	want := outcomesPage()
	if *update {
		if err := os.WriteFile(outcomesFile, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(outcomesFile)
	if err != nil || string(got) != want {
		t.Errorf("docs/outcomes.md is not what the tables say (%v); write it anew with: go test ./cmd/licensectl -run Outcomes -update", err)
	}
}

func TestEveryOutcomeSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for kind := licenseapi.KindDeactivated; kind <= licenseapi.KindFileRefused; kind++ {
		v := worker.TreatmentOf(kind)
		if v.Outcome == "" || v.Happens == "" || (v.Outcome != deactivation.Deactivated && v.Todo == "" && v.Fault == "") {
			t.Errorf("%s: %+v", kind, v)
		}
	}
}
