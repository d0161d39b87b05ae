// Package queuetest is the one suite that every queue passes: queue.Memory, and queue.SQS against servers that
// speak SQS's protocol. It holds what the two functions rely on, so that a flow tested on Memory is the flow that
// runs on SQS.
//
//	queuetest.Run(t, open, queuetest.Server{Name: "moto", Deviations: …})
//
// The suite polls to a deadline and never judges a single receive: a long poll whose answer is lost hides its
// message until its visibility ends, and that happens on loopback too, about once in a thousand calls.
package queuetest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/queue"
)

// MaxReceiveCount is that of the redrive policy of every Pair's queue.
const MaxReceiveCount = 2

// Queue is what *queue.SQS and *queue.Memory have in common.
type Queue interface {
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
	Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]queue.Received, error)
	Delete(ctx context.Context, receipts []string) []queue.Failure
}

// Pair is an empty queue and the empty dead-letter queue to which its redrive policy moves a message that was
// received MaxReceiveCount times.
type Pair struct {
	Queue       Queue
	DeadLetters Queue
}

// Deviation is a way in which a server is not SQS. The case that meets it is skipped by that name.
type Deviation string

// StaleReceipt is a server's own idea of the receipt of an earlier receive than the last. With SQS a delete by it
// succeeds and does nothing.
const StaleReceipt Deviation = "a stale receipt deletes the message, or is refused"

// Server says what the queues are made of.
type Server struct {
	Name       string
	Bubble     bool // run each case in a bubble of testing/synctest: for queues without a network
	Deviations []Deviation
}

// Run runs every case as a parallel subtest with a Pair of its own.
func Run(t *testing.T, open func(t *testing.T) Pair, server Server) {
	t.Helper()
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(server.Deviations, c.unless) {
				t.Skipf("%s deviates from SQS: %s", server.Name, c.unless)
			}
			body := func(t *testing.T) { c.run(&room{T: t, Pair: open(t)}) }
			if server.Bubble {
				synctest.Test(t, body)
				return
			}
			body(t)
		})
	}
}

type testCase struct {
	name   string
	unless Deviation // "" for none
	run    func(r *room)
}

// room is where one case runs.
type room struct {
	*testing.T
	Pair
	lost int // receives that failed on the way; each may have counted, and hidden a message
}

const (
	// patience is how long a case waits for what must come. Emulators on a busy machine are slow, never this slow.
	patience = 30 * time.Second

	// shortly hides a message for the shortest time that SQS knows.
	shortly = time.Second

	// long hides a message for longer than any case runs.
	long = 10 * time.Minute
)

// send sends and wants every entry taken.
func (r *room) send(entries ...queue.Entry) {
	r.Helper()
	if failed := r.Queue.Send(r.Context(), entries); failed != nil {
		r.Fatalf("Send: %v", failed)
	}
}

// poll receives until n messages have come.
func (r *room) poll(from Queue, n int, visibility time.Duration) []queue.Received {
	r.Helper()
	var received []queue.Received
	for end := time.Now().Add(patience); len(received) < n; {
		if time.Now().After(end) {
			r.Fatalf("received %d messages in %v, want %d", len(received), patience, n)
		}
		got, err := from.Receive(r.Context(), min(10, n-len(received)), time.Second, visibility)
		if err != nil {
			r.lost++
			continue
		}
		received = append(received, got...)
	}
	return received
}

// one is poll for one message of the queue.
func (r *room) one(visibility time.Duration) queue.Received {
	r.Helper()
	return r.poll(r.Queue, 1, visibility)[0]
}

// quiet wants no message within d.
func (r *room) quiet(from Queue, d time.Duration) {
	r.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		got, err := from.Receive(r.Context(), 10, time.Second, long)
		if err == nil && len(got) > 0 {
			r.Fatalf("received %q (receive %d), want nothing", got[0].Body, got[0].ReceiveCount)
		}
	}
}

// counted wants a receive count, give or take the receives that were lost.
func (r *room) counted(got queue.Received, want int) {
	r.Helper()
	if got.ReceiveCount < want || got.ReceiveCount > want+r.lost {
		r.Errorf("receive count is %d, want %d (%d receives were lost)", got.ReceiveCount, want, r.lost)
	}
}

func indexes(failed []queue.Failure) []int {
	var all []int
	for _, f := range failed {
		all = append(all, f.Index)
	}
	return all
}
