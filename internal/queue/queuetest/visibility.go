package queuetest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/queue"
)

func receivedAgain(h *harness) {
	h.send(queue.Entry{Body: "again", Attributes: map[string]string{"a": "b"}})
	first := h.one(2 * shortly)
	if got, err := h.Queue.Receive(h.Context(), 1, shortly, long); err == nil && len(got) > 0 {
		h.Errorf("received %q while it was in flight", got[0].Body)
	}

	second := h.one(long)
	h.wantReceiveCount(second, 2)
	if second.ID != first.ID {
		h.Errorf("id is %s, was %s: want the same", second.ID, first.ID)
	}
	if second.Receipt == first.Receipt {
		h.Errorf("two receives gave the same receipt")
	}
	if !second.SentAt.Equal(first.SentAt) {
		h.Errorf("sent at %v, was %v: want the same", second.SentAt, first.SentAt)
	}
	if diff := cmp.Diff(first.Attributes, second.Attributes); diff != "" {
		h.Errorf("attributes (-first +second):\n%s", diff)
	}
}

func deleted(h *harness) {
	h.send(queue.Entry{Body: "done"})
	m := h.one(shortly)
	if failed := h.Queue.Delete(h.Context(), []string{m.Receipt}); failed != nil {
		h.Fatalf("Delete: %v", failed)
	}
	h.wantNone(h.Queue, 3*shortly)
}

func staleDelete(h *harness) {
	h.send(queue.Entry{Body: "twice"})
	stale := h.one(shortly).Receipt
	latest := h.one(long).Receipt
	if failed := h.Queue.Delete(h.Context(), []string{stale}); failed != nil {
		h.Errorf("Delete: %v, want none", failed)
	}
	if failed := h.Queue.Defer(h.Context(), []queue.Deferral{{Receipt: latest}}); failed != nil {
		h.Errorf("Defer after the delete: %v, want the message still in flight", failed)
	}
}

// deferral receives a message for visibility, defers it and returns the time of the call.
func (h *harness) deferral(visibility, after time.Duration) time.Time {
	h.Helper()
	h.send(queue.Entry{Body: "deferred"})
	m := h.one(visibility)
	at := time.Now()
	if failed := h.Queue.Defer(h.Context(), []queue.Deferral{{Receipt: m.Receipt, After: after}}); failed != nil {
		h.Fatalf("Defer: %v", failed)
	}
	return at
}

func deferLonger(h *harness) {
	h.deferral(2*shortly, long)
	h.wantNone(h.Queue, 4*shortly)
}

func deferZero(h *harness) {
	h.deferral(long, 0)
	h.wantReceiveCount(h.one(long), 2)
}

// deferSooner also checks the rounding: 1.2 seconds become 2.
func deferSooner(h *harness) {
	const after, rounded = 1200 * time.Millisecond, 2 * time.Second
	at := h.deferral(long, after)
	h.wantReceiveCount(h.one(long), 2)

	// A server may truncate the time of the call to milliseconds.
	if waited := time.Since(at); waited < rounded-10*time.Millisecond {
		h.Errorf("received again after %v, want %v", waited, rounded)
	}
}

func deferPast(h *harness) {
	h.send(queue.Entry{Body: "old"})
	m := h.one(long)
	h.wantNone(h.Queue, 2*shortly)
	failed := h.Queue.Defer(h.Context(), []queue.Deferral{{Receipt: m.Receipt, After: 12 * time.Hour}})
	if len(failed) != 1 {
		h.Errorf("Defer: %v, want one failure", failed)
	}
}

func badReceipts(h *harness) {
	h.send(queue.Entry{Body: "one"}, queue.Entry{Body: "two"})
	m := h.poll(h.Queue, 2, long)
	failed := h.Queue.Defer(h.Context(), []queue.Deferral{
		{Receipt: m[0].Receipt},
		{Receipt: "not-a-receipt"},
		{Receipt: m[1].Receipt},
	})
	if diff := cmp.Diff([]int{1}, indexes(failed)); diff != "" {
		h.Fatalf("indexes of failures (-want +got):\n%s", diff)
	}
	if !errors.Is(failed[0].Err, queue.ErrRefused) {
		h.Errorf("error is %v, want ErrRefused", failed[0].Err)
	}
	h.poll(h.Queue, 2, long)
}

func redrive(h *harness) {
	sent := queue.Entry{Body: "poison", Group: "shopify", Attributes: map[string]string{"reason": "none"}}
	h.send(sent)

	// A lost receive may be counted as well, so only the last count is certain.
	var source queue.Received
	receives := 0
	for end := time.Now().Add(patience); time.Now().Before(end); {
		got, err := h.Queue.Receive(h.Context(), 1, time.Second, shortly)
		if err != nil {
			h.lost++
			continue
		}
		if len(got) > 0 {
			source = got[0]
			receives++
			continue
		}
		if receives+h.lost >= MaxReceiveCount {
			break
		}
	}
	if receives > MaxReceiveCount || receives+h.lost < MaxReceiveCount {
		h.Errorf("received %d times, want %d (%d receives were lost)", receives, MaxReceiveCount, h.lost)
	}

	// SQS moves the message at the receive after the last one; wantNone receives.
	h.wantNone(h.Queue, 2*shortly)
	dead := h.poll(h.DeadLetters, 1, long)[0]
	if diff := cmp.Diff(sent, queue.Entry{Body: dead.Body, Group: dead.Group, Attributes: dead.Attributes}); diff != "" {
		h.Errorf("dead letter (-sent +got):\n%s", diff)
	}
	if source.ID != "" && dead.ID != source.ID {
		h.Errorf("id is %s, was %s: the redrive policy keeps it", dead.ID, source.ID)
	}
	if failed := h.DeadLetters.Delete(h.Context(), []string{dead.Receipt}); failed != nil {
		h.Errorf("Delete: %v", failed)
	}
}
