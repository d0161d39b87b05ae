package oracles_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool finds a program that judges our signatures. A missing one fails the test: a result without it would mean nothing.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		hint := map[string]string{
			"node":    "install Node 20 or newer: apt-get install nodejs (or brew install node)",
			"openssl": "install OpenSSL 3: apt-get install openssl (or brew install openssl@3)",
		}[name]
		t.Fatalf("%s is missing, and it is the oracle of this test; %s", name, hint)
	}
	return path
}

// node runs a script of testdata with in as JSON on its stdin, and reads its stdout as JSON into out.
func node(t *testing.T, script string, in, out any) {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), tool(t, "node"), filepath.Join("testdata", script)) //nolint:gosec // our own script
	run.Stdin = bytes.NewReader(input)
	var problems bytes.Buffer
	run.Stderr = &problems
	output, err := run.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, &problems)
	}
	if err := json.Unmarshal(output, out); err != nil {
		t.Fatalf("node %s wrote %s: %v", script, output, err)
	}
}

// openssl runs OpenSSL, which reads and writes files.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), tool(t, "openssl"), args...).CombinedOutput() //nolint:gosec // fixed words and files of the test
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// opensslAccepts reports whether OpenSSL ends without an error.
func opensslAccepts(t *testing.T, args ...string) bool {
	t.Helper()
	return exec.CommandContext(t.Context(), tool(t, "openssl"), args...).Run() == nil //nolint:gosec // fixed words and files of the test
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	return content
}
