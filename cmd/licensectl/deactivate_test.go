package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// mixedRows has six rows: two valid ones and a duplicate, and three that are rejected for different reasons.
const mixedRows = `Product Code,License Key,Device,Order,Buyer
XY,KEY-000001,device-000001,1001,jo
XY,KEY-000002,device-000002,1002,jane
XY,KEY-000002,device-000002,1002,somebody else
XY,1.23457E+15,device-000003,1003,
,KEY-000004,device-000004,1004,
XY,KEY-000005,device-000005,1005,"a, b",c,d
`

const mixedPreview = `File      refunds.csv
Target    licensectl local at http://127.0.0.1:8080
Run       <run>
Columns   Product Code → product, License Key → license_key,
          Device → hardware_id, Order → order
Ignored   Buyer
Rows      6: 2 valid, 1 duplicate, 3 rejected
Licenses  2 of 1 product (rows: XY 2)
Devices   2
Time      less than a second at 10 calls a second, the template's default
Quota     600 calls a minute, 33 % of the smallest plan (1800)

LINE  PRODUCT  LICENSE  DEVICE  ORDER  CAUSE
2     XY       …0001    …0001   1001   manual
3     XY       …0002    …0002   1002   manual

3 rows rejected, all in refunds.csv.rejected.csv
  line 5  invalid_field: license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again
  line 6  missing_field: product: is missing (the product's short code)
  line 7  invalid_field: row: has 7 cells, and the header has 5; put a value that holds the delimiter into quotes

`

func TestDeactivatePreviewsAndSendsNothing(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := file(t, "refunds.csv", mixedRows)
	code, stdout, stderr := s.deactivate(t, path, "--calls-per-second", "10")
	stdout = strings.ReplaceAll(stdout, "10 calls a second\n", "10 calls a second, the template's default\n")
	if diff := cmp.Diff(mixedPreview, stdout); diff != "" {
		t.Errorf("stdout: %s", diff)
	}
	want := "This is a preview; nothing was done. To send 2 rows to licensectl local at http://127.0.0.1:8080 add: --comment TEXT --yes --expect 2\n" +
		"licensectl: error: 3 rows are rejected\n"
	if diff := cmp.Diff(want, stderr); diff != "" || code != exitPartly {
		t.Errorf("exit code %d, stderr: %s", code, diff)
	}
	if n := s.calls(); n != 0 {
		t.Errorf("%d calls of the License API", n)
	}
	rejected := `Product Code,License Key,Device,Order,Buyer,line,reason
XY,1.23457E+15,device-000003,1003,,5,"invalid_field: license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"
,KEY-000004,device-000004,1004,,6,missing_field: product: is missing (the product's short code)
XY,KEY-000005,device-000005,1005,"a, b",c,d,7,"invalid_field: row: has 7 cells, and the header has 5; put a value that holds the delimiter into quotes"
`
	if diff := cmp.Diff(rejected, readFile(t, path+".rejected.csv")); diff != "" {
		t.Errorf("rejected: %s", diff)
	}
	journal := readFile(t, path+".journal")
	if strings.Contains(journal, "KEY-") || strings.Contains(journal, "device-") || strings.Contains(stdout+stderr, "KEY-0") {
		t.Error("a license key or a device is in the journal or in the output")
	}
	for _, name := range []string{path + ".journal", path + ".rejected.csv"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v: want it readable by its owner alone", name, info.Mode(), err)
		}
	}
}

