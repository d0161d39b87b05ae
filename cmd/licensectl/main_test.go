package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
	"license-deactivator/pkg/signing"
)

func TestEveryCommandHasExamplesAndAShortHelp(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%s has no example or no short help", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(clock{}))
	for _, args := range [][]string{{"--help"}, {"local", "--help"}, {"completion", "bash"}, {}} {
		if code, stdout, stderr := command(t, args...); code != exitDone || stdout == "" || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
	}
}

func TestVersionNamesTheModuleAndGo(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "--version")
	if code != exitDone || stderr != "" || !regexp.MustCompile(`^licensectl \S.*, go1\.\d+\S*\n$`).MatchString(stdout) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// TestOutputThatCannotBeWrittenIsAnError holds for every command, since a full disk must not pass for success.
func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"explain", "stripe/full-refund"}, {"sources", "list"}, {"sources", "check"}, {"--version"}, {"local", "--help"},
		{"send", "--source", "stripe", "--case", "full-refund", "--print-event"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), full{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
}

func TestACommandThatIsInterruptedSaysSo(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client is gone
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	var stderr bytes.Buffer
	args := []string{"send", "--source", "stripe", "--case", "full-refund", "--to", server.URL}
	if code := run(ctx, args, strings.NewReader(""), io.Discard, &stderr); code != exitFailed || stderr.String() != "licensectl: error: interrupted\n" {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}

func TestTheFaultInTheExamplesExists(t *testing.T) {
	t.Parallel()
	for _, f := range licenseapitest.Faults() {
		if f.Name == exampleFault {
			return
		}
	}
	t.Errorf("there is no fault %q", exampleFault)
}

func TestSendPrintsAnEventForSAM(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "send", "events/shopify/full-refund.json", "--print-event", "--to", "https://hooks.example.com")
	if code != exitDone {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	var event lambdaemu.HTTPEvent
	if err := json.Unmarshal([]byte(stdout), &event); err != nil {
		t.Fatal(err)
	}
	if event.Version != "2.0" || event.PathParameters["source"] != "shopify" || event.RequestContext.HTTP.Method != http.MethodPost ||
		event.RequestContext.DomainName != "hooks.example.com" || event.Headers["x-shopify-hmac-sha256"] == "" || event.IsBase64Encoded {
		t.Errorf("event %s", stdout)
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":         {[]string{"send"}, exitUsage, "hint: give a FILE, or a sample by --source and --case"},
		"case alone":      {[]string{"send", "--case", "full-refund"}, exitUsage, "hint: name its sender with --source"},
		"case and file":   {[]string{"send", "x.json", "--source", "stripe", "--case", "full-refund"}, exitUsage, "hint: leave one of them out"},
		"unknown case":    {[]string{"send", "--source", "stripe", "--case", "nope"}, exitUsage, "hint: its samples are byte-order-mark, "},
		"no such sender":  {[]string{"send", "--source", "nope", "--case", "x"}, exitUsage, "hint: name the sender with --source: "},
		"unknown file":    {[]string{"send", "nowhere/x.json"}, exitFailed, "nowhere/x.json: file does not exist\nlicensectl: hint: FILE is a delivery's body"},
		"unknown source":  {[]string{"send", file(t, "x.json", "{}")}, exitFailed, `x.json does not name its sender: its folder is "`},
		"no address":      {[]string{"send", "events/stripe/full-refund.json", "--to", "localhost"}, exitUsage, "hint: give --to with http://"},
		"nobody listens":  {[]string{"send", "events/stripe/full-refund.json", "--to", "http://127.0.0.1:1"}, exitFailed, "hint: does a server listen there?"},
		"no secret":       {[]string{"send", "events/shopify/full-refund.json", "--secrets", file(t, "s.json", testSecrets)}, exitFailed, `hint: give a file with --secrets that holds {"webhooks":{"shopify":"…"}}`},
		"headers missing": {[]string{"send", file(t, "x.json", "{}"), "--source", "standard"}, exitFailed, "hint: the .yaml file next to FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := command(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, stderr, c.code, c.want)
			}
		})
	}
}

