package throttle

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowdownFactor is the fraction of the rate that is left after a 429. Half is enough when another instance or the
	// vendor's live checks call as often as this instance does; if they call more often, the next 429 halves it again.
	slowdownFactor = 0.5

	// leastFactor is the smallest fraction of the rate after 429s, so that a long series of them does not stop the
	// instance.
	leastFactor = 1.0 / 8

	// leastPerSecond is the smallest rate after 429s when the full rate is above it, in calls per second: one in ten
	// seconds. With a smaller rate messages would be received and returned without a call, and use up their receives.
	leastPerSecond = 0.1
)

// slowdown is the effect of 429s on the rate: a pause, then a lower rate, then a linear recovery.
type slowdown struct {
	pause    time.Duration // after a 429 without Retry-After
	longest  time.Duration // also where an answer asks for more
	recovery time.Duration // time for half of the rate

	mu      sync.Mutex
	until   time.Time // end of the pause and begin of the recovery
	lowered time.Time // time of the last 429 that lowered the rate
	factor  float64   // fraction of the rate at the end of the pause
	code    string    // of the last 429
}

// on429 is Limiter.On429.
func (s *slowdown) on429(started time.Time, retryAfter time.Duration, code string) (pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	repeated := !started.After(s.lowered)
	pause = min(retryAfter, s.longest)
	if retryAfter <= 0 {
		if repeated {
			return 0
		}
		pause = s.pause
	}
	s.code = code
	if !repeated {
		s.factor = max(s.factorAt(now)*slowdownFactor, leastFactor)
		s.lowered = now
	}
	if end := now.Add(pause); end.After(s.until) {
		s.until = end
	}
	if repeated {
		return 0
	}
	return pause
}

// rate is the reduced rate at that time.
func (s *slowdown) rate(full rate.Limit, now time.Time) rate.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(full*rate.Limit(s.factorAt(now)), min(full, leastPerSecond))
}

// factorAt is the fraction of the full rate at that time. s.mu is held.
func (s *slowdown) factorAt(now time.Time) float64 {
	if s.lowered.IsZero() {
		return 1
	}
	recovered := max(now.Sub(s.until), 0).Seconds() / s.recovery.Seconds() * slowdownFactor
	return min(s.factor+recovered, 1)
}

// pausedUntil is the end of the last pause; it may be in the past.
func (s *slowdown) pausedUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until
}

// lastCode is the code of the last 429.
func (s *slowdown) lastCode() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}
