package queuetest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/queue"
)

func comesAgain(r *room) {
	r.send(queue.Entry{Body: "again", Attributes: map[string]string{"a": "b"}})
	first := r.one(2 * shortly)
	if got, err := r.Queue.Receive(r.Context(), 1, shortly, long); err == nil && len(got) > 0 {
		r.Errorf("received %q while it was in flight", got[0].Body)
	}

	second := r.one(long)
	r.counted(second, 2)
	if second.ID != first.ID {
		r.Errorf("id is %s, was %s: want the same", second.ID, first.ID)
	}
	if second.Receipt == first.Receipt {
		r.Errorf("two receives gave the same receipt")
	}
	if !second.SentAt.Equal(first.SentAt) {
		r.Errorf("sent at %v, was %v: want the same", second.SentAt, first.SentAt)
	}
	if diff := cmp.Diff(first.Attributes, second.Attributes); diff != "" {
		r.Errorf("attributes (-first +second):\n%s", diff)
	}
}

func deleted(r *room) {
	r.send(queue.Entry{Body: "done"})
	m := r.one(shortly)
	if failed := r.Queue.Delete(r.Context(), []string{m.Receipt}); failed != nil {
		r.Fatalf("Delete: %v", failed)
	}
	r.quiet(r.Queue, 3*shortly)
}

func staleDelete(r *room) {
	r.send(queue.Entry{Body: "twice"})
	stale := r.one(shortly).Receipt
	latest := r.one(long).Receipt
	if failed := r.Queue.Delete(r.Context(), []string{stale}); failed != nil {
		r.Errorf("Delete: %v, want none", failed)
	}
	if failed := r.Queue.Defer(r.Context(), []queue.Deferral{{Receipt: latest}}); failed != nil {
		r.Errorf("Defer after the delete: %v, want the message still in flight", failed)
	}
}

// deferral receives a message for visibility, defers it and returns the time of the call.
func (r *room) deferral(visibility, after time.Duration) time.Time {
	r.Helper()
	r.send(queue.Entry{Body: "deferred"})
	m := r.one(visibility)
	at := time.Now()
	if failed := r.Queue.Defer(r.Context(), []queue.Deferral{{Receipt: m.Receipt, After: after}}); failed != nil {
		r.Fatalf("Defer: %v", failed)
	}
	return at
}

func deferLonger(r *room) {
	r.deferral(2*shortly, long)
	r.quiet(r.Queue, 4*shortly)
}

func deferZero(r *room) {
	r.deferral(long, 0)
	r.counted(r.one(long), 2)
}

// deferSooner also holds the rounding: 1.2 seconds are 2.
func deferSooner(r *room) {
	const after, rounded = 1200 * time.Millisecond, 2 * time.Second
	at := r.deferral(long, after)
	r.counted(r.one(long), 2)

	// A server may cut the time of the call to whole milliseconds.
	if waited := time.Since(at); waited < rounded-10*time.Millisecond {
		r.Errorf("came again after %v, want %v", waited, rounded)
	}
}

func deferPast(r *room) {
	r.send(queue.Entry{Body: "old"})
	m := r.one(long)
	r.quiet(r.Queue, 2*shortly)
	failed := r.Queue.Defer(r.Context(), []queue.Deferral{{Receipt: m.Receipt, After: 12 * time.Hour}})
	if len(failed) != 1 {
		r.Errorf("Defer: %v, want one failure", failed)
	}
}

func badReceipts(r *room) {
	r.send(queue.Entry{Body: "one"}, queue.Entry{Body: "two"})
	m := r.poll(r.Queue, 2, long)
	failed := r.Queue.Defer(r.Context(), []queue.Deferral{
		{Receipt: m[0].Receipt},
		{Receipt: "not-a-receipt"},
		{Receipt: m[1].Receipt},
	})
	if diff := cmp.Diff([]int{1}, indexes(failed)); diff != "" {
		r.Fatalf("indexes of failures (-want +got):\n%s", diff)
	}
	if !errors.Is(failed[0].Err, queue.ErrRefused) {
		r.Errorf("error is %v, want ErrRefused", failed[0].Err)
	}
	r.poll(r.Queue, 2, long)
}

func redrive(r *room) {
	sent := queue.Entry{Body: "poison", Group: "shopify", Attributes: map[string]string{"reason": "none"}}
	r.send(sent)

	// A lost receive counts as well, so only the last count is known for certain.
	var source queue.Received
	receives := 0
	for end := time.Now().Add(patience); time.Now().Before(end); {
		got, err := r.Queue.Receive(r.Context(), 1, time.Second, shortly)
		if err != nil {
			r.lost++
			continue
		}
		if len(got) > 0 {
			source = got[0]
			receives++
			continue
		}
		if receives+r.lost >= MaxReceiveCount {
			break
		}
	}
	if receives > MaxReceiveCount || receives+r.lost < MaxReceiveCount {
		r.Errorf("received %d times, want %d (%d receives were lost)", receives, MaxReceiveCount, r.lost)
	}

	// The move happens at the receive after the last; quiet receives.
	r.quiet(r.Queue, 2*shortly)
	dead := r.poll(r.DeadLetters, 1, long)[0]
	if diff := cmp.Diff(sent, queue.Entry{Body: dead.Body, Group: dead.Group, Attributes: dead.Attributes}); diff != "" {
		r.Errorf("dead letter (-sent +got):\n%s", diff)
	}
	if source.ID != "" && dead.ID != source.ID {
		r.Errorf("id is %s, was %s: the redrive policy keeps it", dead.ID, source.ID)
	}
	if failed := r.DeadLetters.Delete(r.Context(), []string{dead.Receipt}); failed != nil {
		r.Errorf("Delete: %v", failed)
	}
}
