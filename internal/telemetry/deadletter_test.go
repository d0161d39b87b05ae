package telemetry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// TestADeadLetterOfTheWebhookIsALineAndIsCounted: the line has what a search needs, and the reason.
func TestADeadLetterOfTheWebhookIsALineAndIsCounted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := telemetry.New(&out, slog.LevelInfo, "webhook")
	r.WebhookDeadLetter(t.Context(), telemetry.DeadLetter{
		ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Reason: deactivation.ReasonStale,
		Code: "c", Detail: "too old", Order: []string{"pi_1", "ch_1"}, Action: "deactivate_license", License: "…DDDD",
		LicenseHashes: []string{"0123456789abcdef"}, User: "u", Device: "…0001", Product: "XY", Run: "r",
	})
	r.Flush()
	got := lines(t, out.String())
	want := map[string]any{
		"level": "WARN", "message": "dead letter", "id": "stripe.evt_1.0", "source": "stripe", "event": "evt_1", "run": "r", "cause": "refund",
		"rule": "refunded in full", "reason": "stale", "code": "c", "detail": "too old", "order": "pi_1 ch_1", "action": "deactivate_license",
		"license": "…DDDD", "license_hash": "0123456789abcdef", "user": "u", "device": "…0001", "product": "XY",
	}
	if len(got) != 2 {
		t.Fatalf("got %d lines, want one and one of metrics", len(got))
	}
	if diff := cmp.Diff(want, withoutTime(t, got[0])); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if got[1]["DeadLetters"] != 1.0 || got[1]["reason"] != "stale" {
		t.Errorf("metrics %v, want one stale letter", got[1])
	}
}

// TestManyIdsOfAnOrderStayWhole: a cut id would not be found.
func TestManyIdsOfAnOrderStayWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	id := strings.Repeat("x", deactivation.MaxFieldRunes)
	order := make([]string, 60)
	for i := range order {
		order[i] = id
	}
	telemetry.New(&out, slog.LevelInfo, "webhook").Delivery(t.Context(), telemetry.Delivery{Order: order})
	got, _ := lines(t, out.String())[0]["order"].(string)
	if want := strings.TrimSuffix(strings.Repeat(id+" ", 50), " "); got != want {
		t.Errorf("%d characters, want the first 50 ids", len(got))
	}
}
