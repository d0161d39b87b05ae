package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const quick = "--calls-per-second=1000"

func TestLocalOnceSendsEverySampleAndEndsWell(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	for _, want := range []string{"stripe/full-refund", "deactivated", "already_inactive", "license_not_found, dead letter: rejected", "dead letter: missing product", "dead letter: reversed", "0 did not."} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
}

func TestASampleThatDoesNotEndAsItsFileSaysIsAnError(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick, "--fail", "echo")
	if code != exitFailed || !strings.Contains(stdout, "WRONG  stripe/full-refund: the outcome of") || !strings.Contains(stderr, "did not match their expected result") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// TestEveryPassingFaultIsRiddenOut has the API misbehave in each way that ends by itself: every sample has its expected
// outcome all the same, later. Six faults run at a time, with any -parallel: they wait for whole seconds, the least
// that SQS hides a message for. More would take each other's processor under the race detector.
func TestEveryPassingFaultIsRiddenOut(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	atOnce := make(chan struct{}, 6)
	for _, fault := range []string{"503", "429", "429-date", "429-bare", "reset", "reset-after", "cut", "cut-after", "html", "unauthorized", "stale-date", "storm"} { //nolint:paralleltest // as above
		all.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			t.Run(fault, func(t *testing.T) {
				code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick, "--calls-in-flight", "40", "--fail", fault)
				if code != exitDone {
					t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
				}
			})
		})
	}
}

const testSecrets = `{"license_api":{"api_key":"key","shared_key":"shared-canary"},"webhooks":{"stripe":["whsec_new_canary","whsec_old"],"nobody":"x"}}`

