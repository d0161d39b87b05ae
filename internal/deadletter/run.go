package deadletter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"

	"license-deactivator/internal/queue"
)

// maxInFlight is how many letters one batch holds: those that a kill between sending and deleting leaves in both queues.
const maxInFlight = 10

// ErrLost is an error of Confirm: chosen letters are not held any more. Another consumer has received or deleted them.
var ErrLost = errors.New("deadletter: letters are gone from the dead-letter queue")

// Move is a letter with what is sent in its place. Without entries the letter is only deleted.
type Move struct {
	Letter  *Letter
	Entries []queue.Entry
}

// Result counts letters.
type Result struct {
	Done  int // sent, or nothing to send, and deleted
	Kept  int // not sent: still in the dead-letter queue
	Lost  int // not sent: another consumer has them
	Twice int // sent and not deleted: in both queues
}

// Sum is the number of all letters.
func (r Result) Sum() int { return r.Done + r.Kept + r.Lost + r.Twice }

// Confirm extends the visibility of all chosen letters. An error wraps ErrLost and says how many of them are not held: the
// plan that was shown is not true any more.
func (l *Look) Confirm(ctx context.Context) error {
	ids := make([]string, len(l.Chosen))
	for i, letter := range l.Chosen {
		ids[i] = letter.MessageID
	}
	if failed := l.hold.extend(ctx, ids); len(failed) > 0 {
		return fmt.Errorf("%w: %d of %d", ErrLost, len(failed), len(ids))
	}
	return nil
}

// Run moves letters in batches of ten: it sends the entries of a batch, then deletes its letters. A letter is deleted only
// if the queue has accepted all of its entries. perSecond bounds the entries, or the deletions of letters without entries.
// done, if it is not nil, gets the result after each batch.
//
// It stops at the first batch of which nothing could be sent, and when ctx ends; a batch that has begun is finished. The
// error says why it stopped. The result counts every letter of moves, and l.Left lists those that are Kept or Lost.
func (l *Look) Run(ctx context.Context, moves []Move, to Sender, perSecond float64, done func(Result)) (Result, error) {
	limiter := rate.NewLimiter(rate.Limit(perSecond), maxInFlight)
	var total Result
	var stopped error
	l.Left = nil
	begin := 0
	for begin < len(moves) && stopped == nil {
		end := batchEnd(moves, begin)
		if err := wait(ctx, limiter, moves[begin:end]); err != nil {
			stopped = err
			break
		}
		one, err := l.move(ctx, moves[begin:end], to)
		total.Done, total.Kept, total.Lost, total.Twice = total.Done+one.Done, total.Kept+one.Kept, total.Lost+one.Lost, total.Twice+one.Twice
		if one.Done+one.Twice == 0 {
			stopped = err
		}
		if done != nil {
			done(total)
		}
		begin = end
	}
	total.Kept += len(moves) - total.Sum()
	for _, m := range moves[begin:] {
		l.Left = append(l.Left, m.Letter)
	}
	return total, stopped
}

// batchEnd returns the end of the batch that begins at an index: at most ten letters, and of several letters at most ten
// entries.
func batchEnd(moves []Move, begin int) int {
	entries := 0
	end := begin
	for ; end < len(moves) && end-begin < maxInFlight; end++ {
		if entries += len(moves[end].Entries); entries > maxInFlight && end > begin {
			break
		}
	}
	return end
}

// wait waits until the limiter allows what a batch sends.
func wait(ctx context.Context, limiter *rate.Limiter, moves []Move) error {
	n := 0
	for _, m := range moves {
		n += max(len(m.Entries), 1)
	}
	for ; n > 0; n -= maxInFlight {
		if err := limiter.WaitN(ctx, min(n, maxInFlight)); err != nil {
			return fmt.Errorf("deadletter: stopped: %w", err)
		}
	}
	return nil
}

// move moves one batch. It ignores the end of ctx, so that what is sent is also deleted. The error is the first one.
func (l *Look) move(ctx context.Context, moves []Move, to Sender) (Result, error) {
	ctx = context.WithoutCancel(ctx)
	ids := make([]string, len(moves))
	for i, m := range moves {
		ids[i] = m.Letter.MessageID
	}
	var r Result
	lost := map[string]bool{}
	for _, id := range l.hold.extend(ctx, ids) {
		lost[id] = true
		r.Lost++
	}
	var err error
	if r.Lost > 0 {
		err = fmt.Errorf("%w: %d", ErrLost, r.Lost)
	}
	refused := map[string]error{} // by message id
	var entries []queue.Entry
	var of []string
	for _, m := range moves {
		if lost[m.Letter.MessageID] {
			continue
		}
		for _, e := range m.Entries {
			entries, of = append(entries, e), append(of, m.Letter.MessageID)
		}
	}
	if len(entries) > 0 {
		for _, f := range to.Send(ctx, entries) {
			refused[of[f.Index]] = f.Err
			if err == nil {
				err = f.Err
			}
		}
	}

	var sent, kept []string
	for i, id := range ids {
		switch {
		case lost[id]:
			l.Left = append(l.Left, moves[i].Letter)
		case refused[id] != nil:
			kept = append(kept, id)
			l.Left = append(l.Left, moves[i].Letter)
		default:
			sent = append(sent, id)
		}
	}
	r.Kept = len(kept)
	l.hold.release(ctx, kept)
	deleted, failed := l.hold.delete(ctx, sent)
	r.Done, r.Twice = deleted, len(sent)-deleted
	if err == nil {
		err = failed
	}
	return r, err
}
