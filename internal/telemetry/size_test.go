package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// TestTheLinesHaveTheSizesOfThePage compares docs/why.md, from which the cost of the log is counted, with the lines of a Stripe
// refund. A line differs by a few bytes from run to run, since a time has no zeros at its end.
func TestTheLinesHaveTheSizesOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/why.md")
	if err != nil {
		t.Fatal(err)
	}
	sizes := regexp.MustCompile(`the line of the delivery \((\d+) bytes\), the line of the message \((\d+)\), and metrics \((\d+), and (\d+) for each batch\)`).FindSubmatch(page)
	if sizes == nil {
		t.Fatal("the page does not say the sizes")
	}
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "8b1c3c3e-5a0a-4f0e-9d1b-0a1b2c3d4e5f"})
	order, now := []string{"pi_3T2K6qaKq7VbnZx2Rt1XMbqRbf", "ch_3T2K6qaKq7VbnZx2Rt1WoNB09P", "36000"}, time.Now()
	hashes := []string{deactivation.HashLicense("AAAA-BBBB-CCCC-DDDD")}
	var front, back bytes.Buffer
	webhook := telemetry.New(&front, slog.LevelInfo, "license-deactivator-WebhookFunction-AbCdEfGhIjKl")
	webhook.Delivery(ctx, telemetry.Delivery{
		ID: "stripe.evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R", Source: "stripe", Event: "evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R", Cause: "refund", Rule: "refunded in full",
		Values: "type 'charge.refunded', data.object.refunded true", Answer: deactivation.Accepted, Order: order, Status: 200,
		Requests: []string{"stripe.evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R.0"}, LicenseHashes: hashes, ReceivedAt: now,
	})
	delivery := front.Len()
	webhook.Flush()
	worker := telemetry.New(&back, slog.LevelInfo, "license-deactivator-WorkerFunction-AbCdEfGhIjKl")
	worker.Message(ctx, telemetry.Message{
		ID: "stripe.evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R.0", Source: "stripe", Event: "evt_3TNZLTyKq7VbnZx2Rt7U1bQD2R", Cause: "refund", Rule: "refunded in full",
		Decision: deactivation.DecisionAct, Outcome: deactivation.Deactivated, Class: "deactivated", Order: order, Attempts: 1, Latency: 123_456 * time.Microsecond,
		Action: "deactivate_license", License: "…DDDD", Device: "…9876", Product: "acme-pro", LicenseHashes: hashes,
		KeyVersion: "8b1c3c3e-5a0a-4f0e-9d1b-0a1b2c3d4e5f", ReceivedAt: now, OccurredAt: now,
	})
	message := back.Len()
	worker.Flush()
	for i, got := range []int{delivery, message, front.Len() - delivery, back.Len() - message} {
		want, _ := strconv.Atoi(string(sizes[i+1]))
		if got < want*95/100 || got > want*105/100 {
			t.Errorf("size %d of the page is %d, the line has %d bytes", i+1, want, got)
		}
	}
}
