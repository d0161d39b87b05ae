package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/history"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const restoreGolden = `LICENSE           KEY    PRODUCT  DISABLED    WILL BE
1700000000000001  …1111  XY       no          left as it is
1700000000000002  …2222  XY       2026-03-02  enabled

CHECKS
  each license has exactly this order
  an impossible value finds no license
  each device is of its license
  no cap or review holds them

1 license to enable, of 2 licenses
Devices stay deactivated: each user activates the application again.
`

func TestRestoreShowsADisabledLicenseWithoutATimeAsDisabled(t *testing.T) {
	t.Parallel()
	disabled := false
	_, flags := springAPI(t, licenseapitest.License{ID: 1001, Product: "XY", LicenseKey: "CANARY-AAAA-BBBB-1111", Order: "pi_1", Enabled: &disabled})
	code, stdout, stderr := command(t, append([]string{"restore", "--order", "pi_1"}, flags...)...)
	if want := "1001     …1111  XY       yes       enabled\n"; code != exitDone || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d, %s%s, want %s", code, stdout, stderr, want)
	}
}

func TestRestoreEnablesWhatIsDisabledAndNothingElse(t *testing.T) {
	t.Parallel()
	api, flags := springAPI(t, orderLicenses()...)
	restore := append([]string{"restore", "--order", "pi_1"}, flags...)
	code, stdout, stderr := command(t, restore...)
	if diff := cmp.Diff(restoreGolden, stdout); code != exitDone || diff != "" || !strings.Contains(stderr, "To enable 1 license add: --comment TEXT --yes --expect 1") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, diff)
	}
	if code, stdout, _ = command(t, append(restore, "--json")...); code != exitDone || !strings.HasSuffix(stdout, "\"enable\":true}\n{\"count\":1,\"tried\":[{\"by\":\"order__store_id\",\"value\":\"pi_1\",\"found\":2}]}\n") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	if code, _, _ = command(t, append(restore, "--comment", "x", "--yes", "--expect", "2")...); code != exitHeld || len(api.Ledger()) != 0 {
		t.Errorf("with a wrong count: exit code %d, writes %v", code, api.Ledger())
	}
	code, stdout, stderr = command(t, append(restore, "--comment", "dispute won", "--yes", "--expect", "1")...)
	if code != exitDone || !strings.Contains(stdout, "1700000000000002  enabled  -     -") || !strings.Contains(stdout, activateAnew) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if want := []licenseapitest.Write{{Act: licenseapitest.ActEnable, License: 1700000000000002}}; !slices.Equal(api.Ledger(), want) {
		t.Errorf("writes %v, want %v", api.Ledger(), want)
	}
	if code, stdout, _ = command(t, append(restore, "--json", "--comment", "x", "--yes", "--expect", "0")...); code != exitDone || len(api.Ledger()) != 1 {
		t.Errorf("again: exit code %d, %s, writes %v", code, stdout, api.Ledger())
	}
	noSecret(t, stdout, stderr)
}

// TestRestoreSaysWhatItCouldNotEnable: what a write did is read back, and a refusal of the key stops the rest.
func TestRestoreSaysWhatItCouldNotEnable(t *testing.T) {
	t.Parallel()
	licenses := orderLicenses()
	licenses[0].Enabled = licenses[1].Enabled
	for name, c := range map[string]struct {
		fault func(*licenseapitest.Server)
		code  int
		want  []string // of the results in JSON
	}{
		"all": {func(*licenseapitest.Server) {}, exitDone, []string{`"outcome":"enabled"}`, `"outcome":"enabled"}`}},
		"writes without effect": {func(api *licenseapitest.Server) { api.SetHabits(licenseapitest.Habits{IgnoreWrites: true}) }, exitFailed,
			[]string{`"outcome":"failed","code":"still_disabled"`, `"outcome":"failed","code":"still_disabled"`}},
		"one is down": {func(api *licenseapitest.Server) {
			api.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
				if strings.Contains(c.Path, "0001/enable") {
					return licenseapitest.Fault{Status: 503}
				}
				return licenseapitest.Fault{}
			})
		}, exitPartly, []string{`"outcome":"failed","code":"http_503"`, `"outcome":"enabled"}`}},
		"the key may only read": {func(api *licenseapitest.Server) {
			api.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
				if c.Method == "POST" {
					return licenseapitest.Fault{Status: 403, Body: `{"detail":"You do not have permission to perform this action."}`}
				}
				return licenseapitest.Fault{}
			})
		}, exitFailed, []string{`"outcome":"failed","code":"http_403"`, `"outcome":"not_sent","message":"not tried after http_403"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, flags := springAPI(t, licenses...)
			c.fault(api)
			code, stdout, stderr := command(t, append([]string{"restore", "--order", "pi_1", "--json", "--comment", "x", "--yes", "--expect", "2"}, flags...)...)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			if code != c.code || len(lines) != 3 {
				t.Fatalf("exit code %d, want %d, %s%s", code, c.code, stdout, stderr)
			}
			for i, want := range c.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("%s, want %s", lines[i], want)
				}
			}
			noSecret(t, stdout, stderr)
		})
	}
}

// TestWhySaysWhoGaveALicenseBack: by its order and by its key, with what came of it; the line holds no key.
func TestWhySaysWhoGaveALicenseBack(t *testing.T) {
	t.Parallel()
	_, flags := springAPI(t, orderLicenses()...)
	cloud := stackOf(t, flags[3], flags[5], "act")
	code, stdout, stderr := command(t, "restore", "--order", "pi_1", "--stack", "shop", "--endpoint-url", cloud.start(t), "--management-calls-per-minute", "1000000",
		"--comment", "dispute won", "--yes", "--expect", "1")
	if code != exitDone {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	memory := cloud.ledger(t)
	for _, q := range []history.Question{history.OfOrder("pi_1"), history.OfLicense(orderLicenses()[1].LicenseKey)} {
		got := stepsOf(t, memory, q)
		want := []string{
			"  asked licensectl restore, to enable the license again: dispute won by arn:aws:sts::1:assumed-role/Ops/jane", "  done the license is enabled again by ",
		}
		if len(got) != 3 || !strings.HasPrefix(got[0], "restore-") || !strings.HasSuffix(got[0], ".0: enabled") {
			t.Fatalf("%s: %q", q, got)
		}
		if diff := cmp.Diff(want, got[1:]); diff != "" {
			t.Errorf("%s: %s", q, diff)
		}
	}
}