func TestDeactivateActsOnTheCountAlone(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	const path = "FILE" // each case has its own
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"one too few":    {[]string{path, "--comment", "ticket 1", "--yes", "--expect", "9"}, exitHeld, "licensectl: error: the preview counts 10, not 9: nothing was done\nlicensectl: hint: look at the preview again, without --yes\n"},
		"one too many":   {[]string{path, "--comment", "ticket 1", "--yes", "--expect", "11"}, exitHeld, "licensectl: error: the preview counts 10, not 11: nothing was done\nlicensectl: hint: look at the preview again, without --yes\n"},
		"above the cap":  {[]string{path, "--comment", "ticket 1", "--yes", "--expect", "10", "--max", "9"}, exitHeld, "licensectl: error: the file has 10 valid rows, and --max is 9: nothing was done\nlicensectl: hint: add --max 10 if the file is right\n"},
		"no comment":     {[]string{path, "--yes", "--expect", "10"}, exitUsage, "licensectl: error: --yes needs --comment TEXT\nlicensectl: hint: say why, such as --comment \"ticket 4711\"\n"},
		"no count":       {[]string{path, "--yes", "--comment", "x"}, exitUsage, "licensectl: error: --yes needs --expect N\n"},
		"no target":      {nil, exitUsage, "there is no function to invoke\n"},
		"no file":        {[]string{}, exitUsage, "licensectl: error: licensectl deactivate takes one FILE, not 0 arguments\nlicensectl: hint: give a file of rows"},
		"a missing file": {[]string{"nowhere.csv"}, exitFailed, "licensectl: error: nowhere.csv: the file cannot be read: no such file or directory\n"},
		"stdin alone":    {[]string{"-"}, exitUsage, `licensectl: error: "-" needs --journal FILE` + "\n"},
		"a bad map":      {[]string{path, "--map", "product"}, exitUsage, "licensectl: error: --map product is not of that form\nlicensectl: hint: give COLUMN=FIELD, or COLUMN= to ignore the column\n"},
		"no such column": {[]string{path, "--map", "sku=product"}, exitUsage, "licensectl: error: --map sku: the header has no such column; it has Product Code, License Key, Device, Order, Buyer\n"},
		"set without =":  {[]string{path, "--set", "CANARY"}, exitUsage, "licensectl: error: --set has no value\nlicensectl: hint: give FIELD=VALUE\n"},
		"a function alone": {[]string{path, "--function", "my-webhook", "--endpoint-url", "https://lambda.example", "--yes", "--expect", "10", "--comment", "x"}, exitUsage,
			"licensectl: error: the outcomes are in the functions' logs, which are known only from a stack\nlicensectl: hint: name the stack with --stack, or send without a look at the outcomes: --no-canary without --wait\n"},
		"no secrets":  {[]string{path, "--secrets", "s.json"}, exitUsage, "licensectl: error: --secrets goes with --direct\n"},
		"a bad share": {[]string{path, "--stop-above", "101"}, exitUsage, "licensectl: error: --stop-above 101 is no percentage\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := slices.Clone(c.args)
			if i := slices.Index(args, path); i >= 0 {
				args[i] = refunds(t, 10)
			}
			var code int
			var stderr string
			if c.args == nil {
				code, _, stderr = command(t, "deactivate", refunds(t, 10))
			} else {
				code, _, stderr = s.deactivate(t, args...)
			}
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, stderr, c.code, c.want)
			}
		})
	}
	t.Cleanup(func() {
		if n := s.calls(); n != 0 {
			t.Errorf("%d calls of the License API", n)
		}
	})
}

const actReport = `
Sent      10 of 10
Accepted  10
Rejected  0 in the file, 0 by the target
Outcomes  10 deactivated
`