func TestAThousandRequestsThroughAStormAllEndDeactivated(t *testing.T) {
	t.Parallel()
	const n = 1000
	state := licenseapitest.State{APIKeys: map[string]string{"key": "shared-canary"}}
	var rows []string
	for i := range n {
		state.Licenses = append(state.Licenses, licenseapitest.License{Product: "XY", LicenseKey: fmt.Sprintf("KEY-CANARY-%04d", i), Devices: []string{"hw"}})
		rows = append(rows, fmt.Sprintf(`{"id":"r%d","product":"XY","license_key":"KEY-CANARY-%04d","hardware_id":"hw"}`, i, i))
	}
	api, address := fakeAPI(t, state)
	const badCalls, chance = 2, 0.7 // of each license: 503, reset, cut body, HTML, 429
	api.OnCall(licenseapitest.Storm(7, badCalls, chance))
	r := start(t, "local", "--json", "--secrets", file(t, "s.json", testSecrets), "--license-api", address, "--calls-per-second", "100000", "--calls-in-flight", "50")

	status, answer := r.post(t, "/2015-03-31/functions/webhook/invocations", `{"source":"ops","requests":[`+strings.Join(rows, ",")+`]}`)
	if status != http.StatusOK || !strings.Contains(answer, `"accepted":1000`) {
		t.Fatalf("answer %d %.200s", status, answer)
	}
	text := r.stdout.await(t, "end of every request", func(text string) bool {
		ended := 0
		for _, o := range lines(t, text) {
			if o.Outcome != deactivation.Deferred {
				ended++
			}
		}
		return ended == n
	})
	retried := 0
	for id, o := range lines(t, text) {
		// One whose answer was lost in a reset is found inactive, by a retry or by net/http's own repeat.
		if o.Outcome != deactivation.Deactivated && o.Outcome != deactivation.AlreadyInactive {
			t.Errorf("%s ended as %s (%s) at attempt %d", id, o.Outcome, o.Code, o.Attempts)
		}
		if o.Attempts > 1 {
			retried++
		}
	}
	if retried == 0 {
		t.Error("there was no storm")
	}
	for _, l := range api.State().Licenses {
		if len(l.Devices) > 0 {
			t.Fatal("a device is still active")
		}
	}
	if strings.Contains(text+r.stderr.String(), "CANARY") || strings.Contains(text+r.stderr.String(), "canary") {
		t.Error("a key is in the output")
	}
	if code := r.stop(); code != exitDone {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
}

func TestAKeyThatChangesUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	const n = 400
	state := licenseapitest.State{APIKeys: map[string]string{"key": "shared-canary"}}
	var rows []string
	for i := range n {
		state.Licenses = append(state.Licenses, licenseapitest.License{Product: "XY", LicenseKey: fmt.Sprintf("K%04d", i), Devices: []string{"hw"}})
		rows = append(rows, fmt.Sprintf(`{"id":"r%d","product":"XY","license_key":"K%04d","hardware_id":"hw"}`, i, i))
	}
	api, address := fakeAPI(t, state)
	secrets := file(t, "s.json", testSecrets)
	r := start(t, "local", "--json", "--secrets", secrets, "--license-api", address, "--calls-per-second", "2000", "--calls-in-flight", "10")
	r.post(t, "/2015-03-31/functions/webhook/invocations", `{"source":"ops","requests":[`+strings.Join(rows[:n/2], ",")+`]}`)
	r.stdout.await(t, "first outcomes", func(text string) bool { return len(lines(t, text)) > n/8 })
	if err := os.WriteFile(secrets, []byte(strings.Replace(testSecrets, "shared-canary", "rotated-canary", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	api.Rotate("key", "rotated-canary")
	r.post(t, "/2015-03-31/functions/webhook/invocations", `{"source":"ops","requests":[`+strings.Join(rows[n/2:], ",")+`]}`)
	text := r.stdout.await(t, "end of every request", func(text string) bool { return len(lines(t, text)) == n })
	for id, o := range lines(t, text) {
		if o.Outcome != deactivation.Deactivated || o.Attempts != 1 {
			t.Errorf("%s ended as %s (%s) at attempt %d", id, o.Outcome, o.Code, o.Attempts)
		}
	}
}

func TestASecretThatNothingReadsIsAWarning(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", "--secrets", file(t, "s.json", testSecrets), quick)
	if !strings.Contains(stderr, `licensectl: warning: there is a secret for "nobody", but no sender's file`) {
		t.Errorf("stderr %q", stderr)
	}
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(stdout+stderr, "canary") {
		t.Error("a secret is in a message")
	}
}

func TestSamplesOfSendersWithoutASecretAreSkippedAndSaidToBe(t *testing.T) {
	t.Parallel()
	two := file(t, "s.json", strings.Replace(testSecrets, `"nobody":"x"`, `"shopify":"canary"`, 1))
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", "--secrets", two, quick)
	skipped := regexp.MustCompile(`Skipped (\d+) samples of senders without a secret in \S+s\.json: 2checkout, appsumo, chargebee, .*, woocommerce, .*\.\n`).FindStringSubmatch(stdout)
	if code != exitDone || stderr != "" || skipped == nil {
		t.Fatalf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	sent := regexp.MustCompile(`\n(\d+) samples, `).FindStringSubmatch(stdout)
	if n, m := atoi(t, skipped[1]), atoi(t, sent[1]); n+m != len(builtInSamples(t)) || n == 0 || m == 0 {
		t.Errorf("%d skipped and %d sent of %d", n, m, len(builtInSamples(t)))
	}
	for _, sent := range []string{"stripe/full-refund ", "shopify/full-refund "} {
		if !strings.Contains(stdout, sent) {
			t.Errorf("%s is not in\n%s", sent, stdout)
		}
	}
	if strings.Contains(stdout, "WRONG") || strings.Contains(stdout, "paddle/") {
		t.Errorf("a sample without a secret was sent\n%s", stdout)
	}
	none := file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":{"nobody":"x"}}`)
	if code, _, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", "--secrets", none, quick); code != exitFailed || !strings.Contains(stderr, "no sample was sent") {
		t.Errorf("without any sample: exit code %d, %s", code, stderr)
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestProgressIsPrintedAtOnceAndWhileRequestsWait(t *testing.T) {
	t.Parallel()
	c := fast()
	c.progress = time.Millisecond
	var stdout, stderr bytes.Buffer
	code := c.run(t.Context(), []string{"local", "--once", "--addr", "127.0.0.1:0", quick, "--calls-in-flight", "40", "--fail", "503"}, strings.NewReader(""), &stdout, &stderr)
	before, table, _ := strings.Cut(stdout.String(), "SAMPLE  ")
	n := len(builtInSamples(t))
	if code != exitDone || !strings.Contains(before, fmt.Sprintf("Sending %d samples …\n", n)) || !strings.Contains(before, fmt.Sprintf("  %d of %d samples sent; ", n, n)) || strings.Contains(table, " sent; ") {
		t.Errorf("exit code %d, %s\n%s", code, &stderr, &stdout)
	}
}

func TestCtrlCWhileSamplesAreSentSaysInterrupted(t *testing.T) {
	t.Parallel()
	// A configuration fault defers every request, so the samples have no result before samplesTimeout.
	r := start(t, "local", "--once", quick, "--fail", "code=read_only_api_key")
	if code := r.stop(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if got := r.stderr.String(); !strings.HasPrefix(got, "licensectl: error: interrupted: ") || strings.Contains(r.stdout.String(), "WRONG") {
		t.Errorf("stderr %q, %s", got, r.stdout)
	}
}

func TestTestEventsAreAccepted(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick, "--test-events", "accept")
	text := r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "until Ctrl-C") })
	if strings.Contains(text, "WRONG") || !strings.Contains(text, "samples of test modes: their files expect that test events are ignored.") {
		t.Errorf("the samples of test modes are not skipped\n%s", text)
	}
	code, stdout, stderr := command(t, "send", "--source", "stripe", "--case", "test-mode", "--to", r.address)
	if code != exitDone || !strings.Contains(stdout, `"answer":"accepted"`) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

func TestARefusedBulkPayloadIsShown(t *testing.T) {
	t.Parallel()
	const invocations = "/2015-03-31/functions/webhook/invocations"
	rows := `{"source":"ops","requests":[{"product":"XY","hardware_id":"KEY-CANARY"}]}`
	r := start(t, "local", quick)
	r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "until Ctrl-C") })
	r.post(t, invocations, `{"requests":[],"source":"O P S"}`)
	r.stdout.await(t, "refusal", func(text string) bool {
		return strings.Contains(text, `refused          invocation  (webhook: "source" is missing or not a name`)
	})
	r.post(t, invocations, rows)
	r.stdout.await(t, "refusal", func(text string) bool {
		return strings.Contains(text, "refused          ops  (rejected 1 of 1 requests, the first with missing_field)")
	})
	j := start(t, "local", "--json", quick)
	j.post(t, invocations, `{"requests":{}}`)
	j.stderr.await(t, "refusal", func(text string) bool {
		return strings.Contains(text, "licensectl: warning: invocation refused: webhook: ")
	})
	if strings.Contains(r.stdout.String()+j.stderr.String(), "CANARY") {
		t.Error("a key is shown")
	}
}

