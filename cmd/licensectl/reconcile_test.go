package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// refundedLicenses are the licenses of the orders in refundExport, one for each state.
func refundedLicenses() []licenseapitest.License {
	disabled := false
	return []licenseapitest.License{
		{ID: 1001, Product: "XY", LicenseKey: "CANARY-KEY-0001", Order: "C-1001", Devices: []string{"canary-device-0001", "canary-device-0002"}},
		{ID: 1002, Product: "XY", LicenseKey: "CANARY-KEY-0002", Order: "C-1002", Enabled: &disabled},
		{ID: 1003, Product: "XY", LicenseKey: "CANARY-KEY-0003", Order: "C-1003"},
		{ID: 1004, Product: "XY", LicenseKey: "CANARY-KEY-0004", Order: "C-1004", Devices: []string{"canary-device-0004"}},
		{ID: 1005, Product: "XY", LicenseKey: "CANARY-KEY-0005", Order: "C-1004", Devices: []string{"canary-device-0005"}},
		{ID: 1006, Product: "XZ", LicenseKey: "CANARY-KEY-0006", Order: "C-1004", Devices: []string{"canary-device-0006"}},
		{ID: 1007, Product: "US", Username: "canary@example.com", Password: "canary-password", Order: "C-1007", Devices: []string{"canary-device-0007"}},
	}
}

const refundExport = `Order;SKU;Amount;Key;Device
C-1001;;"9,99";;
C-1002;;1;;
C-1003;;2;;
C-1004;XY;3;;
C-1004;XZ;3;;
C-1004;YY;3;;
C-1005;;4;;
C-1001;;9;;
;;5;;
C-1007;;6;;
;;7;CANARY-KEY-0004;
C-1001;;8;CANARY-KEY-0001;canary-device-0002
;XZ;9;CANARY-KEY-0004;
`

const reconcileGolden = `LINE    STATE      DEVICES  LOOKED UP BY
2       active     2        order C-1001
3       disabled   0        order C-1002
4       no_device  0        order C-1003
5       review     -        order C-1004
        partial: 1 of the product "XY" were refunded, and
        the order has 2 licenses of it; to release this acts
        on all of them
6       active     1        order C-1004
7       review     -        order C-1004
        partial: 1 of the product "YY" were refunded, and
        the order has 0 licenses of it; to release this acts
        on all of them
8       not_found  -        order C-1005
9       duplicate  -        -
10      rejected   -        -
        missing_field: order: is missing, and so is
        license_key: there is nothing to look the license up
        by
11      review     -        order C-1007
        user_based: a row cannot name the device of a user's
        license: licensectl resolve --order frees it
12      active     1        key …0004
13      active     1        key …0001
14      review     -        key …0004
        mismatch: license 1004 has the key, but is of the
        product "XY", and the request says "XZ"

Checked    13 of 13 rows
active     4 (their devices can use the license)
no_device  1 (enabled: it can be activated again)
disabled   1
not_found  1
review     4 (a person decides: licensectl resolve)
rejected   1
duplicate  1

5 active devices are in FILE.active.csv. To see what deactivating them does:
  licensectl deactivate FILE.active.csv --direct --secrets SECRETS --license-api ADDRESS
`

const activeGolden = `Order;SKU;Amount;Key;Device
C-1001;XY;9,99;CANARY-KEY-0001;canary-device-0001
C-1001;XY;9,99;CANARY-KEY-0001;canary-device-0002
C-1004;XZ;3;CANARY-KEY-0006;canary-device-0006
;XY;7;CANARY-KEY-0004;canary-device-0004
C-1001;XY;8;CANARY-KEY-0001;canary-device-0002
`

// reconcileRun is a file of refunds beside a LicenseSpring, and the command that compares them.
type reconcileRun struct {
	api   *licenseapitest.Server
	path  string
	flags []string
}

func startReconcile(t *testing.T, export string, licenses ...licenseapitest.License) reconcileRun {
	t.Helper()
	api, flags := springAPI(t, licenses...)
	return reconcileRun{api, file(t, "refunds.csv", export), withoutLicenseAPI(flags)}
}

// withoutLicenseAPI leaves out the flag that reconcile has not.
func withoutLicenseAPI(flags []string) []string {
	var left []string
	for i := 0; i < len(flags); i += 2 {
		if flags[i] != "--license-api" {
			left = append(left, flags[i:i+2]...)
		}
	}
	return left
}

