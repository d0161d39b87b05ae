package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
)

const fortnight = 14 * 24 * time.Hour

// ageing is a small file whose events lie in a list. It signs no time, so that a delivery of any age can be sent again.
const ageing = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id, type: type, time: at}
license: [data]
rules:
  - {name: refunded, type: refunded, cause: refund}
  - {name: noted, type: noted, ignore: true}
`

func ageingEvent(id, kind, at, license string) string {
	return fmt.Sprintf(`{"id":%q,"type":%q,"at":%s,"data":{%s}}`, id, kind, at, license)
}

const twoDevices = `"license_key":"K-CANARY","product":"P","hardware_id":["h1","h2"]`

func postAgeing(t *testing.T, b *harness, events ...string) reply {
	t.Helper()
	return b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"events":[`+strings.Join(events, ",")+`]}`, clock, nil))
}

func withMaxEventAge(age time.Duration) func(*webhook.Config) {
	return func(c *webhook.Config) { c.MaxEventAge = age }
}

func at(when time.Time) string { return `"` + when.Format(time.RFC3339Nano) + `"` }

func TestAnEventThatWasTooOldWhenItCameIsKeptAsItsRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		maxAge time.Duration
		at     string
		stale  bool
	}{
		"as old as it may be":        {fortnight, at(clock.Add(-fortnight)), false},
		"a second older":             {fortnight, at(clock.Add(-fortnight - time.Second)), true},
		"a year old, in seconds":     {fortnight, fmt.Sprint(clock.AddDate(-1, 0, 0).Unix()), true},
		"a year old, no limit":       {0, at(clock.AddDate(-1, 0, 0)), false},
		"of an hour, limit an hour":  {time.Hour, at(clock.Add(-time.Hour - time.Nanosecond)), true},
		"older than a duration goes": {fortnight, at(time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)), true},
		"now":                        {fortnight, at(clock), false},
		"from the future":            {fortnight, at(clock.AddDate(9, 0, 0)), false},
		"without a time":             {fortnight, "null", false},
		"with an odd time":           {fortnight, `"yesterday"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, ageing, withMaxEventAge(c.maxAge))
			got := postAgeing(t, b, ageingEvent("e1", "refunded", c.at, twoDevices))
			want, taken, other := "accepted", b.queue, b.letters
			if c.stale {
				want, taken, other = "stale", b.letters, b.queue
			}
			if got.StatusCode != 200 || got.Body != `{"answer":"`+want+`","ids":["tiny.e1.0","tiny.e1.1"]}` {
				t.Errorf("answer %d %s, want %s", got.StatusCode, got.Body, want)
			}
			if len(other.taken) > 0 {
				t.Errorf("%d messages are in the other queue", len(other.taken))
			}
			requests := taken.requests(t)
			if len(requests) != 2 || requests[0].HardwareID != "h1" || requests[1].HardwareID != "h2" || requests[1].ID != "tiny.e1.1" || requests[0].LicenseKey != "K-CANARY" {
				t.Errorf("requests %v", requests)
			}
			line := b.log.String()
			if !strings.Contains(line, `"answer":"`+want+`"`) || strings.Contains(line, "CANARY") || c.stale != strings.Contains(line, `"level":"WARN"`) {
				t.Errorf("log %s", line)
			}
		})
	}
}

func TestAStaleRequestSaysWhyItIsKept(t *testing.T) {
	t.Parallel()
	b := newHarness(t, ageing, withMaxEventAge(fortnight))
	postAgeing(t, b, ageingEvent("e1", "refunded", at(clock.Add(-400*24*time.Hour-20*time.Minute-29*time.Second)), twoDevices))
	if len(b.letters.taken) != 2 {
		t.Fatalf("%d letters", len(b.letters.taken))
	}
	letter := deactivation.ParseDeadLetter(b.letters.taken[1].Attributes)
	want := deactivation.DeadLetter{
		Reason: deactivation.ReasonStale, Detail: "the event of 2025-10-18T11:39:31Z was 9600h20m old when it was received, more than 336h",
		FailedAt: clock, Source: "tiny", RequestID: "tiny.e1.1",
	}
	if letter != want {
		t.Errorf("letter %+v, want %+v", letter, want)
	}
	if b.letters.taken[1].Group != "tiny" {
		t.Errorf("group %q", b.letters.taken[1].Group)
	}
	if n := b.counted(t, "DeadLetters", "reason", "stale"); n != 2 {
		t.Errorf("%v letters are counted", n)
	}
}

func TestOnlyTheStaleEventsOfADeliveryAreKept(t *testing.T) {
	t.Parallel()
	old, young := at(clock.AddDate(-1, 0, 0)), at(clock.Add(-time.Hour))
	events := []string{
		ageingEvent("old", "refunded", old, twoDevices),
		ageingEvent("young", "refunded", young, twoDevices),
		ageingEvent("noted", "noted", old, twoDevices), // ignored, not stale
		ageingEvent("bare", "refunded", old, ""),       // unmappable, whatever its age
	}
	ids := func(s *fakeQueue) (ids string) {
		for _, e := range s.taken {
			if r, event, err := deactivation.Parse(e.Body); err == nil && event == nil {
				ids += r.ID + " "
			} else if event != nil {
				ids += "event " + event.ID + " "
			}
		}
		return ids
	}
	b := newHarness(t, ageing, withMaxEventAge(fortnight))
	got := postAgeing(t, b, events...)
	if got.StatusCode != 200 || !strings.Contains(got.Body, `"answer":"accepted"`) {
		t.Errorf("answer %d %s", got.StatusCode, got.Body)
	}
	if queued, kept := ids(b.queue), ids(b.letters); queued != "tiny.young.0 tiny.young.1 " || kept != "tiny.old.0 tiny.old.1 event bare " {
		t.Errorf("queued %s, kept %s", queued, kept)
	}
	for _, answer := range []string{"stale", "accepted", "ignored", "unmappable"} {
		if strings.Count(b.log.String(), `"answer":"`+answer+`"`) != 1 {
			t.Errorf("not one line says %s: %s", answer, b.log)
		}
	}
}

func TestAStaleEventThatCannotBeKeptIsSentAgain(t *testing.T) {
	t.Parallel()
	b := newHarness(t, ageing, withMaxEventAge(fortnight))
	b.letters.refuse = refuseHolding("tiny.old.1") // one of its two requests
	old := ageingEvent("old", "refunded", at(clock.AddDate(-1, 0, 0)), twoDevices)
	if got := postAgeing(t, b, old, ageingEvent("young", "refunded", at(clock), twoDevices)); got.StatusCode != 503 {
		t.Errorf("answer %d %s", got.StatusCode, got.Body)
	}
	b.letters.refuse = nil
	if got := postAgeing(t, b, old); got.StatusCode != 200 {
		t.Errorf("the second delivery is answered %d %s", got.StatusCode, got.Body)
	}
}

// TestExplainSaysThatAnEventIsStale explains an old event as it came, and parked: time in the dead-letter queue does not
// count.
func TestExplainSaysThatAnEventIsStale(t *testing.T) {
	t.Parallel()
	src, _ := load(t, ageing).Get("tiny")
	d := signing.Delivery{Header: map[string]string{}, Body: []byte(`{"events":[` + ageingEvent("e1", "refunded", at(clock.Add(-fortnight-time.Minute)), twoDevices) + `]}`)}
	for maxAge, want := range map[time.Duration]deactivation.Answer{0: deactivation.Accepted, fortnight: deactivation.Stale, 2 * fortnight: deactivation.Accepted} {
		e := webhook.Explain(src, d, clock, nil, webhook.Policy{MaxEventAge: maxAge})
		if len(e.Events) != 1 || e.Events[0].Answer != want || len(e.Events[0].Requests) != 2 || !strings.Contains(e.Body, string(want)) {
			t.Errorf("limit %s: %s %v", maxAge, e.Body, e.Events)
		}
		v, err := src.Assume(d)
		if err != nil {
			t.Fatal(err)
		}
		v.ReceivedAt = clock.Add(-2 * time.Minute) // it was in time
		parked := src.Park(v, []source.Mapping{{Event: "e1"}})
		e, err = webhook.ExplainParked(src, parked, webhook.Policy{MaxEventAge: maxAge})
		if err != nil || len(e.Events) != 1 || e.Events[0].Answer != deactivation.Accepted {
			t.Errorf("parked in time, limit %s: %v %s", maxAge, err, e.Body)
		}
	}
}
