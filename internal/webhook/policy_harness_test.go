package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

// unsignedDelivery is a delivery before it is signed.
type unsignedDelivery struct {
	source  string
	headers map[string]string
	body    []byte
}

// ruling is the outcome of one event.
type ruling struct {
	answer   deactivation.Answer
	code     string   // of an unmappable event that does not lack license data
	licenses []string // of an accepted event: each license on each device, as text, sorted; and whether a buyer has named it

	seen *seen   // of the oracle
	on   *ruling // of the oracle: the ruling with the look-up on; nil: the same
}

// policyHarness is a harness with a secret for every source; its deliveries have no signature.
type policyHarness struct {
	*harness
	names   []string
	answers []telemetry.Delivery // of the events of the last delivery, in order
	rules   map[string]int       // how often each rule has decided, by "source: rule"
}

func newPolicyHarness(t *testing.T, lookUp bool) *policyHarness {
	t.Helper()
	h := &policyHarness{rules: map[string]int{}}
	h.harness = newHarness(t, "", func(c *webhook.Config) {
		c.LookUp = lookUp
		c.OnDelivery = func(d telemetry.Delivery) { h.answers = append(h.answers, d) }
		c.Recorder = telemetry.New(io.Discard, slog.LevelError, "")
		h.names = c.Sources.Names()
		texts := map[string]string{}
		for _, name := range h.names {
			texts[name] = sampleSecret(name)
		}
		text, err := json.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		c.Secrets = &fakeSecrets{text: string(text)}
	})
	return h
}

// rule posts a delivery and returns the outcome of each of its events.
func (h *policyHarness) rule(t *testing.T, m unsignedDelivery) (rulings []ruling) {
	source, _ := h.Sources.Get(m.source)
	d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + m.source, Header: m.headers, Body: m.body}
	if err := sample.Sign(source, &d, clock, sampleSecret(m.source)); err != nil {
		t.Errorf("%s: %v", m.source, err)
		return nil
	}
	_, query, _ := strings.Cut(d.URL, "?")
	h.queue.taken, h.letters.taken, h.answers = nil, nil, nil
	reply := h.post(t, delivery{source: m.source, body: string(d.Body), query: query, headers: d.Header, base64: len(d.Body)%2 == 0})
	if reply.StatusCode != 200 {
		t.Errorf("%s: status %d %s", m.source, reply.StatusCode, reply.Body)
		return nil
	}
	enqueued := map[string]string{}
	for _, e := range h.queue.taken {
		r, event, err := deactivation.Parse(e.Body)
		if err != nil || event != nil || enqueued[r.ID] != "" {
			t.Errorf("%s: a message that the worker could not read, or an id twice: %v", m.source, err)
		}
		switch enqueued[r.ID] = asText(r.License); {
		case h.LookUp:
			enqueued[r.ID] = lookedUpRequest(r)
		case r.Buyer:
			enqueued[r.ID] += " by a buyer"
		}
	}
	letters := map[letter]bool{}
	for _, a := range h.answers {
		h.rules[m.source+": "+a.Rule]++
		r := ruling{answer: a.Answer, code: a.Code}
		for _, id := range a.Requests {
			r.licenses = append(r.licenses, enqueued[id])
		}
		slices.Sort(r.licenses)
		rulings = append(rulings, r)
		if a.Answer == deactivation.Unmappable || a.Answer == deactivation.Reversed {
			letters[letter{string(a.Answer), a.Code}] = true
		}
	}
	for _, e := range h.letters.taken {
		delete(letters, letter{e.Attributes["reason"], e.Attributes["code"]})
	}
	if len(letters) > 0 {
		t.Errorf("%s: no dead letter for %v", m.source, letters)
	}
	return rulings
}

// letter is the reason and the code of a dead letter.
type letter struct{ reason, code string }

func sameRuling(a, b ruling) bool {
	return a.answer == b.answer && a.code == b.code && slices.Equal(a.licenses, b.licenses)
}

func asText(l deactivation.License) string {
	return fmt.Sprintf("%s%s/%s bundle %s of %s on %s", l.LicenseKey, l.Username, l.LicenseID, l.BundleCode, l.Product, l.HardwareID)
}

func printed(rulings []ruling) string {
	var lines []string
	for _, r := range rulings {
		lines = append(lines, fmt.Sprintf("%s %s %q", r.answer, r.code, r.licenses))
	}
	return strings.Join(lines, "; ")
}

// sampleSecret is the secret that signs samples here; any other would do.
func sampleSecret(source string) string {
	switch source {
	case "standard", "dodo", "polar":
		return "whsec_bG9jYWwtc3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LTAx"
	case "chargebee":
		return "user:password-canary"
	}
	return "secret-canary-of-" + source
}

// sampleEvent is the Lambda event that API Gateway makes from a sample, signed at the tests' time.
func sampleEvent(tb testing.TB, s sample.Sample) []byte {
	tb.Helper()
	source, ok := load(tb, "").Get(s.Source)
	if !ok {
		tb.Fatalf("no source %s", s.Source)
	}
	req, err := s.Signed(source, "https://hooks.example.com", sampleSecret(s.Source), clock)
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(lambdaemu.NewHTTPEvent(req, bodyOf(tb, req)))
	if err != nil {
		tb.Fatal(err)
	}
	return payload
}

// bodyOf is the body of a signed request: of some senders it holds the signature.
func bodyOf(tb testing.TB, req *http.Request) []byte {
	tb.Helper()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// newQuietHandler is a handler of the built-in sources whose queue accepts everything and whose log is discarded.
func newQuietHandler(tb testing.TB) *webhook.Handler {
	tb.Helper()
	texts := map[string]string{}
	loaded := load(tb, "")
	for _, name := range loaded.Names() {
		texts[name] = sampleSecret(name)
	}
	text, err := json.Marshal(texts)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := secrets.ParseWebhooks(string(text))
	if err != nil {
		tb.Fatal(err)
	}
	handler, err := webhook.New(webhook.Config{
		Sources: loaded, Secrets: heldSecrets{parsed}, Queue: discardQueue{}, DeadLetters: discardQueue{},
		Certificates: signingtest.Certificates{}, Recorder: telemetry.New(io.Discard, slog.LevelInfo, "webhook"), PublicURL: "https://hooks.example.com",
		Now: func() time.Time { return clock },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return handler
}

// heldSecrets are cached webhook secrets, as in all invocations but the first.
type heldSecrets struct{ webhooks secrets.Webhooks }

func (h heldSecrets) Get(context.Context) (secrets.Held[secrets.Webhooks], error) {
	return secrets.Held[secrets.Webhooks]{Value: h.webhooks, Version: "v1"}, nil
}

func (h heldSecrets) Refresh(ctx context.Context, _ string) (secrets.Held[secrets.Webhooks], error) {
	return h.Get(ctx)
}

// discardQueue is a queue that accepts everything and keeps nothing.
type discardQueue struct{}

func (discardQueue) Send(context.Context, []queue.Entry) []queue.Failure { return nil }
