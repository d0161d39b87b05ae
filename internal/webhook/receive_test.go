package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
)

func TestARefundBecomesOneRequest(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	d := signed(t, b, "stripe", stripeSecret, refundBody, clock, map[string]string{"content-type": "application/json"})

	got := b.post(t, d)

	if got.StatusCode != http.StatusOK || got.Body != `{"answer":"accepted","ids":["stripe.evt_1.0"]}` {
		t.Errorf("answer %d %s", got.StatusCode, got.Body)
	}
	want := []deactivation.Request{{
		ID: "stripe.evt_1.0", Action: "deactivate_license", Source: "stripe", Origin: "event", Cause: "refund", Rule: "refunded in full",
		Event: "evt_1", Order: []string{"pi_1", "ch_1"}, OccurredAt: time.Unix(1790000000, 0).UTC(), ReceivedAt: clock,
		License: deactivation.License{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "hw-canary-1"},
	}}
	if diff := cmp.Diff(want, b.queue.requests(t)); diff != "" {
		t.Error(diff)
	}
	if group := b.queue.taken[0].Group; group != "stripe" {
		t.Errorf("the message's group is %q, so a bulk run would delay it", group)
	}
	if len(b.letters.taken) > 0 {
		t.Error("a mapped event is also in the dead-letter queue")
	}
}

func TestHowADeliveryArrivesChangesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*delivery){
		"as it is":             func(*delivery) {},
		"base64":               func(d *delivery) { d.base64 = true },
		"function URL":         func(d *delivery) { d.functionURL = true },
		"no content type":      func(d *delivery) { delete(d.headers, "content-type") },
		"a wrong content type": func(d *delivery) { d.headers["content-type"] = "text/plain" },
		"identity encoding":    func(d *delivery) { d.headers["Content-Encoding"] = "Identity" },
		"headers as sent": func(d *delivery) {
			d.headers["Stripe-Signature"] = d.headers["stripe-signature"]
			delete(d.headers, "stripe-signature")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			d := signed(t, b, "stripe", stripeSecret, refundBody, clock, map[string]string{"content-type": "application/json"})
			change(&d)
			if got := b.post(t, d); got.StatusCode != http.StatusOK || len(b.queue.taken) != 1 {
				t.Errorf("answer %d %s, %d messages", got.StatusCode, got.Body, len(b.queue.taken))
			}
		})
	}
}

func TestWhatIsRefusedAndHow(t *testing.T) {
	t.Parallel()
	at := func(when time.Time) func(*testing.T, *harness, *delivery) {
		return func(t *testing.T, b *harness, d *delivery) {
			*d = signed(t, b, "stripe", stripeSecret, refundBody, when, nil)
		}
	}
	for name, c := range map[string]struct {
		change func(*testing.T, *harness, *delivery)
		want   int
	}{
		"forged": {func(t *testing.T, b *harness, d *delivery) {
			*d = signed(t, b, "stripe", "whsec_forged", refundBody, clock, nil)
		}, 401},
		"altered":          {func(_ *testing.T, _ *harness, d *delivery) { d.body = strings.Replace(d.body, "AAAA", "AAAB", 1) }, 401},
		"unsigned":         {func(_ *testing.T, _ *harness, d *delivery) { delete(d.headers, "stripe-signature") }, 401},
		"stale":            {at(clock.Add(-6 * time.Minute)), 401},
		"future":           {at(clock.Add(6 * time.Minute)), 401},
		"re-pointed":       {func(_ *testing.T, _ *harness, d *delivery) { d.source = "shopify" }, 401},
		"unknown source":   {func(_ *testing.T, _ *harness, d *delivery) { d.source = "nobody" }, 404},
		"no secret":        {func(_ *testing.T, _ *harness, d *delivery) { d.source = "standard" }, 404},
		"no source":        {func(_ *testing.T, _ *harness, d *delivery) { d.source = "" }, 404},
		"path below":       {func(_ *testing.T, _ *harness, d *delivery) { d.source = "stripe/x" }, 404},
		"GET":              {func(_ *testing.T, _ *harness, d *delivery) { d.method = http.MethodGet }, 405},
		"PUT":              {func(_ *testing.T, _ *harness, d *delivery) { d.method = http.MethodPut }, 405},
		"too large":        {func(_ *testing.T, _ *harness, d *delivery) { d.body = strings.Repeat(" ", 700<<10+1) }, 413},
		"too large base64": {func(_ *testing.T, _ *harness, d *delivery) { d.body, d.base64 = strings.Repeat(" ", 700<<10+1), true }, 413},
		"gzip":             {func(_ *testing.T, _ *harness, d *delivery) { d.headers["Content-Encoding"] = "gzip" }, 415},
		"empty forged":     {func(_ *testing.T, _ *harness, d *delivery) { d.body = "" }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			d := signed(t, b, "stripe", stripeSecret, refundBody, clock, nil)
			c.change(t, b, &d)
			got := b.post(t, d)
			if got.StatusCode != c.want {
				t.Errorf("answer %d %s, want %d", got.StatusCode, got.Body, c.want)
			}
			if len(b.queue.taken)+len(b.letters.taken) > 0 {
				t.Error("a refused delivery is in a queue")
			}
			if !strings.Contains(b.log.String(), `"answer":"refused"`) {
				t.Errorf("the log has no line of the refusal: %s", b.log)
			}
		})
	}
}

