//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
)

const (
	webhookSecret = `{"generic":"` + localGenericKey + `"}`
	workerSecret  = `{"api_key":"key","shared_key":"shared"}`

	// warmInvocations follow the first one, for a median to compare it with. Each starts after a pause in which the
	// function's share of the processor recovers from the one before.
	warmInvocations = 10
	warmPause       = 100 * time.Millisecond

	// smallestMB is the least memory that a function can have.
	smallestMB = 128
)

// BenchmarkColdStart measures from exec: the bare handler until it polls, the functions until their first connection,
// which is their warm-up. The difference is what they do beyond nothing. It reports the minimum of all runs: other load
// on the machine only adds to it.
func BenchmarkColdStart(b *testing.B) {
	bare, webhook, worker := builtBare(b), build(b, "WebhookFunction"), build(b, "WorkerFunction")
	var took [3][]float64
	for b.Loop() {
		took[0] = append(took[0], coldBare(b, bare))
		took[1] = append(took[1], coldFunction(b, webhook, webhookSecret))
		took[2] = append(took[2], coldFunction(b, worker, workerSecret))
	}
	bareLeast, webhookLeast, workerLeast := slices.Min(took[0]), slices.Min(took[1]), slices.Min(took[2])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bareLeast, "bare-ms")
	b.ReportMetric(webhookLeast, "webhook-ms")
	b.ReportMetric(workerLeast, "worker-ms")
	b.ReportMetric(webhookLeast/bareLeast, "webhook/bare")
	b.ReportMetric(workerLeast/bareLeast, "worker/bare")
}

func coldBare(b *testing.B, bootstrap string) float64 {
	api := newRuntimeAPI(b)
	s := start(b, bootstrap, api, nil)
	defer s.stop()
	return ms(api.awaitPoll(b).Sub(s.begun))
}

func coldFunction(b *testing.B, bootstrap, secret string) float64 {
	api, c := newRuntimeAPI(b), newCloud(b, secret)
	s := start(b, bootstrap, api, c.environment())
	defer s.stop()
	select {
	case <-c.connected:
		return ms(time.Since(s.begun))
	case <-time.After(benchPatience):
		b.Fatal("the function opens no connection")
	}
	return 0
}

// BenchmarkFirstInvocation measures an invocation, from handing out the event to the answer: the first of an
// environment and the median of the next ones. Once the function polls, it has the processor's share of 128 MB, as in
// Lambda (held = 1). Where the machine does not allow that, it has the whole processor (held = 0).
func BenchmarkFirstInvocation(b *testing.B) {
	delivery, err := os.ReadFile("../events/webhook.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range []struct {
		name, logicalID, secret string
		event                   []byte
	}{{"webhook", "WebhookFunction", webhookSecret, delivery}, {"worker", "WorkerFunction", workerSecret, batchOfTen(b)}} {
		b.Run(f.name, func(b *testing.B) {
			bootstrap := build(b, f.logicalID)
			var first, warm []float64
			held := 0.0
			for b.Loop() {
				api, c := newRuntimeAPI(b), newCloud(b, f.secret)
				s := start(b, bootstrap, api, c.environment())
				part, err := newShare(b, smallestMB)
				if err == nil {
					err = part.take(s.cmd.Process.Pid)
				}
				api.awaitPoll(b)
				if err == nil {
					err = part.hold()
				}
				time.Sleep(warmPause)
				if err == nil {
					held = 1
				} else {
					b.Logf("the processor's share cannot be limited: %v", err)
				}
				first = append(first, ms(api.invoke(b, f.event).took))
				for range warmInvocations {
					api.awaitPoll(b)
					time.Sleep(warmPause)
					warm = append(warm, ms(api.invoke(b, f.event).took))
				}
				s.stop()
				if part != nil {
					_ = os.Remove(part.dir)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(first), "first-ms")
			b.ReportMetric(median(warm), "warm-ms")
			b.ReportMetric(median(first)/median(warm), "first/warm")
			b.ReportMetric(held, "held")
		})
	}
}

// BenchmarkSize reports the size of what is deployed: each bootstrap for arm64, zipped.
func BenchmarkSize(b *testing.B) {
	for name, logicalID := range map[string]string{"webhook": "WebhookFunction", "worker": "WorkerFunction"} {
		b.Run(name, func(b *testing.B) {
			content, err := os.ReadFile(buildFor(b, logicalID, "arm64"))
			if err != nil {
				b.Fatal(err)
			}
			var size int
			for b.Loop() {
				size = len(zipped(b, content))
			}
			const mega = 1e6
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(size)/mega, "zip-MB")
			b.ReportMetric(float64(len(content))/mega, "bootstrap-MB")
		})
	}
}

// batchOfTen is an SQS event of ten requests.
func batchOfTen(b *testing.B) []byte {
	b.Helper()
	event, err := json.Marshal(sqsBatch(b, 0, 10))
	if err != nil {
		b.Fatal(err)
	}
	return event
}

// sqsBatch is an SQS event of the requests with the numbers from first on.
func sqsBatch(b *testing.B, first, n int) events.SQSEvent {
	b.Helper()
	var event events.SQSEvent
	for i := first; i < first+n; i++ {
		body, err := deactivation.Request{
			ID: fmt.Sprintf("bench.%d", i), Source: "bench", Cause: deactivation.CauseManual,
			License: deactivation.License{Product: "XY", LicenseKey: fmt.Sprintf("KEY-%d", i), HardwareID: "hw"},
		}.Wire()
		if err != nil {
			b.Fatal(err)
		}
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: fmt.Sprintf("m-%d", i), ReceiptHandle: fmt.Sprintf("r-%d", i), Body: body, EventSource: "aws:sqs",
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	return event
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
