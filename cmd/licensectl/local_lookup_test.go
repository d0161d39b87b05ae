package main

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// fewSenders are secrets of the senders whose disputes, adjustments and notices name no license, and of no others: each
// sample costs calls.
const fewSenders = `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":` +
	`{"stripe":"whsec_x","fastspring":"x","paddle":"x","recurly":"x","shopify":"x"}}`

// TestEventsWithoutALicenseFindTheirs runs the samples in the first table that a new user sees.
func TestEventsWithoutALicenseFindTheirs(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick, "--secrets", file(t, "s.json", fewSenders))
	if code != exitDone || stderr != "" || !regexp.MustCompile(`\nLook-up      on, http://[0-9.:]+/api/v1 \(fake\)\n`).MatchString(stdout) {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	found, column := map[string]string{}, 0
	for line := range strings.Lines(stdout) {
		cells := strings.Fields(line)
		switch {
		case len(cells) == 0:
		case cells[0] == "SAMPLE":
			column = strings.Index(line, "WHY")
		case column > 0 && len(line) > column && strings.Contains(line, " accepted "):
			found[cells[1]] = strings.TrimSuffix(line[column:], "\n")
		}
	}
	for name, why := range found {
		if n := utf8.RuneCountInString(why); n > 60 {
			t.Errorf("%s: %d columns: %s", name, n, why)
		}
	}
	for name, want := range map[string]string{
		"stripe/chargeback":            "order pi_3Tg3hjsKq7VbnZx2Rt1dEG6o8I: 1 device freed",
		"fastspring/chargeback":        "order uTCNJd7ZkyC0s6s3ZF5aNh: 1 device freed, disabled",
		"paddle/refund":                "order txn_01kqjy1xnfb8s4a5u01neqa…: 1 device freed, disabled",
		"recurly/subscription-expired": "subscription qkll2jo9urb3: 1 device freed",
		"shopify/no-license-data":      "order 11308927880605: 1 device freed, disabled",
	} {
		if found[name] != want {
			t.Errorf("%s: %q, want %q", name, found[name], want)
		}
	}
}

// TestWithYourOwnAPIsTheLookUpNeedsAnAddressAndAKey starts local beside a LicenseSpring in which a dispute has a license.
func TestWithYourOwnAPIsTheLookUpNeedsAnAddressAndAKey(t *testing.T) {
	t.Parallel()
	const withKey = `{"license_api":{"api_key":"key","shared_key":"shared","management_api_key":"management"},"webhooks":{"stripe":"whsec_x"}}`
	for name, c := range map[string]struct {
		secrets    string
		management bool
		start      string
		answer     string
		outcome    string
	}{
		"both":       {withKey, true, `Look-up      on, \S+/api/v1 \(not a fake: licenses are really disabled\), 600 calls a minute`, `"accepted"`, "deactivated      stripe.evt_1TDEJd7Kq7VbnZx2RtOROgve.0  (order pi_3Tg3hjsKq7VbnZx2Rt1dEG6o8I: 1 device freed)"},
		"no address": {withKey, false, `Look-up      off: give --management-api`, `"unmappable"`, "unmappable       stripe evt_1TDEJd7Kq7VbnZx2RtOROgve"},
		"a bad key": {strings.Replace(withKey, `"management"`, `"management\n"`, 1), true, `Look-up      off: secrets: license secret: management_api_key has white space at an end`,
			`"unmappable"`, "unmappable       stripe evt_1TDEJd7Kq7VbnZx2RtOROgve"},
		"no key": {testSecrets, true, `Look-up      off: "license_api" in \S+s\.json has no "management_api_key"`, `"unmappable"`, "unmappable       stripe evt_1TDEJd7Kq7VbnZx2RtOROgve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := fakeAPI(t, licenseapitest.State{
				APIKeys: map[string]string{"key": "shared"}, ManagementAPIKeys: []string{"management"},
				Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "K1", Order: "pi_3Tg3hjsKq7VbnZx2Rt1dEG6o8I", Devices: []string{"h1"}}},
			})
			secrets := file(t, "s.json", c.secrets)
			args := []string{"local", quick, "--secrets", secrets, "--license-api", address}
			if c.management {
				args = append(args, "--management-api", licenseapitest.ManagementURL(address))
			}
			r := start(t, args...)
			r.stdout.await(t, "what the start says of the look-up", regexp.MustCompile(c.start).MatchString)
			if _, answer, stderr := command(t, "send", "stripe/chargeback", "--secrets", secrets, "--to", r.address); !strings.Contains(answer, c.answer) {
				t.Errorf("answer %s%s", answer, stderr)
			}
			r.stdout.await(t, "outcome", func(text string) bool { return strings.Contains(text, c.outcome) })
		})
	}
}

func TestLocalWithoutASendersSecretSaysSo(t *testing.T) {
	t.Parallel()
	_, address := fakeAPI(t, licenseapitest.State{APIKeys: map[string]string{"key": "shared"}})
	r := start(t, "local", "--secrets", file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":{}}`), "--license-api", address)
	r.stdout.await(t, "what the start says of the secrets", func(text string) bool {
		return strings.Contains(text, "s.json, for no sender: every delivery is answered 404\n")
	})
}

func TestResolveReadsTheAddressesOfARunningLocal(t *testing.T) {
	t.Parallel()
	_, address := fakeAPI(t, licenseapitest.State{
		ManagementAPIKeys: []string{"local-management-api-key"},
		Licenses:          []licenseapitest.License{{Product: "XY", LicenseKey: "K1", Order: "pi_1", Devices: []string{"h1"}}},
	})
	secrets := file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared","management_api_key":"local-management-api-key"},"webhooks":{}}`)
	r := start(t, "local", quick, "--secrets", secrets, "--license-api", address, "--management-api", licenseapitest.ManagementURL(address))
	code, stdout, stderr := command(t, "resolve", "--order", "pi_1", "--endpoint-url", r.address, "--management-calls-per-minute", "100000", "--json")
	if code != exitDone || !strings.Contains(stdout, `{"count":1,"devices":1,`) || strings.Contains(stderr, "has no look-up") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// TestPassingFaultsOfTheManagementAPIAreRiddenOut has recurly's samples alone, since each call of the API fails twice.
func TestPassingFaultsOfTheManagementAPIAreRiddenOut(t *testing.T) {
	t.Parallel()
	secrets := file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":{"recurly":"x"}}`)
	for _, fault := range []string{"management-503", "management-429", "management-cut", "management-html"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, "local", "--once", "--json", "--addr", "127.0.0.1:0", quick, "--secrets", secrets, "--fail", fault)
			waited := 0
			for line := range strings.Lines(stdout) {
				if strings.Contains(line, `"outcome":"deferred"`) {
					waited++
				}
			}
			if code != exitDone || waited == 0 {
				t.Errorf("exit code %d, %d times deferred, %s", code, waited, stderr)
			}
			for id, o := range lines(t, stdout) {
				if o.Outcome != deactivation.Deactivated && o.Outcome != deactivation.AlreadyInactive {
					t.Errorf("%s ended as %s (%s)", id, o.Outcome, o.Code)
				}
			}
		})
	}
}
