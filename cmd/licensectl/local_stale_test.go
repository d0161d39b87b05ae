package main

import (
	"strings"
	"testing"
)

// TestOldEventsAreKeptOnRequest runs with an age limit: samples of older events are skipped, since their files expect
// requests, and such an event that is sent is stale.
func TestOldEventsAreKeptOnRequest(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick, "--max-event-age", "1h")
	text := r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "until Ctrl-C") })
	if strings.Contains(text, "WRONG") || !strings.Contains(text, "samples of events older than 1h0m0s: their files expect requests.") {
		t.Errorf("the samples of old events are not skipped\n%s", text)
	}
	code, stdout, stderr := command(t, "send", "--source", "stripe", "--case", "full-refund", "--to", r.address)
	if code != exitDone || !strings.Contains(stdout, `"answer":"stale","ids":["stripe.`) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	r.stdout.await(t, "line of the stale event", func(text string) bool {
		return strings.Contains(text, "old when it was received, more than 1h")
	})
}

func TestAnAgeBelowZeroIsAUsageError(t *testing.T) {
	t.Parallel()
	code, _, stderr := command(t, "local", "--max-event-age", "-1h")
	if code != exitUsage || !strings.Contains(stderr, "hint: give a duration such as 336h") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