func TestWithJSONNoTableIsPrinted(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--json", "--addr", "127.0.0.1:0", quick, "--fail", "echo")
	if code != exitFailed || len(lines(t, stdout)) == 0 { // lines fails on anything but objects
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, table := range []string{"SAMPLE", "Sending", " matched their expected result, "} {
		if strings.Contains(stderr, table) {
			t.Errorf("%q is on stderr", table)
		}
	}
	if !strings.Contains(stderr, "WRONG  stripe/full-refund: ") || !strings.Contains(stderr, `"message":"delivery"`) {
		t.Errorf("the mismatches or the log lines are missing\n%s", stderr)
	}
}

func TestAnAddressThatCannotBeListenedOnIsCalledWhatItIs(t *testing.T) {
	t.Parallel()
	taken := strings.TrimPrefix(start(t, "fake-api").address, "http://")
	for _, cmd := range []string{"local", "fake-api"} {
		for name, c := range map[string]struct {
			addr string
			code int
			want string
		}{
			"no port":               {"127.0.0.1", exitUsage, `error: --addr "127.0.0.1" is not an address`},
			"a word for a port":     {"127.0.0.1:http", exitUsage, "hint: give host:port"},
			"a port too high":       {"127.0.0.1:65536", exitUsage, "hint: give host:port"},
			"taken":                 {taken, exitFailed, "hint: is another licensectl running?"},
			"another machine's":     {"192.0.2.1:0", exitFailed, "hint: this machine does not have that address"},
			"a host that is not it": {"nowhere.invalid:0", exitFailed, "hint: give another address"},
		} {
			code, _, stderr := command(t, cmd, "--addr", c.addr)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("%s, %s: exit code %d, %s", cmd, name, code, stderr)
			}
		}
	}
}

func TestLocalRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown flag":            {[]string{"local", "--speed", "9"}, exitUsage, "unknown flag: --speed"},
		"an argument":             {[]string{"local", "now"}, exitUsage, "licensectl: hint: see licensectl local --help"},
		"no call in flight":       {[]string{"local", "--calls-in-flight", "0"}, exitUsage, "--calls-in-flight 0 is out of range"},
		"no calls":                {[]string{"local", "--calls-per-second", "0"}, exitUsage, "--calls-per-second 0 is out of range"},
		"unknown fault":           {[]string{"local", "--fail", "rain"}, exitUsage, "error: --fail: no fault is called \"rain\"\nlicensectl: hint: known are 503"},
		"once with a real API":    {[]string{"local", "--once", "--license-api", "https://example.com/api/v4"}, exitUsage, "--once ends after the samples"},
		"fail with a real API":    {[]string{"local", "--fail", "503", "--license-api", "https://example.com/api/v4"}, exitUsage, "--fail is for the fake"},
		"no version":              {[]string{"local", "--license-api", "https://api.licensespring.com"}, exitUsage, "--license-api must be an address that ends in /api/v4\nlicensectl: hint: give an address such as https://api.licensespring.com/api/v4\n"},
		"no management version":   {[]string{"local", "--license-api", "https://example.com/api/v4/", "--management-api", "https://example.com/api/v4"}, exitUsage, "--management-api must be an address that ends in /api/v1"},
		"plain http API":          {[]string{"local", "--license-api", "http://example.com/api/v4"}, exitUsage, "--license-api: local: licenseapi: BaseURL"},
		"management API alone":    {[]string{"local", "--management-api", "https://example.com/api/v1"}, exitUsage, "--management-api without --license-api"},
		"plain http management":   {[]string{"local", "--license-api", "https://example.com/api/v4", "--management-api", "http://example.com/api/v1"}, exitUsage, "--management-api: managementapi: BaseURL"},
		"no management calls":     {[]string{"local", "--management-calls-per-minute", "0"}, exitUsage, "hint: give a number from 30 to 24000"},
		"empty management key":    {[]string{"local", "--secrets", file(t, "s.json", `{"license_api":{"api_key":"a","shared_key":"b","management_api_key":""},"webhooks":{}}`)}, exitFailed, "management_api_key is empty"},
		"no secrets file":         {[]string{"local", "--secrets", "/nowhere.json"}, exitFailed, "hint: the file holds"},
		"broken secrets":          {[]string{"local", "--secrets", file(t, "s.json", `{"license_api":{}}`)}, exitFailed, `has no "webhooks"`},
		"empty shared key":        {[]string{"local", "--secrets", file(t, "s.json", `{"license_api":{"api_key":"a","shared_key":""},"webhooks":{}}`)}, exitFailed, "shared_key"},
		"no folder of sources":    {[]string{"local", "--sources", "/nowhere"}, exitFailed, "stat /nowhere: no such file"},
		"a broken sender file":    {[]string{"local", "--sources", brokenSources(t)}, exitFailed, "acme.yaml:1: verify is missing"},
		"an address that is none": {[]string{"local", "--addr", "nowhere:x"}, exitUsage, "hint: give host:port, such as 127.0.0.1:8080"},
		"a mode":                  {[]string{"local", "--mode", "look"}, exitUsage, `--mode "look" is neither act nor watch`},
		"a surge limit":           {[]string{"local", "--surge-limit=-1"}, exitUsage, "hint: give a number of licenses, or 0 for no brake"},
		"test events":             {[]string{"local", "--test-events", "yes"}, exitUsage, `--test-events "yes" is neither ignore nor accept`},
		"unknown command":         {[]string{"locla"}, exitUsage, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := command(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) || !strings.HasPrefix(stderr, "licensectl: error: ") {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, stderr, c.code, c.want)
			}
		})
	}
}

