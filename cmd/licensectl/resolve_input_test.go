package main

import (
	"strings"
	"testing"
)

// TestAnIDWithoutItsKindIsRefusedWithTheFlags: an argument may be a license key, and is not printed.
func TestAnIDWithoutItsKindIsRefusedWithTheFlags(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"resolve", "restore"} {
		code, stdout, stderr := command(t, name, "CANARY-pi_3Nx")
		want := "licensectl: error: " + name + " takes no argument\nlicensectl: hint: say what it is: licensectl " + name + " --order ID, --key KEY or --subscription ID\n"
		if code != exitUsage || stdout != "" || stderr != want {
			t.Errorf("exit code %d, %q, want %q", code, stderr, want)
		}
	}
}

// TestAKeyIsReadFromStdin, so that it stands in no history of a shell, and on a terminal with a prompt.
func TestAKeyIsReadFromStdin(t *testing.T) {
	t.Parallel()
	_, flags := springAPI(t, orderLicenses()...)
	for name, want := range map[string]string{"resolve": "1 license with 2 active devices to deactivate\n", "restore": "0 licenses to enable, of 1 license\n"} {
		args := append([]string{name, "--key", "-"}, flags...)
		code, stdout, stderr := commandIn(t, strings.NewReader("CANARY-AAAA-BBBB-1111\n"), args...)
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d\n%s\n%s", name, code, stdout, stderr)
		}
		if code, screen := onTerminal(t, "CANARY-AAAA-BBBB-1111", args...); code != exitDone || !strings.HasPrefix(screen, "License key: ") || !strings.Contains(screen, want) {
			t.Errorf("%s on a terminal: exit code %d\n%s", name, code, screen)
		}
		if code, _, stderr := commandIn(t, strings.NewReader(""), args...); code != exitUsage || !strings.Contains(stderr, "--key has fewer than 3 characters") {
			t.Errorf("%s without a key: exit code %d, %s", name, code, stderr)
		}
	}
}

// TestResolveAndRestoreLeaveAnAuditLineWithoutAStack, also when they fail: on stderr, without a secret.
func TestResolveAndRestoreLeaveAnAuditLineWithoutAStack(t *testing.T) {
	t.Parallel()
	act := []string{"--comment", "ticket 1", "--yes", "--expect"}
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"resolve":       {append([]string{"resolve", "--key", "CANARY-AAAA-BBBB-1111", "--direct", "--calls-per-second", "1000"}, append(act, "1")...), exitDone},
		"resolve fails": {append([]string{"resolve", "--key", "CANARY-AAAA-BBBB-1111", "--function", "f", "--endpoint-url", "http://127.0.0.1:1"}, append(act, "1")...), exitFailed},
		"restore":       {append([]string{"restore", "--order", "pi_1"}, append(act, "1")...), exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, flags := springAPI(t, orderLicenses()...)
			code, stdout, stderr := command(t, append(c.args, flags...)...)
			if code != c.code || auditPhases(t, stderr) != "begin end" {
				t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
			noSecret(t, stdout, stderr)
		})
	}
}
