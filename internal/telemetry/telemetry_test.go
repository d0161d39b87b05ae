package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// lines decodes the output: every line must be a JSON object.
func lines(t *testing.T, written string) []map[string]any {
	t.Helper()
	var decoded []map[string]any
	for line := range strings.Lines(written) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("not a line of JSON: %v\n%s", err, line)
		}
		decoded = append(decoded, object)
	}
	return decoded
}

// withoutTime checks what Lambda requires of a line (a known level, a timestamp of RFC 3339) and removes the timestamp,
// so that the rest can be compared.
func withoutTime(t *testing.T, line map[string]any) map[string]any {
	t.Helper()
	stamp, _ := line["timestamp"].(string)
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Errorf("timestamp: %v", err)
	}
	delete(line, "timestamp")
	return line
}

func TestMessageIsOneLineWithTheWholeOutcome(t *testing.T) {
	t.Parallel()
	full := telemetry.Message{
		ID: "stripe.evt_1.0", Source: "stripe", Run: "2026-11-campus", Cause: "refund", Rule: "refunded in full", Outcome: deactivation.Deferred,
		Order: []string{"pi_1", "1001"}, Reason: "", Class: "unavailable", Code: "http_503", Detail: "the License API is not well", Attempts: 3,
		Latency: 1500 * time.Microsecond, RetryIn: 90 * time.Second, License: "…DDDD", Product: "XY", KeyVersion: "v-1",
		Event: "evt_1", Decision: deactivation.DecisionAct, LicenseHashes: []string{"0123456789abcdef", "fedcba9876543210"},
		Lookup: "order \"1001\": 1 license", By: "ada", Comment: "ticket 7",
		ReceivedAt: time.Date(2026, 11, 29, 12, 0, 1, 0, time.UTC), OccurredAt: time.Date(2026, 11, 29, 13, 0, 0, 0, time.FixedZone("CET", 60*60)),
	}
	rejected := telemetry.Message{
		ID: "i", Outcome: deactivation.Rejected, Reason: deactivation.ReasonRejected, Code: "license_not_found", Attempts: 1,
	}
	for _, test := range []struct {
		name    string
		message telemetry.Message
		want    map[string]any
	}{
		{"every field", full, map[string]any{
			"level": "INFO", "message": "message", "id": "stripe.evt_1.0", "source": "stripe", "run": "2026-11-campus", "cause": "refund",
			"rule": "refunded in full", "outcome": "deferred", "class": "unavailable", "code": "http_503", "order": "pi_1 1001", "detail": "the License API is not well",
			"attempts": 3.0, "latency_ms": 1.5, "retry_in_s": 90.0, "license": "…DDDD", "product": "XY", "secret_version": "v-1",
			"event": "evt_1", "decision": "act", "license_hash": "0123456789abcdef fedcba9876543210", "lookup": "order \"1001\": 1 license",
			"by": "ada", "comment": "ticket 7", "received_at": "2026-11-29T12:00:01Z", "occurred_at": "2026-11-29T12:00:00Z",
		}},
		{"rejected warns and has a reason", rejected, map[string]any{
			"level": "WARN", "message": "message", "id": "i", "outcome": "rejected", "reason": "rejected",
			"code": "license_not_found", "attempts": 1.0,
		}},
		{"deactivated", telemetry.Message{Outcome: deactivation.Deactivated, Attempts: 1}, map[string]any{
			"level": "INFO", "message": "message", "outcome": "deactivated", "attempts": 1.0,
		}},
		{"already inactive", telemetry.Message{Outcome: deactivation.AlreadyInactive, Attempts: 1}, map[string]any{
			"level": "INFO", "message": "message", "outcome": "already_inactive", "attempts": 1.0,
		}},
		{"released by a person", telemetry.Message{Outcome: deactivation.Deactivated, Attempts: 1, Released: deactivation.Release{
			By: "ada", At: time.Date(2026, 11, 29, 13, 0, 0, 0, time.FixedZone("CET", 60*60)), Reason: "checked",
		}}, map[string]any{
			"level": "INFO", "message": "message", "outcome": "deactivated", "attempts": 1.0,
			"released_by": "ada", "released_at": "2026-11-29T12:00:00Z", "released_reason": "checked",
		}},
		{"handed back at once", telemetry.Message{Outcome: deactivation.Deferred, Attempts: 1}, map[string]any{
			"level": "INFO", "message": "message", "outcome": "deferred", "attempts": 1.0, "retry_in_s": 0.0,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			telemetry.New(&out, slog.LevelInfo, "worker").Message(t.Context(), test.message)
			got := lines(t, out.String())
			if len(got) != 1 {
				t.Fatalf("got %d lines, want 1", len(got))
			}
			if diff := cmp.Diff(test.want, withoutTime(t, got[0])); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeliverySaysWhatWasAnswered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		delivery telemetry.Delivery
		want     map[string]any
	}{
		{"accepted", telemetry.Delivery{
			Source: "stripe", Event: "evt_1", Rule: "refunded in full", Answer: deactivation.Accepted, Status: 200,
			Requests: []string{"stripe.evt_1.0", "stripe.evt_1.1"}, ID: "stripe.evt_1", Cause: "refund", Values: "data.object.refunded true",
			LicenseHashes: []string{"0123456789abcdef"}, Order: []string{"pi_1", "10\n01"},
		}, map[string]any{
			"level": "INFO", "message": "delivery", "id": "stripe.evt_1", "source": "stripe", "event": "evt_1", "cause": "refund", "rule": "refunded in full",
			"values": "data.object.refunded true", "license_hash": "0123456789abcdef", "order": "pi_1 10%2001",
			"answer": "accepted", "status": 200.0, "request_count": 2.0, "requests": []any{"stripe.evt_1.0", "stripe.evt_1.1"},
		}},
		{"a direct invocation", telemetry.Delivery{
			Source: "ops", Answer: deactivation.Accepted, Requests: []string{"a"}, Run: "2026-11-campus", By: "jo", Comment: "contract 7 ended",
		}, map[string]any{
			"level": "INFO", "message": "delivery", "source": "ops", "answer": "accepted", "request_count": 1.0, "requests": []any{"a"},
			"run": "2026-11-campus", "by": "jo", "comment": "contract 7 ended",
		}},
		{"a dry run", telemetry.Delivery{Source: "ops", Answer: deactivation.Accepted, Requests: []string{"a"}, DryRun: true}, map[string]any{
			"level": "INFO", "message": "delivery", "source": "ops", "answer": "accepted", "request_count": 1.0, "requests": []any{"a"},
			"dry_run": true,
		}},
		{"unmappable warns", telemetry.Delivery{
			Source: "shopify", Answer: deactivation.Unmappable, Status: 200, Missing: []string{"hardware_id"},
		}, map[string]any{
			"level": "WARN", "message": "delivery", "source": "shopify", "answer": "unmappable", "status": 200.0,
			"missing": []any{"hardware_id"},
		}},
		{"refused warns", telemetry.Delivery{
			Answer: deactivation.Refused, Code: deactivation.CodeUnverified, Status: 401, Problem: "signature: missing",
		}, map[string]any{
			"level": "WARN", "message": "delivery", "answer": "refused", "code": "unverified", "status": 401.0, "problem": "signature: missing",
		}},
		{"our own fault is an error", telemetry.Delivery{Answer: deactivation.Refused, Status: 503}, map[string]any{
			"level": "ERROR", "message": "delivery", "answer": "refused", "status": 503.0,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			telemetry.New(&out, slog.LevelInfo, "webhook").Delivery(t.Context(), test.delivery)
			got := lines(t, out.String())
			if len(got) != 1 {
				t.Fatalf("got %d lines, want 1", len(got))
			}
			if diff := cmp.Diff(test.want, withoutTime(t, got[0])); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "worker")
	recorder.Fault(t.Context(), "the secret is empty; put a value into it", errors.New("secrets: empty"))
	recorder.Fault(t.Context(), "no evidence", nil)

	want := []map[string]any{
		{"level": "ERROR", "message": "configuration fault", "what": "the secret is empty; put a value into it", "error": "secrets: empty"},
		{"level": "ERROR", "message": "configuration fault", "what": "no evidence"},
	}
	got := lines(t, out.String())
	for _, line := range got {
		withoutTime(t, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestLinesCarryLambdasRequestID(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "worker")
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "c6af9ac6"})
	recorder.Message(ctx, telemetry.Message{Outcome: deactivation.Deactivated})
	recorder.Logger().With("a", 1).InfoContext(ctx, "something else", "b", 2)

	for _, line := range lines(t, out.String()) {
		if line["requestId"] != "c6af9ac6" {
			t.Errorf("requestId = %v in %v", line["requestId"], line)
		}
	}
}

func TestLevelLeavesLinesOutButNeverMetrics(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelError, "worker")
	recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Rejected})
	if out.Len() > 0 {
		t.Errorf("written in spite of the level: %s", out.String())
	}
	recorder.Flush()
	if got := len(lines(t, out.String())); got != 2 { // Messages and DeadLetters
		t.Errorf("got %d metric lines, want 2", got)
	}
}

func TestWhatStrangersWroteIsCut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "webhook")
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = strings.Repeat("é", 10_000)
	}
	long := strings.Repeat("x", 256)
	recorder.Delivery(t.Context(), telemetry.Delivery{Source: ids[0], Event: long, Requests: ids, Answer: deactivation.Accepted})

	line := lines(t, out.String())[0]
	if got, want := line["source"], strings.Repeat("é", 255)+"…"; got != want {
		t.Errorf("source = %.40v…, want 255 characters and an ellipsis", got)
	}
	if line["event"] != long {
		t.Error("a text of 256 characters was cut")
	}
	if got := len(line["requests"].([]any)); got != 50 || line["request_count"] != 10_000.0 {
		t.Errorf("%d ids of %v are listed, want 50 of 10000", got, line["request_count"])
	}
}

func TestLinesDoNotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer // not safe for concurrent use: the Recorder must lock it
	recorder := telemetry.New(&out, slog.LevelInfo, "worker")
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			recorder.Message(context.Background(), telemetry.Message{ID: fmt.Sprint(i), Outcome: deactivation.Deactivated})
			recorder.Flush()
		})
	}
	group.Wait()
	var messages, counted float64
	for _, line := range lines(t, out.String()) {
		if line["message"] == "message" {
			messages++
		}
		if n, ok := line["Messages"].(float64); ok {
			counted += n
		}
	}
	if messages != 20 || counted != 20 {
		t.Errorf("got %v lines and %v counted, want 20 and 20", messages, counted)
	}
}