func TestDeactivateSendsAndFollowsTheOutcomes(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := refunds(t, 10)
	if code, _, stderr := s.deactivate(t, path); code != exitDone {
		t.Fatalf("preview: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := s.deactivate(t, path, "--comment", "ticket 1", "--yes", "--expect", "10", "--wait")
	if code != exitDone || stderr != "Sent 10 of 10 rows.\n" || !strings.HasSuffix(stdout, actReport) {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	for id, o := range s.ids(t, 10) {
		if o.Outcome != deactivation.Deactivated || !strings.HasPrefix(id, "ops.") {
			t.Errorf("%s: %+v", id, o)
		}
	}
	code, stdout, stderr = s.deactivate(t, path)
	if code != exitDone || stderr != "This run has sent 10 rows. --wait follows their outcomes.\n" || !strings.Contains(stdout, "Sent      10 of 10 by earlier commands of this run\n") {
		t.Errorf("a preview of a whole run: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if code, stdout, _ = s.deactivate(t, path, "--wait"); code != exitDone || !strings.HasSuffix(stdout, actReport) {
		t.Errorf("--wait alone: exit code %d\n%s", code, stdout)
	}
	if code, _, _ = s.deactivate(t, path, "--comment", "again", "--yes", "--expect", "10"); code != exitDone || s.enqueued(t) != 10 {
		t.Errorf("again: exit code %d, %d requests", code, s.enqueued(t))
	}
	journal := readFile(t, path+".journal")
	for _, want := range []string{`"phase":"begin","command":"licensectl deactivate"`, `"phase":"end"`, `"comment":"ticket 1"`, `"comment":"again"`} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal has no %s:\n%s", want, journal)
		}
	}
}

func TestAFileThatChangedAfterItsPreviewSendsNothing(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := refunds(t, 5)
	if code, _, stderr := s.deactivate(t, path); code != exitDone {
		t.Fatalf("preview: exit code %d, %s", code, stderr)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(refundRows(5), "KEY-000005", "KEY-000006", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	act := []string{path, "--comment", "ticket 1", "--yes", "--expect", "5", "--wait"}
	code, _, stderr := s.deactivate(t, act...)
	if code != exitHeld || !strings.HasPrefix(stderr, "licensectl: error: refunds.csv: changed since the preview: the content of the file is different; nothing more was sent\nlicensectl: hint: look at a preview first") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if n := s.calls(); n != 0 {
		t.Errorf("%d calls of the License API", n)
	}
	if code, _, stderr := s.deactivate(t, path); code != exitDone {
		t.Fatalf("preview of the changed file: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := s.deactivate(t, act...); code != exitDone || s.calls() != 5 {
		t.Errorf("after a preview of it: exit code %d, %d calls, %s", code, s.calls(), stderr)
	}
}

// TestAWrongColumnStopsTheRun: every product is unknown, so every request is rejected.
func TestAWrongColumnStopsTheRun(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 200)
	path := refunds(t, 200)
	code, _, stderr := s.deactivate(t, path, "--map", "Buyer=product", "--comment", "ticket 1", "--yes", "--expect", "200", "--wait")
	if code != exitHeld || !strings.Contains(stderr, "licensectl: error: stopped: the first 10 rows are all rejected: 10 rejected (unknown_product 10); nothing more was sent\nlicensectl: hint: ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if n := s.enqueued(t); n > 50 {
		t.Errorf("%d requests were sent, want at most 50", n)
	}
}

// TestARunWhoseOutcomesTurnBadStopsAfterFifty: the first ten are well.
func TestARunWhoseOutcomesTurnBadStopsAfterFifty(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 39) // of fifty, eleven are not found
	path := refunds(t, 300)
	act := []string{path, "--comment", "ticket 1", "--yes", "--expect", "300"}
	code, stdout, stderr := s.deactivate(t, act...)
	if code != exitHeld || !strings.Contains(stderr, "The first 10 rows: 10 deactivated.\n") || !strings.Contains(stderr, "of the first 50 rows more than 20 % are rejected: 39 deactivated, 11 rejected (license_not_found 11); nothing more was sent\n") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if !strings.Contains(stdout, "Sent      50 of 300\n") || s.enqueued(t) != 50 {
		t.Errorf("%d requests reached the worker\n%s", s.enqueued(t), stdout)
	}
	if code, _, stderr := s.deactivate(t, act...); code != exitHeld || s.enqueued(t) != 50 {
		t.Errorf("again: exit code %d, %d requests, %s", code, s.enqueued(t), stderr)
	}
	for _, left := range []string{"250", "299", "301"} { // N is that of the file, on a resume too
		code, _, stderr := s.deactivate(t, path, "--comment", "ticket 1", "--yes", "--expect", left, "--stop-above", "100")
		if code != exitHeld || !strings.Contains(stderr, "the preview counts 300, not "+left+": nothing was done\n") || s.enqueued(t) != 50 {
			t.Errorf("--expect %s: exit code %d, %d requests, %s", left, code, s.enqueued(t), stderr)
		}
	}
	if code, _, stderr := s.deactivate(t, append(act, "--stop-above", "100")...); code != exitDone || !strings.Contains(stderr, "Sent 300 of 300 rows") {
		t.Errorf("with --stop-above: exit code %d, %s", code, stderr)
	}
}

// TestDevicesThatAreInactiveAlreadyAreAWarning: a wrong column of devices looks like success.
func TestDevicesThatAreInactiveAlreadyAreAWarning(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 20)
	path := refunds(t, 20)
	code, _, stderr := s.deactivate(t, path, "--map", "Buyer=hardware_id", "--comment", "ticket 1", "--yes", "--expect", "20")
	if code != exitDone || !strings.Contains(stderr, "The first 10 rows: 10 already inactive.\nlicensectl: warning: none of them was active: is the column of hardware_id the right one?\n") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestRowsFromStdinAreKeptBesideTheJournal(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	journal := file(t, "run.journal", "")
	run := func(rows string, flags ...string) (int, string, string) {
		return commandIn(t, strings.NewReader(rows), append([]string{"deactivate", "-", "--journal", journal, "--endpoint-url", s.address}, flags...)...)
	}
	rows := refundRows(4) + ",K,h,1,\n"
	if code, stdout, stderr := run(rows); code != exitPartly || !strings.HasPrefix(stdout, "File      stdin\n") {
		t.Fatalf("preview: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	act := []string{"--comment", "ticket 1", "--yes", "--expect", "4", "--wait"}
	if code, _, stderr := run(refundRows(5), act...); code != exitHeld || !strings.Contains(stderr, "stdin: changed since the preview") || readFile(t, journal+".input") != rows {
		t.Errorf("other rows: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := run(rows, act...); code != exitPartly || s.calls() != 4 {
		t.Errorf("exit code %d, %d calls, %s", code, s.calls(), stderr)
	}
	if !exists(journal+".rejected.csv") || exists(journal+".input.tmp") {
		t.Error("the rejected rows are missing, or a temporary file is left")
	}
}

func TestDeactivatePrintsEvents(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := file(t, "refunds.csv", mixedRows)
	code, stdout, stderr := s.deactivate(t, path, "--json")
	preview := lastObject(t, stdout)
	if code != exitPartly || preview["event"] != "preview" || preview["count"] != 2.0 || preview["rejected"] != 3.0 || preview["duplicates"] != 1.0 {
		t.Errorf("exit code %d, %v, %s", code, preview, stderr)
	}
	if n := strings.Count(stdout, `{"event":"rejected","line":`); n != 3 {
		t.Errorf("%d events of rejected rows, want 3", n)
	}
	code, stdout, stderr = s.deactivate(t, path, "--json", "--comment", "ticket 1", "--yes", "--expect", "2", "--wait")
	end := lastObject(t, stdout)
	if code != exitPartly || end["event"] != "end" || end["count"] != 2.0 || end["comment"] != "ticket 1" || stderr != "licensectl: error: 3 rows are rejected\n" {
		t.Errorf("exit code %d, %v, %s", code, end, stderr)
	}
	if diff := cmp.Diff(map[string]any{"deactivated": 2.0}, end["outcomes"]); diff != "" {
		t.Error(diff)
	}
}

// TestDeactivateDirectNeedsNoFunction: the same worker in this process, whose outcomes are known at once.
func TestDeactivateDirectNeedsNoFunction(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := refunds(t, 12) // the last two are not found
	direct := []string{"deactivate", path, "--direct", "--secrets", file(t, "s.json", bulkSecrets), "--license-api", s.apiURL, "--calls-per-second", "1000"}
	code, stdout, stderr := command(t, append(direct, "--license-api", strings.TrimSuffix(s.apiURL, "/api/v4"))...)
	if code != exitUsage || stderr != "licensectl: error: --license-api must be an address that ends in /api/v4\nlicensectl: hint: give an address such as https://api.licensespring.com/api/v4\n" {
		t.Errorf("an address without a version: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = command(t, direct...)
	if code != exitDone || !strings.Contains(stdout, "Target    the License API at "+s.apiURL+"\n") || !strings.Contains(stdout, "at 1000 calls a second\n") || s.calls() != 0 {
		t.Fatalf("preview: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = command(t, append(direct, "--comment", "ticket 1", "--yes", "--expect", "12", "--stop-above", "50")...)
	if code != exitPartly || !strings.Contains(stdout, "Outcomes  10 deactivated, 2 rejected\n") || s.calls() != 12 {
		t.Errorf("exit code %d, %d calls\n%s\n%s", code, s.calls(), stdout, stderr)
	}
	if rejected := readFile(t, path+".rejected.csv"); strings.Count(rejected, "rejected: license_not_found") != 2 {
		t.Errorf("rejected:\n%s", rejected)
	}
	code, _, stderr = command(t, "deactivate", refunds(t, 2), "--direct", "--secrets", file(t, "s.json", strings.Replace(bulkSecrets, `"shared"`, `"other"`, 1)),
		"--license-api", s.apiURL, "--comment", "x", "--yes", "--expect", "2")
	if code != exitFailed || !strings.Contains(stderr, "licensectl: error: no call can succeed: bad_credentials ") {
		t.Errorf("wrong keys: exit code %d, %s", code, stderr)
	}
}

// TestAThousandRowsAreTheMostWithoutMax.
func TestAThousandRowsAreTheMostWithoutMax(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 1)
	path := refunds(t, 1001)
	code, stdout, stderr := s.deactivate(t, path, "--comment", "ticket 1", "--yes", "--expect", "1001", "--no-canary")
	if code != exitHeld || !strings.Contains(stderr, "licensectl: error: the file has 1001 valid rows, and --max is 1000: nothing was done\n") || s.calls() != 0 {
		t.Errorf("exit code %d, %d calls\n%s\n%s", code, s.calls(), stdout, stderr)
	}
}