func TestSendToSomebodyWithAnotherSecretIsRefusedWithAHint(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick)
	code, _, stderr := command(t, "send", "events/stripe/full-refund.json", "--to", r.address, "--secrets", file(t, "s.json", testSecrets))
	if code != exitFailed || !strings.Contains(stderr, "hint: the signature is not valid there") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestFakeAPIServesAStateOfOnesOwn(t *testing.T) {
	t.Parallel()
	state := file(t, "state.json", `{"api_keys":{"key":"shared"},"licenses":[{"product":"XY","license_key":"K1","devices":["hw1"],"enabled":true},`+
		`{"product":"US","username":"jo@example.com","password":"pw","devices":["hw1"]}]}`)
	r := start(t, "fake-api", "--state", state)
	signer, err := signing.NewSigner("key", "shared")
	if err != nil {
		t.Fatal(err)
	}
	client, err := licenseapi.New(licenseapi.Config{BaseURL: r.address + "/api/v4", Authorizer: licenseapi.HMAC(signer), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []licenseapi.Kind{licenseapi.KindDeactivated, licenseapi.KindAlreadyInactive} {
		if got := licenseapi.KindOf(client.Deactivate(t.Context(), licenseapi.Deactivation{Product: "XY", LicenseKey: "K1", HardwareID: "hw1"})); got != want {
			t.Errorf("call %d: %v, want %v", i, got, want)
		}
	}
	if err := client.Deactivate(t.Context(), licenseapi.Deactivation{Product: "US", Username: "jo@example.com", HardwareID: "hw1"}); err != nil {
		t.Errorf("a user without a password: %v", err)
	}
	if code := r.stop(); code != exitDone || !strings.Contains(r.stdout.String(), "3 calls were answered.") {
		t.Errorf("exit code %d, %s", code, r.stdout)
	}
}

func TestFakeAPIAnswersTheManagementAPIOverTheSameState(t *testing.T) {
	t.Parallel()
	state := file(t, "state.json", `{"api_keys":{"key":"shared"},"management_api_keys":["other","management"],"licenses":[`+
		`{"id":7,"product":"XY","bundle":"B","license_key":"K1","order":"pi_1","subscription":"sub_1","customer_email":"jo@example.com",`+
		`"devices":["hw1"],"inactive_devices":["hw2"]},{"product":"XY","license_key":"K2","order":"pi_2","devices":["hw1"]}]}`)
	r := start(t, "fake-api", "--state", state, "--fail", "management-null-keys")
	want := "\nManagement   " + r.address + "/api/v1 (fake)\n"
	r.stdout.await(t, "the address of the Management API", func(text string) bool { return strings.Contains(text, want) })
	client, err := managementapi.New(managementapi.Config{BaseURL: r.address + "/api/v1", Key: "management"})
	if err != nil {
		t.Fatal(err)
	}
	find := func() managementapi.License {
		t.Helper()
		found, err := client.Licenses(t.Context(), managementapi.ByOrder("pi_1"), 10)
		if err != nil || len(found.Records) != 1 {
			t.Fatalf("%d licenses (%v)", len(found.Records), err)
		}
		return found.Records[0]
	}
	if l := find(); l.ID != 7 || l.Subscription != "sub_1" || l.Customer.Email != "jo@example.com" || !l.Enabled || l.Key != "" || l.ActiveDevices != 1 {
		t.Errorf("the license is %d of %s", l.ID, l.Subscription)
	}
	if devices, err := client.Devices(t.Context(), 7, 10); err != nil || len(devices.Records) != 2 {
		t.Errorf("%d devices (%v)", len(devices.Records), err)
	}
	if err := client.Disable(t.Context(), 7); err != nil || find().Enabled {
		t.Errorf("the license is not disabled (%v)", err)
	}
	if code := r.stop(); code != exitDone || !strings.Contains(r.stdout.String(), "0 calls were answered.\n4 calls of the Management API were answered.") {
		t.Errorf("exit code %d, %s", code, r.stdout)
	}
}

func TestFakeAPIRefusesAStateThatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"not JSON": "x", "unknown field": `{"licences":[]}`, "no product": `{"licenses":[{"license_key":"K"}]}`, "more": `{}{}`,
	} {
		if code, _, stderr := command(t, "fake-api", "--state", file(t, "s.json", content)); code != exitFailed || !strings.Contains(stderr, "hint:") {
			t.Errorf("%s: exit code %d, %q", name, code, stderr)
		}
	}
}