func (r reconcileRun) args(more ...string) []string {
	return append(append([]string{"reconcile", r.path}, r.flags...), more...)
}

// shown replaces the paths of the test.
func (r reconcileRun) shown(text string) string {
	return strings.NewReplacer(r.path, "FILE", r.flags[1], "SECRETS").Replace(text)
}

func TestReconcileSaysOfEachRefundWhetherItsLicenseStillWorks(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, refundExport, refundedLicenses()...)
	code, stdout, stderr := command(t, r.args()...)
	if diff := cmp.Diff(reconcileGolden, r.shown(stdout)); diff != "" || code != exitPartly {
		t.Errorf("exit code %d\n%s", code, diff)
	}
	const announced = "Columns   Order → order, SKU → product, Key → license_key,\n          Device → hardware_id\nIgnored   Amount\n" +
		"Time      less than a second at 1000000 calls a minute, 2 a row\n\nlicensectl: error: 1 row is rejected\n"
	if stderr != announced {
		t.Errorf("stderr %q, want %q", stderr, announced)
	}
	if diff := cmp.Diff(activeGolden, readFile(t, r.path+".active.csv")); diff != "" {
		t.Errorf("the file of active devices: %s", diff)
	}
	if writes := r.api.Ledger(); len(writes) != 0 {
		t.Errorf("it writes: %v", writes)
	}
	noSecret(t, stdout, stderr)
	for line := range strings.Lines(reconcileGolden) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 && !strings.Contains(line, "FILE") {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

// TestWhatReconcileWritesIsAFileForDeactivate: with the same licenses, and no other flag of columns. It deactivates each device
// once, and then nothing is active.
func TestWhatReconcileWritesIsAFileForDeactivate(t *testing.T) {
	t.Parallel()
	for name, export := range map[string]string{
		"csv":            "Order,Device,id,user\nC-1001,,1,\nC-1004,,2,\n",
		"another column": "Bestellung,Hinweis\nC-1001,a\nC-1004,b\n",
		"ndjson":         "{\"order\":\"C-1001\"}\n{\"order\":\"C-1004\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, flags := springAPI(t, refundedLicenses()...)
			r := reconcileRun{api, file(t, "refunds.csv", export), withoutLicenseAPI(flags)}
			var mapped []string
			if name == "another column" {
				mapped = []string{"--map", "Bestellung=order"}
			}
			if code, stdout, stderr := command(t, r.args(mapped...)...); code != exitDone || !strings.Contains(stdout, "active   2 ") {
				t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
			direct := []string{"deactivate", r.path + ".active.csv", "--direct", "--secrets", flags[1], "--license-api", flags[3], "--calls-per-second", "1000"}
			code, stdout, stderr := command(t, append(direct, "--comment", "ticket 1", "--yes", "--expect", "5")...)
			if code != exitDone || !strings.Contains(stdout, "Outcomes  5 deactivated\n") {
				t.Errorf("deactivate: exit code %d\n%s\n%s", code, stdout, stderr)
			}
			code, stdout, stderr = command(t, r.args(append(mapped, "--overwrite")...)...)
			if code != exitDone || !strings.Contains(stdout, "\nNo license of the file has an active device.\n") || !strings.Contains(stderr, ".active.csv is replaced.\n") || exists(r.path+".active.csv") {
				t.Errorf("afterwards: exit code %d\n%s\n%s", code, stdout, stderr)
			}
		})
	}
}

func TestReconcilePrintsEvents(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, "order\nC-1001\nC-1002\nC-1003\n", refundedLicenses()...)
	code, stdout, stderr := command(t, r.args("--json")...)
	want := `{"event":"row","line":2,"state":"active","by":"order C-1001","devices":2,"licenses":[{"license":1001,"key":"…0001","product":"XY","order":"C-1001","status":"Active","enabled":true,"devices":[{"device":"…0001"},{"device":"…0002"}]}]}
{"event":"row","line":3,"state":"disabled","by":"order C-1002","devices":0,"licenses":[{"license":1002,"key":"…0002","product":"XY","order":"C-1002","status":"Disabled","enabled":false}]}
{"event":"row","line":4,"state":"no_device","by":"order C-1003","devices":0,"licenses":[{"license":1003,"key":"…0003","product":"XY","order":"C-1003","status":"Inactive","enabled":true}]}
{"event":"end","count":2,"rows":3,"checked":3,"states":{"active":1,"disabled":1,"no_device":1},"file":"FILE.active.csv"}
`
	if diff := cmp.Diff(want, r.shown(stdout)); diff != "" || code != exitDone || stderr != "" {
		t.Errorf("exit code %d, %s\n%s", code, stderr, diff)
	}
	noSecret(t, stdout)
}

