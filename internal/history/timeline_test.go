package history_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

// script writes lines a second apart, and asks about them.
type script struct {
	t      *testing.T
	memory history.Memory
	now    time.Time
}

func newScript(t *testing.T) *script { return &script{t: t, now: noon()} }

func (s *script) write(write func(r *telemetry.Recorder)) {
	s.t.Helper()
	for _, line := range written(s.t, write) {
		_, _ = s.memory.Write([]byte(at(s.t, s.now, line)))
	}
	s.now = s.now.Add(time.Second)
}

func (s *script) delivery(d telemetry.Delivery) {
	s.t.Helper()
	s.write(func(r *telemetry.Recorder) { r.Delivery(s.t.Context(), d) })
}

func (s *script) message(m telemetry.Message) {
	s.t.Helper()
	s.write(func(r *telemetry.Recorder) { r.Message(s.t.Context(), m) })
}

func (s *script) deadLetter(l telemetry.DeadLetter) {
	s.t.Helper()
	s.write(func(r *telemetry.Recorder) { r.WebhookDeadLetter(s.t.Context(), l) })
}

func (s *script) tell(q history.Question) history.Answer {
	s.t.Helper()
	found, err := s.memory.Find(s.t.Context(), q, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	return history.Tell(q, found)
}

// timeline is an answer as text: a line for each request and each step.
func timeline(a history.Answer) string {
	var out strings.Builder
	for _, r := range a.Requests {
		fmt.Fprintf(&out, "%s: %s\n", r.ID, strings.TrimRight(r.Outcome+" "+r.Reason, " "))
		for _, s := range r.Steps {
			by := ""
			if s.By != "" {
				by = " [" + s.By + "]"
			}
			fmt.Fprintf(&out, "  %s %s: %s%s\n", s.At.UTC().Format("15:04:05"), s.Step, s.Text, by)
		}
	}
	return out.String()
}

func (s *script) want(q history.Question, want string) {
	s.t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), timeline(s.tell(q))); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", q, diff)
	}
}

// event is the delivery of evt_1 of stripe, with one request.
func event(answer deactivation.Answer) telemetry.Delivery {
	return telemetry.Delivery{
		ID: "stripe.evt_1", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Values: "data.object.refunded true",
		Answer: answer, Order: []string{"pi_1", "1001"}, Status: 200, Requests: []string{"stripe.evt_1.0"},
		LicenseHashes: []string{deactivation.HashLicense(key)}, ReceivedAt: noon(),
	}
}

// received is a receive of that request.
func received(outcome deactivation.Outcome, attempts int) telemetry.Message {
	m := telemetry.Message{
		ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Decision: deactivation.DecisionAct, Outcome: outcome,
		Order: []string{"pi_1", "1001"}, Attempts: attempts, Action: "deactivate_license", License: "…DDDD", Device: "…0001", Product: "XY",
		LicenseHashes: []string{deactivation.HashLicense(key)}, ReceivedAt: noon(), OccurredAt: noon().Add(-time.Hour), Latency: 120 * time.Millisecond,
	}
	switch outcome {
	case deactivation.Deferred:
		m.Class, m.Code, m.Detail, m.RetryIn = "unavailable", "http_503", "try later", 30*time.Second
	case deactivation.Rejected:
		m.Class, m.Code, m.Reason, m.Detail = "rejected", "license_not_found", deactivation.ReasonRejected, "No license."
	case deactivation.Deactivated:
		m.Class = "deactivated"
	}
	return m
}

// questions are the four ways to ask about that request.
func questions() []history.Question {
	return []history.Question{history.OfOrder("1001"), history.OfOrder("pi_1"), history.OfLicense(key), history.OfID("stripe.evt_1.0")}
}

