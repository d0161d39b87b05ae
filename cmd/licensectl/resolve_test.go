package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// The keys of the tests. Whatever begins with "canary" must never be printed.
const resolveSecrets = `{"license_api":{"api_key":"canary-api-key","shared_key":"canary-shared-key","management_api_key":"canary-management"},"webhooks":{}}`

// springAPI is a fake of both APIs with these licenses, and the flags with which a command reaches it.
func springAPI(t *testing.T, licenses ...licenseapitest.License) (api *licenseapitest.Server, flags []string) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{"canary-api-key": "canary-shared-key"}, ManagementAPIKeys: []string{"canary-management"}, Licenses: licenses,
	}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	address := startAPI(t, api)
	return api, []string{
		"--secrets", file(t, "s.json", resolveSecrets), "--license-api", address, "--management-api", licenseapitest.ManagementURL(address),
		"--management-calls-per-minute", "1000000",
	}
}

// orderLicenses are the two licenses of an order, one of a user's order, and one of an order whose id begins with the same
// characters.
func orderLicenses() []licenseapitest.License {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	disabled := false
	return []licenseapitest.License{
		{
			ID: 1700000000000001, Product: "XY", LicenseKey: "CANARY-AAAA-BBBB-1111", Order: "pi_1", Subscription: "sub_1", CustomerEmail: "canary@example.com",
			Devices: []string{"canary-hardware-0001", "canary-hardware-0002"}, Activated: map[string]time.Time{"canary-hardware-0001": at}, CreatedAt: at,
		},
		{ID: 1700000000000002, Product: "XY", LicenseKey: "CANARY-AAAA-BBBB-2222", Order: "pi_1", Enabled: &disabled, TimeDisabled: at.Add(time.Hour)},
		{ID: 1700000000000003, Product: "US", Username: "canary-user@example.com", Password: "canary-password", Order: "pi_user", Devices: []string{"canary-hardware-0003"}},
		{ID: 1700000000000004, Product: "XY", LicenseKey: "CANARY-AAAA-BBBB-4444", Order: "pi_12", Devices: []string{"canary-hardware-0004"}},
	}
}

const resolveGolden = `LICENSE           KEY    PRODUCT  STATE     DEVICES  DISABLE
1700000000000001  …1111  XY       enabled   2        yes
1700000000000002  …2222  XY       disabled  0        done

DEVICE  LICENSE           ACTIVATED   WILL BE
…0001   1700000000000001  2026-03-02  deactivated
…0002   1700000000000001  -           deactivated

CHECKS
  each license has exactly this order
  an impossible value finds no license
  each device is of its license
  no cap or review holds them

2 licenses with 2 active devices to deactivate, 1 license to disable
`

const resolveGoldenJSON = `{"license":1700000000000001,"key":"…1111","product":"XY","order":"pi_1","subscription":"sub_1","status":"Active","enabled":true,"devices":[{"device":"…0001","activated":"2026-03-02T12:00:00Z"},{"device":"…0002"}],"disable":true}
{"license":1700000000000002,"key":"…2222","product":"XY","order":"pi_1","status":"Disabled","enabled":false,"disabled_at":"2026-03-02T13:00:00Z"}
{"count":2,"devices":2,"disable":1,"tried":[{"by":"order__store_id","value":"pi_1","found":2}]}
`

func TestResolveShowsWhatItWouldDo(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	resolve := append([]string{"resolve", "--order", "pi_1", "--disable"}, flags...)
	code, stdout, stderr := command(t, resolve...)
	if diff := cmp.Diff(resolveGolden, stdout); code != exitDone || diff != "" {
		t.Errorf("exit code %d, %s\n%s", code, stderr, diff)
	}
	const next = "This is a preview; nothing was done. To deactivate 2 devices of 2 licenses and disable 1 license add: --comment TEXT --yes --expect 2\n"
	if stderr != next {
		t.Errorf("stderr is %q, want %q", stderr, next)
	}
	for line := range strings.Lines(stdout) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 && strings.Contains(line, "  ") {
			t.Errorf("a line of the tables has %d columns: %s", n, line)
		}
	}
	code, asJSON, _ := command(t, append(resolve, "--json")...)
	if diff := cmp.Diff(resolveGoldenJSON, asJSON); code != exitDone || diff != "" {
		t.Errorf("exit code %d\n%s", code, diff)
	}
	if len(api.Ledger()) != 0 {
		t.Errorf("a preview writes: %v", api.Ledger())
	}
	noSecret(t, stdout, stderr, asJSON)
}