// TestReconcileGoesOnWhereItWasStopped by an outage, or by Ctrl-C: what was checked is in the file, and the same flags with
// --from-line add the rest.
func TestReconcileGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop  func(interrupt func()) licenseapitest.Fault
		code  int
		error string
		hint  string
	}{
		"outage": {func(func()) licenseapitest.Fault { return licenseapitest.Fault{Status: http.StatusServiceUnavailable} }, exitPartly,
			"licensectl: error: managementapi: ", "try again; if it lasts, check the address (--management-api); "},
		"key": {func(func()) licenseapitest.Fault { return licenseapitest.Fault{Status: http.StatusUnauthorized} }, exitPartly,
			"licensectl: error: managementapi: ", "hint: the Management API refuses the key: put a current management_api_key that may read and change licenses into the file of --secrets, or into the stack's license secret; "},
		"Ctrl-C": {func(interrupt func()) licenseapitest.Fault { interrupt(); return licenseapitest.Fault{} }, exitFailed,
			"licensectl: error: interrupted\n", "licensectl: hint: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReconcile(t, "order\nC-1001\nC-1004\nC-1003\n", refundedLicenses()...)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			r.api.OnManagementCall(func(call licenseapitest.ManagementCall) licenseapitest.Fault {
				if call.Query.Get("order__store_id") == "C-1004" {
					return c.stop(interrupt)
				}
				return licenseapitest.Fault{}
			})
			var stdout, stderr bytes.Buffer
			code := fast().run(ctx, r.args(), strings.NewReader(""), &stdout, &stderr)
			const next = "the rows before line 3 are checked; go on with the same flags: licensectl reconcile FILE --from-line 3\n"
			if code != c.code || !strings.Contains(stdout.String(), "\nChecked  1 of 3 rows\n") || !strings.Contains(stderr.String(), c.error) || !strings.HasSuffix(r.shown(stderr.String()), c.hint+next) {
				t.Errorf("exit code %d\n%s\n%s", code, &stdout, &stderr)
			}
			if rows := readFile(t, r.path+".active.csv"); strings.Count(rows, "\n") != 3 {
				t.Errorf("the file of active devices:\n%s", rows)
			}
			r.api.OnManagementCall(nil)
			code, out, errs := command(t, r.args("--from-line", "3")...)
			want := "order,product,license_key,hardware_id\nC-1001,XY,CANARY-KEY-0001,canary-device-0001\nC-1001,XY,CANARY-KEY-0001,canary-device-0002\n" +
				"C-1004,XY,CANARY-KEY-0004,canary-device-0004\nC-1004,XY,CANARY-KEY-0005,canary-device-0005\nC-1004,XZ,CANARY-KEY-0006,canary-device-0006\n"
			if diff := cmp.Diff(want, readFile(t, r.path+".active.csv")); diff != "" || code != exitDone || !strings.Contains(out, "\nChecked    2 of 2 rows\n") || !strings.Contains(out, "\n3 active devices added to ") {
				t.Errorf("exit code %d\n%s\n%s\n%s", code, out, errs, diff)
			}
		})
	}
}

// TestAFirstRowThatCannotBeCheckedIsAFailure: nothing was checked, and no file is left.
func TestAFirstRowThatCannotBeCheckedIsAFailure(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, "order\nC-1001\n", refundedLicenses()...)
	if err := r.api.Fail("management-filters-ignored"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, r.args()...)
	if code != exitFailed || !strings.Contains(stdout, "\nChecked  0 of 1 row\n") || !strings.Contains(stderr, "licensectl: error: the Management API's filters cannot be trusted\n") || exists(r.path+".active.csv") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// TestALicenseThatWasGivenBackIsReviewed, and a device that was activated long after the refund is not in the file.