func TestARefundFromItsDeliveryToItsEnd(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.delivery(event(deactivation.Accepted))
	s.message(received(deactivation.Deferred, 1))
	s.message(received(deactivation.Deactivated, 2))
	for _, q := range questions() {
		s.want(q, `
stripe.evt_1.0: deactivated
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "refunded in full": accepted, cause refund, on data.object.refunded true
  12:00:00 queued: request stripe.evt_1.0
  12:00:01 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  12:00:01 answered: License API: http_503, try later, in 120 ms
  12:00:01 deferred: again in 30s
  12:00:02 tried: receive 2: deactivate_license license …DDDD of XY on device …0001
  12:00:02 answered: License API: deactivated, in 120 ms
  12:00:02 done: the device is deactivated
`)
	}
}

// TestTheWorkerMayBeFasterThanTheWebhooksLine: the delivery still comes first, and once.
func TestTheWorkerMayBeFasterThanTheWebhooksLine(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.now = noon().Add(time.Second)
	s.message(received(deactivation.Deactivated, 1))
	s.delivery(event(deactivation.Accepted))
	a := s.tell(history.OfID("stripe.evt_1.0"))
	var steps []string
	for _, step := range a.Requests[0].Steps {
		steps = append(steps, step.Step)
	}
	if want := []string{"delivered", "decided", "queued", "tried", "answered", "done"}; !slices.Equal(steps, want) || a.Requests[0].Outcome != "deactivated" {
		t.Errorf("steps %v, outcome %s; want %v, deactivated", steps, a.Requests[0].Outcome, want)
	}
}

// TestARequestWithoutTheLineOfItsDelivery: a row of a direct invocation with more rows than its line lists.
func TestARequestWithoutTheLineOfItsDelivery(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	m := received(deactivation.Deactivated, 1)
	m.ID, m.Source, m.Event, m.Rule, m.Cause, m.Run, m.By, m.Comment = "ops.1", "ops", "", "", "manual", "campus", "ada", "contract 7 ended"
	s.message(m)
	s.want(history.OfID("ops.1"), `
ops.1: deactivated
  12:00:00 delivered: ada invoked the function as ops: contract 7 ended [ada]
  12:00:00 queued: request ops.1, run campus [ada]
  12:00:00 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  12:00:00 answered: License API: deactivated, in 120 ms
  12:00:00 done: the device is deactivated
`)
}

func TestALetterThatAPersonRedrives(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.delivery(event(deactivation.Accepted))
	s.message(received(deactivation.Rejected, 1))
	s.now = noon().Add(time.Hour)
	back := received(deactivation.Deactivated, 1)
	back.By, back.Comment = "ada", "key corrected"
	s.message(back)
	s.want(history.OfOrder("1001"), `
stripe.evt_1.0: deactivated
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "refunded in full": accepted, cause refund, on data.object.refunded true
  12:00:00 queued: request stripe.evt_1.0
  12:00:01 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  12:00:01 answered: License API: license_not_found, No license., in 120 ms
  12:00:01 parked: in the dead-letter queue: rejected
  13:00:00 redriven: back from the dead-letter queue, key corrected [ada]
  13:00:00 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  13:00:00 answered: License API: deactivated, in 120 ms
  13:00:00 done: the device is deactivated
`)
}

func TestAHeldMessageThatAPersonReleases(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.delivery(event(deactivation.Accepted))
	held := received(deactivation.Rejected, 1)
	held.Decision, held.Class, held.Reason, held.Code, held.Detail = deactivation.DecisionHold, "", deactivation.ReasonHeld, "surge", "more than 50 licenses"
	s.message(held)
	s.now = noon().Add(time.Hour)
	released := received(deactivation.Deactivated, 1)
	released.Lookup = `order "1001": 1 license; license 7 …DDDD of XY: 1 active device, 1 deactivated, now enabled with 0 active devices`
	released.Released = deactivation.Release{By: "ada", At: noon().Add(30 * time.Minute), Reason: "the sale, checked"}
	s.message(released)
	s.want(history.OfID("stripe.evt_1.0"), `
stripe.evt_1.0: deactivated
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "refunded in full": accepted, cause refund, on data.object.refunded true
  12:00:00 queued: request stripe.evt_1.0
  12:00:01 parked: in the dead-letter queue: held, surge, more than 50 licenses
  12:30:00 released: by ada, the sale, checked [ada]
  13:00:00 redriven: back from the dead-letter queue [ada]
  13:00:00 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  13:00:00 answered: License API: deactivated, in 120 ms
  13:00:00 verified: order "1001": 1 license; license 7 …DDDD of XY: 1 active device, 1 deactivated, now enabled with 0 active devices
  13:00:00 done: the devices of its licenses are deactivated
`)
}

