package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

// seven are the reasons of letters that hold a request.
func seven() []deactivation.Reason {
	return []deactivation.Reason{
		deactivation.ReasonRejected, deactivation.ReasonHeld, deactivation.ReasonStale, deactivation.ReasonWatched, deactivation.ReasonCrashed,
		deactivation.ReasonUndelivered, deactivation.ReasonExhausted,
	}
}

// request is a valid request with that id.
func request(id string) deactivation.Request {
	return deactivation.Request{
		ID: id, Source: "stripe", Cause: deactivation.CauseRefund, Order: []string{"order-" + id},
		License: deactivation.License{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-" + id, HardwareID: "hw-of-" + id},
	}
}

func wire(t *testing.T, r deactivation.Request) string {
	t.Helper()
	body, err := r.Wire()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// letter is the dead letter of a request.
func letter(t *testing.T, id string, d deactivation.DeadLetter) queue.Entry {
	t.Helper()
	d.RequestID, d.Source = id, "stripe"
	return queue.Entry{Body: wire(t, request(id)), Group: "stripe", Attributes: d.Attributes()}
}

// fill makes a dead-letter queue with n letters of each of the seven reasons.
func fill(t *testing.T, n int) *queue.Memory {
	t.Helper()
	q := queue.NewMemory(queue.MemoryConfig{})
	for _, reason := range seven() {
		var entries []queue.Entry
		for i := range n {
			entries = append(entries, letter(t, fmt.Sprintf("%s-%04d", reason, i), deactivation.DeadLetter{Reason: reason, FailedAt: time.Now()}))
		}
		send(t, q, entries...)
	}
	return q
}

func send(t *testing.T, q *queue.Memory, entries ...queue.Entry) {
	t.Helper()
	if failed := q.Send(t.Context(), entries); failed != nil {
		t.Fatal(failed)
	}
}

func open(t *testing.T, q deadletter.Queue, o deadletter.Options) *deadletter.Look {
	t.Helper()
	look, err := deadletter.Open(t.Context(), q, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(look.Close)
	return look
}

// moves are those of a redrive.
func moves(t *testing.T, look *deadletter.Look) []deadletter.Move {
	t.Helper()
	var all []deadletter.Move
	for _, l := range look.Chosen {
		way, _ := deadletter.Redrive(l, true)
		entry, err := deadletter.Entry(l, way, deactivation.Release{By: "ada", At: time.Now(), Reason: "checked"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, deadletter.Move{Letter: l, Entries: []queue.Entry{entry}})
	}
	return all
}

// ids counts the requests in a queue by their id. It empties the queue.
func ids(t *testing.T, q *queue.Memory) map[string]int {
	t.Helper()
	found := map[string]int{}
	for {
		received, err := q.Receive(t.Context(), 10, 0, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if len(received) == 0 {
			return found
		}
		for _, m := range received {
			r, _, err := deactivation.Parse(m.Body)
			if err != nil {
				t.Fatalf("%v: %s", err, m.Body)
			}
			found[r.ID]++
		}
	}
}

var errKilled = errors.New("the process was killed")

// mortal is a process that is killed after some calls: further calls have no effect.
type mortal struct {
	dead *queue.Memory
	jobs *queue.Memory

	mu    sync.Mutex
	calls int // that are left
	log   []string
}

func (m *mortal) call(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == 0 {
		return false
	}
	m.calls--
	m.log = append(m.log, what)
	return true
}

func (m *mortal) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	return m.dead.Receive(ctx, most, wait, visibility)
}

func (m *mortal) Defer(ctx context.Context, d []queue.Deferral) []queue.Failure {
	if !m.call("defer") {
		return failAll(len(d))
	}
	return m.dead.Defer(ctx, d)
}

func (m *mortal) Delete(ctx context.Context, receipts []string) []queue.Failure {
	if !m.call("delete") {
		return failAll(len(receipts))
	}
	return m.dead.Delete(ctx, receipts)
}

func (m *mortal) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if !m.call("send") {
		return failAll(len(entries))
	}
	return m.jobs.Send(ctx, entries)
}

func failAll(n int) []queue.Failure {
	failures := make([]queue.Failure, n)
	for i := range failures {
		failures[i] = queue.Failure{Index: i, Err: errKilled}
	}
	return failures
}

// firstOf returns the index of the first call of that name; -1 for none.
func firstOf(log []string, what string) int { return slices.Index(log, what) }
