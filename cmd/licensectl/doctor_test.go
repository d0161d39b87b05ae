package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing/signingtest"
)

// counted puts the number of the senders' files into a text, and the number of all but one.
func counted(t *testing.T, text string) string {
	t.Helper()
	n := len(sourceNames(t))
	return strings.NewReplacer("ALL", strconv.Itoa(n), "OTHERS", strconv.Itoa(n-1)).Replace(text)
}

const doctorGolden = `ok       senders' files    ALL files are valid
ok       webhook function  webhook answers
ok       queue             0 messages, 0 of them hidden
ok       dead-letter queue 0 messages, 0 of them hidden
ok       license secret    s.json: an API key
ok       clock             this machine's clock is right to 1s
ok       License API       API accepts the signature
ok       Management API    MANAGEMENT accepts the key; its filters work
ok       senders' secrets  stripe; OTHERS files without
ok       addresses         LOCAL/webhooks/ refuses unsigned deliveries of 1 sender

10 ok, 0 warnings, 0 failed
`

// doctorOf starts a licensectl local before a fake of both APIs, and returns the fake and the command that checks both.
// Secrets that begin with "canary" must never be printed.
func doctorOf(t *testing.T, secrets string) (api *licenseapitest.Server, command []string, plain *strings.Replacer) {
	t.Helper()
	api, flags := springAPI(t, orderLicenses()...)
	flags[1] = file(t, "s.json", secrets)
	r := start(t, "local", "--json", quick, "--secrets", flags[1], "--license-api", flags[3])
	return api, append([]string{"doctor", "--endpoint-url", r.address}, flags...), strings.NewReplacer(flags[3], "API", flags[5], "MANAGEMENT", r.address, "LOCAL")
}

func doctorSecrets(license, webhooks string) string {
	return `{"license_api":` + license + `,"webhooks":` + webhooks + `}`
}

const (
	doctorLicense  = `{"api_key":"canary-api-key","shared_key":"canary-shared-key","management_api_key":"canary-management"}`
	doctorWebhooks = `{"stripe":"whsec_canary"}`
)

