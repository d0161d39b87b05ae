//go:build integration

package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// root is the module's folder, relative to the folder in which tests run.
const root = ".."

// tool is the path of a program in .venv.
func tool(t testing.TB, name string) string {
	t.Helper()
	return inVenv(t, filepath.Join("bin", name))
}

// emulator is the path of the Lambda Runtime Interface Emulator, which the wheel of aws-sam-cli contains.
func emulator(t testing.TB) string {
	t.Helper()
	machine := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || machine == "" {
		t.Fatalf("the Runtime Interface Emulator runs on Linux (amd64, arm64), not on %s/%s: use a container or a virtual machine",
			runtime.GOOS, runtime.GOARCH)
	}
	return inVenv(t, "lib", "python3.*", "site-packages", "samcli", "local", "rapid", "aws-lambda-rie-"+machine)
}

func inVenv(t testing.TB, elements ...string) string {
	t.Helper()
	pattern, err := filepath.Abs(filepath.Join(append([]string{root, ".venv"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s is missing; install it with: make venv", pattern)
	}
	return found[0]
}

// command runs in the module's folder, with sam's telemetry and its writing to the home folder switched off.
func command(ctx context.Context, t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = root
	c.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0", "__SAM_CLI_APP_DIR="+t.TempDir())
	return c
}

// build builds a function's bootstrap with the Makefile's own target, for the machine on which the tests run, and
// returns its path.
func build(t testing.TB, logicalID string) string {
	t.Helper()
	return buildFor(t, logicalID, runtime.GOARCH)
}

// buildFor is build for another machine.
func buildFor(t testing.TB, logicalID, goarch string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := command(t.Context(), t, "make", "build-"+logicalID, "ARTIFACTS_DIR="+dir, "LAMBDA_GOARCH="+goarch).CombinedOutput()
	if err != nil {
		t.Fatalf("make build-%s: %v\n%s", logicalID, err, out)
	}
	return filepath.Join(dir, "bootstrap")
}
