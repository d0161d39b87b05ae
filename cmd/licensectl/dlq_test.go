package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

const noHardwareID = "stripe.evt_3TF58ApKq7VbnZx2RtazBN7GMa"

// act are the flags that let redrive or purge act.
func act(n int) []string {
	return []string{"--comment", "ticket 4711", "--yes", "--expect", strconv.Itoa(n), "--per-second", "100000"}
}

func TestARedriveOfOneReasonSendsItAndNothingElse(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string][]string{
		"rejected":    {"stripe.mismatch.0", "stripe.partial.0", "stripe.rejected.0"},
		"held":        {"stripe.held.0", "stripe.held.1"},
		"stale":       {"stripe.stale.0"},
		"watched":     {"stripe.watched.0"},
		"crashed":     {"stripe.crashed.0"},
		"undelivered": {"stripe.undelivered.0"},
		"exhausted":   {"stripe.exhausted.0", "stripe.moved.0"},
		"unmappable":  nil,
		"reversed":    nil,
		"invalid":     nil,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			q := newDeadQueues(t).fill(t)
			code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--reason", reason}, act(len(want))...)...)
			if code != exitDone {
				t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
			}
			if n := q.dead.InFlight(); n != 0 {
				t.Errorf("%d letters are still hidden", n)
			}
			sent, left := q.sent(t), q.left(t)
			if got := slices.Sorted(maps.Keys(sent)); !slices.Equal(got, want) {
				t.Errorf("sent %v, want %v", got, want)
			}
			for id := range sent {
				if len(left[id]) > 0 || len(sent[id]) != 1 {
					t.Errorf("%s: %d letters left, sent %d times", id, len(left[id]), len(sent[id]))
				}
			}
			if len(left) != allLetters-len(want) {
				t.Errorf("%d letters left, want %d", len(left), allLetters-len(want))
			}
		})
	}
}

// TestWhoReleasedALetterIsInTheMessage: held, stale, watched and the reviews; never a mismatch, nor any other letter.
func TestWhoReleasedALetterIsInTheMessage(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	begin := time.Now().UTC().Truncate(time.Second)
	code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--stack", "shop"}, act(11)...)...)
	if code != exitDone || !strings.Contains(stdout, "11 of 11 letters redriven") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	released := []string{"stripe.held.0", "stripe.held.1", "stripe.partial.0", "stripe.stale.0", "stripe.watched.0"}
	for id, bodies := range q.sent(t) {
		r, _, err := deactivation.Parse(bodies[0])
		if err != nil {
			t.Fatal(err)
		}
		got := r.Released
		switch {
		case !slices.Contains(released, id):
			if !got.IsZero() {
				t.Errorf("%s is released", id)
			}
		case got.By != "arn:aws:sts::1:assumed-role/ops/ada" || got.Reason != "ticket 4711" || got.At.Before(begin) || got.At.After(time.Now()):
			t.Errorf("%s: released by %q at %v for %q", id, got.By, got.At, got.Reason)
		}
		if r.LicenseKey != "CANARY-KEY-0000-1234" || r.ID != id || r.OccurredAt.IsZero() {
			t.Errorf("%s was changed", id)
		}
	}
}

