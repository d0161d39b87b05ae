package worker_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
)

// TestAnswerDecidesTheOutcome has every kind of answer at least once. It checks the outcome of the message, the number
// of calls, when the message becomes visible again, and whether a configuration fault is emitted.
func TestAnswerDecidesTheOutcome(t *testing.T) {
	t.Parallel()
	const atCap = 15 * time.Minute
	backoff := [2]time.Duration{15 * time.Second, 30 * time.Second}
	minute := [2]time.Duration{time.Minute, 90 * time.Second}
	fault := [2]time.Duration{atCap, atCap}
	never := [2]time.Duration{}

	for _, test := range []struct {
		name    string
		api     *answering
		outcome deactivation.Outcome
		code    string
		calls   int
		retryIn [2]time.Duration // from, to
		faults  int
	}{
		{"200", &answering{status: 200, body: "license_deactivated"}, deactivation.Deactivated, "", 1, never, 0},
		{"200 of a proxy", &answering{status: 200, body: "<html>"}, deactivation.Deferred, "http_200", 1, backoff, 0},
		{"device_not_found", failure(400, "device_not_found"), deactivation.AlreadyInactive, "device_not_found", 1, never, 0},
		{"license_not_active", failure(400, "license_not_active"), deactivation.AlreadyInactive, "license_not_active", 1, never, 0},
		{"license_not_enabled", failure(400, "license_not_enabled"), deactivation.AlreadyInactive, "license_not_enabled", 1, never, 0},
		{"license_not_found", failure(400, "license_not_found"), deactivation.Rejected, "license_not_found", 1, never, 0},
		{"unknown code", failure(400, "brand_new"), deactivation.Deferred, "brand_new", 1, backoff, 0},
		{"unknown code of 404", failure(404, "brand_new"), deactivation.Deferred, "brand_new", 1, backoff, 0},
		{"402", &answering{status: 402}, deactivation.Deferred, "http_402", 1, backoff, 0},
		{"409", &answering{status: 409}, deactivation.Deferred, "http_409", 1, backoff, 0},
		{"423", &answering{status: 423}, deactivation.Deferred, "http_423", 1, backoff, 0},
		{"425", &answering{status: 425}, deactivation.Deferred, "http_425", 1, backoff, 0},
		{"500", failure(500, "license_not_found"), deactivation.Deferred, "license_not_found", 1, backoff, 0},
		{"503 without a body", &answering{status: 503}, deactivation.Deferred, "http_503", 1, backoff, 0},
		{"408", failure(408, "license_not_found"), deactivation.Deferred, "license_not_found", 1, backoff, 0},
		{"400 of a proxy", &answering{status: 400, body: "<html>"}, deactivation.Deferred, "http_400", 1, backoff, 0},
		{"404 of a proxy", &answering{status: 404, body: "<html>"}, deactivation.Deferred, "http_404", 1, backoff, 0},
		{"429", failure(429, "license_not_found"), deactivation.Deferred, "license_not_found", 1, minute, 0},
		{"429 with Retry-After", &answering{status: 429, header: map[string]string{"Retry-After": "7"}},
			deactivation.Deferred, "http_429", 1, [2]time.Duration{7 * time.Second, 7 * time.Second}, 0},
		{"429 with Retry-After above the cap", &answering{status: 429, header: map[string]string{"Retry-After": "86400"}},
			deactivation.Deferred, "http_429", 1, fault, 0},
		{"date_header_diff", failure(400, "date_header_diff"), deactivation.Deferred, "date_header_diff", 2, fault, 1},
		{"signature_mismatch", failure(401, "signature_mismatch"), deactivation.Deferred, "signature_mismatch", 1, fault, 1},
		{"invalid_api_key", failure(400, "invalid_api_key"), deactivation.Deferred, "invalid_api_key", 1, fault, 1},
		{"401 alone", &answering{status: 401}, deactivation.Deferred, "http_401", 2, backoff, 0},
		{"403 with an unknown code", failure(403, "brand_new"), deactivation.Deferred, "brand_new", 2, backoff, 0},
		{"not_found", failure(404, "not_found"), deactivation.Deferred, "not_found", 1, backoff, 0},
		{"a redirect", &answering{status: 302, header: map[string]string{"Location": "/elsewhere"}},
			deactivation.Deferred, "http_302", 1, fault, 1},
		{"read_only_api_key", failure(400, "read_only_api_key"), deactivation.Deferred, "read_only_api_key", 1, fault, 1},
		{"api_key_product_not_allowed", failure(400, "api_key_product_not_allowed"),
			deactivation.Deferred, "api_key_product_not_allowed", 1, fault, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, test.api)
			got := r.work(wire(request(1)))[0]

			if got.Outcome != test.outcome || got.Code != test.code {
				t.Errorf("got %s (%s), want %s (%s)", got.Outcome, got.Code, test.outcome, test.code)
			}
			if test.api.calls != test.calls {
				t.Errorf("%d calls, want %d", test.api.calls, test.calls)
			}
			if got.RetryIn < test.retryIn[0] || got.RetryIn > test.retryIn[1] {
				t.Errorf("comes back in %v, want %v", got.RetryIn, test.retryIn)
			}
			if faults := r.faults(); faults != test.faults {
				t.Errorf("%d configuration faults, want %d", faults, test.faults)
			}
			r.checkQueues(got.Outcome, got.RetryIn)
		})
	}
}