func TestResolveFindsByKeyAndSubscriptionAndUser(t *testing.T) {
	t.Parallel()
	_, flags := springAPI(t, orderLicenses()...)
	for _, c := range []struct {
		by, value string
		want      string
	}{
		{"--key", "CANARY-AAAA-BBBB-1111", `{"count":1,"devices":2,"tried":[{"by":"license_key","value":"…1111","found":1}]}`},
		{"--subscription", "sub_1", `{"count":1,"devices":2,"tried":[{"by":"subscription_id","value":"sub_1","found":1}]}`},
		{"--order", "pi_12", `{"count":1,"devices":1,"tried":[{"by":"order__store_id","value":"pi_12","found":1}]}`},
		{"--order", "pi_user", `{"count":1,"devices":1,"tried":[{"by":"order__store_id","value":"pi_user","found":1}]}`},
	} {
		code, stdout, stderr := command(t, append([]string{"resolve", c.by, c.value, "--json"}, flags...)...)
		if !strings.HasSuffix(stdout, c.want+"\n") || code != exitDone {
			t.Errorf("%s: exit code %d, %s%s, want %s", c.by, code, stdout, stderr, c.want)
		}
		noSecret(t, stdout, stderr)
	}
}

func TestASelectionIsOneExactID(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	for want, args := range map[string][]string{
		"exactly one of --order, --key and --subscription is needed, not 0":                             nil,
		"exactly one of --order, --key and --subscription is needed, not 2":                             {"--order", "pi_1", "--key", "CANARY-AAAA-BBBB-1111"},
		"--order is a trial's order, which no store knows: it may find licenses of other":               {"--order", "trial_4711"},
		"--order has fewer than 3 characters":                                                           {"--order", ""},
		"--order is a placeholder":                                                                      {"--order", "{{order_id}}"},
		"--key has white space at its ends":                                                             {"--key", " CANARY-AAAA-BBBB-1111"},
		"--subscription is a placeholder":                                                               {"--subscription", "subscription_empty"},
		"there are no keys for LicenseSpring\nlicensectl: hint: name a deployed stack with --stack, or": {"--order", "pi_1", "--secrets", "", "--function", "f"},
		"--management-calls-per-minute must be above 0":                                                 {"--order", "pi_1", "--management-calls-per-minute", "0"},
		"--calls-per-second goes with --direct":                                                         {"--order", "pi_1", "--calls-per-second", "5"},
		"--calls-per-second must be above 0":                                                            {"--order", "pi_1", "--direct", "--calls-per-second", "NaN"},
		"--direct and --function exclude each other":                                                    {"--order", "pi_1", "--direct", "--function", "f"},
		"--direct with one address alone would call LicenseSpring itself for the rest":                  {"--order", "pi_1", "--direct", "--license-api", ""},
		"give --license-api and --management-api, or none of them":                                      {"--order", "pi_1", "--direct", "--management-api", ""},
		"there is no function to invoke":                                                                {"--order", "pi_1", "--comment", "x", "--yes", "--expect", "2"},
	} {
		code, stdout, stderr := command(t, append(append([]string{"resolve"}, flags...), args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s%s, want %s", args, code, stdout, stderr, want)
		}
		noSecret(t, stderr)
	}
	if n := api.Counts().Management; n != 0 {
		t.Errorf("%d calls for selections that are refused", n)
	}
}

// sentRequests are the requests that the function got, in the order of their licenses.
func sentRequests(t *testing.T, payloads []string) (p resolvePayload, requests []deactivation.Request) {
	t.Helper()
	if len(payloads) != 1 {
		t.Fatalf("%d invocations, want 1", len(payloads))
	}
	if err := json.Unmarshal([]byte(payloads[0]), &p); err != nil {
		t.Fatal(err)
	}
	for _, raw := range p.Requests {
		r, event, err := deactivation.Parse(string(raw))
		if err != nil || event != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		requests = append(requests, r)
	}
	return p, requests
}

func TestResolveSendsARequestForEachLicenseWithSomethingToDo(t *testing.T) {
	t.Parallel()
	_, flags := springAPI(t, orderLicenses()...)
	cloud := &fakeAWS{}
	act := append([]string{"resolve", "--function", "shop-webhook", "--endpoint-url", cloud.start(t), "--comment", "ticket 4711", "--yes", "--json"}, flags...)
	code, stdout, stderr := command(t, append(act, "--order", "pi_1", "--disable", "--expect", "2")...)
	p, requests := sentRequests(t, cloud.payloads)
	if code != exitDone || p.Source != "ops" || p.Comment != "ticket 4711" || p.By != systemUser() || !strings.HasPrefix(p.Run, "resolve-") {
		t.Errorf("exit code %d, %s%s, sent by %q for %q in run %q", code, stdout, stderr, p.By, p.Comment, p.Run)
	}
	if len(requests) != 1 {
		t.Fatalf("%d requests: the license without work is not left out", len(requests))
	}
	r := requests[0]
	if r.LicenseKey != "CANARY-AAAA-BBBB-1111" || r.Product != "XY" || r.HardwareID != "" || !r.Disable || r.Origin != deactivation.OriginDirect ||
		r.Run != p.Run || !r.Released.IsZero() || !slices.Equal(r.Order, []string{"pi_1"}) || r.Lookup.HasCandidates() || r.ID != "ops.license-1700000000000001" {
		t.Errorf("sent %+v", r)
	}
	var end struct {
		Count    int
		Outcomes map[string]int
		Run      string
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || end.Count != 2 || end.Outcomes["accepted"] != 1 || end.Outcomes["already_inactive"] != 1 || end.Run != p.Run {
		t.Errorf("%v: %s", err, stdout)
	}
	noSecret(t, stdout, stderr)

	cloud.payloads = nil
	if code, _, stderr = command(t, append(act, "--order", "pi_user", "--expect", "1")...); code != exitDone {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	_, requests = sentRequests(t, cloud.payloads)
	if r = requests[0]; r.Username != "canary-user@example.com" || r.Product != "US" || r.Lookup.Order[0].ID != "pi_user" || r.Disable {
		t.Errorf("sent %+v", r)
	}
}

func TestResolveActsOnlyWithACommentAndTheRightCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		in   io.Reader
		code int
		done bool
		want string
	}{
		"nothing":                 {nil, nil, 0, false, "To deactivate 2 devices of 2 licenses add: --comment TEXT --yes --expect 2"},
		"a comment, no terminal":  {[]string{"--comment", "x"}, nil, 0, false, "This is a preview"},
		"typed":                   {[]string{"--comment", "x"}, typist{strings.NewReader("2\n")}, 0, true, "Type 2 to deactivate 2 devices of 2 licenses: "},
		"typed wrongly":           {[]string{"--comment", "x"}, typist{strings.NewReader("1\n")}, 4, false, "that is not 2: nothing was done"},
		"yes":                     {[]string{"--comment", "x", "--yes", "--expect", "2"}, nil, 0, true, ""},
		"another count":           {[]string{"--comment", "x", "--yes", "--expect", "1"}, nil, 4, false, "the preview counts 2, not 1: nothing was done"},
		"yes without a count":     {[]string{"--comment", "x", "--yes"}, nil, 2, false, "--yes needs --expect N"},
		"yes without a comment":   {[]string{"--yes", "--expect", "2"}, nil, 2, false, "--yes needs --comment TEXT"},
		"the devices in place of": {[]string{"--comment", "x", "--yes", "--expect", "3"}, nil, 4, false, "not 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, flags := springAPI(t, orderLicenses()...)
			cloud := &fakeAWS{}
			args := append(append([]string{"resolve", "--order", "pi_1", "--function", "f", "--endpoint-url", cloud.start(t)}, flags...), c.args...)
			in := c.in
			if in == nil {
				in = strings.NewReader("")
			}
			var stdout, stderr strings.Builder
			code := fast().run(t.Context(), args, in, &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.want) || (len(cloud.payloads) == 1) != c.done {
				t.Errorf("exit code %d, %d invocations, %s, want %d, %v, %s", code, len(cloud.payloads), &stderr, c.code, c.done, c.want)
			}
			noSecret(t, stdout.String(), stderr.String())
		})
	}
}