// TestBodiesThatCannotBeReadAreKeptWhole: the sender gets success, since a retry has the same body.
func TestBodiesThatCannotBeReadAreKeptWhole(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"invalid UTF-8": strings.Replace(refundBody, "AAAA", "\xFF\xFE", 1),
		"deep":          strings.Repeat(`{"a":`, 40_000) + "1" + strings.Repeat("}", 40_000),
		"deep list":     strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000),
		"cut":           refundBody[:len(refundBody)/2],
		"empty":         "",
		"not JSON":      "hello",
		"no object":     `["a"]`,
		"null":          "null",
		"a second body": refundBody + "{}",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			d := signed(t, b, "stripe", stripeSecret, body, clock, nil)
			d.base64 = true
			if got := b.post(t, d); got.StatusCode != http.StatusOK || got.Body != `{"answer":"unmappable"}` {
				t.Errorf("verified: answer %d %s, want 200", got.StatusCode, got.Body)
			}
			if len(b.queue.taken) > 0 || !b.letters.hold("unmappable", "unreadable", body) {
				t.Errorf("it is not kept whole: %v", b.letters.taken)
			}
			b.letters.taken = nil
			d.headers["stripe-signature"] = strings.Replace(d.headers["stripe-signature"], "v1=", "v1=0", 1)
			if got := b.post(t, d); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("not verified: answer %d %s, want 401", got.StatusCode, got.Body)
			}
			if len(b.letters.taken) > 0 {
				t.Error("a delivery that is not verified is kept")
			}
		})
	}
}

func TestAByteOrderMarkIsSkipped(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	got := b.post(t, signed(t, b, "stripe", stripeSecret, "\xEF\xBB\xBF"+refundBody, clock, nil))
	if got.StatusCode != http.StatusOK || len(b.queue.taken) != 1 || len(b.letters.taken) > 0 {
		t.Errorf("answer %d %s, %d messages, %d letters", got.StatusCode, got.Body, len(b.queue.taken), len(b.letters.taken))
	}
}

// TestTheLargestDeliveryFitsIntoTheDeadLetterQueue: what is taken can be kept, with the most that stands beside it.
func TestTheLargestDeliveryFitsIntoTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "", func(c *webhook.Config) { c.Secrets = &fakeSecrets{text: `{"fastspring":"tiny-secret-canary"}`} })
	var events []string
	for i := range 250 {
		events = append(events, fmt.Sprintf(`{"type":"chargeback.created","data":{"order":"%d%s"}}`, i, strings.Repeat(`\"`, 250)))
	}
	head := `{"events":[` + strings.Join(events, ",") + `],"a":"`
	body := head + strings.Repeat("x", 700<<10-len(head)-2) + `"}`
	got := b.post(t, signed(t, b, "fastspring", "tiny-secret-canary", body, clock, map[string]string{"user-agent": strings.Repeat(`"`, 5<<10), "content-type": strings.Repeat(`"`, 5<<10)}))
	if got.StatusCode != http.StatusOK || !b.letters.hold("unmappable", "", body) {
		t.Fatalf("answer %d %s", got.StatusCode, got.Body)
	}
	letter := b.letters.taken[0]
	size := len(letter.Body)
	for name, text := range letter.Attributes {
		size += len(name) + len("String") + len(text)
	}
	if size > 1<<20 {
		t.Errorf("%d bytes, and SQS takes %d", size, 1<<20)
	}
}

