package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// bulkSystem is licensectl local over a fake API that has the licenses KEY-000001, KEY-000002, … of the product XY, each with
// one device.
type bulkSystem struct {
	*running
	api    *licenseapitest.Server
	apiURL string
}

const bulkSecrets = `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":{}}`

func keyOfRow(n int) string    { return fmt.Sprintf("KEY-%06d", n) }
func deviceOfRow(n int) string { return fmt.Sprintf("device-%06d", n) }

func startBulk(t *testing.T, licenses int) bulkSystem {
	t.Helper()
	state := licenseapitest.State{APIKeys: map[string]string{"key": "shared"}}
	for n := 1; n <= licenses; n++ {
		state.Licenses = append(state.Licenses, licenseapitest.License{Product: "XY", LicenseKey: keyOfRow(n), Devices: []string{deviceOfRow(n)}})
	}
	api, address := fakeAPI(t, state)
	r := start(t, "local", "--json", "--secrets", file(t, "s.json", bulkSecrets), "--license-api", address, "--calls-per-second", "100000", "--calls-in-flight", "50")
	return bulkSystem{r, api, address}
}

// refunds writes a file with that many rows of licenses that exist.
func refunds(t *testing.T, rows int) string {
	t.Helper()
	return file(t, "refunds.csv", refundRows(rows))
}

func refundRows(rows int) string {
	var b strings.Builder
	b.WriteString("Product Code,License Key,Device,Order,Buyer\n")
	for n := 1; n <= rows; n++ {
		fmt.Fprintf(&b, "XY,%s,%s,%d,buyer %d\n", keyOfRow(n), deviceOfRow(n), 1000+n, n)
	}
	return b.String()
}

// deactivate runs the command against the system.
func (s bulkSystem) deactivate(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	code, stdout, stderr = command(t, append([]string{"deactivate", "--endpoint-url", s.address}, args...)...)
	return code, s.shown(stdout), s.shown(stderr)
}

var hexRun = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// shown replaces what differs from run to run, and the folder of the test.
func (s bulkSystem) shown(text string) string {
	text = strings.ReplaceAll(text, s.address, "http://127.0.0.1:8080")
	text = hexRun.ReplaceAllString(text, "<run>")
	return regexp.MustCompile(regexp.QuoteMeta(os.TempDir())+`/[^ \n"]*/`).ReplaceAllString(text, "")
}

// ids waits until that many requests have a final outcome, and returns the outcome of each.
func (s bulkSystem) ids(t *testing.T, want int) map[string]outcomeLine {
	t.Helper()
	s.stdout.await(t, fmt.Sprintf("outcomes of %d requests", want), func(text string) bool { return len(lines(t, text)) >= want })
	return lines(t, s.stdout.String())
}

// enqueued is how many requests have reached the worker so far.
func (s bulkSystem) enqueued(t *testing.T) int { t.Helper(); return len(lines(t, s.stdout.String())) }

// calls is how many calls the License API answered.
func (s bulkSystem) calls() int { return s.api.Counts().Calls }

// lastObject returns the last object of an output of --json.
func lastObject(t *testing.T, text string) map[string]any {
	t.Helper()
	all := strings.Split(strings.TrimSpace(text), "\n")
	var object map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &object); err != nil {
		t.Fatalf("the last line is not JSON: %s", text)
	}
	return object
}

// commandIn is command with stdin.
func commandIn(t *testing.T, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = fast().run(ctx, args, stdin, &out, &errs)
	return code, out.String(), errs.String()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func moveAway(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".before"); err != nil {
		t.Fatal(err)
	}
}

// auditPhases returns the phases of the audit lines among an output.
func auditPhases(t *testing.T, text string) string {
	t.Helper()
	var phases []string
	for line := range strings.Lines(text) {
		var audit struct{ Phase, Actor, Comment string }
		if json.Unmarshal([]byte(line), &audit) == nil && audit.Phase != "" && audit.Actor != "" && audit.Comment != "" {
			phases = append(phases, audit.Phase)
		}
	}
	return strings.Join(phases, " ")
}
