package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/queue"
)

var errUnavailable = errors.New("ServiceUnavailable")

const (
	// backgroundChance is the chance of a failure at AWS outside of failpoints.
	backgroundChance = 0.01

	// duplicateChance is the chance that a message is delivered again although it is in flight or deleted. delayChance
	// is the chance that it becomes visible up to maxDelay after it was sent: a standard queue promises neither order
	// nor exactly one delivery.
	duplicateChance = 0.01
	delayChance     = 0.05
	maxDelay        = 5 * time.Minute

	// remembered is the number of received messages from which duplicates are made.
	remembered = 50
)

// awsFault returns the random numbers of one AWS call and the chance that it fails, whole or for each entry.
func (h *harness) awsFault(label string) (r *rand.Rand, chance float64) {
	r = rng(h.scenario.seed, label, uint64(h.count(&h.awsCalls))) //nolint:gosec // a count
	if h.recovered() {
		return r, 0
	}
	now := h.now()
	for _, f := range h.scenario.queueFailpoints {
		if f.contains(now) {
			return r, f.chance
		}
	}
	return r, backgroundChance
}

// hang takes the time of a call that hangs, with a quarter of the chance. It returns false when ctx ended first.
func hang(ctx context.Context, r *rand.Rand, chance float64) bool {
	if r.Float64() >= chance/4 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(time.Duration(r.Int64N(int64(20 * time.Second)))):
		return true
	case <-ctx.Done():
		return false
	}
}

// partialFailure decides for each of n entries whether it takes effect, and which are reported as failed. A call that
// fails as a whole may still have taken effect; an entry that is reported as done has taken effect.
func partialFailure(ctx context.Context, r *rand.Rand, n int, chance float64) (done []int, failed []queue.Failure) {
	alive := hang(ctx, r, chance)
	whole := !alive || r.Float64() < chance/4 // the whole call fails
	reached := r.IntN(2) == 0                 // but took effect
	for i := range n {
		lost := whole || r.Float64() < chance
		if !lost || (whole && reached) {
			done = append(done, i)
		}
		if lost {
			failed = append(failed, queue.Failure{Index: i, Err: errUnavailable})
		}
	}
	if !alive && !reached {
		done = nil
	}
	return done, failed
}

func allFailed(n int, err error) []queue.Failure {
	failures := make([]queue.Failure, n)
	for i := range failures {
		failures[i] = queue.Failure{Index: i, Err: err}
	}
	return failures
}

// faultySender sends messages to a queue. Some are sent twice, some late, all out of order.
type faultySender struct {
	h     *harness
	label string
	to    *queue.Memory
}

// Send implements webhook.Sender and worker.DeadLetters.
func (s *faultySender) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	r, chance := s.h.awsFault(s.label)
	done, failed := partialFailure(ctx, r, len(entries), chance)
	var now, late []queue.Entry
	for _, i := range done {
		now = append(now, entries[i])
		if chance > 0 && r.Float64() < duplicateChance {
			now = append(now, entries[i])
		}
	}
	if chance > 0 {
		r.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		n := len(now) - int(delayChance*float64(len(now))+r.Float64())
		now, late = now[:max(n, 0)], now[max(n, 0):]
	}
	s.put(now)
	if len(late) > 0 {
		s.h.delayed.Add(1)
		time.AfterFunc(time.Duration(r.Int64N(int64(maxDelay))), func() {
			defer s.h.delayed.Add(-1)
			s.put(late)
		})
	}
	return failed
}

func (s *faultySender) put(entries []queue.Entry) {
	for _, f := range s.to.Send(context.Background(), entries) {
		s.h.violation("the queue refuses a message: %v", f.Err)
	}
}

// faultyDeferrer changes visibilities.
type faultyDeferrer struct{ h *harness }

// Defer implements worker.Queue. A message whose deferral takes no effect keeps the queue's own visibility.
func (q *faultyDeferrer) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	r, chance := q.h.awsFault("defer")
	done, failed := partialFailure(ctx, r, len(deferrals), chance)
	var these []queue.Deferral
	for _, i := range done {
		these = append(these, deferrals[i])
	}
	q.h.jobs.Defer(context.Background(), these) // refuses a message that is no longer in flight, as SQS does
	return failed
}

// faultySourceQueue is the queue as the event source mapping uses it.
type faultySourceQueue struct {
	h *harness

	mu   sync.Mutex
	seen []queue.Received
}

// Receive implements lambdaemu.Queue: messages arrive in any order, some twice, and some answers are lost.
func (q *faultySourceQueue) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	received, err := q.h.jobs.Receive(ctx, most, wait, visibility)
	if err != nil || len(received) == 0 || q.h.recovered() {
		return received, err
	}
	r, chance := q.h.awsFault("receive")
	if r.Float64() < chance/4 {
		return nil, errUnavailable // the messages are hidden nevertheless
	}
	received = q.duplicate(r, received, most)
	r.Shuffle(len(received), func(i, j int) { received[i], received[j] = received[j], received[i] })
	return received, nil
}

// duplicate adds messages that were received before, with their old receipts.
func (q *faultySourceQueue) duplicate(r *rand.Rand, received []queue.Received, most int) []queue.Received {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.IntN(8) == 0 {
		q.seen = append(q.seen, received[0])
	}
	if len(q.seen) > remembered {
		q.seen = slices.Delete(q.seen, 0, remembered/2)
	}
	for len(received) < most && len(q.seen) > 0 && r.Float64() < duplicateChance*float64(most) {
		received = append(received, q.seen[r.IntN(len(q.seen))])
	}
	return received
}

// Delete implements lambdaemu.Queue. Some messages are not deleted.
func (q *faultySourceQueue) Delete(ctx context.Context, receipts []string) []queue.Failure {
	r, chance := q.h.awsFault("delete")
	done, failed := partialFailure(ctx, r, len(receipts), chance)
	var these []string
	for _, i := range done {
		these = append(these, receipts[i])
	}
	q.h.jobs.Delete(context.Background(), these)
	return failed
}
