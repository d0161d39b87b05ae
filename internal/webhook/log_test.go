package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// linesOf are the log lines with that text, without what every line has.
func linesOf(t *testing.T, log, text string) (found []map[string]any) {
	t.Helper()
	for written := range strings.Lines(log) {
		var line map[string]any
		if err := json.Unmarshal([]byte(written), &line); err != nil {
			t.Fatal(err)
		}
		if line[deactivation.LogText] == text {
			delete(line, deactivation.LogTime)
			delete(line, deactivation.LogText)
			found = append(found, line)
		}
	}
	return found
}

// TestTheLineOfAnEventSaysOnWhichValuesItWasDecidedAndForWhichLicenses: a key is shown by its hash alone.
func TestTheLineOfAnEventSaysOnWhichValuesItWasDecidedAndForWhichLicenses(t *testing.T) {
	t.Parallel()
	b := newHarness(t, ageing)
	postAgeing(t, b, ageingEvent("e1", "refunded", at(clock), twoDevices), ageingEvent("e2", "noted", at(clock), twoDevices))
	want := []map[string]any{
		{"level": "INFO", "id": "tiny.e1", "source": "tiny", "event": "e1", "cause": "refund", "rule": "refunded", "values": "type 'refunded'", "answer": "accepted",
			"status": 200.0, "license_hash": "12b0dd910bb540b2", "request_count": 2.0, "requests": []any{"tiny.e1.0", "tiny.e1.1"}, "received_at": "2026-11-22T12:00:00Z"},
		{"level": "INFO", "id": "tiny.e2", "source": "tiny", "event": "e2", "rule": "noted", "values": "type 'noted'", "answer": "ignored", "status": 200.0, "received_at": "2026-11-22T12:00:00Z"},
	}
	if diff := cmp.Diff(want, linesOf(t, b.log.String(), deactivation.LogDelivery)); diff != "" {
		t.Error(diff)
	}
}

// TestEveryDeadLetterOfTheWebhookHasALine: a stale event has one for each request, an unmappable one for the event. A
// letter that the dead-letter queue refuses has none.
func TestEveryDeadLetterOfTheWebhookHasALine(t *testing.T) {
	t.Parallel()
	old := at(clock.AddDate(-1, 0, 0))
	b := newHarness(t, ageing, withMaxEventAge(time.Hour))
	postAgeing(t, b, ageingEvent("e1", "refunded", old, twoDevices), ageingEvent("e2", "refunded", at(clock), `"product":"P"`))
	detail := "the event of 2025-11-22T12:00:00Z was 8760h old when it was received, more than 1h"
	request := func(id, device string) map[string]any {
		return map[string]any{
			"level": "WARN", "id": id, "source": "tiny", "event": "e1", "cause": "refund", "rule": "refunded", "reason": "stale", "detail": detail,
			"license": "…", "license_hash": "12b0dd910bb540b2", "device": device, "product": "P",
		}
	}
	want := []map[string]any{
		request("tiny.e1.0", "…"), request("tiny.e1.1", "…"),
		{"level": "WARN", "id": "tiny.e2", "source": "tiny", "event": "e2", "rule": "refunded", "reason": "unmappable", "detail": "missing license_key, hardware_id"},
	}
	if diff := cmp.Diff(want, linesOf(t, b.log.String(), deactivation.LogDeadLetter)); diff != "" {
		t.Error(diff)
	}

	down := newHarness(t, ageing, withMaxEventAge(time.Hour))
	down.letters.refuse = func(queue.Entry) bool { return true }
	postAgeing(t, down, ageingEvent("e1", "refunded", old, twoDevices))
	if lines := linesOf(t, down.log.String(), deactivation.LogDeadLetter); len(lines) > 0 {
		t.Errorf("the queue refused the letters, and the log has %v", lines)
	}
}
