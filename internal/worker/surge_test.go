package worker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// atNoon is when the surges of the tests were received.
func atNoon() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

// refunds are n requests of different licenses, each received at the time that at returns.
func refunds(n int, at func(i int) time.Time) []deactivation.Request {
	all := make([]deactivation.Request, n)
	for i := range all {
		all[i] = request(i + 1)
		all[i].ReceivedAt = at(i)
	}
	return all
}

func always(at time.Time) func(int) time.Time { return func(int) time.Time { return at } }

// fleet is some instances of the worker over one queue, each with its part of the limit.
type fleet struct {
	t      *testing.T
	source *queue.Memory
	dead   *queue.Memory
	api    *tally
	url    string
	stack  worker.Stack

	mu      sync.Mutex
	started int // instances, including replacements of killed ones
}

// tally is an API that confirms every deactivation and counts the calls of each license.
type tally struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *tally) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	license := licenseOf(r)
	c.mu.Lock()
	c.calls[license]++
	c.mu.Unlock()
	_, _ = io.WriteString(w, confirmation)
}

func newFleet(t *testing.T, surgeLimit, instances int) *fleet {
	t.Helper()
	f := &fleet{
		t: t, dead: queue.NewMemory(queue.MemoryConfig{}), api: &tally{calls: map[string]int{}},
		stack: worker.Stack{CallsPerSecond: 1e6, Instances: instances, SurgeLimit: surgeLimit},
	}
	f.source = queue.NewMemory(queue.MemoryConfig{Visibility: time.Hour})
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	f.url = server.URL + licenseapitest.Base
	return f
}

// instance starts an instance without any counts.
func (f *fleet) instance() *worker.Handler {
	client, err := licenseapi.New(licenseapi.Config{BaseURL: f.url, Authorizer: unsigned{}})
	if err != nil {
		f.t.Fatal(err)
	}
	handler, err := worker.New(worker.Config{
		API: client, Secrets: secrets.NewCache(fixed(secretText(testSharedKey)), secrets.ParseLicense), Queue: f.source, DeadLetters: f.dead,
		Recorder: telemetry.New(io.Discard, slog.LevelError+1, ""), CallsInFlight: 4, CallsPerSecond: f.stack.PerInstance(), SurgeLimit: f.stack.SurgePart(), Backoff: production(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started++
	return handler
}

func (f *fleet) send(all []deactivation.Request) {
	f.t.Helper()
	var entries []queue.Entry
	for _, r := range all {
		entries = append(entries, queue.Entry{Body: wire(r)})
	}
	if failed := f.source.Send(f.t.Context(), entries); len(failed) > 0 {
		f.t.Fatal(failed[0].Err)
	}
}

// death is when an instance is killed: before it handles a batch, or after, so that its answer is lost.
type death int

const (
	survives death = iota
	diesBefore
	diesAfter
)

// drain runs the instances until the queue is empty. fate decides at each batch whether the instance is killed.
func (f *fleet) drain(fate func() death) {
	f.t.Helper()
	var running sync.WaitGroup
	for range f.stack.Instances {
		running.Go(func() {
			handler := f.instance()
			for f.source.Len() > 0 {
				received := f.receive()
				if len(received) == 0 {
					return // the other instance has the rest of the messages
				}
				d := fate()
				if d != diesBefore {
					f.handle(handler, received, d == survives)
				}
				if d != survives { // the batch is received again, and a new instance starts
					f.comeBack(received)
					handler = f.instance()
				}
			}
		})
	}
	running.Wait()
}

func (f *fleet) receive() []queue.Received {
	received, err := f.source.Receive(context.Background(), 10, 0, 0)
	if err != nil {
		f.t.Error(err)
	}
	return received
}

func (f *fleet) comeBack(received []queue.Received) {
	var back []queue.Deferral
	for _, m := range received {
		back = append(back, queue.Deferral{Receipt: m.Receipt})
	}
	f.source.Defer(context.Background(), back)
}

func (f *fleet) handle(handler *worker.Handler, received []queue.Received, answered bool) {
	var batch events.SQSEvent
	var receipts []string
	for _, m := range received {
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body,
			Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(m.ReceiveCount)},
		})
		receipts = append(receipts, m.Receipt)
	}
	response, err := handler.Handle(context.Background(), batch)
	if err != nil || len(response.BatchItemFailures) > 0 {
		f.t.Errorf("%d messages stay, error %v; want none", len(response.BatchItemFailures), err)
	}
	if answered {
		f.source.Delete(context.Background(), receipts)
	}
}

