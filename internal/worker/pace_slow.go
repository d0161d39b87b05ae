package worker

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// baresPerFirst makes the pause after a 429 that does not say how long: a second with production's First of 30 s.
	// That is the shortest of the API's windows, in which all calls have one Authorization value; if another one was
	// full, the lower pace empties it.
	baresPerFirst = 30

	// lowered is what a 429 leaves of the pace. Half is enough when another instance or the vendor's live checks take
	// as much as we do; if they take more, the next 429 halves it again.
	lowered = 0.5

	// leastPart is the least that 429s leave of the share, so that a long bad time does not stop the instance for good.
	leastPart = 1.0 / 8

	// leastPerSecond is the least pace that 429s leave to a share above it, in calls per second: one in ten seconds.
	// With less, messages would be handed out and back without a call, and use up their receives.
	leastPerSecond = 0.1

	// regainFirsts is how long half of the share takes to come back, bit by bit: a minute with production's First, the
	// company's window, after which no call that brought the 429 about counts any more.
	regainFirsts = 2
)

// slow is what 429s make of the pace: a pause, then a lower pace, then slowly more. Make it with newSlow.
type slow struct {
	bare    time.Duration // the pause after a 429 without Retry-After
	regain  time.Duration // until half of the share has come back
	longest time.Duration // the longest pause, whatever an answer asks for

	mu    sync.Mutex
	until time.Time // the pause ends, and the pace begins to come back
	since time.Time // the last 429 that lowered the pace
	part  float64   // of the share, when the pause ends
	code  string    // of the last 429
}

// newSlow returns one that nothing slows yet. Its times are parts of the backoff.
func newSlow(b Backoff) *slow {
	return &slow{bare: b.First / baresPerFirst, regain: regainFirsts * b.First, longest: b.Cap}
}

// heard takes a 429 to a call that began at that time, with its Retry-After (0: none). It returns the pause when it
// lowers the pace, else 0: calls that were under way at an earlier 429 are told the same once more, and may only
// lengthen the pause.
func (s *slow) heard(begun time.Time, retryAfter time.Duration, code string) (pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	again := !begun.After(s.since)
	pause = min(retryAfter, s.longest)
	if retryAfter <= 0 {
		if again {
			return 0
		}
		pause = s.bare
	}
	s.code = code
	if !again {
		s.part = max(s.partAt(now)*lowered, leastPart)
		s.since = now
	}
	if end := now.Add(pause); end.After(s.until) {
		s.until = end
	}
	if again {
		return 0
	}
	return pause
}

// of is the pace now, of that share.
func (s *slow) of(share rate.Limit, now time.Time) rate.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(share*rate.Limit(s.partAt(now)), min(share, leastPerSecond))
}

// partAt is the part of the share at that time.
func (s *slow) partAt(now time.Time) float64 {
	if s.since.IsZero() {
		return 1
	}
	back := max(now.Sub(s.until), 0).Seconds() / s.regain.Seconds() * lowered
	return min(s.part+back, 1)
}

// pausedUntil is when calls may begin; a time that is over when they may.
func (s *slow) pausedUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until
}

// lastCode is the code of the last 429.
func (s *slow) lastCode() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}
