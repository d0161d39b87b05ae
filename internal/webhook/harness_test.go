package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
	"license-deactivator/sources"
)

// clock is the time of every test, so that no result depends on the machine's clock.
var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that Go cannot write

const (
	stripeSecret  = "whsec_test_stripe_canary"
	shopifySecret = "shpss_test_shopify_canary"
)

// harness is a handler with everything around it that a test checks.
type harness struct {
	*webhook.Handler
	queue, letters *fakeQueue
	secrets        *fakeSecrets
	log            *bytes.Buffer
}

// fakeQueue is a queue that accepts every message except those that refuse selects.
type fakeQueue struct {
	mu     sync.Mutex
	taken  []queue.Entry
	refuse func(queue.Entry) bool
	calls  int
}

var errRefused = errors.New("the queue is down")

func (s *fakeQueue) Send(_ context.Context, entries []queue.Entry) (failures []queue.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for i, e := range entries {
		if s.refuse != nil && s.refuse(e) {
			failures = append(failures, queue.Failure{Index: i, Err: errRefused})
			continue
		}
		s.taken = append(s.taken, e)
	}
	return failures
}

// hold reports whether one message is the letter of a whole delivery with this reason, code and body.
func (s *fakeQueue) hold(reason, code, body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) != 1 || s.taken[0].Attributes["reason"] != reason || s.taken[0].Attributes["code"] != code {
		return false
	}
	_, event, err := deactivation.Parse(s.taken[0].Body)
	return err == nil && event != nil && string(event.Body) == body
}

// requests are the accepted messages, parsed.
func (s *fakeQueue) requests(t *testing.T) []deactivation.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []deactivation.Request
	for _, e := range s.taken {
		r, event, err := deactivation.Parse(e.Body)
		if err != nil || event != nil {
			t.Fatalf("a message that the worker could not read: %v", err)
		}
		all = append(all, r)
	}
	return all
}

// fakeSecrets holds the webhook secrets and counts forced refreshes.
type fakeSecrets struct {
	text, fresh string // fresh: the value after a refresh; "" for the same
	err         error
	refreshErr  error // with a value that is still used
	refreshes   int
}

func (v *fakeSecrets) Get(context.Context) (secrets.Held[secrets.Webhooks], error) {
	return v.parse(v.text, "v1")
}

func (v *fakeSecrets) Refresh(context.Context, string) (secrets.Held[secrets.Webhooks], error) {
	v.refreshes++
	if v.fresh == "" {
		return v.parse(v.text, "v1")
	}
	return v.parse(v.fresh, "v2")
}

func (v *fakeSecrets) parse(text, version string) (secrets.Held[secrets.Webhooks], error) {
	if v.err != nil {
		return secrets.Held[secrets.Webhooks]{}, v.err
	}
	parsed, err := secrets.ParseWebhooks(text)
	return secrets.Held[secrets.Webhooks]{Value: parsed, Version: version, RefreshErr: v.refreshErr}, err
}

const secretsText = `{"stripe":["` + stripeSecret + `","whsec_old"],"shopify":"` + shopifySecret + `","tiny":"tiny-secret-canary"}`

// newHarness makes a handler of the built-in sources, or of one small file named tiny.
func newHarness(t testing.TB, tiny string, change ...func(*webhook.Config)) *harness {
	t.Helper()
	b := &harness{queue: &fakeQueue{}, letters: &fakeQueue{}, secrets: &fakeSecrets{text: secretsText}, log: &bytes.Buffer{}}
	c := webhook.Config{
		Sources: load(t, tiny), Secrets: b.secrets, Queue: b.queue, DeadLetters: b.letters,
		Certificates: signingtest.Certificates{}, Recorder: telemetry.New(b.log, slog.LevelDebug, "webhook"), Now: func() time.Time { return clock },
	}
	for _, f := range change {
		f(&c)
	}
	handler, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Handler = handler
	return b
}

func load(t testing.TB, tiny string) *source.Sources {
	t.Helper()
	fsys := sources.FS()
	if tiny != "" {
		fsys = fstest.MapFS{"tiny.yaml": {Data: []byte(tiny)}}
	}
	loaded, err := source.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// delivery is one delivery of a sender.
type delivery struct {
	source, method, body, query string
	headers                     map[string]string
	base64                      bool
	functionURL                 bool // no route, so no path parameters
}

// signed signs a body as the source's sender does, at the given time.
func signed(t testing.TB, b *harness, source, secret, body string, at time.Time, headers map[string]string) delivery {
	t.Helper()
	s, ok := b.Sources.Get(source)
	if !ok {
		t.Fatalf("no source %s", source)
	}
	d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + source, Header: map[string]string{}, Body: []byte(body)}
	for name, text := range headers {
		d.Header[name] = text
	}
	if err := sample.Sign(s, &d, at, secret); err != nil {
		t.Fatal(err)
	}
	return delivery{source: source, body: string(d.Body), headers: d.Header}
}

func (d delivery) event(t testing.TB) []byte {
	t.Helper()
	method := d.method
	if method == "" {
		method = "POST"
	}
	body := d.body
	if d.base64 {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	event := map[string]any{
		"version": "2.0", "rawPath": "/webhooks/" + d.source, "rawQueryString": d.query, "headers": d.headers,
		"requestContext": map[string]any{"domainName": "hooks.example.com", "http": map[string]any{"method": method}},
		"body":           body, "isBase64Encoded": d.base64,
	}
	if !d.functionURL {
		event["pathParameters"] = map[string]string{"source": d.source}
	}
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

type reply struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

func (b *harness) post(t testing.TB, d delivery) reply {
	t.Helper()
	return b.invoke(t, t.Context(), d)
}

func (b *harness) invoke(t testing.TB, ctx context.Context, d delivery) reply { //nolint:revive // t first, as everywhere here
	t.Helper()
	out, err := b.Invoke(ctx, d.event(t))
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

const refundBody = `{"id":"evt_1","type":"charge.refunded","created":1790000000,"livemode":true,"data":{"object":{` +
	`"id":"ch_1","payment_intent":"pi_1","refunded":true,"metadata":{"license_key":"AAAA-BBBB-CCCC-DDDD","product":"XY","hardware_id":"hw-canary-1"}}}}`

// signingDelivery is the delivery in the form of pkg/signing.
func signingDelivery(d delivery) signing.Delivery {
	return signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + d.source, Header: d.headers, Body: []byte(d.body)}
}