// letters empties the dead-letter queue. It returns one letter for each request, and fails unless each is held.
func (f *fleet) letters() map[string]deactivation.Request {
	f.t.Helper()
	held := map[string]deactivation.Request{}
	for {
		received, err := f.dead.Receive(f.t.Context(), 10, 0, time.Hour)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(received) == 0 {
			return held
		}
		for _, m := range received {
			letter := deactivation.ParseDeadLetter(m.Attributes)
			r, _, err := deactivation.Parse(m.Body)
			if err != nil || letter.Reason != deactivation.ReasonHeld || letter.Code != deactivation.CodeSurge || letter.RequestID != r.ID {
				f.t.Fatalf("letter %+v, error %v; want held, surge", letter, err)
			}
			held[r.ID] = r
		}
	}
}

// acted is how many licenses were called. It fails if one was called twice.
func (f *fleet) acted(twice bool) int {
	f.t.Helper()
	f.api.mu.Lock()
	defer f.api.mu.Unlock()
	for license, n := range f.api.calls {
		if n > 1 && !twice {
			f.t.Errorf("%s was called %d times", deactivation.Shorten(license), n)
		}
	}
	return len(f.api.calls)
}

func (f *fleet) release(held map[string]deactivation.Request) {
	f.t.Helper()
	var all []deactivation.Request
	for _, r := range held {
		r.Released = deactivation.Release{By: "ada", At: atNoon().Add(time.Hour), Reason: "the refunds are real"}
		all = append(all, r)
	}
	f.send(all)
}

// TestASurgeIsHeldAndReleasedExactly: 10,000 refunds at once through two instances.
func TestASurgeIsHeldAndReleasedExactly(t *testing.T) {
	t.Parallel()
	const surge, limit = 10_000, 50
	f := newFleet(t, limit, 2)
	f.send(refunds(surge, always(atNoon())))
	f.drain(func() death { return survives })

	acted, held := f.acted(false), f.letters()
	if acted > limit || acted == 0 {
		t.Errorf("%d licenses were acted on, want at most %d, and not none", acted, limit)
	}
	if acted+len(held) != surge {
		t.Errorf("%d acted on, %d held: %d of %d are lost", acted, len(held), surge-acted-len(held), surge)
	}

	f.release(held)
	f.drain(func() death { return survives })
	if got, left := f.acted(false), f.letters(); got != surge || len(left) > 0 {
		t.Errorf("after the release %d licenses are acted on and %d letters left, want %d and none", got, len(left), surge)
	}
}

// TestABacklogAfterAnOutageIsNoSurge: the time at which a message was received counts, not the time of its processing.
func TestABacklogAfterAnOutageIsNoSurge(t *testing.T) {
	t.Parallel()
	const backlog, busiest = 10_000, 417 // 10,000 ÷ 24 hours
	f := newFleet(t, 2*busiest, 2)
	f.send(refunds(backlog, func(i int) time.Time { return atNoon().Add(time.Duration(i) * 24 * time.Hour / backlog) }))
	f.drain(func() death { return survives })
	if acted, held := f.acted(false), f.letters(); acted != backlog || len(held) > 0 {
		t.Errorf("%d acted on and %d held, want %d and none", acted, len(held), backlog)
	}
}

// TestTheBoundWhenInstancesAreKilledAtRandom: a new instance starts at zero, so the bound is its part of the limit for
// each started instance.
func TestTheBoundWhenInstancesAreKilledAtRandom(t *testing.T) {
	t.Parallel()
	const surge, limit, kills = 2_000, 20, 15
	f := newFleet(t, limit, 2)
	f.send(refunds(surge, always(atNoon())))
	var mu sync.Mutex
	r, left := rand.New(rand.NewPCG(11, 11)), kills //nolint:gosec // no secret
	f.drain(func() death {
		mu.Lock()
		defer mu.Unlock()
		if left == 0 || r.IntN(4) > 0 {
			return survives
		}
		left--
		return diesBefore + death(r.IntN(2))
	})

	acted, held := f.acted(true), f.letters()
	if bound := f.stack.SurgePart() * f.started; acted > bound {
		t.Errorf("%d licenses were acted on by %d instances, want at most %d", acted, f.started, bound)
	}
	if acted <= limit {
		t.Errorf("%d licenses were acted on: no killed instance had acted, and the test shows nothing", acted)
	}
	for n := range surge {
		r := request(n + 1)
		if _, ok := held[r.ID]; !ok && f.api.calls[r.LicenseKey] == 0 {
			t.Fatalf("%s is lost", r.ID)
		}
	}
}

