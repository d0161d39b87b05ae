package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing/signingtest"
)

func allSamples(t *testing.T) []sample.Sample {
	t.Helper()
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func sampleSecrets(t *testing.T, loaded *source.Sources) heldSecrets {
	t.Helper()
	texts := map[string]string{}
	for _, name := range loaded.Names() {
		texts[name] = sampleSecret(name)
	}
	raw, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := secrets.ParseWebhooks(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return heldSecrets{parsed}
}

// row is a line of the table of answers: what happens to a delivery, and the answer to its sender.
type row struct {
	name    string
	answer  deactivation.Answer // of the sample that is sent
	secret  string              // "": the right secret
	change  func(*http.Request, []byte) (*http.Request, []byte)
	down    bool // the queue accepts nothing
	noDLQ   bool // the dead-letter queue accepts nothing
	status  int
	patient int // status for a source with a longer enqueue_for; 0: the same
}

func answerTable() []row {
	body := func(make func([]byte) []byte) func(*http.Request, []byte) (*http.Request, []byte) {
		return func(r *http.Request, b []byte) (*http.Request, []byte) { return r, make(b) }
	}
	return []row{
		{name: "accepted", answer: deactivation.Accepted, status: 200},
		{name: "ignored", answer: deactivation.Ignored, status: 200},
		{name: "unmappable", answer: deactivation.Unmappable, status: 200},
		{name: "reversed", answer: deactivation.Reversed, status: 200},
		{name: "bad signature", answer: deactivation.Accepted, secret: "whsec_Zm9yZ2VkLWZvcmdlZC1mb3JnZWQtZm9yZ2Vk", status: 401},
		{name: "too large", answer: deactivation.Accepted, change: body(func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 700<<10)...) }), status: 413},
		{name: "another method", answer: deactivation.Accepted, change: func(r *http.Request, b []byte) (*http.Request, []byte) {
			r.Method = http.MethodPut
			return r, b
		}, status: 405},
		{name: "encoded", answer: deactivation.Accepted, change: func(r *http.Request, b []byte) (*http.Request, []byte) {
			r.Header.Set("Content-Encoding", "gzip")
			return r, b
		}, status: 415},
		{name: "queue down", answer: deactivation.Accepted, down: true, status: 503, patient: 200},
		{name: "both queues down", answer: deactivation.Accepted, down: true, noDLQ: true, status: 503},
		{name: "unmappable and both queues down", answer: deactivation.Unmappable, down: true, noDLQ: true, status: 503},
		{name: "reversed and both queues down", answer: deactivation.Reversed, down: true, noDLQ: true, status: 503},
	}
}

// TestAnswersInEachSendersDialect walks the table of answers for every source.
func TestAnswersInEachSendersDialect(t *testing.T) {
	t.Parallel()
	loaded, samples := load(t, ""), allSamples(t)
	patient := []string{"woocommerce", "lemonsqueezy", "salesforce-flow", "gumroad"} // they never or hardly retry
	for _, name := range loaded.Names() {
		for _, c := range answerTable() {
			i := slices.IndexFunc(samples, func(s sample.Sample) bool { return s.Source == name && s.Answer == c.answer })
			if i < 0 {
				continue // recurly never accepts, salesforce never ignores: TestEverySourceHasSamples checks this list
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { answerOf(t, loaded, samples[i], c, slices.Contains(patient, name)) })
			})
		}
	}
}

func answerOf(t *testing.T, loaded *source.Sources, s sample.Sample, c row, patient bool) {
	jobs := &fakeQueue{refuse: func(queue.Entry) bool { return c.down }}
	letters := &fakeQueue{refuse: func(queue.Entry) bool { return c.noDLQ }}
	handler, err := webhook.New(webhook.Config{
		Sources: loaded, Secrets: sampleSecrets(t, loaded), Queue: jobs, DeadLetters: letters,
		Certificates: signingtest.Certificates{}, Recorder: telemetry.New(io.Discard, slog.LevelError, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	secret := c.secret
	if secret == "" {
		secret = sampleSecret(s.Source)
	}
	source, _ := loaded.Get(s.Source)
	req, err := s.Signed(source, "https://hooks.example.com", secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body := bodyOf(t, req)
	if c.change != nil {
		req, body = c.change(req, body)
	}
	payload, err := json.Marshal(lambdaemu.NewHTTPEvent(req, body))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := handler.Invoke(ctx, payload)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := c.status
	if patient && c.patient != 0 {
		want = c.patient
		if len(letters.taken) != len(s.Requests) {
			t.Errorf("%d dead letters for %d requests that the queue did not accept", len(letters.taken), len(s.Requests))
		}
	}
	if got.StatusCode != want {
		t.Errorf("answer %d %s, want %d", got.StatusCode, got.Body, want)
	}
	if s.Source == "salesforce" && (want == 200 || want == 503) {
		if ack := "<Ack>" + map[int]string{200: "true", 503: "false"}[want] + "</Ack>"; !strings.Contains(got.Body, ack) {
			t.Errorf("answer %s, want %s", got.Body, ack)
		}
	}
	if says := `"success":true}`; s.Source == "appsumo" && (want == 200) != strings.HasSuffix(got.Body, says) {
		t.Errorf("answer %d %s; success must be true, and with 200 alone", got.StatusCode, got.Body)
	}
	if want >= 400 && len(jobs.taken)+len(letters.taken) > 0 {
		t.Error("a refused delivery is in a queue")
	}
	if want == 200 && !c.down && len(jobs.taken) != len(s.Requests) {
		t.Errorf("%d messages for %d requests", len(jobs.taken), len(s.Requests))
	}
	if ctx.Err() != nil {
		t.Error("the answer came after the function's time-out")
	}
}

// TestAnAckNeverClaimsWhatIsLost kills the function before the queue has answered: the sender must get nothing that it
// could read as success.
func TestAnAckNeverClaimsWhatIsLost(t *testing.T) {
	t.Parallel()
	loaded, samples := load(t, ""), allSamples(t)
	for _, name := range loaded.Names() {
		i := slices.IndexFunc(samples, func(s sample.Sample) bool { return s.Source == name && s.Answer == deactivation.Accepted })
		if i < 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, err := webhook.New(webhook.Config{
				Sources: loaded, Secrets: sampleSecrets(t, loaded), Queue: killer{}, DeadLetters: killer{},
				Certificates: signingtest.Certificates{}, Recorder: telemetry.New(io.Discard, slog.LevelError, ""),
			})
			if err != nil {
				t.Fatal(err)
			}
			source, _ := loaded.Get(name)
			req, err := samples[i].Signed(source, "https://hooks.example.com", sampleSecret(name), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			payload, err := json.Marshal(lambdaemu.NewHTTPEvent(req, samples[i].Body))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("the function was not killed in its call of the queue")
				}
			}()
			out, _ := handler.Invoke(t.Context(), payload)
			t.Errorf("the sender was answered %s", out)
		})
	}
}

// killer ends the process in the middle of a send.
type killer struct{}

func (killer) Send(context.Context, []queue.Entry) []queue.Failure { panic("killed") }
