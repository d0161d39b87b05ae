package webhook_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// deliveryLines are the log lines of deliveries.
func deliveryLines(t *testing.T, log string) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["message"] == deactivation.LogDelivery {
			lines = append(lines, line)
		}
	}
	return lines
}

// orderPattern is the pattern by which the runbook finds an order with the given id.
func orderPattern(t *testing.T, id string) *regexp.Regexp {
	t.Helper()
	runbook, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\| filter ` + deactivation.LogOrder + ` like /(.*)/`).FindSubmatch(runbook)
	if found == nil {
		t.Fatal("the runbook has no query by order")
	}
	return regexp.MustCompile(strings.Replace(string(found[1]), "N", regexp.QuoteMeta(id), 1))
}

func TestTheRunbooksQueryFindsAnOrderWhateverTheAnswer(t *testing.T) {
	t.Parallel()
	for answer, c := range map[string]struct {
		change func(body string) string
		down   bool
	}{
		"accepted":                  {change: func(body string) string { return body }},
		"ignored":                   {change: func(body string) string { return strings.Replace(body, `"charge.refunded"`, `"charge.succeeded"`, 1) }},
		"ignored: a test event":     {change: func(body string) string { return strings.Replace(body, `"livemode":true`, `"livemode":false`, 1) }},
		"unmappable":                {change: func(body string) string { return strings.Replace(body, `"hardware_id"`, `"other"`, 1) }},
		"unmappable: the condition": {change: func(body string) string { return strings.Replace(body, `"id":"evt_1"`, `"id":{}`, 1) }},
		"refused: the queue down":   {change: func(body string) string { return body }, down: true},
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			if c.down {
				b.queue.refuse = func(queue.Entry) bool { return true }
			}
			b.post(t, signed(t, b, "stripe", stripeSecret, c.change(refundBody), clock, nil))
			lines := deliveryLines(t, b.log.String())
			want, _, _ := strings.Cut(answer, ":")
			if len(lines) != 1 || lines[0]["answer"] != want {
				t.Fatalf("lines %v, want one of an event that is %s", lines, want)
			}
			order, _ := lines[0][deactivation.LogOrder].(string)
			for id, found := range map[string]bool{"pi_1": true, "ch_1": true, "pi_": false, "i_1": false, "pi_1 ": false, "pi_11": false} {
				if orderPattern(t, id).MatchString(order) != found {
					t.Errorf("the order %q, asked for %q: found is not %v", order, id, found)
				}
			}
		})
	}
}

func TestTheMessagesOfADirectInvocationHaveItsOrdersAndItsLineHasNone(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	direct(t, b, `[{"order":["1001","#7"],"product":"XY","license_key":"K1","hardware_id":"h1"}]`)
	if diff := cmp.Diff([]string{"1001", "#7"}, b.queue.requests(t)[0].Order); diff != "" {
		t.Error(diff)
	}
	if lines := deliveryLines(t, b.log.String()); len(lines) != 1 || lines[0][deactivation.LogOrder] != nil {
		t.Errorf("lines %v", lines)
	}
}

// parked is the event in a message of the dead-letter queue.
func parked(t *testing.T, body string) deactivation.Event {
	t.Helper()
	_, event, err := deactivation.Parse(body)
	if err != nil || event == nil {
		t.Fatalf("no event: %v", err)
	}
	return *event
}

// TestADeadLetterIsMappedAgainToTheSame reads an unmappable delivery from the text of its dead letter only.
func TestADeadLetterIsMappedAgainToTheSame(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	body := strings.Replace(refundBody, `"hardware_id"`, `"other"`, 1)
	d := signed(t, b, "stripe", stripeSecret, body, clock, nil)
	b.post(t, d)
	src, _ := b.Sources.Get("stripe")
	want := mapped(t, src, verify(t, src, signingDelivery(d), stripeSecret))

	restored, err := src.Restore(parked(t, b.letters.taken[0].Body))
	if err != nil {
		t.Fatal(err)
	}
	got := mapped(t, src, restored)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mapped again (-before +again):\n%s", diff)
	}
}

// TestEverySampleIsMappedAgainToTheSame parks every sample, with any outcome: in a delivery of several events, an
// unmappable one parks the others, too.
func TestEverySampleIsMappedAgainToTheSame(t *testing.T) {
	t.Parallel()
	loaded := load(t, "")
	samples, err := sample.ReadAll(events.FS())
	if err != nil || len(samples) == 0 {
		t.Fatalf("%d samples: %v", len(samples), err)
	}
	for _, s := range samples {
		src, _ := loaded.Get(s.Source)
		d := signedSample(t, src, s, nil)
		verified := verify(t, src, d, sampleSecret(s.Source))
		want := mapped(t, src, verified)
		body, err := src.Park(verified, want).Wire()
		if err != nil {
			t.Fatal(err)
		}
		restored, err := src.Restore(parked(t, body))
		if err != nil {
			t.Fatal(err)
		}
		got := mapped(t, src, restored)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, mapped again (-before +again):\n%s", s.Name(), diff)
		}
		if strings.Contains(body, sampleSecret(s.Source)) {
			t.Errorf("%s: the secret is in the dead letter", s.Name())
		}
	}
}

func verify(t *testing.T, src *source.Source, d signing.Delivery, secret string) source.Verified {
	t.Helper()
	verified, err := src.Verify(d, clock, []string{secret})
	if err != nil {
		t.Fatal(err)
	}
	verified.ReceivedAt = clock
	return verified
}

func mapped(t *testing.T, src *source.Source, v source.Verified) []source.Mapping {
	t.Helper()
	mappings, err := src.Map(v, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return mappings
}
