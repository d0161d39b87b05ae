package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestAStackIsAskedForItsPaceAndGetsTheAuditLines, and a preview invokes only by dry run.
func TestAStackIsAskedForItsPaceAndGetsTheAuditLines(t *testing.T) {
	t.Parallel()
	cloud := &fakeAWS{
		stacks: map[string]map[string]string{"shop": outputsOf("shop")}, arn: "arn:aws:sts::123456789012:assumed-role/Ops/jane",
		variables: map[string]map[string]string{"shop-worker": {"CALLS_PER_SECOND": "20", "PLAN_CALLS_PER_MINUTE": "1800", "LIVE_SHARE": "0.5"}},
	}
	path := refunds(t, 10)
	shop := []string{"deactivate", path, "--stack", "shop", "--endpoint-url", cloud.start(t)}
	code, stdout, stderr := command(t, shop...)
	if code != exitDone || !strings.Contains(stdout, "Time      less than a second at 15 calls a second, as the worker is set\nQuota     900 calls a minute, 50 % of the plan (1800)\n") ||
		!strings.Contains(stdout, ", account 123456789012\n") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, append(shop, "--comment", "ticket 1", "--yes", "--expect", "10")...); code != exitDone {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	dry := 0
	for _, p := range cloud.payloads {
		var sent struct {
			DryRun           bool `json:"dry_run"`
			Run, By, Comment string
		}
		if err := json.Unmarshal([]byte(p), &sent); err != nil || len(sent.Run) != 32 || sent.By != cloud.arn || sent.DryRun == (sent.Comment == "ticket 1") {
			t.Errorf("payload %s, %v", p, err)
		}
		if sent.DryRun {
			dry++
		}
	}
	if len(cloud.payloads) != 2 || dry != 1 {
		t.Errorf("%d invocations, %d of them dry runs; want the preview's dry run and one more", len(cloud.payloads), dry)
	}
	var phases []string
	for _, line := range cloud.logged {
		var audit struct {
			Message string
			deactivation.Audit
		}
		if err := json.Unmarshal([]byte(line), &audit); err != nil || audit.Message != "audit" || audit.Actor != cloud.arn || audit.Comment != "ticket 1" {
			t.Errorf("line %s, %v", line, err)
		}
		phases = append(phases, audit.Phase)
	}
	if strings.Join(phases, " ") != "begin end" {
		t.Errorf("audit lines %q, want one at the beginning and one at the end", phases)
	}
	cloud.stacks["shop"]["Mode"] = "watch"
	if _, _, stderr := command(t, shop...); !strings.Contains(stderr, "licensectl: warning: the stack shop is in watch mode: it deactivates nothing") {
		t.Errorf("in watch mode: %s", stderr)
	}
}

// TestWithLookUpARowMayNameOnlyAnOrder, and the preview says what that means.
func TestWithLookUpARowMayNameOnlyAnOrder(t *testing.T) {
	t.Parallel()
	api, address := fakeAPI(t, licenseapitest.State{
		APIKeys: map[string]string{"key": "shared"}, ManagementAPIKeys: []string{"management"},
		Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "KEY-A", Order: "C-4711", Devices: []string{"hw1", "hw2"}}, {Product: "XY", LicenseKey: "KEY-B", Devices: []string{"hw3"}}},
	})
	r := start(t, "local", "--json", "--license-api", address, "--management-api", licenseapitest.ManagementURL(address), "--calls-per-second", "1000",
		"--secrets", file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared","management_api_key":"management"},"webhooks":{}}`))
	path := file(t, "orders.csv", "order,license_key\nC-4711,\n,KEY-B\n")
	rows := []string{"deactivate", path, "--endpoint-url", r.address}
	code, stdout, stderr := command(t, rows...)
	if code != exitDone || !strings.Contains(stdout, "Licenses  1; 1 row names only an order, all of whose licenses are found\nDevices   0; 2 rows name no device: every device of their licenses\n") {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = command(t, append(rows, "--comment", "ticket 1", "--yes", "--expect", "2", "--wait")...)
	if code != exitDone || !strings.Contains(stdout, "Outcomes  2 deactivated\n") || api.Counts().Answers["license_deactivated"] != 3 {
		t.Errorf("exit code %d, %v\n%s\n%s", code, api.Counts().Answers, stdout, stderr)
	}
}

// TestTheExamplesOfDeactivateRun in a folder with fifty refunds: against a fake AWS, and against licensectl local.
func TestTheExamplesOfDeactivateRun(t *testing.T) { //nolint:paralleltest // the examples name files of the working directory
	s := startBulk(t, 50)
	cloud := &fakeAWS{stacks: map[string]map[string]string{"license-deactivator": outputsOf("license-deactivator")}}
	aws := cloud.start(t)
	ran := 0
	for line := range strings.Lines(newDeactivate(nil).Example) {
		line = strings.TrimSpace(line)
		t.Chdir(t.TempDir())
		for name, content := range map[string]string{"refunds.csv": refundRows(50), "secrets.json": bulkSecrets, "refunds.ndjson": `{"product":"XY","license_key":"KEY-000001","hardware_id":"device-000001"}`} {
			if strings.Contains(line, "Artikel") {
				content = strings.Replace(content, "Product Code", "Artikel", 1)
			}
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		stdin := ""
		if left, from, found := strings.Cut(line, " < "); found {
			line, stdin = left, readFile(t, filepath.Clean(from))
		}
		var args []string
		for _, match := range shellWords.FindAllStringSubmatch(strings.ReplaceAll(line, "http://127.0.0.1:8080", s.address), -1) {
			args = append(args, match[1]+match[2]+match[3])
		}
		switch {
		case strings.Contains(line, "--direct"):
			args = append(args, "--license-api", s.apiURL, "--calls-per-second", "1000")
		case !strings.Contains(line, "--endpoint-url"):
			args = append(args, "--endpoint-url", aws)
		}
		if code, stdout, stderr := commandIn(t, strings.NewReader(stdin), args[1:]...); code != exitDone || !strings.Contains(stdout, "Rows ") {
			t.Errorf("%s: exit code %d\n%s\n%s", line, code, stdout, stderr)
		}
		ran++
	}
	if ran < 5 {
		t.Errorf("%d examples ran", ran)
	}
}