func TestTheSenderComesAgainWhenNothingCouldBeKept(t *testing.T) {
	t.Parallel()
	all := func(queue.Entry) bool { return true }
	unmappableBody := strings.Replace(refundBody, `"hardware_id"`, `"other"`, 1)
	for name, c := range map[string]struct {
		body    string
		prepare func(*harness)
	}{
		"the queue is down":             {refundBody, func(b *harness) { b.queue.refuse = all }},
		"the dead-letter queue is down": {unmappableBody, func(b *harness) { b.letters.refuse = all }},
		"the secrets are out of reach":  {refundBody, func(b *harness) { b.secrets.err = errors.New("timeout") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			c.prepare(b)
			if got := b.post(t, signed(t, b, "stripe", stripeSecret, c.body, clock, nil)); got.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("answer %d %s, want 503", got.StatusCode, got.Body)
			}
		})
	}
}

func TestAnUnmappableEventIsKeptWhole(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	body := strings.Replace(refundBody, `"hardware_id"`, `"other"`, 1)
	headers := map[string]string{"content-type": "application/json", "authorization": "Bearer canary", "x-other": "not read by the file"}
	got := b.post(t, signed(t, b, "stripe", stripeSecret, body, clock, headers))

	if got.StatusCode != http.StatusOK || got.Body != `{"answer":"unmappable","missing":["hardware_id"]}` {
		t.Errorf("answer %d %s", got.StatusCode, got.Body)
	}
	if len(b.queue.taken) != 0 || len(b.letters.taken) != 1 {
		t.Fatalf("%d messages and %d dead letters, want 0 and 1", len(b.queue.taken), len(b.letters.taken))
	}
	letter := b.letters.taken[0]
	want := map[string]string{
		"reason": "unmappable", "detail": "missing hardware_id", "source": "stripe", "request_id": "stripe.evt_1",
		"failed_at": "2026-11-22T12:00:00Z",
	}
	if diff := cmp.Diff(want, letter.Attributes); diff != "" {
		t.Error(diff)
	}
	_, event, err := deactivation.Parse(letter.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantEvent := &deactivation.Event{
		Source: "stripe", ID: "evt_1", ReceivedAt: clock, Scheme: "stripe-signature", Body: []byte(body),
		Order: []string{"pi_1", "ch_1"}, Missing: []string{"hardware_id"},
		Headers: map[string]string{"content-type": "application/json"},
	}
	if diff := cmp.Diff(wantEvent, event); diff != "" {
		t.Error(diff)
	}
}

func TestANewSecretIsFoundBeforeADeliveryIsRefused(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	b.secrets.fresh = `{"stripe":"whsec_new"}`
	if got := b.post(t, signed(t, b, "stripe", "whsec_new", refundBody, clock, nil)); got.StatusCode != http.StatusOK {
		t.Errorf("signed with the new secret: %d %s", got.StatusCode, got.Body)
	}
	b.secrets.fresh = `{"stripe":"whsec_new","standard":"whsec_c3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LWNhbmFyeQ=="}`
	d := signed(t, b, "standard", "whsec_c3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LWNhbmFyeQ==", `{"type":"other"}`, clock, map[string]string{"webhook-id": "msg_1"})
	if got := b.post(t, d); got.StatusCode != http.StatusOK {
		t.Errorf("of a source whose secret is new: %d %s", got.StatusCode, got.Body)
	}
}

func TestABrokenSecretIsOurFaultAndNotTheSenders(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	b.secrets.text = `{"stripe":"whsec_with_newline\n","shopify":"` + shopifySecret + `"}`
	if got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody, clock, nil)); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answer %d, want 503", got.StatusCode)
	}
	if !strings.Contains(b.log.String(), "ConfigurationFaults") {
		t.Error("no alarm would fire")
	}
	if got := b.post(t, signed(t, b, "shopify", shopifySecret, `{"id":1,"financial_status":"paid"}`, clock, nil)); got.StatusCode != http.StatusOK {
		t.Errorf("another source's secret is broken, and this one is answered %d", got.StatusCode)
	}
}

