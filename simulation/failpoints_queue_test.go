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

var errTrouble = errors.New("ServiceUnavailable")

const (
	// strayChance is how often something fails at AWS outside of episodes of trouble.
	strayChance = 0.01

	// copyChance is how often a message is handed out once more although it is in flight or gone, and lateChance how
	// often one becomes visible up to latest after it was sent: a standard queue promises neither once nor order.
	copyChance = 0.01
	lateChance = 0.05
	latest     = 5 * time.Minute

	// remembered is how many received messages copies are made of.
	remembered = 50
)

// trouble decides what becomes of one call of SQS. all: it fails whole; some: each of its entries with chance.
func (w *world) trouble(about string) (r *rand.Rand, chance float64) {
	r = dice(w.plan.seed, about, uint64(w.count(&w.awsCalls))) //nolint:gosec // a count
	if w.calm() {
		return r, 0
	}
	now := w.now()
	for _, e := range w.plan.queueTrouble {
		if e.holds(now) {
			return r, e.chance
		}
	}
	return r, strayChance
}

// slow takes the time of a call that hangs, with that chance; false when ctx ended before.
func slow(ctx context.Context, r *rand.Rand, chance float64) bool {
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

// split says of each of n entries whether it is done, and which are reported as failed: a call that fails may have
// been done all the same, and what was done is never reported as failed only in the answers that arrive.
func split(ctx context.Context, r *rand.Rand, n int, chance float64) (done []int, failed []queue.Failure) {
	alive := slow(ctx, r, chance)
	whole := !alive || r.Float64() < chance/4 // the whole call fails
	reached := r.IntN(2) == 0                 // and has been done
	for i := range n {
		lost := whole || r.Float64() < chance
		if !lost || (whole && reached) {
			done = append(done, i)
		}
		if lost {
			failed = append(failed, queue.Failure{Index: i, Err: errTrouble})
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

// faultySender is a queue that messages are sent to. Some come twice, some late.
type faultySender struct {
	w     *world
	about string
	to    *queue.Memory
}

// Send implements webhook.Sender and worker.DeadLetters.
func (s *faultySender) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	r, chance := s.w.trouble(s.about)
	done, failed := split(ctx, r, len(entries), chance)
	var now, late []queue.Entry
	for _, i := range done {
		now = append(now, entries[i])
		if chance > 0 && r.Float64() < copyChance {
			now = append(now, entries[i])
		}
	}
	if chance > 0 {
		r.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		n := len(now) - int(lateChance*float64(len(now))+r.Float64())
		now, late = now[:max(n, 0)], now[max(n, 0):]
	}
	s.put(now)
	if len(late) > 0 {
		s.w.late.Add(1)
		time.AfterFunc(time.Duration(r.Int64N(int64(latest))), func() {
			defer s.w.late.Add(-1)
			s.put(late)
		})
	}
	return failed
}

func (s *faultySender) put(entries []queue.Entry) {
	for _, f := range s.to.Send(context.Background(), entries) {
		s.w.violate("the queue refuses what it was sent: %v", f.Err)
	}
}

// faultyDefer sets visibilities.
type faultyDefer struct{ w *world }

// Defer implements worker.Queue. What is not done comes back after the queue's own time.
func (q *faultyDefer) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	r, chance := q.w.trouble("defer")
	done, failed := split(ctx, r, len(deferrals), chance)
	var these []queue.Deferral
	for _, i := range done {
		these = append(these, deferrals[i])
	}
	q.w.jobs.Defer(context.Background(), these) // refuses what is no longer in flight, as SQS does
	return failed
}

// faultyMapping is the queue as the event source mapping sees it.
type faultyMapping struct {
	w *world

	mu   sync.Mutex
	seen []queue.Received
}

// Receive hands messages out in any order, some twice, and sometimes loses its answer.
func (m *faultyMapping) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	received, err := m.w.jobs.Receive(ctx, most, wait, visibility)
	if err != nil || len(received) == 0 || m.w.calm() {
		return received, err
	}
	r, chance := m.w.trouble("receive")
	if r.Float64() < chance/4 {
		return nil, errTrouble // and they are hidden all the same
	}
	received = m.copies(r, received, most)
	r.Shuffle(len(received), func(i, j int) { received[i], received[j] = received[j], received[i] })
	return received, nil
}

// copies adds messages that were handed out before, with the receipt of then.
func (m *faultyMapping) copies(r *rand.Rand, received []queue.Received, most int) []queue.Received {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.IntN(8) == 0 {
		m.seen = append(m.seen, received[0])
	}
	if len(m.seen) > remembered {
		m.seen = slices.Delete(m.seen, 0, remembered/2)
	}
	for len(received) < most && len(m.seen) > 0 && r.Float64() < copyChance*float64(most) {
		received = append(received, m.seen[r.IntN(len(m.seen))])
	}
	return received
}

// Delete deletes messages, but for some.
func (m *faultyMapping) Delete(ctx context.Context, receipts []string) []queue.Failure {
	r, chance := m.w.trouble("delete")
	done, failed := split(ctx, r, len(receipts), chance)
	var these []string
	for _, i := range done {
		these = append(these, receipts[i])
	}
	m.w.jobs.Delete(context.Background(), these)
	return failed
}
