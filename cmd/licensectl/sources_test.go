package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"license-deactivator/internal/lambdaemu"
)

func TestSourcesListNamesEverySender(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "sources", "list")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	rows := map[string]string{}
	for line := range strings.Lines(stdout) {
		name, rest, _ := strings.Cut(line, " ")
		rows[name] = strings.Join(strings.Fields(rest), " ")
	}
	for _, sample := range builtInSamples(t) {
		if !strings.Contains(rows[sample.Source], "/webhooks/"+sample.Source+" ") {
			t.Errorf("%s is not in\n%s", sample.Source, stdout)
		}
	}
	if got := rows["generic"]; got != "/webhooks/generic 9 on 26 HMAC-SHA256 of {body}, hex, in X-Signature-256" {
		t.Errorf("generic: %s", got)
	}
	if !strings.Contains(rows["stripe"], "17 on, 1 off") {
		t.Errorf("stripe: %s", rows["stripe"])
	}
}

func TestTheBuiltInSourcesAreInOrder(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sources", "check"}, {"sources", "check", "../../sources"}, {"sources", "check", "--sources", "../../sources"}} {
		code, stdout, stderr := command(t, args...)
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "nothing is wrong, 0 warnings.") {
			t.Errorf("%v: exit code %d, %s\n%s", args, code, stderr, stdout)
		}
		if !strings.Contains(stdout, `off: rule "subscription unpaid" is switched off`) {
			t.Errorf("%v: the rules that are off are not named\n%s", args, stdout)
		}
	}
}

// folder writes a folder of senders' files with events/ beside it, and returns the folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "mine")
}

const acme = `verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: base64, key: base64}
event: {id: id, type: type}
license: [data]
rules:
  - {name: refunded, type: refunded, when: "starts_with(state, 'f')", cause: refund}
  - {name: never, type: never, ignore: true}
  - name: "off"
    enabled: false
    type: off
    ignore: true
`

const (
	acmeBody = `{"id":"e1","type":"refunded","state":"full","data":{"license_key":"KEY-CANARY","product":"P","hardware_id":"h"}}`
	acmeSays = "answer: accepted\nrule: refunded\nrequests: [{id: acme.e1.0, outcome: deactivated}]\n"
)

// acmeWith is a folder in order, changed.
func acmeWith(t *testing.T, change map[string]string) string {
	t.Helper()
	files := map[string]string{"mine/acme.yaml": acme, "events/acme/full.json": acmeBody, "events/acme/full.yaml": acmeSays}
	for name, content := range change {
		files[name] = content
	}
	return folder(t, files)
}

func TestSourcesCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	secrets := func(webhooks string) []string {
		return []string{"--secrets", file(t, "s.json", `{"license_api":{},"webhooks":`+webhooks+`}`)}
	}
	for name, c := range map[string]struct {
		dir  string
		args []string
		code int
		want []string
	}{
		"nothing": {acmeWith(t, nil), secrets(`{"acme":"Y2FuYXJ5"}`), exitDone,
			[]string{`acme.yaml:6: warning: no sample in events/acme reaches the rule "never"`, `acme.yaml:7: off: rule "off" is switched off`,
				"1 sender, 3 rules of which 1 are switched off, 1 sample: nothing is wrong, 1 warning."}},
		"an unknown key, and more": {acmeWith(t, map[string]string{"mine/acme.yaml": acme + "licence: x\n", "mine/bad.yaml": "verify: 1\n"}), nil, exitFailed,
			[]string{`mine/acme.yaml:11: error: unknown key "licence"`, "mine/bad.yaml:1: error: ", "the samples were not tried: "}},
		"an expression that does not compile": {acmeWith(t, map[string]string{"mine/acme.yaml": strings.Replace(acme, "'f')", "'f'", 1)}), nil, exitFailed,
			[]string{"mine/acme.yaml:5: error: not a JMESPath expression"}},
		"an unknown function": {acmeWith(t, map[string]string{"mine/acme.yaml": strings.Replace(acme, "starts_with", "begins_with", 1)}), nil, exitFailed,
			[]string{"mine/acme.yaml:5: error: ", "unknown function"}},
		"an expression that panics": {acmeWith(t, map[string]string{"mine/acme.yaml": strings.Replace(acme, "starts_with(state, 'f')", "length()", 1)}), nil, exitFailed,
			[]string{"mine/acme.yaml:5: error: "}},
		"a condition that fails on a sample": {acmeWith(t, map[string]string{"events/acme/full.json": strings.Replace(acmeBody, `"full"`, "7", 1)}), nil, exitFailed,
			[]string{"mine/acme.yaml:5: error: on the sample acme/full: starts_with(state, 'f') cannot be evaluated on this event"}},
		"a sample that says something else": {acmeWith(t, map[string]string{"events/acme/full.yaml": "answer: ignored\nrule: never\n"}), nil, exitFailed,
			[]string{`events/acme/full.yaml: error: it says ignored by the rule "never", but the event is accepted by the rule "refunded"`}},
		"a sample that cannot be read": {acmeWith(t, map[string]string{"events/acme/full.json": "x"}), nil, exitFailed,
			[]string{"events/acme/full.yaml: error: the body cannot be read"}},
		"a body without what it says": {acmeWith(t, map[string]string{"events/acme/other.json": "{}"}), nil, exitFailed,
			[]string{"events: error: acme/other.json has no other.yaml next to it"}},
		"no secret": {acmeWith(t, nil), secrets(`{"other":"x"}`), exitDone,
			[]string{`s.json: skipped: no secret for acme; with this file their deliveries are answered with 404`, `warning: there is a secret for "other", but no sender's file`}},
		"a secret of another form": {acmeWith(t, nil), secrets(`{"acme":"%canary"}`), exitFailed, []string{"s.json: error: "}},
		"a list for a secret":      {acmeWith(t, nil), secrets(`{"acme":[]}`), exitFailed, []string{"the list of keys is empty"}},
		"built-in samples":         {folder(t, map[string]string{"mine/acme.yaml": acme}), nil, exitDone, []string{`warning: no sample in events/acme reaches the rule "refunded"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, append([]string{"sources", "check", c.dir}, c.args...)...)
			if code != c.code || (code == exitFailed) != strings.Contains(stderr, "licensectl: hint: correct them") {
				t.Errorf("exit code %d, want %d: %s", code, c.code, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is not in\n%s", want, stdout)
				}
			}
			for _, canary := range []string{"canary", "CANARY", "Y2FuYXJ5"} {
				if strings.Contains(stdout+stderr, canary) {
					t.Errorf("%s is shown:\n%s%s", canary, stdout, stderr)
				}
			}
		})
	}
}

func TestSourcesCheckSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no folder":               {[]string{"sources", "check", "/nowhere"}, exitFailed, "stat /nowhere: no such file or directory\nlicensectl: hint: give a folder of senders' files"},
		"two folders":             {[]string{"sources", "check", "a", "b"}, exitUsage, "hint: see licensectl sources check --help"},
		"no secrets":              {[]string{"sources", "check", "--secrets", "/nowhere"}, exitFailed, "hint: the file holds"},
		"list of none":            {[]string{"sources", "list", "--sources", "/nowhere"}, exitFailed, "stat /nowhere: no such file"},
		"list of a file":          {[]string{"sources", "list", "--sources", file(t, "acme.yaml", "")}, exitFailed, "acme.yaml is not a folder"},
		"list of an empty folder": {[]string{"sources", "list", "--sources", t.TempDir()}, exitFailed, "no sender's file (*.yaml) in /"},
		"unknown":                 {[]string{"sources", "lint"}, exitUsage, "unknown command \"lint\" for \"licensectl sources\"\nlicensectl: hint: its commands are list, check\n"},
		"unknown with flags":      {[]string{"dlq", "lst", "--stack", "shop"}, exitUsage, "unknown command \"lst\" for \"licensectl dlq\"\nlicensectl: hint: its commands are list, show, redrive, purge, export\n"},
		"unknown of offline":      {[]string{"offline", "mak"}, exitUsage, "unknown command \"mak\" for \"licensectl offline\"\nlicensectl: hint: its commands are make, inspect, submit\n"},
		"a flag of no command":    {[]string{"dlq", "--stack", "shop"}, exitUsage, "unknown flag: --stack\nlicensectl: hint: see licensectl dlq --help\n"},
		"a flag of a command":     {[]string{"dlq", "list", "--stak", "shop"}, exitUsage, "unknown flag: --stak\nlicensectl: hint: see licensectl dlq list --help\n"},
	} {
		code, _, stderr := command(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

// TestASenderOfOnesOwn follows a new file and its sample through explain and send.
func TestASenderOfOnesOwn(t *testing.T) {
	t.Parallel()
	dir := acmeWith(t, nil)
	code, stdout, stderr := command(t, "explain", "acme/full", "--sources", dir)
	if code != exitDone || !strings.Contains(stdout, "RESULT       accepted") || !strings.Contains(stdout, "SIGNATURE    valid") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	secrets := file(t, "s.json", `{"license_api":{},"webhooks":{"acme":"Y2FuYXJ5"}}`)
	code, stdout, stderr = command(t, "explain", "acme/full", "--sources", dir, "--secrets", secrets)
	if code != exitDone || !strings.Contains(stdout, "SIGNATURE    valid") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = command(t, "send", "--source", "acme", "--case", "full", "--sources", dir, "--secrets", secrets, "--print-event")
	if code != exitDone || !strings.Contains(stdout, `"x-sig"`) {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}

func TestSendTakesASampleByItsName(t *testing.T) {
	t.Parallel()
	event := func(args ...string) (event lambdaemu.HTTPEvent) {
		code, stdout, stderr := command(t, append([]string{"send", "--print-event"}, args...)...)
		if code != exitDone {
			t.Fatalf("exit code %d, %s", code, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &event); err != nil {
			t.Fatal(err)
		}
		return event
	}
	for _, sample := range builtInSamples(t) {
		got := event("--source", sample.Source, "--case", sample.Case)
		if got.PathParameters["source"] != sample.Source || got.Body == "" {
			t.Errorf("%s: %+v", sample.Name(), got)
		}
	}
	byName, byFile := event("--source", "shopify", "--case", "full-refund"), event("events/shopify/full-refund.json")
	if byName.Body != byFile.Body || byName.Headers["x-shopify-hmac-sha256"] != byFile.Headers["x-shopify-hmac-sha256"] {
		t.Error("the sample by its name is another one than by its file")
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a sender":              {[]string{"send", "--source", ""}, "salesforce-flow\n"},
		"a sender to explain":   {[]string{"explain", "--source", ""}, "salesforce-flow\n"},
		"a sender of one's own": {[]string{"send", "--sources", acmeWith(t, nil), "--source", ""}, "acme\n"},
		"a fault":               {[]string{"local", "--fail", ""}, "429-date\t"},
		"a fault of fake-api":   {[]string{"fake-api", "--fail", "st"}, "storm\t"},
		"a management fault":    {[]string{"local", "--fail", "management-f"}, "management-filters-ignored\t"},
		"modes":                 {[]string{"local", "--mode", ""}, "act\nwatch\n"},
		"test events":           {[]string{"local", "--test-events", ""}, "accept\n"},
		"a case":                {[]string{"send", "--source", "stripe", "--case", ""}, "full-refund\n"},
		"a sample to explain":   {[]string{"explain", "stripe/full-refund-p"}, "stripe/full-refund-product-code\t"},
		"a sample to send":      {[]string{"send", "woo"}, "woocommerce/full-refund\t"},
	} {
		code, stdout, _ := command(t, append([]string{"__complete"}, c.args...)...)
		if code != exitDone || !strings.Contains(stdout, c.want) {
			t.Errorf("%s: exit code %d, %q is not in\n%s", name, code, c.want, stdout)
		}
	}
	_, stdout, _ := command(t, "__complete", "send", "--source", "stripe", "--case", "")
	if strings.Contains(stdout, "svix") {
		t.Error("a case of another sender is offered")
	}
}
