package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// lookingUp is a licensectl local with look-up over a fake of both APIs, and the outcomes of its worker.
func lookingUp(t *testing.T, licenses ...licenseapitest.License) (api *licenseapitest.Server, address string, ended func(id string) telemetry.Message) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{local.APIKey: local.SharedKey}, ManagementAPIKeys: []string{local.ManagementAPIKey}, Licenses: licenses,
	}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	apiAddress := startAPI(t, api)
	sources := builtInSources(t)
	license, webhooks := local.FixedSecrets(sources).Readers("")
	var mu sync.Mutex
	outcomes, changed := map[string]telemetry.Message{}, make(chan struct{}, 1)
	stack, err := local.New(local.Config{
		Sources: sources, LicenseSecret: license, WebhookSecrets: webhooks, LicenseAPI: apiAddress, ManagementAPI: licenseapitest.ManagementURL(apiAddress),
		CallsPerSecond: 100_000, ManagementCallsPerMinute: 1_000_000, CallsInFlight: 4, FirstRetry: fast().firstRetry, Recorder: telemetry.New(io.Discard, slog.LevelError, ""),
		OnOutcome: func(m telemetry.Message) {
			mu.Lock()
			defer mu.Unlock()
			if outcomes[m.ID] = m; m.Outcome != deactivation.Deferred {
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := local.Serve(t.Context(), "127.0.0.1:0", stack, stack.Run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return api, address, func(id string) telemetry.Message {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			mu.Lock()
			m, known := outcomes[id]
			mu.Unlock()
			if known && m.Outcome != deactivation.Deferred {
				return m
			}
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("%s has no outcome", id)
			}
		}
	}
}

// TestResolveThroughTheQueueOfLocal needs nothing but the address: keys and addresses of the APIs are those of local. The
// worker looks the license up again, frees its devices and disables it.
func TestResolveThroughTheQueueOfLocal(t *testing.T) {
	t.Parallel()
	api, address, ended := lookingUp(t, orderLicenses()...)
	resolve := []string{"resolve", "--endpoint-url", address, "--management-calls-per-minute", "1000000", "--comment", "ticket 4711", "--yes", "--json"}
	for _, c := range []struct {
		args []string
		id   string
		want []licenseapitest.Write
	}{
		{[]string{"--order", "pi_1", "--disable", "--expect", "2"}, "ops.license-1700000000000001", []licenseapitest.Write{
			{Act: licenseapitest.ActDeactivateLicense, License: 1700000000000001, Device: "canary-hardware-0001"},
			{Act: licenseapitest.ActDeactivateLicense, License: 1700000000000001, Device: "canary-hardware-0002"},
			{Act: licenseapitest.ActDisable, License: 1700000000000001},
		}},
		{[]string{"--order", "pi_user", "--expect", "1"}, "ops.license-1700000000000003", []licenseapitest.Write{
			{Act: licenseapitest.ActResetDevice, License: 1700000000000003, Device: "canary-hardware-0003"},
		}},
		{[]string{"--key", "CANARY-AAAA-BBBB-4444", "--expect", "1"}, "ops.license-1700000000000004", []licenseapitest.Write{
			{Act: licenseapitest.ActDeactivateLicense, License: 1700000000000004, Device: "canary-hardware-0004"},
		}},
	} {
		before := len(api.Ledger())
		code, stdout, stderr := command(t, append(resolve, c.args...)...)
		if code != exitDone || auditPhases(t, stderr) != "begin end" || !strings.Contains(stdout, `"outcome":"accepted","id":"`+c.id+`"`) {
			t.Fatalf("%v: exit code %d, %s%s", c.args, code, stdout, stderr)
		}
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		var end struct{ Run string }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
			t.Fatal(err)
		}
		if m := ended(c.id); m.Outcome != deactivation.Deactivated || m.Run != end.Run {
			t.Errorf("%v: %s %s %s, in run %q", c.args, m.Outcome, m.Code, m.Detail, m.Run)
		}
		if diff := cmp.Diff(c.want, api.Ledger()[before:]); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
		noSecret(t, stdout, stderr)
	}
}

// TestDoctorOfALocalWithLookUp reads the keys and the addresses from local, too.
func TestDoctorOfALocalWithLookUp(t *testing.T) {
	t.Parallel()
	_, address, _ := lookingUp(t, orderLicenses()...)
	code, stdout, stderr := command(t, "doctor", "--endpoint-url", address, "--management-calls-per-minute", "1000000")
	for _, want := range []string{"ok       license secret    the fixed secrets of licensectl local: an API key\n", "ok       Management API    ", "refuses unsigned deliveries of ALL senders\n", "0 warnings, 0 failed\n"} {
		if want = counted(t, want); !strings.Contains(stdout, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != exitDone || t.Failed() {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