func TestEventsThatMadeNoRequest(t *testing.T) {
	t.Parallel()
	for answer, c := range map[deactivation.Answer]struct {
		change func(*telemetry.Delivery)
		letter telemetry.DeadLetter
		want   string
	}{
		deactivation.Ignored: {func(d *telemetry.Delivery) { d.Rule, d.Values = "partial refund", "status 'partial'" }, telemetry.DeadLetter{}, `
stripe.evt_1: ignored
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "partial refund": ignored, on status 'partial'
`},
		deactivation.Unmappable: {func(d *telemetry.Delivery) { d.Missing = []string{"hardware_id"} },
			telemetry.DeadLetter{ID: "stripe.evt_1", Source: "stripe", Event: "evt_1", Reason: deactivation.ReasonUnmappable, Detail: "missing hardware_id"}, `
stripe.evt_1: unmappable unmappable
  12:00:00 parked: in the dead-letter queue: unmappable, missing hardware_id
  12:00:01 delivered: event evt_1 of stripe, answered 200
  12:00:01 decided: rule "refunded in full": unmappable, missing hardware_id, on data.object.refunded true
`},
	} {
		s := newScript(t)
		if c.letter.ID != "" {
			c.letter.Order = []string{"1001"}
			s.deadLetter(c.letter)
		}
		d := event(answer)
		d.Requests, d.Cause, d.ReceivedAt, d.LicenseHashes = nil, "", time.Time{}, nil
		c.change(&d)
		s.delivery(d)
		s.want(history.OfOrder("1001"), c.want)
		s.want(history.OfID("stripe.evt_1"), c.want)
	}
}

// TestAStaleEventIsParkedAsItsRequests: they never reach the worker.
func TestAStaleEventIsParkedAsItsRequests(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.now = noon().Add(time.Second)
	s.deadLetter(telemetry.DeadLetter{
		ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Reason: deactivation.ReasonStale, Detail: "too old", Order: []string{"1001", "pi_1"},
		License: "…DDDD", LicenseHashes: []string{deactivation.HashLicense(key)},
	})
	s.delivery(event(deactivation.Stale))
	for _, q := range questions() {
		s.want(q, `
stripe.evt_1.0: rejected stale
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "refunded in full": stale, cause refund, on data.object.refunded true
  12:00:01 parked: in the dead-letter queue: stale, too old
`)
	}
}

// TestADeliveryThatComesAgain: what was done stays done until the worker says otherwise; a dry run and a refused delivery do
// nothing.
func TestADeliveryThatComesAgain(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	dry := event(deactivation.Accepted)
	dry.DryRun = true
	s.delivery(dry)
	if a := s.tell(history.OfOrder("1001")); a.Found {
		t.Errorf("a dry run is a request: %+v", a.Requests)
	}
	refused := event(deactivation.Refused)
	refused.Problem, refused.Status = "no queue accepted it", 503
	s.delivery(refused)
	if got := s.tell(history.OfOrder("1001")).Requests[0].Outcome; got != "refused" {
		t.Errorf("refused: %s", got)
	}
	accepted := event(deactivation.Accepted)
	accepted.ReceivedAt = s.now
	s.delivery(accepted)
	if got := s.tell(history.OfOrder("1001")).Requests[0].Outcome; got != history.OutcomeWaiting {
		t.Errorf("in the queue: %s, want waiting", got)
	}
	s.message(received(deactivation.Deactivated, 1))
	accepted.ReceivedAt = s.now
	s.delivery(accepted)
	if got := s.tell(history.OfOrder("1001")).Requests[0].Outcome; got != "deactivated" {
		t.Errorf("delivered again: %s, want deactivated", got)
	}
	again := received(deactivation.AlreadyInactive, 1)
	again.Class, again.Code = "already_inactive", "device_not_found"
	s.message(again)
	r := s.tell(history.OfOrder("1001")).Requests[0]
	var steps []string
	for _, step := range r.Steps {
		steps = append(steps, step.Step)
	}
	want := "delivered decided delivered decided queued tried answered done delivered decided queued tried answered done"
	if got := strings.Join(steps, " "); got != want || r.Outcome != "deactivated" { // it is inactive because of this request
		t.Errorf("outcome %s, steps\n%s, want\n%s", r.Outcome, got, want)
	}
}