func TestDoctorChecksALocalSystem(t *testing.T) {
	t.Parallel()
	api, doctor, plain := doctorOf(t, doctorSecrets(doctorLicense, doctorWebhooks))
	code, stdout, stderr := command(t, doctor...)
	if diff := cmp.Diff(counted(t, doctorGolden), plain.Replace(stdout)); code != exitDone || stderr != "" || diff != "" {
		t.Errorf("exit code %d, %s\n%s", code, stderr, diff)
	}
	noSecret(t, stdout)
	code, stdout, stderr = command(t, append(doctor, "--json")...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitDone || stderr != "" || len(lines) != 11 || lines[10] != `{"failed":0,"ok":10,"warning":0}` ||
		lines[1] != `{"check":"webhook function","state":"ok","detail":"webhook answers"}` {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if len(api.Ledger()) != 0 {
		t.Errorf("doctor writes: %v", api.Ledger())
	}
}

func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	fail := func(name string) func(*testing.T, *licenseapitest.Server) {
		return func(t *testing.T, api *licenseapitest.Server) {
			if err := api.Fail(name); err != nil {
				t.Error(err)
			}
		}
	}
	for name, c := range map[string]struct {
		license, webhooks string
		change            func(*testing.T, *licenseapitest.Server)
		code              int
		want              []string // a line's begin, and the hint below it
	}{
		"a wrong shared key": {`{"api_key":"canary-api-key","shared_key":"canary-old","management_api_key":"canary-management"}`, doctorWebhooks, nil, exitFailed,
			[]string{"failed   License API       ", "refuses the signature: signature_mismatch", "hint: put the current keys into s.json"}},
		"a wrong Management key": {`{"api_key":"canary-api-key","shared_key":"canary-shared-key","management_api_key":"canary-old"}`, doctorWebhooks, nil, exitFailed,
			[]string{"failed   Management API    ", "hint: put a current management_api_key into s.json"}},
		"white space at a key's end": {`{"api_key":"canary-api-key","shared_key":"canary-shared-key","management_api_key":"canary-management\n"}`, doctorWebhooks, nil, exitFailed,
			[]string{"failed   Management API    ", "management_api_key has white space at an end"}},
		"no Management key": {`{"api_key":"canary-api-key","shared_key":"canary-shared-key"}`, doctorWebhooks, nil, exitDone,
			[]string{"warning  Management API    no management_api_key: look-up is off", "hint: with a key of its own"}},
		"filters are ignored": {doctorLicense, doctorWebhooks, fail("management-filters-ignored"), exitFailed,
			[]string{"failed   Management API    lookup: the Management API's filters cannot be trusted", "hint: look-up stays off"}},
		"the APIs are down": {doctorLicense, doctorWebhooks, fail("down"), exitFailed,
			[]string{"failed   License API       ", "internal_error", "hint: try again"}},
		"nothing is at the address": {doctorLicense, doctorWebhooks, func(_ *testing.T, api *licenseapitest.Server) {
			api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
				return licenseapitest.Fault{Status: http.StatusNotFound}
			})
		}, exitFailed, []string{"failed   License API       ", " is no License API: http_404", "hint: check the address: LICENSE_API_URL, --license-api"}},
		"the API does not answer": {doctorLicense, doctorWebhooks, fail("reset"), exitFailed,
			[]string{"failed   License API       ", " cannot be reached: connection", "hint: check the network and the address"}},
		"a secret of the wrong form": {doctorLicense, `{"stripe":"whsec_canary","standard":"canary!"}`, nil, exitFailed,
			[]string{"failed   secret of standard", "ok       senders' secrets  stripe; OTHERS files without\n", "hint: store the secret again"}},
		"a stored certificate that leads nowhere": {doctorLicense, storedCertificate(t), nil, exitFailed,
			[]string{"failed   certificate of paypal number 2 of its secrets: signing: certificate not accepted: it does not lead to a trusted root", "hint: store the one at the address"}},
		"a secret of nobody": {doctorLicense, `{"stripe":"whsec_canary","strype":"whsec_canary"}`, nil, exitDone,
			[]string{"warning  secret of strype  there is a secret and no file of the sender", "hint: remove it"}},
		"no sender": {doctorLicense, `{}`, nil, exitDone,
			[]string{"warning  senders' secrets  no sender has a secret", "hint: store one for each store"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, doctor, _ := doctorOf(t, doctorSecrets(c.license, c.webhooks))
			if c.change != nil {
				c.change(t, api)
			}
			code, stdout, stderr := command(t, doctor...)
			if code != c.code || (code == exitFailed) != strings.Contains(stderr, "failed") {
				t.Errorf("exit code %d, want %d, %s", code, c.code, stderr)
			}
			for _, want := range c.want {
				if want = counted(t, want); !strings.Contains(stdout, want) {
					t.Errorf("no %q in\n%s", want, stdout)
				}
			}
			noSecret(t, stdout, stderr)
		})
	}
}

// TestDoctorNamesFilesOfOnesOwnWithoutASecret: in a folder of one's own each file is meant to be used.
func TestDoctorNamesFilesOfOnesOwnWithoutASecret(t *testing.T) {
	t.Parallel()
	_, doctor, _ := doctorOf(t, doctorSecrets(doctorLicense, doctorWebhooks))
	dir := t.TempDir()
	for _, name := range []string{"stripe", "shopify"} {
		content, err := os.ReadFile("../../sources/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, _ := command(t, append(doctor, "--sources", dir)...)
	if code != exitDone || !strings.Contains(stdout, "warning  secret of shopify the sender has a file and no secret") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

// TestDoctorFindsAnAddressThatIsNotOurs: an address that accepts unsigned deliveries, or knows no sender.
func TestDoctorFindsAnAddressThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusOK: "answers 200 to an unsigned delivery", http.StatusNotFound: "answers 404: the function knows no such sender",
		http.StatusServiceUnavailable: "answers 503: the function cannot read its secrets", http.StatusBadGateway: "answers 502 to an unsigned delivery, not 401",
		http.StatusMovedPermanently: "answers 301 to an unsigned delivery",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		_, flags := springAPI(t, orderLicenses()...)
		flags[1] = file(t, "s.json", doctorSecrets(doctorLicense, doctorWebhooks))
		code, stdout, _ := command(t, append([]string{"doctor", "--endpoint-url", server.URL}, flags...)...)
		if code != exitFailed || !strings.Contains(stdout, "failed   address of stripe") || !strings.Contains(stdout, want) {
			t.Errorf("%d: exit code %d\n%s", status, code, stdout)
		}
	}
}

// TestDoctorComparesTheClocks with the Date of an answer.
func TestDoctorComparesTheClocks(t *testing.T) {
	t.Parallel()
	for off, want := range map[time.Duration]string{
		0: "ok       clock ", 5 * time.Minute: "warning  clock             this machine's clock is 5m", -61 * time.Minute: "failed   clock             this machine's clock is 1h",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off+time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusNotFound)
		}))
		t.Cleanup(server.Close)
		_, stdout, _ := command(t, "doctor", "--secrets", file(t, "s.json", resolveSecrets), "--license-api", server.URL+"/api/v4",
			"--management-api", server.URL+"/api/v1", "--management-calls-per-minute", "1000000")
		if !strings.Contains(stdout, want) {
			t.Errorf("%v: no %q in\n%s", off, want, stdout)
		}
	}
}

