package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// update generates docs/outcomes.md: go test ./cmd/licensectl -run Outcomes -update
var update = flag.Bool("update", false, "write the documentation that is generated from code") //nolint:gochecknoglobals // a flag of the test

const outcomesFile = "../../docs/outcomes.md"

const outcomesHead = `# Outcomes of a message, and what to do

A test generates this page from the tables in the code (` + "`pkg/licenseapi/codes.go`, `internal/worker/treatment.go`, `internal/deadletter/meaning.go`" + `).

Find the message's ` + "`code`" + ` (in the dead letter's attributes, or in the log line) below. Answers are decided in this order: status
429, 408 and 5xx by the status; then a known code; then 401 and 403; then any other 4xx. A message that is still deferred at its
290th receive, after nearly three days, goes to the dead-letter queue with the reason ` + "`exhausted`" + ` and its last code.

| log line | level | metric (namespace LicenseDeactivator) |
|---|---|---|
| deactivated, already_inactive, deferred | INFO | Messages by service and outcome; Answers by class |
| rejected | WARN | the same, and DeadLetters by service and reason; WorkerDeadLetterAlarm fires, for ` + "`held`" + ` SurgeAlarm, for ` + "`watched`" + ` none, for an event with the code ` + "`no_license`" + ` the sender's NotFound…Alarm if there are many |
| configuration fault | ERROR | ConfigurationFaults; its alarm fires |

`

const offlineHead = `## As the answer to a request file

An offline deactivation posts a file with its own signature, API key and date in addition to the header's; these codes may
concern either.

| code | class | what it means |
|---|---|---|
`

const outcomesTail = `## Without a code of the API

| code | class | when | outcome |
|---|---|---|---|
| (none) | deactivated | status 200 and a body that says ` + "`license_deactivated`" + ` | deactivated |
| ` + "`http_200`" + ` | unconfirmed | status 200 and any other body, for example a proxy's page | deferred |
| ` + "`http_408`, `http_5xx`" + ` | unavailable | a failure in the server | deferred |
| ` + "`http_429`" + ` | rate_limited | too many calls | deferred |
| ` + "`http_401`, `http_403`" + ` | unauthorized | refused without a known code: signed again once, then as under unauthorized; ` + "`http_401`" + ` is never rejected | deferred |
| ` + "`http_402`, `http_409`, `http_423`, `http_425`" + ` | refused | as under refused | deferred |
| ` + "`http_3xx`" + ` | misconfigured | a redirect: the address is wrong | deferred, configuration fault |
| ` + "`http_4xx`" + ` | unavailable | any other 4xx without a readable body, for example from a proxy | deferred |
| ` + "`timeout`, `connection`, `canceled`" + ` | unavailable | no answer; it is unknown what was done, and repeating is safe | deferred |
| any other code with a 4xx | refused | a code that this release does not know; redrive its dead letters with a release that does | deferred |

## Codes of a look-up

With ` + "`LOOK_UP=on`" + ` a message that names no device, or that disables its license, is looked up in the Management API. The line's ` + "`lookup`" + `
has the ids that were tried, what was done to each license, and what was read back.

| code | outcome | when | what to do |
|---|---|---|---|
| (none) | deactivated | each device was freed, and the license is disabled where the cause is final | |
| ` + "`already_disabled`" + ` | already_inactive | nothing was left to do | |
| ` + "`no_active_device`" + ` | already_inactive | no device was active, and the request does not disable the license: it can be activated again | |
| ` + "`no_license`" + ` | deferred | no license yet: the refund may be faster than the fulfilment. Tried again 2, 5, 8, 15 and 60 minutes after the event | |
| ` + "`no_license`" + ` | rejected, or already_inactive with ` + "`none: ignore`" + ` | still none after an hour | [orders without a license](operations.md#orders-without-a-license) |
| ` + "`too_many`" + ` | rejected | more than 10 licenses or 50 devices | a review: look at the order, then [release](operations.md#a-surge) or delete the letter |
| ` + "`partial`" + ` | rejected | part of an order was refunded, or a subscription of it ended, and it is not certain which of its licenses | a review. Released, it acts on all licenses of the refunded products, or of the order |
| ` + "`unconfirmed`" + ` | rejected | a buyer could write the id, and nothing else confirms what it found | a review |
| ` + "`given_back`" + ` | rejected | the license was enabled, or activated, after the event: somebody gave it back | a review |
| ` + "`newer_than_event`" + ` | rejected | the license was made more than a day after the event | a review |
| ` + "`mismatch`" + ` | rejected | a record or a device is not the one that was asked for, and the API's filters work | compare the order with LicenseSpring. It is never released |
| ` + "`filters_untrusted`" + ` | deferred, configuration fault | a value that no license has found licenses: all look-ups stop, and the filters are probed again every five minutes | ask LicenseSpring |
| ` + "`still_enabled`, `still_active`" + ` | deferred, configuration fault | the API answered 200 to a write, and reading back shows no effect | check that the key may change licenses; ask LicenseSpring |
| ` + "`http_401`, `http_403`" + ` | deferred, configuration fault | the Management API refuses the key | put a current ` + "`management_api_key`" + ` into the secret |
| ` + "`http_3xx`, `http_404`" + ` of a list | deferred, configuration fault | nothing is at the address | check ` + "`MANAGEMENT_API_URL`" + ` |
| ` + "`http_400`" + ` of every value of a filter, or of a list of devices | deferred, configuration fault | the API refuses a filter that its documentation has | ask LicenseSpring |
| ` + "`http_429`" + ` | deferred | its rate limit: look-ups pause and slow down | lower ` + "`ManagementCallsPerMinute`" + ` if it lasts |
| ` + "`http_5xx`, `timeout`, `connection`, `unreadable`; `http_400`, `http_403` or `http_404`" + ` without the API's own body, such as a proxy's page | deferred | an outage, or an answer that cannot be used; named devices are freed meanwhile | nothing |
| a code of the License API | deferred | it refuses a device for now; the order's other licenses are done meanwhile | as above for that code |
| a code of the License API | rejected | it refused a device; all others were freed, and the license disabled | as above for that code |

`

const reasonsHead = `## Reasons of a dead letter

` + "`licensectl dlq show`" + ` prints these texts for a letter; [dead-letters.md](dead-letters.md) has the commands. A letter without attributes has the
reason ` + "`exhausted`" + `.

| reason | code | what it is | what to do |
|---|---|---|---|
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
	page.WriteString("\n" + outcomesTail + reasonsHead)
	for _, m := range deadletter.Meanings() {
		code := ""
		if m.Code != "" {
			code = "`" + m.Code + "`"
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", m.Reason, code, m.Is, m.Do)
	}
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
		t.Errorf("docs/outcomes.md differs from the tables (%v); generate it with: go test ./cmd/licensectl -run Outcomes -update", err)
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
