package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/sources"
)

// timeout is the function's time-out in template.yaml.
const timeout = 10 * time.Second

// held is a secret that needs no call.
type held string

func (h held) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: string(h), Version: "v1"}, nil
}

// invoke invokes the function whose queue is a FakeSQS with those answers, in a bubble, and returns its answer and how
// long it took.
func invoke(t *testing.T, payload []byte, answer func(c queuetest.Call, n int) (int, any)) ([]byte, time.Duration) {
	t.Helper()
	fake := &queuetest.FakeSQS{Answer: answer}
	known, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := webhook.New(webhook.Config{
		Sources: known, Recorder: telemetry.New(io.Discard, slog.LevelInfo, "test"),
		Secrets:     secrets.NewCache(held(`{"shopify":"shpss_local_shopify"}`), secrets.ParseWebhooks),
		Queue:       queue.OpenSQS(fake.Config(), queuetest.FakeEndpoint, queuetest.FakeURL),
		DeadLetters: queue.NewMemory(queue.MemoryConfig{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	began := time.Now()
	out, err := handler.Invoke(ctx, payload)
	if err != nil {
		t.Fatal(err)
	}
	return out, time.Since(began)
}

func TestADeliveryIsAnsweredWithinHalfASecondWhenSQSFailsAtFirst(t *testing.T) {
	t.Parallel()
	delivery, err := fs.ReadFile(events.FS(), "webhook.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		fails  int
		status int
	}{{"503 twice", 2, http.StatusServiceUnavailable}, {"hangs once", 1, queuetest.Hang}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out, took := invoke(t, delivery, func(call queuetest.Call, n int) (int, any) {
					if n <= c.fails {
						return c.status, nil
					}
					time.Sleep(20 * time.Millisecond) // of the bubble
					return http.StatusOK, queuetest.AllSucceed(call)
				})
				var response struct{ StatusCode int }
				if err := json.Unmarshal(out, &response); err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("answer %s (%v), want 200", out, err)
				}
				if took > 500*time.Millisecond {
					t.Errorf("took %v, want at most half a second", took)
				}
			})
		})
	}
}

func TestADirectInvocationIsAnsweredInTimeWhenSQSHangs(t *testing.T) {
	t.Parallel()
	const rows = 10_000
	requests := make([]map[string]string, rows)
	for i := range requests {
		requests[i] = map[string]string{"product": "XY", "license_key": fmt.Sprint("KEY-", i), "hardware_id": "hw"}
	}
	payload, err := json.Marshal(map[string]any{"source": "ops", "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		hangs    int // from this call on
		accepted int
	}{{"from the start", 1, 0}, {"after 100 batches", 101, 1000}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out, took := invoke(t, payload, func(call queuetest.Call, n int) (int, any) {
					if n >= c.hangs {
						return queuetest.Hang, nil
					}
					time.Sleep(20 * time.Millisecond) // of the bubble
					return http.StatusOK, queuetest.AllSucceed(call)
				})
				var answer struct {
					Accepted int
					Rejected []struct {
						Index int
						Code  string
					}
				}
				if err := json.Unmarshal(out, &answer); err != nil {
					t.Fatal(err)
				}
				if answer.Accepted != c.accepted || len(answer.Rejected) != rows-c.accepted {
					t.Errorf("%d accepted, %d rejected; want %d and %d", answer.Accepted, len(answer.Rejected), c.accepted, rows-c.accepted)
				}
				for i, r := range answer.Rejected {
					if r.Code != "not_enqueued" || i > 0 && r.Index <= answer.Rejected[i-1].Index {
						t.Fatalf("rejected %+v at %d, want not_enqueued in ascending order", r, i)
					}
				}
				if took > timeout-time.Second {
					t.Errorf("took %v of %v, want a second less", took, timeout)
				}
			})
		})
	}
}
