package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"

	"license-deactivator/internal/deadline"
)

const (
	// catchUp is how much time without a call an instance may make up for: the last call of a batch, settling it, and
	// the next invocation, while which nobody can call. Without it, 100 ms of that cost a batch of two seconds 5 %.
	catchUp = 500 * time.Millisecond

	// hurry is how much faster than its pace an instance calls while it catches up: so that catchUp is made up for in
	// two seconds, which is a batch, and no call comes on the heels of another.
	hurry = 1.25

	// timerGrain is how much later than asked for a timer may fire. A turn may begin so much earlier instead, and is
	// counted at its time; or nobody could call more than once in it.
	timerGrain = time.Millisecond
)

// errNoTurn says that the next call would begin too late for this invocation.
var errNoTurn = errors.New("worker: no turn in time")

// pausedError says that the API wants no call before the end of this invocation.
type pausedError struct {
	left time.Duration // until the pause ends
	code string        // of the answer that asked for it
}

// Error implements error.
func (e *pausedError) Error() string {
	return fmt.Sprintf("worker: the API answered %s and wants no call for %v", e.code, e.left)
}

// pace gives turns to call: one after another, never two at once, in the order in which they are asked for.
//
// The pace itself is a token bucket (x/time/rate), which a cold start finds empty. What a bucket cannot say is ours:
// it allows what it holds on top of its rate, so a Limit is kept by remembering its calls (window); and it knows no
// pause (slow).
//
// The time of a call is the time of its turn. It is signed and sent at once; what the network adds to one call and
// not to another is within the margin of Stack.Limits.
type pace struct {
	head chan struct{} // held by the one who waits for the next turn; guards all but slow
	slow *slow

	share   rate.Limit // calls per second when nothing slows it
	bucket  *rate.Limiter
	last    time.Time // of the last turn
	windows []*window
}

// newPace returns the pace of one instance: callsPerSecond, or what the limits allow if that is less.
func newPace(callsPerSecond float64, limits []Limit, b Backoff) *pace {
	share := callsPerSecond
	for _, l := range limits {
		share = min(share, l.perSecond())
	}
	p := &pace{
		head: make(chan struct{}, 1), share: rate.Limit(share), slow: newSlow(b),
		bucket: rate.NewLimiter(rate.Limit(share), max(1, int(math.Ceil(share*catchUp.Seconds())))),
	}
	p.bucket.AllowN(time.Now(), p.bucket.Burst()) // or every cold start would call on top of what other instances call
	for _, l := range limits {
		if float64(l.Calls) < share*hurry*l.In.Seconds()+1 { // else hurry alone keeps it
			p.windows = append(p.windows, newWindow(l))
		}
	}
	return p
}

// turn waits for a turn and returns when it began. It gives up at once when the turn would come after ctx's deadline:
// errNoTurn, or a *pausedError when that is because of the API's 429. ctx's own error when it ends meanwhile.
func (p *pace) turn(ctx context.Context) (time.Time, error) {
	select {
	case p.head <- struct{}{}:
		defer func() { <-p.head }()
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}

	now := time.Now()
	pace := p.slow.of(p.share, now)
	p.bucket.SetLimitAt(now, pace)
	if now.Sub(p.last) > catchUp { // a time without work is not made up for: a burst of 1, as at the start
		if spare := int(p.bucket.TokensAt(now)) - 1; spare > 0 {
			p.bucket.AllowN(now, spare)
		}
	}
	reserved := p.bucket.ReserveN(now, 1)
	at := now.Add(reserved.DelayFrom(now))
	if next := p.last.Add(interval(pace * hurry)); next.After(at) {
		at = next
	}
	for _, w := range p.windows {
		if free := w.free(); free.After(at) {
			at = free
		}
	}
	for { // an answer that comes meanwhile may pause us
		paused := p.slow.pausedUntil()
		if paused.After(at) {
			at = paused
		}
		if deadline, ok := ctx.Deadline(); ok && at.After(deadline) {
			reserved.Cancel()
			if paused.After(deadline) {
				return time.Time{}, &pausedError{left: time.Until(paused), code: p.slow.lastCode()}
			}
			return time.Time{}, errNoTurn
		}
		wait := time.Until(at)
		if wait <= timerGrain {
			break
		}
		if err := deadline.Sleep(ctx, wait); err != nil {
			reserved.Cancel()
			return time.Time{}, err
		}
	}

	p.last = time.Now()
	if at.After(p.last) {
		p.last = at
	}
	for _, w := range p.windows {
		w.take(p.last)
	}
	return p.last, nil
}

// interval is the time between two calls.
func interval(pace rate.Limit) time.Duration {
	return time.Duration(float64(time.Second) / float64(pace))
}
