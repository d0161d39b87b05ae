package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childVariable makes this test binary licensectl: a test can then kill it, or measure it alone.
const childVariable = "LICENSECTL_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(runUntilSignal())
	}
	os.Exit(m.Run())
}

// child is licensectl as a process of its own, not started yet.
func child(t testing.TB, args ...string) (cmd *exec.Cmd, output *strings.Builder) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	output = &strings.Builder{}
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}
