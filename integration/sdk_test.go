//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sdkPatience bounds how long licensectl or an SDK may take; it decides nothing that works. Cold, the Node SDK loads for
// some seconds.
const sdkPatience = 2 * time.Minute

// The account of the SDKs' cases, as testdata/sdk has it.
const (
	sdkKeys   = `{"license_api":{"api_key":"sdk-api-key","shared_key":"sdk-shared-key"},"webhooks":{}}`
	sdkClient = `{"license_api":{"client_id":"auth_company_1","client_secret":"sdk-client-secret","token_url":"http://HOST/realms/user-portal/protocol/openid-connect/token"},"webhooks":{}}`
)

// sdkState has every device of the SDKs' cases once.
func sdkState(t *testing.T) string {
	t.Helper()
	type license struct {
		ID         int64    `json:"id,omitempty"`
		Product    string   `json:"product"`
		Bundle     string   `json:"bundle,omitempty"`
		LicenseKey string   `json:"license_key,omitempty"`
		Username   string   `json:"username,omitempty"`
		Devices    []string `json:"devices"`
	}
	p1 := license{ID: 1, Product: "P1", LicenseKey: "SDK-KEY-0001"}
	p2 := license{ID: 2, Product: "P2", Bundle: "BU", LicenseKey: "SDK-KEY-0001"}
	user := license{ID: 3, Product: "US", Username: "sdk@example.com"}
	for _, sdk := range []string{"py-", "js-"} {
		for _, device := range []string{"online", "left", "floating", "oauth", "oauth-floating", "offline", "changed", "another", "newline", "file"} {
			p1.Devices = append(p1.Devices, sdk+device)
		}
		for _, device := range []string{"bundle", "oauth", "file"} {
			p2.Devices = append(p2.Devices, sdk+device)
		}
		for _, device := range []string{"online", "offline", "file"} {
			user.Devices = append(user.Devices, sdk+device)
		}
	}
	state, err := json.Marshal(map[string]any{
		"api_keys": map[string]string{"sdk-api-key": "sdk-shared-key"}, "clients": map[string]string{"auth_company_1": "sdk-client-secret"},
		"licenses": []license{p1, p2, user},
	})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "state.json", string(state))
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLicenseSpringsOwnSDKsTakeTheFakeForTheAPI runs the SDKs' deactivation, bundle, floating, offline and OAuth cases
// against licensectl fake-api, and hands in the request files that they wrote with licensectl offline.
func TestLicenseSpringsOwnSDKsTakeTheFakeForTheAPI(t *testing.T) {
	t.Parallel()
	licensectl := buildLicensectl(t)
	host := startFakeAPI(t, licensectl, sdkState(t))
	for _, sdk := range []struct {
		name    string
		program string
		script  string
		success any // what the SDK returns for a deactivation
		release any // and for a floating license
	}{
		{"Python", tool(t, "python"), "cases.py", "license_deactivated", ""},
		{"Node", node(t), "cases.js", true, true},
	} {
		t.Run(sdk.name, func(t *testing.T) {
			t.Parallel()
			files := t.TempDir()
			got := runSDK(t, sdk.program, filepath.Join("integration", "testdata", "sdk", sdk.script), host, files)
			want := map[string]any{
				"deactivate": sdk.success, "deactivate again": "device_not_found", "deactivate a user": sdk.success,
				"unknown license": "license_not_found", "wrong shared key": "signature_mismatch",
				"bundle": sdk.success, "bundle again": "device_not_found", "release": sdk.release, "release again": "device_not_found",
				"oauth": sdk.success, "oauth bundle": sdk.success, "oauth release": sdk.release, "oauth wrong secret": "unauthorized_client",
				"offline": sdk.success, "offline again": "device_not_found", "offline changed": "signature_mismatch",
				"offline corrupt": "authorization_missing_params", "offline with a newline": sdk.success, "oauth offline": sdk.success,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what the SDK said (-want +got):\n%s", diff)
			}
			submitRequestFiles(t, licensectl, host, files)
		})
	}
}

// submitRequestFiles verifies the files that an SDK wrote, and hands them in: whole, and cut.
func submitRequestFiles(t *testing.T, licensectl, host, files string) {
	t.Helper()
	keys := writeFile(t, "keys.json", sdkKeys)
	client := writeFile(t, "client.json", strings.Replace(sdkClient, "HOST", host, 1))
	for _, c := range []struct {
		name, secrets string
		more          []string
	}{{"key", keys, nil}, {"oauth", client, nil}, {"bundle", keys, []string{"--bundle"}}} {
		file := filepath.Join(files, c.name, "deactivate_offline.req")
		out, code := runLicensectl(t, licensectl, "offline", "inspect", file, "--secrets", c.secrets)
		if code != 0 || !strings.Contains(out, "verified   yes") {
			t.Errorf("inspect %s: exit code %d\n%s", c.name, code, out)
		}
		submit := append([]string{"offline", "submit", "--direct", "--secrets", c.secrets, "--license-api", "http://" + host + "/api/v4",
			"--comment", "a test", "--yes", "--json", "--expect", "1"}, c.more...)
		for _, outcome := range []string{"deactivated", "already_inactive"} {
			if out, code = runLicensectl(t, licensectl, append(submit, file)...); code != 0 || !strings.Contains(out, `"outcome":"`+outcome+`"`) {
				t.Errorf("submit %s: exit code %d, want %s\n%s", c.name, code, outcome, out)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cut := writeFile(t, "cut.req", string(text[:len(text)/2]))
		if out, code = runLicensectl(t, licensectl, "offline", "inspect", cut); code != 1 || !strings.Contains(out, "it is Base64, but not of a JSON object") {
			t.Errorf("a corrupt %s: exit code %d\n%s", c.name, code, out)
		}
	}
}

// node is the path of Node, which .node holds the SDK for.
func node(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, ".node", "installed")); err != nil {
		t.Fatal(".node is missing; install it with: make node")
	}
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing; install Node 20 or newer with: apt-get install nodejs npm (or brew install node)")
	}
	return program
}

func buildLicensectl(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "licensectl")
	if out, err := command(t.Context(), t, "go", "build", "-o", program, "./cmd/licensectl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

var fakeAPILine = regexp.MustCompile(`http://(127\.0\.0\.1:[0-9]+)`)

// startFakeAPI starts licensectl fake-api on a free port and returns its host and port.
func startFakeAPI(t *testing.T, licensectl, state string) (host string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sdkPatience)
	cmd := command(ctx, t, licensectl, "fake-api", "--addr", "127.0.0.1:0", "--state", state)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	var said []byte
	for buffer := make([]byte, 4<<10); ; {
		n, err := out.Read(buffer)
		said = append(said, buffer[:n]...)
		if found := fakeAPILine.FindSubmatch(said); found != nil {
			return string(found[1])
		}
		if err != nil {
			t.Fatalf("licensectl fake-api: %v\n%s", err, said)
		}
	}
}

// runSDK runs a script of testdata/sdk and returns what it printed.
func runSDK(t *testing.T, program string, args ...string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sdkPatience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := command(ctx, t, program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", args[0], err, &stdout, &stderr)
	}
	var said map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatalf("%s: %v\n%s%s", args[0], err, &stdout, &stderr)
	}
	return said
}

func runLicensectl(t *testing.T, program string, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sdkPatience)
	defer cancel()
	cmd := command(ctx, t, program, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