// TestResolveIsHeldByTheChecksOfTheLookUp: nothing is sent, and only --release passes a cap.
func TestResolveIsHeldByTheChecksOfTheLookUp(t *testing.T) {
	t.Parallel()
	var many []licenseapitest.License
	for i := range 11 {
		many = append(many, licenseapitest.License{ID: int64(i + 1), Product: "XY", LicenseKey: fmt.Sprintf("CANARY-KEY-%04d", i), Order: "pi_1", Devices: []string{"canary-hardware"}})
	}
	crowded := licenseapitest.License{ID: 1, Product: "XY", LicenseKey: "CANARY-KEY-0001", Order: "pi_1"}
	for i := range 51 {
		crowded.Devices = append(crowded.Devices, fmt.Sprintf("canary-hardware-%04d", i))
	}
	var more []licenseapitest.License // than are read
	for i := range 1001 {
		more = append(more, licenseapitest.License{ID: int64(i + 1000), Product: "XY", LicenseKey: fmt.Sprintf("CANARY-KEY-%04d", i), Order: "pi_1"})
	}
	for name, c := range map[string]struct {
		licenses []licenseapitest.License
		fault    string
		args     []string
		code     int
		sent     int
		want     string
	}{
		"too many licenses":           {many, "", []string{"--expect", "11"}, exitHeld, 0, "held: too_many: 11 licenses were found, more than 10\nlicensectl: hint: look at the licenses above; --release"},
		"too many licenses, released": {many, "", []string{"--expect", "11", "--release"}, exitDone, 11, ""},
		"more licenses than are read": {more, "", []string{"--expect", "1001", "--release"}, exitHeld, 0, "hint: there are more than one command reads"},
		"too many devices":            {[]licenseapitest.License{crowded}, "", []string{"--expect", "1"}, exitHeld, 0, "held: too_many: 51 active devices"},
		"too many devices, released":  {[]licenseapitest.License{crowded}, "", []string{"--expect", "1", "--release"}, exitDone, 1, ""},
		"nothing found":               {nil, "", []string{"--expect", "1"}, exitFailed, 0, `LicenseSpring has no license of the order "pi_1"`},
		"a foreign license":           {orderLicenses(), "management-foreign-license", []string{"--expect", "2"}, exitFailed, 0, "filters cannot be trusted"},
		"a foreign device":            {orderLicenses(), "management-foreign-device", []string{"--expect", "2", "--release"}, exitFailed, 0, "filters cannot be trusted"},
		"filters are ignored":         {orderLicenses(), "management-filters-ignored", []string{"--expect", "4", "--release"}, exitFailed, 0, "filters cannot be trusted"},
		"parts of an id match":        {orderLicenses(), "management-filters-partial", []string{"--expect", "3", "--release"}, exitHeld, 0, "held: mismatch: "},
		"a wrong key":                 {orderLicenses(), "management-403", []string{"--expect", "2"}, exitFailed, 0, "management_api_key"},
		"down":                        {orderLicenses(), "management-down", []string{"--expect", "2"}, exitFailed, 0, "hint: try again"},
		"the quota is used up":        {orderLicenses(), "management-429", []string{"--expect", "2"}, exitFailed, 0, "try again in a minute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, flags := springAPI(t, append(c.licenses, licenseapitest.License{ID: 99, Product: "XY", LicenseKey: "CANARY-OTHER-0099", Order: "pi_9"})...)
			if c.fault != "" {
				if err := api.Fail(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			cloud := &fakeAWS{}
			code, stdout, stderr := command(t, append(append([]string{"resolve", "--order", "pi_1", "--function", "f", "--endpoint-url", cloud.start(t),
				"--comment", "ticket 4711", "--yes"}, flags...), c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %s%s, want %d, %s", code, stdout, stderr, c.code, c.want)
			}
			if c.sent == 0 {
				if len(cloud.payloads) != 0 {
					t.Errorf("sent %s", cloud.payloads)
				}
			} else if _, requests := sentRequests(t, cloud.payloads); len(requests) != c.sent || requests[0].Released.Reason != "ticket 4711" || requests[0].Released.By == "" {
				t.Errorf("sent %d requests, want %d, released", len(requests), c.sent)
			}
			noSecret(t, stdout, stderr)
		})
	}
}

// TestAHeldPreviewAsJSONSaysWhy also with --yes, so that a script sees it.
func TestAHeldPreviewAsJSONSaysWhy(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	if err := api.Fail("management-filters-partial"); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := command(t, append([]string{"resolve", "--order", "pi_1", "--json"}, flags...)...)
	if code != exitHeld || !strings.HasPrefix(stdout, `{"count":0,"devices":0,"held":"mismatch","detail":"order__store_id`) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	code, stdout, _ = command(t, append([]string{"resolve", "--order", "pi_nobody", "--json"}, flags...)...)
	if code != exitFailed || !strings.HasPrefix(stdout, `{"count":0,"devices":0,"held":"no_license"`) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
}

// stackOf is a stack whose worker calls the fake APIs.
func stackOf(t *testing.T, api, management, mode string) *fakeAWS {
	t.Helper()
	outputs := outputsOf("shop")
	outputs["Mode"] = mode
	return &fakeAWS{
		stacks: map[string]map[string]string{"shop": outputs}, arn: "arn:aws:sts::1:assumed-role/Ops/jane",
		secrets:   map[string]string{outputs["LicenseApiSecretArn"]: `{"api_key":"canary-api-key","shared_key":"canary-shared-key","management_api_key":"canary-management"}`},
		variables: map[string]map[string]string{"shop-worker": {"LICENSE_API_URL": api, "MANAGEMENT_API_URL": management, "LOOK_UP": "on"}},
	}
}

// TestResolveTakesKeysAndAddressesFromTheStack needs nothing but the stack's name, and leaves an audit line at the begin
// and at the end.
func TestResolveTakesKeysAndAddressesFromTheStack(t *testing.T) {
	t.Parallel()
	_, flags := springAPI(t, orderLicenses()...)
	cloud := stackOf(t, flags[3], flags[5], "act")
	resolve := []string{"resolve", "--order", "pi_1", "--stack", "shop", "--endpoint-url", cloud.start(t), "--management-calls-per-minute", "1000000"}
	code, stdout, stderr := command(t, append(resolve, "--comment", "ticket 4711", "--yes", "--expect", "2")...)
	p, requests := sentRequests(t, cloud.payloads)
	if code != exitDone || len(requests) != 1 || p.By != cloud.arn || !strings.Contains(stdout, "The worker acts on them now: licensectl why --run "+p.Run) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if len(cloud.logged) != 2 || !strings.Contains(cloud.logged[0], `"phase":"begin"`) || !strings.Contains(cloud.logged[1], `"accepted":1`) ||
		!strings.Contains(cloud.logged[1], cloud.arn) || !strings.Contains(cloud.logged[1], "ticket 4711") {
		t.Errorf("audit lines %q", cloud.logged)
	}
	noSecret(t, stdout, stderr, strings.Join(cloud.logged, ""))

	cloud.stacks["shop"]["Mode"], cloud.variables["shop-worker"]["LOOK_UP"] = "watch", "off"
	_, _, stderr = command(t, resolve...)
	for _, want := range []string{"the worker is in watch mode", "the worker has no look-up"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no warning %q: %s", want, stderr)
		}
	}
	if _, _, stderr = command(t, append(resolve, "--direct")...); !strings.Contains(stderr, "the stack is in watch mode, and --direct deactivates all the same") {
		t.Errorf("no warning of --direct: %s", stderr)
	}
}

func TestResolveSaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	denied := awsAnswer{400, "AccessDeniedException", "not authorized"}
	for action, want := range map[string]string{
		"GetSecretValue": "the secret of the stack shop cannot be read", "CreateLogStream": "the audit line cannot be written, nothing was done",
	} {
		_, flags := springAPI(t, orderLicenses()...)
		cloud := stackOf(t, flags[3], flags[5], "act")
		cloud.fail = map[string]awsAnswer{action: denied}
		code, _, stderr := command(t, "resolve", "--order", "pi_1", "--stack", "shop", "--endpoint-url", cloud.start(t), "--management-calls-per-minute", "1000000",
			"--comment", "x", "--yes", "--expect", "2")
		if code != exitFailed || !strings.Contains(stderr, want) || !strings.Contains(stderr, "hint: the signed-in role needs the right ") || len(cloud.payloads) != 0 {
			t.Errorf("%s: exit code %d, %s", action, code, stderr)
		}
	}
}