// TestAWrongCountOrPlanSendsNothing: a mistake of one is a mistake.
func TestAWrongCountOrPlanSendsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"one less":          {append([]string{"redrive", "--reason", "held"}, act(1)...), exitHeld, "the preview counts 2, not 1: nothing was done"},
		"one more":          {append([]string{"redrive", "--reason", "held"}, act(3)...), exitHeld, "the preview counts 2, not 3: nothing was done"},
		"none":              {append([]string{"redrive", "--reason", "held"}, act(0)...), exitHeld, "the preview counts 2, not 0: nothing was done"},
		"some of none":      {append([]string{"redrive", "--reason", "reversed"}, act(1)...), exitHeld, "the preview counts 0, not 1: nothing was done"},
		"another plan":      {append([]string{"redrive", "--reason", "held", "--plan", "0123456789ab"}, act(2)...), exitHeld, "not 0123456789ab: nothing was done"},
		"purge, one more":   {append([]string{"purge", "--reason", "held"}, act(3)...), exitHeld, "the preview counts 2, not 3: nothing was done"},
		"no count":          {[]string{"redrive", "--reason", "held", "--yes", "--comment", "x"}, exitUsage, "--yes needs --expect N"},
		"no comment":        {[]string{"redrive", "--reason", "held", "--yes", "--expect", "2"}, exitUsage, "--yes needs --comment TEXT"},
		"only a comment":    {[]string{"redrive", "--reason", "held", "--comment", "x"}, exitDone, "This is a preview; nothing was done. To redrive 2 letters add: --comment TEXT --yes --expect 2"},
		"no such reason":    {[]string{"redrive", "--reason", "hold"}, exitUsage, "hint: the reasons are rejected, unmappable, "},
		"an empty filter":   {[]string{"redrive", "--id", ""}, exitUsage, "a filter is empty"},
		"no such time":      {[]string{"list", "--before", "yesterday"}, exitUsage, `--before "yesterday" is not a time`},
		"no such field":     {[]string{"redrive", "--set", "hardwareid=x"}, exitUsage, `--set "hardwareid" is not a field of a request`},
		"no field":          {[]string{"redrive", "--set", "CANARY"}, exitUsage, "a --set has no field and value"},
		"remap and set":     {[]string{"redrive", "--remap", "--set", "product=x"}, exitUsage, "none of the others can be"},
		"a rate of nothing": {[]string{"purge", "--per-second", "0"}, exitUsage, "--per-second 0 is out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newDeadQueues(t).fill(t)
			code, stdout, stderr := q.dlq(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, c.code, c.want, stdout, stderr)
			}
			if q.jobs.Len() != 0 || q.dead.Len() != allLetters || q.dead.InFlight() != 0 {
				t.Errorf("%d sent, %d left, %d hidden", q.jobs.Len(), q.dead.Len(), q.dead.InFlight())
			}
			noCanary(t, stdout+stderr)
		})
	}
}

func noCanary(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "CANARY") {
		t.Errorf("a key is printed:\n%s", text)
	}
}