// TestABrokenSendersFileLosesNothing shows that the function starts with a broken file: that sender is answered 503 and an
// alarm fires, at the start if it has a secret, and at each of its deliveries; the others are served.
func TestABrokenSendersFileLosesNothing(t *testing.T) {
	t.Parallel()
	const head = `{verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}, license: [data], `
	good, broken := []byte(head+"rules: [{name: r, when: refunded, cause: refund}]}"), []byte(head+"rules: [{name: r, when: 'a =', cause: refund}]}")
	opened, err := source.Open(fstest.MapFS{"good.yaml": {Data: good}, "broken.yaml": {Data: broken}, "unused.yaml": {Data: broken}})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, "", func(c *webhook.Config) { c.Sources = opened })
	b.secrets.text = `{"good":"good-secret","broken":"broken-secret","gone":"a sender without a file"}`

	if err := b.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.counted(t, "ConfigurationFaults", "service", "webhook"); n != 1 || !strings.Contains(b.log.String(), "broken.yaml:1: not a JMESPath expression") {
		t.Errorf("%v configuration faults at the start, want the one of the broken file; the log is %s", n, b.log)
	}
	b.log.Reset()
	for range 2 {
		if got := b.post(t, delivery{source: "broken", body: "{}"}); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the broken file's sender is answered %d, want 503", got.StatusCode)
		}
	}
	if n := b.counted(t, "ConfigurationFaults", "service", "webhook"); n != 2 {
		t.Errorf("%v configuration faults for two deliveries", n)
	}
	if n := strings.Count(b.log.String(), `"source":"broken"`); n != 2 {
		t.Errorf("%d lines name the sender, want 2; the log is %s", n, b.log)
	}
	d := signed(t, b, "good", "good-secret", `{"refunded":true,"data":{"license_key":"K","product":"P","hardware_id":"h"}}`, clock, nil)
	if got := b.post(t, d); got.StatusCode != http.StatusOK || len(b.queue.requests(t)) != 1 {
		t.Errorf("another sender is answered %d %s", got.StatusCode, got.Body)
	}
}

func TestAWarmUpWithoutSecretsSaysSo(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	b.secrets.err = errRefused
	if err := b.Warm(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("got %v, want the error of the secrets", err)
	}
}

func TestAnUnavailableSecretStoreIsNoConfigurationFault(t *testing.T) {
	t.Parallel()
	unavailable := fmt.Errorf("%w: throttled", secrets.ErrUnavailable)
	denied := errors.New("access denied")
	for _, c := range []struct {
		name            string
		err, refreshErr error
		status          int
		fault           bool
	}{
		{"unavailable, without a value", unavailable, nil, http.StatusServiceUnavailable, false},
		{"unavailable, with a cached value", nil, unavailable, http.StatusOK, false},
		{"denied, without a value", denied, nil, http.StatusServiceUnavailable, true},
		{"denied, with a cached value", nil, denied, http.StatusOK, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			b.secrets.err, b.secrets.refreshErr = c.err, c.refreshErr
			if got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody, clock, nil)); got.StatusCode != c.status {
				t.Errorf("answer %d, want %d", got.StatusCode, c.status)
			}
			if got := strings.Contains(b.log.String(), "ConfigurationFaults"); got != c.fault {
				t.Errorf("ConfigurationFaults emitted: %t, want %t", got, c.fault)
			}
			if reason := errors.Join(c.err, c.refreshErr).Error(); !strings.Contains(b.log.String(), reason) {
				t.Errorf("the log does not say %q", reason)
			}
		})
	}
}