func TestALicenseThatWasGivenBackIsReviewed(t *testing.T) {
	t.Parallel()
	refund := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	later := refund.Add(48 * time.Hour)
	r := startReconcile(t, "order,refund date\nC-1,2026-03-02\nC-2,2026-03-02\nC-3,2026-03-02\n",
		licenseapitest.License{Product: "XY", LicenseKey: "CANARY-KEY-1", Order: "C-1", Devices: []string{"canary-1"}, CreatedAt: refund.Add(-time.Hour), TimeDisabled: later},
		licenseapitest.License{Product: "XY", LicenseKey: "CANARY-KEY-2", Order: "C-2", Devices: []string{"canary-2"}, Activated: map[string]time.Time{"canary-2": later}},
		licenseapitest.License{Product: "XY", LicenseKey: "CANARY-KEY-3", Order: "C-3", Devices: []string{"canary-3", "canary-4"}, Activated: map[string]time.Time{"canary-3": later}},
	)
	code, stdout, stderr := command(t, r.args("--json")...)
	for _, want := range []string{`"line":2,"state":"review"`, `"code":"given_back"`, `"line":3,"state":"review"`, `"reason":"1 device was activated more than a day after the refund"`, `"line":4,"state":"active","by":"order C-3","devices":1`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, no %s in\n%s\n%s", code, want, stdout, stderr)
		}
	}
	if rows := readFile(t, r.path+".active.csv"); !strings.HasSuffix(rows, "\nC-3,2026-03-02,XY,CANARY-KEY-3,canary-4\n") || strings.Count(rows, "\n") != 2 {
		t.Errorf("the file of active devices:\n%s", rows)
	}
}

func TestReconcileRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, refundExport, refundedLicenses()...)
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"licensectl reconcile takes one FILE, not 0 arguments\nlicensectl: hint: give the store's export": {exitUsage, []string{"reconcile"}},
		"there are no keys for LicenseSpring":                                  {exitUsage, []string{"reconcile", r.path}},
		"reconcile reads its rows twice, and cannot read stdin":                {exitUsage, append([]string{"reconcile", "-"}, r.flags...)},
		"nowhere.csv: the file cannot be read: no such file or directory":      {exitFailed, append([]string{"reconcile", "nowhere.csv"}, r.flags...)},
		"--from-line 0 is no line":                                             {exitUsage, r.args("--from-line", "0")},
		"no row begins at --from-line 99 or later":                             {exitUsage, r.args("--from-line", "99")},
		"--from-line adds to a file, and --overwrite replaces it":              {exitUsage, r.args("--from-line", "2", "--overwrite")},
		"--map sku=x: there is no field x":                                     {exitUsage, r.args("--map", "sku=x")},
		"--map nothing is not of that form":                                    {exitUsage, r.args("--map", "nothing")},
		"--management-calls-per-minute must be above 0":                        {exitUsage, r.args("--management-calls-per-minute", "0")},
		"empty.csv: it has a header and no rows":                               {exitFailed, append([]string{"reconcile", file(t, "empty.csv", "order\n")}, r.flags...)},
		"shop.csv: the file cannot be read: it is empty":                       {exitFailed, append([]string{"reconcile", file(t, "shop.csv", "")}, r.flags...)},
		"secrets.json: secrets: license secret: management_api_key is missing": {exitFailed, append([]string{"reconcile", r.path, "--secrets", file(t, "secrets.json", bulkSecrets)}, r.flags[2:]...)},
		"the first line has no column that is a field (Umsatz)":                {exitUsage, append([]string{"reconcile", file(t, "other.csv", "Umsatz\n1\n")}, r.flags...)},
	} {
		code, stdout, stderr := command(t, c.args...)
		if code != c.code || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q; want %d and %q", c.args, code, stdout, stderr, c.code, want)
		}
		noSecret(t, stderr)
	}
}

// TestReconcileOnATerminal prints the same lines; the bar is gone at the end.
func TestReconcileOnATerminal(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, refundExport, refundedLicenses()...)
	code, screen := onTerminal(t, "", r.args()...)
	if code != exitPartly {
		t.Errorf("exit code %d", code)
	}
	plain := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(screen, "")
	plain = regexp.MustCompile(`\r[^\n]*\r`).ReplaceAllString(r.shown(plain), "")
	if strings.Contains(plain, "\r") {
		t.Errorf("something is left of the bar: %q", plain)
	}
	for line := range strings.Lines(reconcileGolden) {
		if !strings.Contains(plain, line) {
			t.Errorf("no line %q in\n%q", line, plain)
		}
	}
	noSecret(t, screen)
}

