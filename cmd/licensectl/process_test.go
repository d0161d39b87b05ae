package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// childVariable makes this test binary licensectl: a test can then kill it, or measure it alone.
const childVariable = "LICENSECTL_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
	case "bare":
		if err := bareLoop(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitDone)
	default:
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

// maxResident is the most memory that a process had, in bytes.
func maxResident(ended *os.ProcessState) int64 {
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss * 1024 // Linux counts in KiB
}
