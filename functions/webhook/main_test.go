package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
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

// held is a secret that is read without a call.
type held string

func (h held) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: string(h), Version: "v1"}, nil
}

// local is the secret of `licensectl local`, which signs events/webhook.json.
const local held = `{"generic":"local-generic"}`

// invoke invokes the function, whose queue is a FakeSQS with those answers, in a bubble. It returns the answer, the log
// and the time that it took.
func invoke(t *testing.T, payload []byte, secret secrets.Reader, answer func(c queuetest.Call, n int) (int, any)) ([]byte, string, time.Duration) {
	t.Helper()
	fake := &queuetest.FakeSQS{Answer: answer}
	var log bytes.Buffer
	known, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := webhook.New(webhook.Config{
		Sources: known, Recorder: telemetry.New(&log, slog.LevelInfo, "test"),
		Secrets:     secrets.NewCache(secret, secrets.ParseWebhooks),
		Queue:       queue.OpenSQS(fake.Config(), queuetest.FakeEndpoint, queuetest.FakeURL),
		DeadLetters: queue.NewMemory(queue.MemoryConfig{}), MaxEventAge: 14 * 24 * time.Hour,
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
	return out, log.String(), time.Since(began)
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
				out, _, took := invoke(t, delivery, local, func(call queuetest.Call, n int) (int, any) {
					if n <= c.fails {
						return c.status, nil
					}
					time.Sleep(20 * time.Millisecond) // of the bubble
					return http.StatusOK, queuetest.AllSucceed(call)
				})
				var response struct {
					StatusCode int
					Body       string
				}
				if err := json.Unmarshal(out, &response); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(response.Body, `"accepted"`) {
					t.Errorf("answer %s (%v), want 200, accepted", out, err)
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
				out, _, took := invoke(t, payload, local, func(call queuetest.Call, n int) (int, any) {
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

// TestAThrottledSecretsManagerIsNoConfigurationFault uses the real client. An alarm would ask for a repair, and there
// is nothing to repair.
func TestAThrottledSecretsManagerIsNoConfigurationFault(t *testing.T) {
	t.Parallel()
	delivery, err := fs.ReadFile(events.FS(), "webhook.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, code string
		fault      bool
	}{{"throttled", "ThrottlingException", false}, {"denied", "AccessDeniedException", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := (&queuetest.FakeSQS{}).Config()
				cfg.HTTPClient = &http.Client{Transport: queuetest.InMemory{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, `{"__type":"`+c.code+`","Message":"no"}`)
				})}}
				secret := secrets.OpenSecretsManager(cfg, "http://secrets.test", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:test-AbCdEf")
				out, log, took := invoke(t, delivery, secret, nil)
				if !strings.Contains(string(out), `"statusCode":503`) || took > 1300*time.Millisecond {
					t.Errorf("answer %s after %v, want 503 within 1.3 s", out, took)
				}
				if got := strings.Contains(log, "ConfigurationFaults"); got != c.fault {
					t.Errorf("ConfigurationFaults emitted: %t, want %t; the log is %s", got, c.fault, log)
				}
			})
		})
	}
}

// runMain is the variable that makes this test's program run as the function itself.
const runMain = "RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAStartThatFailsPrintsOneJSONLineOfLevelError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		want string // part of the message
	}{
		{"without configuration", nil, "QUEUE_URL: is missing"},
		{"without Lambda's runtime", configured(), "AWS_LAMBDA_RUNTIME_API"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(c.env, runMain+"=1")
			out, err := cmd.CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit code 1", err)
			}
			var errorLines []string
			for text := range strings.Lines(string(out)) {
				var line struct {
					Timestamp      time.Time
					Level, Message string
				}
				if err := json.Unmarshal([]byte(text), &line); err != nil || line.Timestamp.IsZero() {
					t.Errorf("printed %q (%v), want JSON with a timestamp", text, err)
				}
				if line.Level == "ERROR" {
					errorLines = append(errorLines, line.Message)
				}
			}
			if len(errorLines) != 1 || !strings.Contains(errorLines[0], c.want) {
				t.Errorf("lines of level ERROR are %q, want one with %q", errorLines, c.want)
			}
		})
	}
}

// configured is a valid environment whose addresses lead nowhere.
func configured() []string {
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:test-AbCdEf"
	return []string{
		"QUEUE_URL=http://127.0.0.1:1/123456789012/jobs", "DEAD_LETTER_QUEUE_URL=http://127.0.0.1:1/123456789012/dead",
		"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret",
		"WEBHOOK_SECRETS_ARN=" + arn,
	}
}
