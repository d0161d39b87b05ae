package throttle

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
	// catchUp is how much time without a call an instance may make up for: the gap between two batches in which no call
	// can start, which is the last call of a batch, its finalization and the next invocation. Without catching up, a
	// gap of 100 ms costs a batch of two seconds 5 %.
	catchUp = 500 * time.Millisecond

	// catchUpFactor is how much faster than its rate an instance calls while it catches up. It makes up for catchUp in
	// two seconds, the length of a batch, and there is always an interval between two calls.
	catchUpFactor = 1.25

	// timerGrain is how much later than requested a timer may fire. A call may start earlier by as much and is counted
	// at its scheduled time. Otherwise at most one call could start in each timerGrain.
	timerGrain = time.Millisecond
)

// ErrExceedsDeadline means that the next call could only start after the context's deadline.
var ErrExceedsDeadline = errors.New("throttle: the next call would start after the deadline")

// PausedError means that a pause after a 429 lasts longer than the context.
type PausedError struct {
	Left time.Duration // until the pause ends
	Code string        // of the answer that caused it
}

// Error implements error.
func (e *PausedError) Error() string {
	return fmt.Sprintf("throttle: the API answered %s; no call for %v", e.Code, e.Left)
}

// LimiterConfig is the configuration of a Limiter. Every field but Limits and Shared is required and above 0.
type LimiterConfig struct {
	// CallsPerSecond is this instance's rate.
	CallsPerSecond float64
	// Limits are this instance's parts of the API's limits (PerInstance). Without any, only the rate is kept.
	Limits []Limit
	// Shared is a limit that this and other limiters keep together; nil: none.
	Shared *Shared

	// Pause is the pause after a 429 without Retry-After.
	Pause time.Duration
	// LongestPause bounds a pause, also one that Retry-After asks for.
	LongestPause time.Duration
	// Recovery is the time in which half of the rate comes back after a pause, linearly.
	Recovery time.Duration
}

// Limiter is a rate limiter: calls start one after another, never two at the same time, in the order in which Wait is
// called. It is safe for concurrent use.
//
// The rate is a token bucket (x/time/rate), empty at the start. The bucket alone is not enough: it allows its content
// on top of its rate, so a window that records calls keeps each Limit. It also has no pause, which slowdown adds.
//
// The time of a call is the time at which Wait let it start. The caller sends it at once. Differences in the network's
// latency are within the margin of PerInstance.
type Limiter struct {
	head     chan struct{} // held by the caller that waits for the next start; guards all fields but slowdown
	slowdown *slowdown

	perSecond rate.Limit // without the effect of 429s
	bucket    *rate.Limiter
	last      time.Time // start of the last call
	windows   []*window
	shared    *Shared
}

// NewLimiter returns the limiter of one instance. Its rate is CallsPerSecond, or what the limits allow if that is less.
func NewLimiter(cfg LimiterConfig) *Limiter {
	perSecond := cfg.CallsPerSecond
	for _, l := range cfg.Limits {
		perSecond = min(perSecond, l.PerSecond())
	}
	l := &Limiter{
		head: make(chan struct{}, 1), perSecond: rate.Limit(perSecond), shared: cfg.Shared,
		slowdown: &slowdown{pause: cfg.Pause, longest: cfg.LongestPause, recovery: cfg.Recovery},
		bucket:   rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond*catchUp.Seconds())))),
	}
	l.bucket.AllowN(time.Now(), l.bucket.Burst()) // empty: otherwise each cold start would add calls to those of other instances
	for _, limit := range cfg.Limits {
		if float64(limit.Calls) < perSecond*catchUpFactor*limit.In.Seconds()+1 { // otherwise the rate keeps the limit
			l.windows = append(l.windows, newWindow(limit))
		}
	}
	return l
}

// Wait blocks until the next call may start and returns its start time. It fails at once when the call could only start
// after ctx's deadline: with ErrExceedsDeadline, or with a *PausedError when a 429 is the reason. When ctx ends during
// the wait, it returns ctx's error. A failed Wait uses no call.
func (l *Limiter) Wait(ctx context.Context) (time.Time, error) {
	select {
	case l.head <- struct{}{}:
		defer func() { <-l.head }()
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}

	now := time.Now()
	perSecond := l.slowdown.rate(l.perSecond, now)
	l.bucket.SetLimitAt(now, perSecond)
	if now.Sub(l.last) > catchUp { // no catching up on idle time: a burst of 1, as at the start
		if spare := int(l.bucket.TokensAt(now)) - 1; spare > 0 {
			l.bucket.AllowN(now, spare)
		}
	}
	reserved := l.bucket.ReserveN(now, 1)
	at := now.Add(reserved.DelayFrom(now))
	if next := l.last.Add(interval(perSecond * catchUpFactor)); next.After(at) {
		at = next
	}
	for _, w := range l.windows {
		if free := w.free(); free.After(at) {
			at = free
		}
	}
	for { // a 429 to another call may start a pause meanwhile, and a limiter that shares a limit may call
		paused := l.slowdown.pausedUntil()
		if paused.After(at) {
			at = paused
		}
		if end, ok := ctx.Deadline(); ok && at.After(end) {
			reserved.Cancel()
			if paused.After(end) {
				return time.Time{}, &PausedError{Left: time.Until(paused), Code: l.slowdown.lastCode()}
			}
			return time.Time{}, ErrExceedsDeadline
		}
		wait := time.Until(at)
		if wait <= timerGrain {
			free, ok := l.shared.take(at)
			if free.After(at) {
				at = free
			}
			if ok {
				break
			}
			continue
		}
		if err := deadline.Sleep(ctx, wait); err != nil {
			reserved.Cancel()
			return time.Time{}, err
		}
	}

	l.last = time.Now()
	if at.After(l.last) {
		l.last = at
	}
	for _, w := range l.windows {
		w.record(l.last)
	}
	return l.last, nil
}

// On429 records a 429 to the call that started at that time, with its Retry-After (0: none) and its code. All calls
// pause; then the rate is halved and recovers. It returns the pause when it halves the rate, else 0: a 429 to a call
// that was in flight at an earlier 429 may only lengthen the pause.
func (l *Limiter) On429(started time.Time, retryAfter time.Duration, code string) (pause time.Duration) {
	return l.slowdown.on429(started, retryAfter, code)
}

// Rate is the present rate, in calls per second.
func (l *Limiter) Rate() float64 { return float64(l.slowdown.rate(l.perSecond, time.Now())) }

// interval is the time between two calls.
func interval(perSecond rate.Limit) time.Duration {
	return time.Duration(float64(time.Second) / float64(perSecond))
}
