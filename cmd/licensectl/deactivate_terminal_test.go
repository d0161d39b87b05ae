package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"license-deactivator/internal/bulk"
)

// TestOnATerminalTheCountIsTyped, and no other count sends anything.
func TestOnATerminalTheCountIsTyped(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 10)
	path := refunds(t, 10)
	command := []string{"deactivate", path, "--endpoint-url", s.address}
	if code, screen := onTerminal(t, "", command...); code != exitDone || !strings.Contains(screen, "This is a preview; nothing was done.") {
		t.Errorf("a preview: exit code %d, %s", code, screen)
	}
	for _, typed := range []string{"9", "yes", ""} {
		code, screen := onTerminal(t, typed+" ", append(command, "--comment", "ticket 1")...)
		if code != exitHeld || !strings.Contains(screen, "Type 10 to send 10 rows to licensectl local at ") || !strings.Contains(screen, "nothing was done") || s.calls() != 0 {
			t.Errorf("%q: exit code %d, %d calls, %s", typed, code, s.calls(), screen)
		}
	}
	code, screen := onTerminal(t, "10", append(command, "--comment", "ticket 1", "--wait")...)
	if code != exitDone || s.calls() != 10 || !strings.Contains(screen, "Sent 10 of 10 rows.\n") || !strings.HasSuffix(screen, strings.TrimPrefix(actReport, "\n")) {
		t.Errorf("exit code %d, %d calls\n%s", code, s.calls(), screen)
	}
	if code, screen := onTerminal(t, "", "deactivate", "-", "--journal", path+".j", "--endpoint-url", s.address, "--comment", "x"); code != exitUsage ||
		!strings.Contains(screen, "the count cannot be typed while the rows are read from stdin") {
		t.Errorf("rows from stdin: exit code %d, %s", code, screen)
	}
}

// TestATerminalHasABarWithRateAndTimeLeft of at most 60 columns, which is gone at the end.
func TestATerminalHasABarWithRateAndTimeLeft(t *testing.T) {
	t.Parallel()
	terminal, tty := openPTY(t)
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(*testing.T) {
		p := newBulkProgress(os.Stdout, tty, false)
		for done := int64(0); done <= 100_000; done += 25_000 {
			p.show(progressOf("send", done, 100_000))
			time.Sleep(time.Second)
		}
		p.end()
	})
	_ = tty.Close()
	var shown strings.Builder
	part := make([]byte, 4096)
	for {
		n, err := terminal.Read(part)
		shown.Write(part[:n])
		if err != nil {
			break
		}
	}
	screen := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(shown.String(), "")
	frames := strings.Split(screen, "\r")
	found := false
	for _, frame := range frames {
		if n := len([]rune(strings.TrimRight(frame, " \n"))); n > 60 {
			t.Errorf("a line of %d columns: %q", n, frame)
		}
		found = found || regexp.MustCompile(`^Sending .*\(\d+/100000, .* rows/s\)`).MatchString(frame)
	}
	if !found || strings.TrimSpace(frames[len(frames)-1]) != "" {
		t.Errorf("frames %q: want one with count and rate, and an empty line at the end", frames)
	}
}

// TestWithoutATerminalThereIsALinePerTenPerCent of what takes a while.
func TestWithoutATerminalThereIsALinePerTenPerCent(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	p := newBulkProgress(os.Stdout, &stderr, false)
	for done := int64(0); done <= 2000; done++ {
		p.show(progressOf("send", done, 2000))
	}
	p.show(progressOf("outcomes", 1, 10))
	p.show(progressOf("outcomes", 10, 10))
	want := ""
	for tenth := 1; tenth <= 10; tenth++ {
		want += "Sending: " + itoaTen(tenth) + " %\n"
	}
	if stderr.String() != want {
		t.Errorf("printed\n%swant\n%s", &stderr, want)
	}
}

func progressOf(phase string, done, total int64) bulk.Progress {
	return bulk.Progress{Phase: phase, Done: done, Total: total}
}

func itoaTen(tenth int) string { return strconv.Itoa(10 * tenth) }