// directly is --direct without a pace.
func directly(flags []string, more ...string) []string {
	return append(append([]string{"resolve", "--direct", "--calls-per-second", "100000", "--comment", "ticket 4711", "--yes"}, flags...), more...)
}

// TestResolveDirectlyDoesWhatTheStackDoes: devices first, then the license, then it is read back; a second run finds
// nothing to do, and restore is the way back.
func TestResolveDirectlyDoesWhatTheStackDoes(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	code, stdout, stderr := command(t, directly(flags, "--order", "pi_1", "--disable", "--expect", "2", "--json")...)
	if code != exitDone || !strings.Contains(stdout, `"license":1700000000000001,"key":"…1111","product":"XY","outcome":"deactivated"`) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	want := []licenseapitest.Write{
		{Act: licenseapitest.ActDeactivateLicense, License: 1700000000000001, Device: "canary-hardware-0001"},
		{Act: licenseapitest.ActDeactivateLicense, License: 1700000000000001, Device: "canary-hardware-0002"},
		{Act: licenseapitest.ActDisable, License: 1700000000000001},
	}
	if diff := cmp.Diff(want, api.Ledger()); diff != "" {
		t.Error(diff)
	}
	noSecret(t, stdout, stderr)
	if code, stdout, _ = command(t, directly(flags, "--order", "pi_1", "--disable", "--expect", "2")...); code != exitDone || len(api.Ledger()) != 3 || strings.Count(stdout, "already_inactive  already_disabled  nothing is left to do") != 2 {
		t.Errorf("again: exit code %d, %s, writes %v", code, stdout, api.Ledger()[3:])
	}
	if code, stdout, stderr = command(t, append([]string{"resolve", "--order", "pi_1", "--disable"}, flags...)...); code != exitDone || stderr != "Nothing is left to do.\n" {
		t.Errorf("a preview without work: exit code %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr = command(t, append([]string{"restore", "--order", "pi_1", "--comment", "x", "--yes", "--expect", "2"}, flags...)...); code != exitDone {
		t.Errorf("restore: exit code %d, %s", code, stderr)
	}
}

// TestResolveDirectlyResetsTheDevicesOfAUser: the password is not known, so the device's record is reset.
func TestResolveDirectlyResetsTheDevicesOfAUser(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	code, stdout, stderr := command(t, directly(flags, "--order", "pi_user", "--expect", "1")...)
	want := []licenseapitest.Write{{Act: licenseapitest.ActResetDevice, License: 1700000000000003, Device: "canary-hardware-0003"}}
	if diff := cmp.Diff(want, api.Ledger()); code != exitDone || diff != "" {
		t.Errorf("exit code %d, %s%s%s", code, stdout, stderr, diff)
	}
	noSecret(t, stdout, stderr)
}

// TestResolveDirectlyReleasesACap: the worker acts on what a person has released, and says so.
func TestResolveDirectlyReleasesACap(t *testing.T) {
	t.Parallel()
	var many []licenseapitest.License
	for i := range 11 {
		many = append(many, licenseapitest.License{ID: int64(i + 1), Product: "XY", LicenseKey: fmt.Sprintf("CANARY-KEY-%04d", i), Order: "pi_1", Devices: []string{"canary-hardware"}})
	}
	api, flags := springAPI(t, many...)
	if code, stdout, stderr := command(t, directly(flags, "--order", "pi_1", "--expect", "11", "--release")...); code != exitDone || len(api.Ledger()) != 11 {
		t.Errorf("exit code %d, %d writes, %s%s", code, len(api.Ledger()), stdout, stderr)
	}
}

// TestDirectlySaysOnceWhyItWaits: a wrong address looks like a slow run otherwise.
func TestDirectlySaysOnceWhyItWaits(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	if err := api.Fail("down"); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := command(t, directly(flags, "--order", "pi_12", "--expect", "1")...)
	if strings.Count(stderr, "licensectl: warning: not done yet, tried again: internal_error ") != 1 || strings.Count(stderr, "warning") != 1 {
		t.Error(stderr)
	}
	noSecret(t, stderr)
}

// TestResolveDirectlyGivesUp: a License API that stays down is no reason to wait for ever, and a wrong key is none to try
// again.
func TestResolveDirectlyGivesUp(t *testing.T) {
	t.Parallel()
	for fault, c := range map[string]struct {
		code int
		want string
	}{
		"down":                    {exitFailed, "failed   internal_error  not done after "},
		"code=signature_mismatch": {exitFailed, "no call can succeed: bad_credentials signature_mismatch"},
		"code=license_not_found":  {exitFailed, "rejected  license_not_found"},
		"flaky":                   {exitDone, "deactivated"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			api, flags := springAPI(t, orderLicenses()...)
			if err := api.Fail(fault); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := command(t, directly(flags, "--order", "pi_12", "--expect", "1")...)
			if code != c.code || !strings.Contains(stdout, c.want) {
				t.Errorf("exit code %d, want %d, %q, %s%s", code, c.code, c.want, stdout, stderr)
			}
			noSecret(t, stdout, stderr)
		})
	}
}