func TestDoctorNeedsSomethingToCheck(t *testing.T) {
	t.Parallel()
	if code, stdout, stderr := command(t, "doctor"); code != exitUsage || stdout != "" || !strings.Contains(stderr, "there is nothing to check") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for flag, hint := range map[string]string{"--license-api": "https://api.licensespring.com/api/v4", "--management-api": "https://saas.licensespring.com/api/v1"} {
		code, stdout, stderr := command(t, "doctor", "--secrets", "s.json", flag, "https://example.com")
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, flag+" must be an address that ends in /api/v") || !strings.Contains(stderr, "hint: give an address such as "+hint) {
			t.Errorf("%s: exit code %d, %s%s", flag, code, stdout, stderr)
		}
	}
	cloud := &fakeAWS{}
	code, stdout, _ := command(t, "doctor", "--stack", "nobody", "--endpoint-url", cloud.start(t), "--json")
	var first checked
	for line := range strings.Lines(stdout) {
		if strings.Contains(line, `"target"`) {
			if err := json.Unmarshal([]byte(line), &first); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code != exitFailed || first.State != stateFailed || !strings.Contains(first.Detail, "there is no stack nobody") || !strings.Contains(first.Hint, "AWS_REGION") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
}

func TestDoctorSaysWhichAlarmsNotifyNobody(t *testing.T) {
	t.Parallel()
	const topic = "arn:aws:sns:us-east-1:123456789012:alarms"
	alarm := func(name string, state types.StateValue, enabled bool, actions ...string) types.MetricAlarm {
		return types.MetricAlarm{AlarmName: &name, StateValue: state, ActionsEnabled: &enabled, AlarmActions: actions}
	}
	for name, c := range map[string]struct {
		alarms []types.MetricAlarm
		topics []string
		want   string
	}{
		"all well":          {[]types.MetricAlarm{alarm("a", "OK", true, topic), alarm("b", "OK", true, topic)}, []string{topic}, "ok       alarms            2 alarms, each with an action\n"},
		"one notifies none": {[]types.MetricAlarm{alarm("a", "OK", true, topic), alarm("b", "OK", true)}, []string{topic}, "failed   alarms            1 of 2 alarms without an action: nobody is notified\n"},
		"one in ALARM":      {[]types.MetricAlarm{alarm("a", "ALARM", true, topic)}, []string{topic}, "warning  alarms            in state ALARM: a\n"},
		"one is disabled":   {[]types.MetricAlarm{alarm("a", "OK", false, topic)}, []string{topic}, "warning  alarms            their actions are disabled: a\n"},
	} {
		var out strings.Builder
		d := &doctor{options: &doctorOptions{}, out: &out, counts: map[string]int{}}
		if topics := d.examineAlarms(c.alarms); !slices.Equal(topics, c.topics) || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: topics %v, %s, want %v, %s", name, topics, &out, c.topics, c.want)
		}
	}
}

// storedCertificate are the secrets of PayPal with the samples' certificate, which leads to no root of the system.
func storedCertificate(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(map[string][]string{"paypal": {"canary-webhook-id", strings.TrimSpace(string(signingtest.PayPalChain()))}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
