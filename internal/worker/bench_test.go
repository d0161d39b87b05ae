package worker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// BenchmarkBatchOfTen processes one batch: its cost without the network. "decided" makes no call, since no message is
// in our wire form: each goes to the dead-letter queue. "called" calls an API on loopback that always succeeds and
// whose cost is part of the numbers.
func BenchmarkBatchOfTen(b *testing.B) {
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "license_deactivated")
	}))
	defer yes.Close()
	for _, bench := range []struct {
		name string
		body func(n int) string
	}{
		{"decided", func(n int) string { return fmt.Sprintf(`{"v":1,"id":"other.%d","action":"another"}`, n) }},
		{"called", func(n int) string { return wire(request(n)) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			api, err := licenseapi.New(licenseapi.Config{BaseURL: yes.URL})
			if err != nil {
				b.Fatal(err)
			}
			handler, err := worker.New(worker.Config{
				API: api, Secrets: secrets.NewCache(fixed(secretText(testSharedKey)), secrets.ParseLicense),
				Queue: taken{}, DeadLetters: taken{}, Recorder: telemetry.New(io.Discard, slog.LevelInfo, "worker"),
				CallsInFlight: 10, CallsPerSecond: 1e9, Backoff: production(),
			})
			if err != nil {
				b.Fatal(err)
			}
			var event events.SQSEvent
			for n := range 10 {
				event.Records = append(event.Records, events.SQSMessage{
					MessageId: fmt.Sprintf("m-%d", n), ReceiptHandle: fmt.Sprintf("r-%d", n), Body: bench.body(n + 1),
					Attributes: map[string]string{"ApproximateReceiveCount": "1"},
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				response, err := handler.Handle(b.Context(), event)
				if err != nil || len(response.BatchItemFailures) > 0 {
					b.Fatalf("%d stay in the queue, %v", len(response.BatchItemFailures), err)
				}
			}
		})
	}
}

// taken is a queue that accepts everything.
type taken struct{}

func (taken) Defer(context.Context, []queue.Deferral) []queue.Failure { return nil }

func (taken) Send(context.Context, []queue.Entry) []queue.Failure { return nil }
