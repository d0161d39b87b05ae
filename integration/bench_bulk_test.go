//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	// bulkRows is the number of rows of the largest direct invocation. bulkFiller is what each row needs to make 6 MB
	// together, the largest payload of Lambda.
	bulkRows   = 10_000
	bulkFiller = 390

	// webhookMB and webhookTimeout are the webhook function's memory and time-out in template.yaml.
	webhookMB      = 256
	webhookTimeout = 10 * time.Second
)

// BenchmarkBulk measures the largest direct invocation with the webhook function's share of the processor: how long it
// takes, and how many rows are enqueued. "slow" and "slow-6MB": SQS takes 20 ms for a batch. "hangs-6MB": SQS does not
// respond, and the invocation must be answered before Lambda ends it.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name   string
		takes  time.Duration
		filler int
	}{{"slow", 20 * time.Millisecond, 0}, {"slow-6MB", 20 * time.Millisecond, bulkFiller}, {"hangs-6MB", time.Hour, bulkFiller}} {
		b.Run(c.name, func(b *testing.B) {
			event := bulkEvent(b, c.filler)
			bootstrap := build(b, "WebhookFunction")
			var took, accepted []float64
			held := 0.0
			for b.Loop() {
				api, cloud := newRuntimeAPI(b), newCloud(b, webhookSecret)
				api.timeout, cloud.sqsTakes = webhookTimeout, c.takes
				s := start(b, bootstrap, api, cloud.environment())
				part, err := newShare(b, webhookMB)
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
				a := api.invoke(b, event)
				took, accepted = append(took, a.took.Seconds()), append(accepted, bulkAccepted(b, a.body))
				s.stop()
				if part != nil {
					_ = os.Remove(part.dir)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "s")
			b.ReportMetric(median(accepted), "rows")
			b.ReportMetric(held, "held")
		})
	}
}

// bulkEvent is a direct invocation with bulkRows rows, each like a row of an export plus filler bytes.
func bulkEvent(b *testing.B, filler int) []byte {
	b.Helper()
	rows := make([]map[string]any, bulkRows)
	for i := range rows {
		rows[i] = map[string]any{
			"id": fmt.Sprintf("ops.2026-11-campus-a.%d", i), "cause": "manual", "order": []string{fmt.Sprintf("CAMPUS-%d", i)},
			"product": "acme-pro", "license_key": fmt.Sprintf("CEGX-KB42-DYCQ-%04d", i), "hardware_id": fmt.Sprintf("e58a99bf-2467-%d", i),
			"vm_info": strings.Repeat("x", filler),
		}
	}
	event, err := json.Marshal(map[string]any{"source": "ops", "requests": rows})
	if err != nil {
		b.Fatal(err)
	}
	if len(event) > 6<<20 {
		b.Fatalf("%d bytes: more than Lambda accepts", len(event))
	}
	return event
}

// bulkAccepted reads the answer. Every row must be in it.
func bulkAccepted(b *testing.B, answer []byte) float64 {
	b.Helper()
	var a struct {
		Accepted int               `json:"accepted"`
		IDs      []string          `json:"ids"`
		Rejected []json.RawMessage `json:"rejected"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		b.Fatal(err)
	}
	if a.Accepted != len(a.IDs) || a.Accepted+len(a.Rejected) != bulkRows {
		b.Fatalf("%d accepted, %d ids, %d rejected: want %d in all", a.Accepted, len(a.IDs), len(a.Rejected), bulkRows)
	}
	return float64(a.Accepted)
}