// checkQueues checks that the harness's one message is where its outcome says.
func (r *harness) checkQueues(outcome deactivation.Outcome, retryIn time.Duration) {
	r.t.Helper()
	kept, dead := 0, 0
	switch outcome {
	case deactivation.Deferred:
		kept = 1
	case deactivation.Rejected:
		dead = 1
	}
	if r.source.Len() != kept || r.dead.Len() != dead {
		r.t.Errorf("%d in the queue and %d dead letters, want %d and %d", r.source.Len(), r.dead.Len(), kept, dead)
	}
	for _, after := range r.source.deferred {
		if after != retryIn {
			r.t.Errorf("hidden for %v, logged %v", after, retryIn)
		}
	}
	if len(r.source.deferred) != kept {
		r.t.Errorf("%d messages were hidden, want %d", len(r.source.deferred), kept)
	}
}

func TestLineSaysEverythingOfAMessage(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(400, "license_not_active"))
	got := r.work(wire(request(1)))[0]
	if got.Latency <= 0 {
		t.Error("no latency")
	}
	got.Latency = 0
	want := telemetry.Message{
		ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Decision: deactivation.DecisionAct,
		Outcome: deactivation.AlreadyInactive, LicenseHashes: []string{"ed90bc351c26a855"}, // printf %s AAAA-BBBB-CCCC-0001 | sha256sum | cut -c1-16
		Class: "already_inactive", Code: "license_not_active", Detail: "Message of license_not_active.", Attempts: 1, Action: "deactivate_license", License: "…0001", Device: "…re-1",
		Product: "XY", KeyVersion: "v1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

func TestRejectedMessageIsDeadLetteredWithItsReason(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(400, "license_not_found"), func(cfg *worker.Config) {
		cfg.Now = func() time.Time { return time.Date(2026, 11, 22, 19, 0, 0, 0, time.FixedZone("CET", 3600)) }
	})
	body := wire(request(1))
	event := r.batch(body)
	event.Records[0].Attributes["ApproximateReceiveCount"] = "7"
	r.handle(t.Context(), event)

	letter := r.letters()[0]
	if letter.Body != body {
		t.Error("the body was changed")
	}
	if letter.Group != "stripe" {
		t.Errorf("group = %q, want the source", letter.Group)
	}
	want := map[string]string{
		"reason": "rejected", "code": "license_not_found", "detail": "Message of license_not_found.", "attempts": "7",
		"failed_at": "2026-11-22T18:00:00Z", "source": "stripe", "request_id": "stripe.evt_1.0",
	}
	if diff := cmp.Diff(want, letter.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoRequestIsDeadLetteredAsItCame(t *testing.T) {
	t.Parallel()
	event, err := deactivation.Event{
		Source: "shopify", ID: "evt_9", Body: []byte("{}"), Missing: []string{"license_key", "hardware_id"},
	}.Wire()
	if err != nil {
		t.Fatal(err)
	}
	noDevice, noProduct := request(1), request(1)
	noDevice.HardwareID = ""
	noProduct.Product = ""
	for _, test := range []struct{ name, body, reason, detail, source, group string }{
		{"not JSON", "hello", "invalid", "not JSON (at byte 1)", "", ""},
		{"another version", `{"v":2,"id":"a","source":"stripe"}`, "invalid", "version 2 is not known", "", ""},
		{"a field is missing", wire(noProduct), "invalid", "product: is missing", "stripe", "stripe"},
		{"every device of a license", wire(noDevice), "rejected", "hardware_id: is missing", "stripe", "stripe"},
		{"a source that is no group", `{"v":1,"source":"a b","id":"x"}`, "invalid", "", "a b", ""},
		{"a source too long for a group", `{"v":1,"source":"` + strings.Repeat("x", 129) + `"}`, "invalid", "", strings.Repeat("x", 129), ""},
		{"a source that SQS refuses", `{"v":1,"source":"a\uffffb"}`, "invalid", "", "a b", ""},
		{"a source without end", `{"v":1,"source":"` + strings.Repeat("x", 1000) + `"}`, "invalid", "", strings.Repeat("x", 255) + "…", ""},
		{"an unmappable event put back", event, "unmappable", "missing: license_key, hardware_id", "shopify", "shopify"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := confirming()
			r := newHarness(t, api)
			r.work(test.body)
			if api.calls > 0 {
				t.Error("the API was called")
			}
			letters := r.letters()
			if len(letters) != 1 {
				t.Fatalf("%d dead letters, want 1", len(letters))
			}
			letter := letters[0]
			if letter.Body != test.body || letter.Group != test.group || letter.Attributes["reason"] != test.reason ||
				letter.Attributes["source"] != test.source || !strings.Contains(letter.Attributes["detail"], test.detail) {
				t.Errorf("dead letter %+v", letter)
			}
			if code := letter.Attributes["code"]; (code == "missing_hardware_id") != (test.reason == "rejected") {
				t.Errorf("code %q", code)
			}
			if r.source.Len() != 0 {
				t.Error("it was not acknowledged")
			}
		})
	}
}

func TestNetworkTroubleDefers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // the port is closed
	r := newHarnessAt(t, server.URL)
	got := r.work(wire(request(1)))[0]
	if got.Outcome != deactivation.Deferred || got.Code != "connection" {
		t.Errorf("got %s (%s), want deferred (connection)", got.Outcome, got.Code)
	}
	r.checkQueues(got.Outcome, got.RetryIn)
}
