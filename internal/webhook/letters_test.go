package webhook_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

const fourKinds = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id, type: type}
license: [data]
rules:
  - {name: refunded, type: refunded, cause: refund}
  - {name: pending, type: pending, review: true}
  - {name: odd, type: odd, review: true}
  - {name: won, type: won, reversal: true}
`

// event is one of fourKinds, with a license.
func event(id, kind string) string {
	return `{"id":"` + id + `","type":"` + kind + `","data":{"license_key":"KEY-CANARY","product":"P","hardware_id":"h1"}}`
}

func (b *harness) postEvents(t *testing.T, events ...string) reply {
	t.Helper()
	return b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"events":[`+strings.Join(events, ",")+`]}`, clock, nil))
}

// TestAReviewAndAReversalAreKeptWholeAndAskForNothing: whatever license they name.
func TestAReviewAndAReversalAreKeptWholeAndAskForNothing(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]map[string]string{
		"pending": {"reason": "unmappable", "code": "review", "detail": `for review; rule "pending"`},
		"won":     {"reason": "reversed", "detail": `rule "won"`},
	} {
		b := newHarness(t, fourKinds)
		got := b.postEvents(t, event("e1", kind))
		if got.StatusCode != http.StatusOK || len(b.queue.taken) != 0 || len(b.letters.taken) != 1 {
			t.Fatalf("%s: %d, %d requests, %d letters", kind, got.StatusCode, len(b.queue.taken), len(b.letters.taken))
		}
		if answer := `{"answer":"` + want["reason"] + `"}`; got.Body != answer {
			t.Errorf("%s: answer %s, want %s", kind, got.Body, answer)
		}
		want["source"], want["request_id"], want["failed_at"] = "tiny", "tiny.e1", "2026-11-22T12:00:00Z"
		if diff := cmp.Diff(want, b.letters.taken[0].Attributes); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if body := `{"events":[` + event("e1", kind) + `]}`; !b.letters.hold(want["reason"], want["code"], body) {
			t.Errorf("%s: the letter is %s", kind, b.letters.taken[0].Body)
		}
		if log := b.log.String(); !strings.Contains(log, `"answer":"`+want["reason"]+`"`) || !strings.Contains(log, `"level":"WARN"`) ||
			(want["code"] != "") != strings.Contains(log, `"code":"review"`) || strings.Contains(log, "CANARY") {
			t.Errorf("%s: the log is %s", kind, log)
		}
		if n := b.counted(t, "DeadLetters", "reason", want["reason"]); n != 1 {
			t.Errorf("%s: %v letters are counted", kind, n)
		}
	}
}

// TestADeliveryIsKeptOnceForEachReasonAndCode: each asks an operator for something else.
func TestADeliveryIsKeptOnceForEachReasonAndCode(t *testing.T) {
	t.Parallel()
	b := newHarness(t, fourKinds)
	got := b.postEvents(t,
		event("a", "refunded"), event("b", "pending"), event("c", "won"), event("d", "odd"), event("e", "pending"),
		`{"id":"f","type":"refunded"}`, `{"id":"g"}`, `null`, event("h", "other"))
	if got.StatusCode != http.StatusOK || len(b.queue.taken) != 1 {
		t.Fatalf("%d %s, %d requests", got.StatusCode, got.Body, len(b.queue.taken))
	}
	details := map[string]string{}
	for _, letter := range b.letters.taken {
		_, parked, err := deactivation.Parse(letter.Body)
		if err != nil || parked == nil || !strings.HasPrefix(string(parked.Body), `{"events":[`) {
			t.Fatalf("%v: %s", err, letter.Body)
		}
		details[letter.Attributes["reason"]+" "+letter.Attributes["code"]+" "+letter.Attributes["request_id"]] = letter.Attributes["detail"]
	}
	want := map[string]string{
		"unmappable review tiny.b":        `for review; rule "pending"; for review; rule "odd"`,
		"reversed  tiny.c":                `rule "won"`,
		"unmappable  tiny.f":              "missing license_key, product, hardware_id",
		"unmappable unknown_shape tiny.g": "no rule knows its shape, and nothing signed says what it is",
	}
	for key := range details {
		if strings.HasPrefix(key, "unmappable unreadable ") {
			if details[key] == "" {
				t.Error("the unreadable event has no detail")
			}
			delete(details, key)
			want["unreadable"] = ""
			details["unreadable"] = ""
		}
	}
	if diff := cmp.Diff(want, details); diff != "" || want["unreadable"] != "" || len(b.letters.taken) != 5 {
		t.Errorf("%d letters %s", len(b.letters.taken), diff)
	}
}

func TestTheSenderComesAgainWhenAReversalCouldNotBeKept(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"won", "pending", "unknown"} {
		b := newHarness(t, fourKinds)
		b.letters.refuse = func(queue.Entry) bool { return true }
		one := event("e1", kind)
		if kind == "unknown" {
			one = `{"id":"e1"}`
		}
		if got := b.postEvents(t, one); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: answer %d %s, want 503", kind, got.StatusCode, got.Body)
		}
	}
}

// TestFastSpringComesAgainWithAllWhereAnUnreadableEventIsLost: it is answered by ids, and such an event has none.
func TestFastSpringComesAgainWithAllWhereAnUnreadableEventIsLost(t *testing.T) {
	t.Parallel()
	post := func(refuse func(queue.Entry) bool, events ...string) reply {
		b := newHarness(t, fourKinds+"answer: fastspring\n")
		b.letters.refuse = refuse
		return b.postEvents(t, events...)
	}
	all := func(queue.Entry) bool { return true }
	for name, c := range map[string]struct {
		got  reply
		want int
		body string
	}{
		"kept":                      {post(nil, event("a", "refunded"), "null"), 200, ""},
		"lost":                      {post(all, event("a", "refunded"), "null"), 503, ""},
		"a review that is not kept": {post(all, event("a", "refunded"), event("b", "pending")), 202, "a\n"},
	} {
		if c.got.StatusCode != c.want || (c.body != "" && c.got.Body != c.body) {
			t.Errorf("%s: %d %q, want %d %q", name, c.got.StatusCode, c.got.Body, c.want, c.body)
		}
	}
}

// TestWhoWroteTheLicenseIsInTheMessage: in the queue's message, where it is true alone.
func TestWhoWroteTheLicenseIsInTheMessage(t *testing.T) {
	t.Parallel()
	for place, want := range map[string]bool{"[data]": false, "[{pairs: data, by: buyer}]": true} {
		b := newHarness(t, strings.Replace(fourKinds, "[data]", place, 1))
		b.postEvents(t, event("a", "refunded"))
		if len(b.queue.taken) != 1 || strings.Contains(b.queue.taken[0].Body, `"buyer":true`) != want || b.queue.requests(t)[0].Buyer != want {
			t.Errorf("%s: %v", place, b.queue.taken)
		}
	}
}
