package simulation

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// watches reports whether the worker that is deployed now is in watch mode.
func (h *harness) watches() bool { return h.now() < h.scenario.watchUntil }

// surgeWindow is what the brake counts in: a source and an hour of received_at.
type surgeWindow struct {
	source string
	hour   time.Time
}

// countedIn is the window of a message that the brake counts; false for one that it does not count.
func countedIn(r deactivation.Request) (surgeWindow, bool) {
	return surgeWindow{r.Source, r.ReceivedAt.UTC().Truncate(time.Hour)}, r.Origin == deactivation.OriginEvent && r.Released.IsZero()
}

// requestsOf are the requests in a batch.
func requestsOf(records []events.SQSMessage) []deactivation.Request {
	var all []deactivation.Request
	for _, record := range records {
		if r, event, err := deactivation.Parse(record.Body); err == nil && event == nil {
			all = append(all, r)
		}
	}
	return all
}

// brakeMonitor counts, from outside, on how many licenses of each window one environment acts.
type brakeMonitor struct {
	limit int // the environment's part; 0: no brake

	mu    sync.Mutex
	batch map[string]counted  // the messages of the current batch, by request id
	asked map[string]*request // the look-ups of the current batch
	acted map[surgeWindow]map[string]bool
}

// counted is what the brake must count for a call.
type counted struct {
	window surgeWindow
	// free: not counted, or in which window is not known, since another message of the batch has the same id.
	free bool
}

func newBrakeMonitor(limit int) *brakeMonitor {
	return &brakeMonitor{limit: limit, acted: map[surgeWindow]map[string]bool{}}
}

// receive begins a batch.
func (b *brakeMonitor) receive(records []events.SQSMessage, s *scenario) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batch, b.asked = map[string]counted{}, map[string]*request{}
	for _, r := range requestsOf(records) {
		window, is := countedIn(r)
		before, twice := b.batch[r.ID]
		b.batch[r.ID] = counted{window, !is || twice && (before.free || before.window != window)}
		if q := s.lookUpOf(r); q != nil {
			b.asked[r.ID] = q
		}
	}
}

// lookUps is how many messages of the batch are looked up.
func (b *brakeMonitor) lookUps() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.asked)
}

// lookUpOf returns the look-up of the batch that has this request id; nil for none.
func (b *brakeMonitor) lookUpOf(id string) *request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[id]
}

// write counts a write of the Management API to a license of a look-up. No header says for which message it is, so it is
// counted only where one message of the batch can have made it.
func (b *brakeMonitor) write(license string, s *scenario) (tooMany int) {
	b.mu.Lock()
	var id string
	found := 0
	for other, q := range b.asked {
		if slices.Contains(q.identities(s), license) {
			id, found = other, found+1
		}
	}
	b.mu.Unlock()
	if found != 1 {
		return 0
	}
	return b.call(id, license)
}

// actedBefore returns a license of a look-up on which this environment has acted in the look-up's window, and "" for none.
// The license that an event names is left out: it counts by itself, before its call.
func (b *brakeMonitor) actedBefore(id string, s *scenario) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	q, c := b.asked[id], b.batch[id]
	if q == nil || c.free {
		return ""
	}
	for _, name := range q.identities(s) {
		if name != q.license.LicenseKey && b.acted[c.window][name] {
			return name
		}
	}
	return ""
}

// call counts a call for a license and the request with that id. It returns how many licenses of its window the
// environment has acted on, if that is more than it may, else 0.
func (b *brakeMonitor) call(id, license string) (tooMany int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, known := b.batch[id]
	if b.limit == 0 || !known || c.free {
		return 0
	}
	if b.acted[c.window] == nil {
		b.acted[c.window] = map[string]bool{}
	}
	b.acted[c.window][license] = true
	if n := len(b.acted[c.window]); n > b.limit {
		return n
	}
	return 0
}

// received records which licenses the worker has seen in each window.
func (h *history) received(records []events.SQSMessage, s *scenario) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen = map[surgeWindow]map[string]bool{}
	}
	for _, r := range requestsOf(records) {
		window, is := countedIn(r)
		if !is {
			continue
		}
		if h.seen[window] == nil {
			h.seen[window] = map[string]bool{}
		}
		if q := s.lookUpOf(r); q != nil {
			for _, name := range q.identities(s) {
				h.seen[window][name] = true
			}
			continue
		}
		h.seen[window][r.LicenseKey+r.Username] = true
	}
}

// redriveGuarded does what an operator does after watch mode and after a surge: it moves what was watched back to the queue,
// and releases what is held, as docs/operations.md says.
func (h *harness) redriveGuarded() {
	for _, letter := range h.takeDeadLetters() {
		entry := queue.Entry{Body: letter.Body, Group: letter.Group, Attributes: letter.Attributes}
		to := h.deadLetters
		switch deactivation.Reason(letter.Attributes["reason"]) {
		case deactivation.ReasonWatched:
			h.count(&h.watched)
			to = h.jobs
		case deactivation.ReasonHeld:
			h.count(&h.held)
			h.checkHeld(letter)
			entry.Body = `{"released":{"by":"ada","at":"2000-01-03T00:00:00Z","reason":"checked"},` + strings.TrimPrefix(letter.Body, "{")
			to = h.jobs
		}
		to.Send(context.Background(), []queue.Entry{entry})
	}
}

// checkHeld checks that a held message was one too many: the worker has seen more licenses of its window than one instance's
// part of the limit. A retry, a redelivery and a backlog are no surge.
func (h *harness) checkHeld(letter queue.Received) {
	r, _, err := deactivation.Parse(letter.Body)
	window, is := countedIn(r)
	h.history.mu.Lock()
	seen := len(h.seen[window])
	h.history.mu.Unlock()
	if part := h.scenario.stack.SurgePart(); err != nil || !is || part == 0 || seen <= part || letter.Attributes["code"] != deactivation.CodeSurge {
		h.violation("%s is held as %s, although the worker has seen %d licenses of its window and an instance may act on %d",
			r.ID, letter.Attributes["code"], seen, part)
	}
}