func TestTestEventsAreIgnoredUnlessTheDeploymentIsATrial(t *testing.T) {
	t.Parallel()
	body := strings.Replace(refundBody, `"livemode":true`, `"livemode":false`, 1)
	b := newHarness(t, "")
	if b.post(t, signed(t, b, "stripe", stripeSecret, body, clock, nil)); len(b.queue.taken) != 0 {
		t.Error("a test event became a request")
	}
	if !strings.Contains(b.log.String(), `"rule":"test event"`) {
		t.Error("the log does not say why it was ignored")
	}
	trial := newHarness(t, "", func(c *webhook.Config) { c.AcceptTestEvents = true })
	if trial.post(t, signed(t, trial, "stripe", stripeSecret, body, clock, nil)); len(trial.queue.taken) != 1 {
		t.Error("a trial deployment ignored a test event")
	}
}

const persistent = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type}
license: [data]
rules: [{name: refunded, type: refunded, cause: refund}]
enqueue_for: 6s
`

func TestForASenderThatNeverComesAgainTheQueueIsTriedForLonger(t *testing.T) {
	t.Parallel()
	const body = `{"id":"e1","type":"refunded","data":{"license_key":"K-1","product":"XY","hardware_id":"h1"}}`
	t.Run("until it takes the request", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newHarness(t, persistent)
			start := time.Now()
			b.queue.refuse = func(queue.Entry) bool { return time.Since(start) < 4*time.Second }
			if got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil)); got.StatusCode != 200 || len(b.queue.taken) != 1 {
				t.Errorf("answer %d, %d messages", got.StatusCode, len(b.queue.taken))
			}
			if len(b.letters.taken) != 0 {
				t.Error("it is also in the dead-letter queue")
			}
		})
	})
	t.Run("then the dead-letter queue keeps it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newHarness(t, persistent)
			b.queue.refuse = func(queue.Entry) bool { return true }
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			got := b.invoke(t, ctx, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil))
			if got.StatusCode != 200 || len(b.letters.taken) != 1 {
				t.Fatalf("answer %d, %d dead letters", got.StatusCode, len(b.letters.taken))
			}
			if ctx.Err() != nil {
				t.Error("the attempts lasted longer than the function's own time-out")
			}
			attributes := b.letters.taken[0].Attributes
			if attributes["reason"] != "undelivered" || attributes["request_id"] != "tiny.e1.0" || attributes["source"] != "tiny" {
				t.Errorf("attributes %v", attributes)
			}
			if r, _, err := deactivation.Parse(b.letters.taken[0].Body); err != nil || r.LicenseKey != "K-1" {
				t.Errorf("the dead letter is not the request: %v", err)
			}
		})
	})
	t.Run("when neither queue accepts it the sender gets 503", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newHarness(t, persistent)
			b.queue.refuse = func(queue.Entry) bool { return true }
			b.letters.refuse = b.queue.refuse
			if got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil)); got.StatusCode != 503 {
				t.Errorf("answer %d, want 503", got.StatusCode)
			}
		})
	})
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	for _, body := range []string{
		refundBody,
		strings.Replace(refundBody, `"product"`, `"other"`, 1),
		strings.Replace(refundBody, `"AAAA-BBBB-CCCC-DDDD"`, `{"AAAA-BBBB-CCCC-DDDD":1}`, 1),
		strings.Replace(refundBody, `AAAA-BBBB-CCCC-DDDD`, `AAAA-BBBB-CCCC-DDDD\n`, 1),
		`AAAA-BBBB-CCCC-DDDD`,
	} {
		b.post(t, signed(t, b, "stripe", stripeSecret, body, clock, nil))
		b.post(t, signed(t, b, "stripe", "whsec_forged", body, clock, nil))
	}
	for _, secret := range []string{"AAAA-BBBB", "hw-canary-1", stripeSecret, "v1="} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, b.log)
		}
	}
}
