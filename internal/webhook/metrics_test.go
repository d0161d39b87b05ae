package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/webhook"
)

// counted returns the value of a metric with one dimension besides service, from the lines that a handler has written.
func (b *harness) counted(t *testing.T, metric, dimension, value string) float64 {
	t.Helper()
	total := 0.0
	for line := range strings.Lines(b.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if n, ok := fields[metric].(float64); ok && fields[dimension] == value {
			total += n
		}
	}
	return total
}

// TestWhatHasAnAlarmHasACode shows that each delivery that an alarm watches is counted under its code, and no other
// delivery.
func TestWhatHasAnAlarmHasACode(t *testing.T) {
	t.Parallel()
	post := func(source, key, body string) func(*testing.T, *harness) {
		return func(t *testing.T, b *harness) { b.post(t, signed(t, b, source, key, body, clock, nil)) }
	}
	for _, test := range []struct {
		name string
		post func(*testing.T, *harness)
		want string // the one code that is counted
	}{
		{"accepted", post("stripe", stripeSecret, refundBody), ""},
		{"ignored", post("stripe", stripeSecret, `{"id":"evt_1","type":"charge.captured","livemode":true}`), ""},
		{"no source of that name", func(t *testing.T, b *harness) { b.post(t, delivery{source: "wp-admin"}) }, ""},
		{"another method", func(t *testing.T, b *harness) { b.post(t, delivery{source: "stripe", method: "GET"}) }, ""},
		{"an encoded body", func(t *testing.T, b *harness) {
			b.post(t, delivery{source: "stripe", headers: map[string]string{"content-encoding": "gzip"}})
		}, ""},
		{"another key", post("stripe", "whsec_other", refundBody), deactivation.CodeUnverified},
		{"no signature", func(t *testing.T, b *harness) { b.post(t, delivery{source: "stripe", body: refundBody}) }, deactivation.CodeUnverified},
		{"a source without a secret", post("generic", "key", `{}`), deactivation.CodeUnverified},
		{"too large", func(t *testing.T, b *harness) {
			b.post(t, delivery{source: "stripe", body: strings.Repeat("a", webhook.MaxBodyBytes+1)})
		}, deactivation.CodeTooLarge},
		{"unreadable", post("stripe", stripeSecret, `{"id":`), deactivation.CodeUnreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			test.post(t, b)
			for _, code := range deactivation.DeliveryCodes() {
				want := 0.0
				if code == test.want {
					want = 1
				}
				if got := b.counted(t, "Deliveries", "code", code); got != want {
					t.Errorf("%v deliveries of code %s, want %v", got, code, want)
				}
			}
			if total := b.counted(t, "Deliveries", "service", "webhook"); total != 1+b.counted(t, "Deliveries", "code", test.want) {
				t.Errorf("%v in all lines, want one of its answer and one of its code", total)
			}
		})
	}
}

// TestALetterIsCountedWhenTheDeadLetterQueueHasIt counts a letter by its reason, once for a delivery, and not where the
// queue refused it.
func TestALetterIsCountedWhenTheDeadLetterQueueHasIt(t *testing.T) {
	t.Parallel()
	const neverAgain = `
verify: {header: X-Signature, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex, key: text}
event: {records: events, id: id, type: type}
license: [data]
enqueue_for: 1s
rules: [{name: refund, type: refund, cause: refund}]
`
	const complete = `{"id":"1","type":"refund","data":{"license_key":"AAAA","hardware_id":"hw1","product":"XY"}}`
	const incomplete = `{"id":"2","type":"refund","data":{"license_key":"AAAA","product":"XY"}}`
	all := func(queue.Entry) bool { return true }
	first := 0
	firstOnly := func(queue.Entry) bool { first++; return first == 1 }
	for _, test := range []struct {
		name                       string
		events                     []string
		refuse, refuseLetters      func(queue.Entry) bool
		wantUnmappable, wantUnsent float64
	}{
		{"mapped", []string{complete}, nil, nil, 0, 0},
		{"unmappable, twice in one delivery", []string{incomplete, complete, incomplete}, nil, nil, 1, 0},
		{"the dead-letter queue refuses", []string{incomplete}, nil, all, 0, 0},
		{"undelivered", []string{complete, complete}, all, nil, 0, 2},
		{"undelivered, and one of them refused", []string{complete, complete}, all, firstOnly, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, neverAgain)
			b.queue.refuse, b.letters.refuse = test.refuse, test.refuseLetters
			d := signed(t, b, "tiny", "tiny-secret-canary", `{"events":[`+strings.Join(test.events, ",")+`]}`, clock, nil)
			synctest.Test(t, func(t *testing.T) { b.post(t, d) }) // it waits between its attempts
			if got := b.counted(t, "DeadLetters", "reason", "unmappable"); got != test.wantUnmappable {
				t.Errorf("%v unmappable letters, want %v", got, test.wantUnmappable)
			}
			if got := b.counted(t, "DeadLetters", "reason", "undelivered"); got != test.wantUnsent {
				t.Errorf("%v undelivered letters, want %v", got, test.wantUnsent)
			}
		})
	}
}

// TestOfMoreKeysThanAreTriedTheFirstCount shows that seventeen keys are a configuration fault, which an alarm watches.
// A delivery that one of the first sixteen verifies is still accepted.
func TestOfMoreKeysThanAreTriedTheFirstCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		keys, used int // how many are stored, and which one signs
		status     int
		faults     float64
	}{
		{"sixteen, signed by the last", 16, 16, http.StatusOK, 0},
		{"seventeen, signed by the first", 17, 1, http.StatusOK, 1},
		{"seventeen, signed by the sixteenth", 17, 16, http.StatusOK, 1},
		{"seventeen, signed by the last", 17, 17, http.StatusUnauthorized, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			keys := make([]string, test.keys)
			for i := range keys {
				keys[i] = fmt.Sprintf("whsec_%d", i+1)
			}
			stored, err := json.Marshal(map[string][]string{"stripe": keys})
			if err != nil {
				t.Fatal(err)
			}
			b := newHarness(t, "")
			b.secrets.text = string(stored)
			got := b.post(t, signed(t, b, "stripe", keys[test.used-1], refundBody, clock, nil))
			if got.StatusCode != test.status {
				t.Errorf("status %d, want %d", got.StatusCode, test.status)
			}
			if got := b.counted(t, "ConfigurationFaults", "service", "webhook"); got != test.faults {
				t.Errorf("%v configuration faults, want %v", got, test.faults)
			}
			if said := strings.Contains(b.log.String(), "17 keys of stripe"); said != (test.faults > 0) {
				t.Errorf("the log names the source with too many keys: %v", said)
			}
			if strings.Contains(b.log.String(), "whsec_") {
				t.Error("a key is in the log")
			}
		})
	}
}