// TestThePlanOfThePreviewIsThePlanThatActs: the hash of two looks at the same letters is the same, and of others it is not.
func TestThePlanOfThePreviewIsThePlanThatActs(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	hash := func(args ...string) string {
		code, stdout, stderr := q.dlq(t, append(args, "--json")...)
		var end struct {
			Count int
			Plan  string
		}
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || code != exitDone || end.Plan == "" || end.Count != 2 {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
		}
		return end.Plan
	}
	first := hash("redrive", "--reason", "held")
	if second := hash("redrive", "--reason", "held"); second != first {
		t.Errorf("%s, then %s", first, second)
	}
	if purge := hash("purge", "--reason", "held"); purge == first {
		t.Error("a purge has the plan of a redrive")
	}
	if code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--reason", "held", "--plan", first}, act(2)...)...); code != exitDone || q.jobs.Len() != 2 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// TestALetterThatIsNotOursIsMovedOnlyByItsID.
func TestALetterThatIsNotOursIsMovedOnlyByItsID(t *testing.T) {
	t.Parallel()
	for _, do := range []string{"redrive", "purge"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			q := newDeadQueues(t).fill(t)
			_, stdout, _ := q.dlq(t, "list", "--json")
			id := ""
			for line := range strings.Lines(stdout) {
				var g groupLine
				if json.Unmarshal([]byte(line), &g) == nil && g.Reason == "exhausted" && g.Source == "" {
					id = g.IDs[0]
				}
			}
			if code, out, errs := q.dlq(t, append([]string{do, "--reason", "exhausted", "--code", "none"}, act(0)...)...); code != exitDone {
				t.Fatalf("exit code %d\n%s%s", code, out, errs)
			}
			if code, out, errs := q.dlq(t, append([]string{do, "--id", id}, act(1)...)...); code != exitDone || id == "" {
				t.Fatalf("%q: exit code %d\n%s%s", id, code, out, errs)
			}
			if sent := q.sent(t); do == "redrive" && (len(sent["foreign"]) != 1 || sent["foreign"][0] != `{"hello":"world"}`) {
				t.Errorf("sent %v", sent)
			}
			if left := q.left(t); len(left) != allLetters-1 || len(left["foreign"]) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestAPurgeDeletesWhatItCounted(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	code, stdout, stderr := q.dlq(t, append([]string{"purge"}, act(allLetters-1)...)...)
	if left := q.left(t); code != exitDone || len(left) != 1 || len(left["foreign"]) != 1 || q.jobs.Len() != 0 {
		t.Errorf("exit code %d, left %v\n%s%s", code, left, stdout, stderr)
	}
}

// TestAnEventIsMappedAnewWithOtherFiles: the file of the test names the product that the event lacks.
func TestAnEventIsMappedAnewWithOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content, err := os.ReadFile("../../sources/generic.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(content), "  - data.metadata\n", "  - data.metadata\n  - {product: \"'acme-pro'\"}\n", 1)
	if err := os.WriteFile(filepath.Join(dir, "generic.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	q := newDeadQueues(t).fill(t)
	args := []string{"redrive", "--source", "generic", "--remap"}
	if code, stdout, stderr := q.dlq(t, args...); code != exitDone || !strings.Contains(stdout, "1 letter is kept: ") || !strings.Contains(stdout, "Nothing to redrive in ") {
		t.Errorf("with the built-in files: exit code %d\n%s%s", code, stdout, stderr)
	}
	args = append(args, "--sources", dir)
	_, preview, _ := q.dlq(t, args...)
	for _, want := range []string{
		"before  unmappable: missing product\n", "after   accepted by the rule \"order refunded\", 1 request\n",
		"generic.20261104-915226.0: deactivate license …74NL of acme-pro on device …1c02, cause refund",
	} {
		if !strings.Contains(preview, want) {
			t.Errorf("the preview does not say %q:\n%s", want, preview)
		}
	}
	if code, stdout, stderr := q.dlq(t, append(args, act(1)...)...); code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	sent := q.sent(t)["generic.20261104-915226.0"]
	if len(sent) != 1 {
		t.Fatalf("sent %v", sent)
	}
	if r, _, err := deactivation.Parse(sent[0]); err != nil || r.Product != "acme-pro" || r.Origin != deactivation.OriginEvent || !r.Released.IsZero() {
		t.Errorf("%v, %s: an event that is mapped anew is an event like any other", err, sent[0])
	}
	if left := q.left(t); len(left["generic.20261104-915226"]) != 0 {
		t.Error("the event's letter is still there")
	}
}

func TestAnEventIsCompletedBySet(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--id", noHardwareID, "--set", "hardware_id=CANARY-HARDWARE-1"}, act(1)...)...)
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	noCanary(t, stdout+stderr)
	sent := q.sent(t)[noHardwareID+".0"]
	if len(sent) != 1 {
		t.Fatalf("sent %v", sent)
	}
	r, _, err := deactivation.Parse(sent[0])
	if err != nil || r.HardwareID != "CANARY-HARDWARE-1" || r.LicenseKey == "" || r.Cause != deactivation.CauseRefund || r.Released.Reason != "ticket 4711" {
		t.Errorf("%v: %s", err, sent[0])
	}
}

func TestSetRefusesWhatCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"one device for several events": {[]string{"--reason", "unmappable", "--set", "hardware_id=CANARY"}, exitUsage, "--set hardware_id names one license, and 3 events are chosen"},
		"another key than the event's":  {[]string{"--id", noHardwareID, "--set", "license_key=CANARY", "--set", "hardware_id=h"}, exitFailed, "license_key: has another value in the event already"},
		"not enough":                    {[]string{"--source", "generic", "--reason", "unmappable", "--set", "cause=refund"}, exitFailed, "product: is missing"},
		"a request, not an event":       {[]string{"--reason", "held", "--set", "product=CANARY"}, exitUsage, "--set makes requests of whole events, and none of the chosen letters is one"},
		"a cause that is none":          {[]string{"--id", noHardwareID, "--set", "hardware_id=h", "--set", "cause=CANARY"}, exitFailed, "cause: must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newDeadQueues(t).fill(t)
			code, stdout, stderr := q.dlq(t, append([]string{"redrive"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) || q.dead.InFlight() != 0 {
				t.Errorf("exit code %d, want %d and %q, %d hidden\n%s%s", code, c.code, c.want, q.dead.InFlight(), stdout, stderr)
			}
			noCanary(t, stdout+stderr)
		})
	}
}

// TestSetRefusesOneLicenseForSeveralRequests: of a delivery of several events, the other one's refund would be lost.
func TestSetRefusesOneLicenseForSeveralRequests(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t)
	letter := q.event(t, builtInSources(t), "hubspot/unreadable-change-beside", time.Now())
	if failed := q.dead.Send(t.Context(), []queue.Entry{letter}); failed != nil {
		t.Fatal(failed)
	}
	code, stdout, stderr := q.dlq(t, "redrive", "--set", "product=XY", "--set", "license_key=CANARY", "--set", "hardware_id=CANARY")
	const want = "licensectl: error: --set license_key names one license, and the event makes 2 requests without it\nlicensectl: hint: complete each of them with --edit\n"
	if code != exitUsage || stderr != want || stdout != "" || q.dead.InFlight() != 0 {
		t.Errorf("exit code %d, %d hidden\n%s%s", code, q.dead.InFlight(), stdout, stderr)
	}
}

// TestAnOldEventIsAWarning: an event's age is by its own time, also when its letter was written today.
func TestAnOldEventIsAWarning(t *testing.T) {
	t.Parallel()
	const warning = "Warning: 1 letter is from an event older than 7 days"
	for _, how := range [][]string{{"--look-up", "--remap"}, {"--set", "product=XY"}} {
		q := newDeadQueues(t)
		letter := q.event(t, builtInSources(t), "generic/no-product", time.Now()) // of 2026-11-04
		if failed := q.dead.Send(t.Context(), []queue.Entry{letter}); failed != nil {
			t.Fatal(failed)
		}
		code, stdout, stderr := q.dlq(t, append([]string{"redrive"}, how...)...)
		if code != exitDone || !strings.Contains(stdout, "1 letter in") || !strings.Contains(stdout, warning) {
			t.Errorf("%v: exit code %d, want %q\n%s%s", how, code, warning, stdout, stderr)
		}
	}
}

// TestAPlanSaysWhatARequestWithoutADeviceActsOn: on every device, and with look-up an event disables its license.
func TestAPlanSaysWhatARequestWithoutADeviceActsOn(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	_, stdout, stderr := q.dlq(t, "redrive", "--id", noHardwareID, "--remap", "--look-up")
	if want := noHardwareID + ".0: deactivate license …KXRE of acme-pro on every device and disable it, cause refund\n"; !strings.Contains(stdout, want) {
		t.Errorf("want %q\n%s%s", want, stdout, stderr)
	}
	for want, r := range map[string]deactivation.Request{
		"a.0: deactivate every license of the order pi_1 on every device, cause refund": {
			ID: "a.0", Cause: "refund", Order: []string{"pi_1"}, Lookup: deactivation.Lookup{Order: []deactivation.Candidate{{ID: "pi_1"}}},
		},
		"a.1: deactivate user …1234 of XY on device …5678, cause refund": {
			ID: "a.1", Cause: "refund", License: deactivation.License{Username: "customer-1234", Product: "XY", HardwareID: "device-5678"},
		},
	} {
		if got := deadletter.DescribeRequest(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestEditOpensTheRequestsInAnEditor runs an editor of its own: the environment is the process's.
func TestEditOpensTheRequestsInAnEditor(t *testing.T) {
	for name, c := range map[string]struct {
		editor string // a script; $1 is the file
		code   int
		want   string
		sent   bool
	}{
		"completed":      {`grep -q "It lacks hardware_id" "$1" && sed -i 's/hardware_id: ""/hardware_id: "HW-1"/' "$1"`, exitDone, "", true},
		"left as it was": {`true`, exitFailed, "hardware_id: is missing", false},
		"deleted":        {`: > "$1"`, exitHeld, "the preview counts 0, not 1", false},
		"an unknown id":  {`sed -i 's/^id: .*/id: "other"/' "$1"`, exitFailed, "the id is unknown, or appears twice", false},
		"a new field":    {`echo 'device: "CANARY"' >> "$1"`, exitFailed, "device is not a field with one value", false},
		"not YAML":       {`echo 'CANARY: [' >> "$1"`, exitFailed, "the edited requests are not YAML", false},
		"it fails":       {`exit 7`, exitFailed, "exit status 7: nothing was done", false},
		"other readers":  {`[ "$(stat -c %a "$1")" = 600 ] || exit 1; sed -i 's/hardware_id: ""/hardware_id: HW-1/' "$1"`, exitDone, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VISUAL", "")
			t.Setenv("EDITOR", "sh "+file(t, "editor.sh", c.editor+"\n"))
			q := newDeadQueues(t).fill(t)
			code, stdout, stderr := q.dlq(t, append([]string{"redrive", "--id", noHardwareID, "--edit"}, act(1)...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Fatalf("exit code %d, want %d and %q\n%s%s", code, c.code, c.want, stdout, stderr)
			}
			noCanary(t, stdout+stderr)
			if sent := q.sent(t)[noHardwareID+".0"]; (len(sent) == 1) != c.sent || c.sent && !strings.Contains(sent[0], `"hardware_id":"HW-1"`) {
				t.Errorf("sent %v", sent)
			}
		})
	}
	t.Run("no editor", func(t *testing.T) {
		t.Setenv("VISUAL", "")
		t.Setenv("EDITOR", "")
		if code, _, stderr := newDeadQueues(t).fill(t).dlq(t, "redrive", "--id", noHardwareID, "--edit"); code != exitUsage || !strings.Contains(stderr, "--edit needs a terminal") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	})
}

func TestAStackInWatchModeIsAWarning(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	_, stdout, _ := q.dlq(t, "redrive", "--reason", "held", "--stack", "shop")
	if strings.Contains(stdout, "watch mode") {
		t.Errorf("a stack that acts: %s", stdout)
	}
	q.aws.stacks["shop"]["Mode"] = "watch"
	if _, stdout, _ = q.dlq(t, "redrive", "--reason", "held", "--stack", "shop"); !strings.Contains(stdout, "Warning: the stack is in watch mode.") {
		t.Errorf("a stack that watches: %s", stdout)
	}
	if _, stdout, _ = q.dlq(t, "purge", "--reason", "held", "--stack", "shop"); strings.Contains(stdout, "watch mode") {
		t.Errorf("a purge: %s", stdout)
	}
}

// TestAStacksLogGroupGetsTheAuditLines: with --stack they are in the log group alone, without it on stderr.
func TestAStacksLogGroupGetsTheAuditLines(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	if code, _, stderr := q.dlq(t, append([]string{"purge", "--reason", "held", "--stack", "shop"}, act(2)...)...); code != exitDone || strings.Contains(stderr, "phase") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	q.aws.mu.Lock()
	logged := strings.Join(q.aws.logged, "\n")
	q.aws.mu.Unlock()
	for _, want := range []string{`"phase":"begin"`, `"phase":"end"`, `"actor":"arn:aws:sts::1:assumed-role/ops/ada"`, `"comment":"ticket 4711"`, `"done":2`, `"--reason=[held]"`} {
		if !strings.Contains(logged, want) {
			t.Errorf("no %s in\n%s", want, logged)
		}
	}
	q.aws.fail = map[string]awsAnswer{"CreateLogStream": {400, "AccessDeniedException", "no"}}
	if code, _, stderr := q.dlq(t, append([]string{"purge", "--reason", "stale", "--stack", "shop"}, act(1)...)...); code != exitFailed ||
		!strings.Contains(stderr, "nothing was done") || q.dead.Len() != allLetters-2 {
		t.Errorf("without a log: exit code %d, %d left, %s", code, q.dead.Len(), stderr)
	}
	_, _, stderr := q.dlq(t, append([]string{"purge", "--reason", "stale"}, act(1)...)...)
	if strings.Count(stderr, `"phase":`) != 2 {
		t.Errorf("without a stack: %s", stderr)
	}
}

// TestAnExportIsWhatExplainReads: and it changes nothing.
func TestAnExportIsWhatExplainReads(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	code, stdout, stderr := q.dlq(t, "export", "--reason", "held,unmappable")
	if code != exitDone || strings.Count(stdout, "\n") != 5 || !strings.Contains(stderr, "5 letters exported, hash ") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	_, explanation, stderr := explained(t, stdout, "-")
	for _, want := range []string{"message 5 of 5", "RESULT       held: surge, the brake: ", "RESULT       unmappable"} {
		if !strings.Contains(explanation, want) {
			t.Errorf("explain does not say %q:\n%s%s", want, explanation, stderr)
		}
	}
	if q.dead.Len() != allLetters || q.dead.InFlight() != 0 {
		t.Errorf("%d left, %d hidden", q.dead.Len(), q.dead.InFlight())
	}
	name := filepath.Join(t.TempDir(), "letters.ndjson")
	if code, stdout, stderr := q.dlq(t, "export", "--output", name); code != exitDone || stdout != "" {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if code, _, stderr := q.dlq(t, "export", "--output", name); code != exitFailed || !strings.Contains(stderr, "is there already") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// TestShowAddsTheLogOfALetter: what the log group of the stack says about it.
func TestShowAddsTheLogOfALetter(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	if _, stdout, stderr := q.dlq(t, "show", "stripe.held.0", "--stack", "shop", "--logs"); !strings.Contains(stdout, "LOG          The log has no line of it in the last 30 days.") {
		t.Errorf("an empty log:\n%s%s", stdout, stderr)
	}
	q.log = []string{`{"timestamp":"2026-11-28T10:00:00Z","message":"message","id":"stripe.held.0","source":"stripe","outcome":"rejected","reason":"held","code":"surge","attempts":1,"decision":"hold"}`}
	code, stdout, stderr := q.dlq(t, "show", "stripe.held.0", "--stack", "shop", "--logs")
	if code != exitDone || !strings.Contains(stdout, "2026-11-28 10:00:00  parked     in the dead-letter queue: held, surge") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	_, stdout, _ = q.dlq(t, "show", "stripe.held.0", "--stack", "shop", "--logs", "--json")
	if !strings.Contains(stdout, `"log":[{"id":"stripe.held.0","outcome":"rejected"`) {
		t.Errorf("as JSON: %s", stdout)
	}
	if code, _, stderr := q.dlq(t, "show", "stripe.held.0", "--dead-letter-queue-url", q.endpoint+"/x/dead-letters", "--logs"); code != exitUsage || !strings.Contains(stderr, "there is no log to read") {
		t.Errorf("without a stack: exit code %d, %s", code, stderr)
	}
}

// TestLettersThatAnotherCommandHoldsAreMentioned: a killed command's letters come back within 30 seconds.
func TestLettersThatAnotherCommandHoldsAreMentioned(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	if _, err := q.dead.Receive(t.Context(), 3, 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := q.dlq(t, "list")
	if !strings.Contains(stdout, "13 letters in") || !strings.Contains(stdout, "3 letters were hidden when this command began") {
		t.Error(stdout)
	}
}

// TestCtrlCAtThePromptSendsNothing: and the letters are visible at once.
func TestCtrlCAtThePromptSendsNothing(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := newBuffer(), newBuffer()
	ended := make(chan int, 1)
	_, terminal := openPTY(t)
	go func() {
		ended <- fast().run(ctx, []string{"dlq", "redrive", "--reason", "held", "--comment", "x", "--endpoint-url", q.endpoint}, terminal, stdout, stderr)
	}()
	stderr.await(t, "prompt", func(text string) bool { return strings.Contains(text, "Type 2 to redrive 2 letters: ") })
	if n := q.dead.InFlight(); n != 2 {
		t.Errorf("%d letters are held at the prompt, want the chosen 2", n)
	}
	cancel()
	if code := <-ended; code != exitFailed || !strings.Contains(stderr.String(), "licensectl: error: interrupted") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if q.jobs.Len() != 0 || q.dead.InFlight() != 0 {
		t.Errorf("%d sent, %d hidden", q.jobs.Len(), q.dead.InFlight())
	}
}

// TestFiltersOfTheCommands: each flag chooses.
func TestFiltersOfTheCommands(t *testing.T) {
	t.Parallel()
	q := newDeadQueues(t).fill(t)
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, allLetters},
		{[]string{"--reason", "held,stale"}, 3},
		{[]string{"--reason", "held", "--reason", "stale"}, 3},
		{[]string{"--code", "surge"}, 2},
		{[]string{"--source", "generic"}, 1},
		{[]string{"--order", "pi_stripe.held.1"}, 1},
		{[]string{"--id", "stripe.held.1", "--id", noHardwareID}, 2},
		{[]string{"--before", "30h", "--reason", "rejected,held"}, 5},
		{[]string{"--after", "30h", "--reason", "rejected,held"}, 0},
		{[]string{"--before", "7d"}, 0},
		{[]string{"--before", "2100-01-01"}, allLetters},
		{[]string{"--after", "2100-01-01T00:00:00Z"}, 0},
		{[]string{"--max", "3"}, 3},
	} {
		_, stdout, stderr := q.dlq(t, append([]string{"list", "--json"}, c.args...)...)
		var end struct{ Count, Seen int }
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || end.Count != c.want || end.Seen != allLetters {
			t.Errorf("%v: %v, %d of %d, want %d\n%s", c.args, err, end.Count, end.Seen, c.want, stderr)
		}
	}
}