// TestTheExamplesOfReconcileRun with a stack, licensectl local and a file of secrets.
func TestTheExamplesOfReconcileRun(t *testing.T) { //nolint:paralleltest // the examples name files of the working directory
	api, flags := springAPI(t, refundedLicenses()...)
	_ = api
	ran := 0
	for line := range strings.Lines(newReconcile(nil, clock{}).Example) {
		t.Chdir(t.TempDir())
		content := "Order;SKU\n" + strings.Repeat("C-1001;\n", 24) + "C-1004;XZ\n"
		if strings.Contains(line, "Artikel") {
			content = strings.Replace(content, "SKU", "Artikel", 1)
		}
		for name, text := range map[string]string{"refunds.csv": content, "secrets.json": resolveSecrets} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args := strings.Fields(line)[1:]
		for i, arg := range args { // where the tests have no stack and no licensectl local
			if arg == "--stack" || arg == "--endpoint-url" {
				args = append(slices.Delete(args, i, i+2), "--secrets", "secrets.json")
				break
			}
		}
		args = append(args, "--management-api", flags[5], "--management-calls-per-minute", "100000")
		if code, stdout, stderr := command(t, args...); code != exitDone || !strings.Contains(stdout, "active") {
			t.Errorf("%s: exit code %d\n%s\n%s", line, code, stdout, stderr)
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("%d examples ran", ran)
	}
}

// TestTheNextCommandCanBePasted also with a file whose name has blanks.
func TestTheNextCommandCanBePasted(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, "", refundedLicenses()...)
	r.path = file(t, "my refunds.csv", "order\nC-1001\n")
	code, stdout, stderr := command(t, r.args()...)
	if code != exitDone || !strings.Contains(stdout, "\n  licensectl deactivate '"+r.path+".active.csv' --direct") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	// The Management API is none of LicenseSpring's, and the command names no other License API: as it is, it is refused.
	if code, _, stderr := command(t, "deactivate", r.path+".active.csv", "--direct", "--secrets", r.flags[1], "--license-api", "ADDRESS"); code != exitUsage || !strings.Contains(stderr, "--license-api must be an address") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// TestReconcileNeverReplacesItsInput, whatever the name.
func TestReconcileNeverReplacesItsInput(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, refundExport, refundedLicenses()...)
	link := filepath.Join(t.TempDir(), "link.csv")
	if err := os.Symlink(r.path, link); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{r.path, link} {
		for _, how := range [][]string{{"--overwrite"}, {"--from-line", "2"}, nil} {
			code, stdout, stderr := command(t, r.args(append(how, "--out", out)...)...)
			want := "licensectl: error: " + out + " is FILE itself: nothing was done\nlicensectl: hint: name another one with --out\n"
			if code != exitUsage || stdout != "" || stderr != want || readFile(t, r.path) != refundExport {
				t.Errorf("%s %v: exit code %d\n%s%s", out, how, code, stdout, stderr)
			}
		}
	}
	code, _, stderr := command(t, r.args("--out", filepath.Join(t.TempDir(), "no folder", "x.csv"))...)
	if code != exitFailed || !strings.Contains(stderr, "licensectl: error: /") || !strings.Contains(stderr, "x.csv cannot be written: no such file or directory") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

func TestReconcileReplacesNoFileUnasked(t *testing.T) {
	t.Parallel()
	r := startReconcile(t, refundExport, refundedLicenses()...)
	active := r.path + ".active.csv"
	if err := os.WriteFile(active, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, r.args()...)
	const want = "licensectl: error: FILE.active.csv exists: nothing was done\nlicensectl: hint: move it away, name another one with --out, or add --overwrite\n"
	if got := r.shown(stderr); code != exitUsage || got != want {
		t.Errorf("exit code %d, %q, want %q", code, got, want)
	}
	if code, _, stderr := command(t, r.args("--from-line", "3")...); code != exitPartly || !strings.Contains(stderr, "it has other columns than the rows that are to be added") || readFile(t, active) != "mine\n" {
		t.Errorf("with --from-line: exit code %d, %s", code, stderr)
	}
}
