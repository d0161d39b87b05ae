// Package queuetest is the conformance suite that every queue passes: queue.Memory, and queue.SQS against servers that
// implement SQS's protocol. It checks what the two functions rely on, so that a flow that is tested on Memory is the
// flow that runs on SQS.
//
//	queuetest.Run(t, open, queuetest.Server{Name: "moto", Deviations: …})
//
// The suite polls until a deadline and never depends on a single receive: a long poll whose response is lost hides its
// message until its visibility timeout ends, and that happens on loopback too, about once in a thousand calls.
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

// Queue has the methods that *queue.SQS and *queue.Memory have in common.
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

// Deviation is a way in which a server differs from SQS. The case that depends on it is skipped, with the deviation as
// the reason.
type Deviation string

// StaleReceipt is a server's own treatment of the receipt of an earlier receive than the latest. With SQS, a delete by
// such a receipt succeeds and does nothing.
const StaleReceipt Deviation = "a stale receipt deletes the message, or is refused"

// Server describes the implementation under test.
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
			body := func(t *testing.T) { c.run(&harness{T: t, Pair: open(t)}) }
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
	run    func(h *harness)
}

// harness holds what one case needs.
type harness struct {
	*testing.T
	Pair
	lost int // receives that returned an error; each may have been counted and may have hidden a message
}

const (
	// patience is how long a case waits for a message that must come. It is longer than any emulator needs on a busy
	// machine.
	patience = 30 * time.Second

	// shortly is the shortest visibility timeout that SQS accepts above 0.
	shortly = time.Second

	// long hides a message for longer than any case runs.
	long = 10 * time.Minute
)

// send sends and requires that every entry is accepted.
func (h *harness) send(entries ...queue.Entry) {
	h.Helper()
	if failed := h.Queue.Send(h.Context(), entries); failed != nil {
		h.Fatalf("Send: %v", failed)
	}
}

// poll receives until it has n messages.
func (h *harness) poll(from Queue, n int, visibility time.Duration) []queue.Received {
	h.Helper()
	var received []queue.Received
	for end := time.Now().Add(patience); len(received) < n; {
		if time.Now().After(end) {
			h.Fatalf("received %d messages in %v, want %d", len(received), patience, n)
		}
		got, err := from.Receive(h.Context(), min(10, n-len(received)), time.Second, visibility)
		if err != nil {
			h.lost++
			continue
		}
		received = append(received, got...)
	}
	return received
}

// one is poll for one message of the queue.
func (h *harness) one(visibility time.Duration) queue.Received {
	h.Helper()
	return h.poll(h.Queue, 1, visibility)[0]
}

// wantNone requires that no message comes within d.
func (h *harness) wantNone(from Queue, d time.Duration) {
	h.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		got, err := from.Receive(h.Context(), 10, time.Second, long)
		if err == nil && len(got) > 0 {
			h.Fatalf("received %q (receive %d), want nothing", got[0].Body, got[0].ReceiveCount)
		}
	}
}

// wantReceiveCount requires a receive count; each lost receive may have added one.
func (h *harness) wantReceiveCount(got queue.Received, want int) {
	h.Helper()
	if got.ReceiveCount < want || got.ReceiveCount > want+h.lost {
		h.Errorf("receive count is %d, want %d (%d receives were lost)", got.ReceiveCount, want, h.lost)
	}
}

func indexes(failed []queue.Failure) []int {
	var all []int
	for _, f := range failed {
		all = append(all, f.Index)
	}
	return all
}
