package main

import (
	"strings"
	"testing"
)

// TestLocalInWatchModeDeactivatesNothing: every sample ends as its file says, but for its requests, which are all watched.
func TestLocalInWatchModeDeactivatesNothing(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", "--mode", "watch", quick)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	for _, want := range []string{"Mode         watch", "dead letter: watched", "dead letter: missing product", "0 did not."} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
	_, table, _ := strings.Cut(stdout, "SAMPLE")
	for _, line := range strings.Split(table, "\n") {
		if strings.Contains(line, " accepted ") && (!strings.Contains(line, "rejected") || !strings.Contains(line, "dead letter: watched")) {
			t.Errorf("in watch mode: %s", line)
		}
	}
}

func TestLocalHasABrakeOnlyWhereItIsGiven(t *testing.T) {
	t.Parallel()
	code, stdout, _ := command(t, "local", "--once", "--addr", "127.0.0.1:0", "--surge-limit", "2", quick)
	held := strings.Count(stdout, "dead letter: held")
	if code != exitDone || held == 0 || strings.Contains(stdout, "WRONG") || !strings.Contains(stdout, "Brake        2 licenses of a source in an hour") {
		t.Errorf("exit code %d, %d samples held\n%s", code, held, stdout)
	}
}