func TestARetryAndARedeliveryAreNoSurge(t *testing.T) {
	t.Parallel()
	api := failure(http.StatusServiceUnavailable, "internal_error")
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.SurgeLimit, cfg.CallsInFlight = 2, 1 })
	two := refunds(2, always(atNoon()))
	for range 5 { // the same licenses again and again, by the store and by the queue
		for _, m := range r.work(wire(two[0]), wire(two[1])) {
			if m.Outcome != deactivation.Deferred {
				t.Fatalf("%s is %s (%s), want deferred", m.ID, m.Outcome, m.Detail)
			}
		}
	}
	third := refunds(3, always(atNoon()))[2]
	if m := r.work(wire(third))[0]; m.Reason != deactivation.ReasonHeld || m.Code != deactivation.CodeSurge {
		t.Errorf("a third license is %s, %s, want held", m.Outcome, m.Reason)
	}
}

// TestSeveralDevicesOfALicenseCountOnce: and a license counts before its call, with every answer.
func TestSeveralDevicesOfALicenseCountOnce(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(http.StatusBadRequest, "license_not_found"), func(cfg *worker.Config) { cfg.SurgeLimit = 1 })
	one, two := request(1), request(1)
	two.ID, two.HardwareID = "stripe.evt_1.1", "another-device"
	for _, m := range r.work(wire(one), wire(two), wire(request(2))) {
		want := map[string]deactivation.Reason{one.ID: deactivation.ReasonRejected, two.ID: deactivation.ReasonRejected, request(2).ID: deactivation.ReasonHeld}[m.ID]
		if m.Reason != want {
			t.Errorf("%s: %s, want %s", m.ID, m.Reason, want)
		}
	}
}

// TestWhatTheBrakeLetsPass: direct invocations and released messages pass, and do not count. An incomplete release does
// not pass.
func TestWhatTheBrakeLetsPass(t *testing.T) {
	t.Parallel()
	api := confirming()
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.SurgeLimit = 1 })
	n := 0
	next := func(change func(*deactivation.Request)) string {
		n++
		m := request(n)
		m.ReceivedAt = atNoon()
		change(&m)
		return wire(m)
	}
	direct := func(m *deactivation.Request) { m.Origin = deactivation.OriginDirect }
	free := func(m *deactivation.Request) {
		m.Released = deactivation.Release{By: "ada@example.com", At: atNoon(), Reason: "real"}
	}
	event := func(*deactivation.Request) {}
	for _, step := range []struct {
		what string
		body string
		want deactivation.Reason
	}{
		{"a direct invocation", next(direct), ""},
		{"a second", next(direct), ""},
		{"a released message", next(free), ""},
		{"an event", next(event), ""},
		{"a second event", next(event), deactivation.ReasonHeld},
		{"an older message, without an origin", strings.Replace(next(event), `"origin":"event",`, "", 1), deactivation.ReasonHeld},
		{"another released message", next(free), ""},
		{"another direct invocation", next(direct), ""},
		{"released by nobody", strings.Replace(next(free), `"by":"ada@example.com",`, "", 1), deactivation.ReasonInvalid},
	} {
		m := r.work(step.body)[0]
		if m.Reason != step.want || step.want == "" && m.Outcome != deactivation.Deactivated {
			t.Errorf("%s: %s %s (%s), want reason %q", step.what, m.Outcome, m.Reason, m.Detail, step.want)
		}
	}
	if api.calls != 6 {
		t.Errorf("%d calls, want one for each that passed", api.calls)
	}
	for _, want := range []string{`"released_by":"ada@example.com"`, `"released_at":"2026-11-29T12:00:00Z"`, `"released_reason":"real"`} {
		if !strings.Contains(string(r.log.Bytes()), want) {
			t.Errorf("the log does not have %s", want)
		}
	}
}

// TestAHeldLetterSaysWhatItIs: as received, with the reason, and without a call. A letter that the dead-letter queue
// does not accept stays in the queue.
func TestAHeldLetterSaysWhatItIs(t *testing.T) {
	t.Parallel()
	api := confirming()
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.SurgeLimit = 1 })
	all := refunds(2, always(atNoon()))
	r.work(wire(all[0]))
	r.dead.refuse = func(int) bool { return true }
	r.source.hurry = true
	if m := r.work(wire(all[1]))[0]; m.Outcome != deactivation.Deferred {
		t.Errorf("refused by the dead-letter queue: %s, want deferred", m.Outcome)
	}
	r.dead.refuse = nil
	r.work()
	letters := r.letters()
	if len(letters) != 1 || letters[0].Body != wire(all[1]) {
		t.Fatalf("%d letters, want the message as it was", len(letters))
	}
	got := deactivation.ParseDeadLetter(letters[0].Attributes)
	if got.Reason != deactivation.ReasonHeld || got.Code != deactivation.CodeSurge || got.Attempts != 2 || got.Source != "stripe" ||
		!strings.Contains(got.Detail, "more than 1 licenses of stripe received in the hour from 2026-11-29T12:00:00Z") {
		t.Errorf("letter %+v", got)
	}
	if api.calls != 1 {
		t.Errorf("%d calls, want that of the first alone", api.calls)
	}
}