func brokenSources(t *testing.T) string {
	t.Helper()
	path := file(t, "acme.yaml", "license: [data]\nrules: [{name: r, when: a}]\n")
	return strings.TrimSuffix(path, "/acme.yaml")
}

func TestLocalStaysUpForTheUsersOwnRequests(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick)
	r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "until Ctrl-C") })

	code, stdout, stderr := command(t, "send", "events/stripe/full-refund.json", "--to", r.address)
	if code != exitDone || !strings.Contains(stdout, "200 OK") || !strings.Contains(stdout, `"answer":"accepted"`) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	r.stdout.await(t, "outcome", func(text string) bool {
		return strings.Contains(text, "already_inactive stripe.evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R.0  (key …44AC: no active device, was disabled)")
	})

	if status, _ := r.post(t, "/webhooks/stripe", "{}"); status != http.StatusUnauthorized {
		t.Errorf("an unsigned delivery is answered %d", status)
	}
	if status, _ := r.post(t, "/elsewhere", "{}"); status != http.StatusNotFound {
		t.Errorf("another address is answered %d", status)
	}
	if status, answer := r.post(t, "/2015-03-31/functions/webhook/invocations", `"hello"`); status != http.StatusOK || !strings.Contains(answer, "errorMessage") {
		t.Errorf("an invocation that is none is answered %d %s", status, answer)
	}
	if code := r.stop(); code != exitDone {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
}

func TestOnlyAProgramOnThisMachineMayInvoke(t *testing.T) {
	t.Parallel()
	api, address := fakeAPI(t, licenseapitest.State{
		APIKeys: map[string]string{"key": "shared-canary"}, Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "K1", Devices: []string{"h1"}}},
	})
	r := start(t, "local", "--json", quick, "--secrets", file(t, "s.json", testSecrets), "--license-api", address)
	invoke := func(change func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.address+"/2015-03-31/functions/webhook/invocations",
			strings.NewReader(`{"source":"ops","requests":[{"product":"XY","license_key":"K1","hardware_id":"h1"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"a page":         {func(q *http.Request) { q.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"a rebound name": {func(q *http.Request) { q.Host = "evil.example:8080" }, http.StatusForbidden},
		"a dry run":      {func(q *http.Request) { q.Header.Set("X-Amz-Invocation-Type", "DryRun") }, http.StatusNoContent},
	} {
		if got := invoke(c.change); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if api.Counts().Calls != 0 || len(lines(t, r.stdout.String())) != 0 {
		t.Error("what must not run has run")
	}
	if got := invoke(func(q *http.Request) { q.Header.Set("X-Amz-Invocation-Type", "Event"); q.Host = "localhost:1" }); got != http.StatusAccepted {
		t.Errorf("an Event is answered %d, want 202", got)
	}
	r.stdout.await(t, "outcome", func(text string) bool { return strings.Contains(text, `"outcome":"deactivated"`) })
}

// full is a writer without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutcomesThatCannotBeWrittenAreAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--json"}, nil} {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"local", "--once", "--addr", "127.0.0.1:0", quick}, args...), strings.NewReader(""), full{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr.String())
		}
	}
}