func TestARunIsCountedByOutcome(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	ids := []string{"ops.1", "ops.2", "ops.3"}
	s.delivery(telemetry.Delivery{Source: "ops", Answer: deactivation.Accepted, Requests: ids, Run: "campus", By: "ada", Comment: "contract 7", ReceivedAt: noon()})
	for i, outcome := range []deactivation.Outcome{deactivation.Deactivated, deactivation.Deferred} {
		m := received(outcome, 1)
		m.ID, m.Run = ids[i], "campus"
		s.message(m)
	}
	a := s.tell(history.OfRun("campus"))
	if diff := cmp.Diff(map[string]int{"deactivated": 1, "deferred": 1, "waiting": 1}, a.Counts); diff != "" {
		t.Error(diff)
	}
	if a.Expected() != 3 || a.Finished() != 1 {
		t.Errorf("%d of %d are finished, want 1 of 3", a.Finished(), a.Expected())
	}
}

// TestOneOfSeveralRequestsOfAnEvent: by its id and by its license only it is told, and the others do not seem to wait.
func TestOneOfSeveralRequestsOfAnEvent(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	other := deactivation.HashLicense("other")
	d := event(deactivation.Accepted)
	d.Requests, d.LicenseHashes = []string{"stripe.evt_1.0", "stripe.evt_1.1"}, append(d.LicenseHashes, other)
	s.delivery(d)
	if a := s.tell(history.OfLicense(key)); len(a.Requests) != 1 || a.Requests[0].ID != "stripe.evt_1" || a.Requests[0].Outcome != history.OutcomeWaiting {
		t.Errorf("before the first receive: %s", timeline(a))
	}
	second := received(deactivation.AlreadyInactive, 1)
	second.ID, second.LicenseHashes = "stripe.evt_1.1", []string{other}
	s.message(received(deactivation.Deactivated, 1))
	s.message(second)
	for q, want := range map[history.Question]map[string]string{
		history.OfID("stripe.evt_1.1"): {"stripe.evt_1.1": "already_inactive"},
		history.OfLicense(key):         {"stripe.evt_1.0": "deactivated"},
		history.OfLicense("other"):     {"stripe.evt_1.1": "already_inactive"},
		history.OfID("stripe.evt_1"):   {"stripe.evt_1.0": "deactivated", "stripe.evt_1.1": "already_inactive"},
		history.OfOrder("1001"):        {"stripe.evt_1.0": "deactivated", "stripe.evt_1.1": "already_inactive"},
	} {
		got := map[string]string{}
		for _, r := range s.tell(q).Requests {
			got[r.ID] = r.Outcome
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", q, diff)
		}
	}
}

// TestALookUpBySubscriptionIsNotSaidToBeOfAnOrder: the end of a subscription names neither an order nor a device.
func TestALookUpBySubscriptionIsNotSaidToBeOfAnOrder(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	m := received(deactivation.Deactivated, 1)
	m.Order, m.License, m.Device, m.Product, m.Class, m.Latency = []string{"sub_1"}, "", "", "", "", 0
	m.Lookup = `subscription_id "sub_1": 1 license; license 7 …DDDD of XY: 2 active devices, 2 deactivated, now disabled with 0 active devices`
	s.message(m)
	got := timeline(s.tell(history.OfOrder("sub_1")))
	for _, text := range []string{
		"tried: receive 1: deactivate_license for the licenses that the look-up finds\n", "verified: " + m.Lookup + "\n",
		"done: the devices of its licenses are deactivated\n",
	} {
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in\n%s", text, got)
		}
	}
}
