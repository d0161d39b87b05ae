package main

import (
	"strings"
	"testing"
)

// TestOnARealTerminalTheCountIsTyped: a person reads the preview and types its count. Nothing colours the output, and no
// table is wider than 60 columns.
func TestOnARealTerminalTheCountIsTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed string
		code  int
		sent  int
		want  string
	}{
		{"2", exitDone, 1, "The worker acts on them now: licensectl why --run resolve-"},
		{"3", exitHeld, 0, "licensectl: error: that is not 2: nothing was done\n"},
		{" ", exitHeld, 0, "licensectl: error: no count was typed: nothing was done\n"},
	} {
		_, flags := springAPI(t, orderLicenses()...)
		cloud := &fakeAWS{}
		args := append([]string{"resolve", "--order", "pi_1", "--disable", "--function", "f", "--endpoint-url", cloud.start(t), "--comment", "ticket 4711"}, flags...)
		code, screen := onTerminal(t, c.typed, args...)
		if code != c.code || len(cloud.payloads) != c.sent || !strings.Contains(screen, c.want) || !strings.Contains(screen, resolveGolden) ||
			!strings.Contains(screen, "Reading from LicenseSpring, 1000000 calls a minute …\n") ||
			!strings.Contains(screen, "Type 2 to deactivate 2 devices of 2 licenses and disable 1 license: ") {
			t.Errorf("%q: exit code %d, %d invocations, want %d, %d\n%s", c.typed, code, len(cloud.payloads), c.code, c.sent, screen)
		}
		if strings.Contains(screen, "\x1b") {
			t.Errorf("%q: an escape sequence is printed: %q", c.typed, screen)
		}
		noSecret(t, screen)
	}
}

// TestDoctorPrintsTheSameOnATerminal: lines for people are the same in a file, and no check has a colour.
func TestDoctorPrintsTheSameOnATerminal(t *testing.T) {
	t.Parallel()
	_, doctor, plain := doctorOf(t, doctorSecrets(doctorLicense, doctorWebhooks))
	if code, screen := onTerminal(t, "", doctor...); code != exitDone || plain.Replace(screen) != counted(t, doctorGolden) {
		t.Errorf("exit code %d\n%s", code, screen)
	}
}
