package throttle

import (
	"sync"
	"time"
)

// margin is how much longer than the API's span a Limit's span is, as a fraction. A call that takes longer in the
// network than the next call of its slot arrives closer to it. For a span of ten seconds the margin is 50 ms. It is in
// time and not in calls: instances that start together call together, so all of them come closer at once.
const margin = 0.005

// A Limit is the most calls in any time span of that length. Calls must be at least 1, In above 0.
type Limit struct {
	Calls int
	In    time.Duration
}

// PerSecond is the rate that the limit allows.
func (l Limit) PerSecond() float64 { return float64(l.Calls) / l.In.Seconds() }

// PerInstance returns one instance's part of an API's limit of so many calls in a span. All instances together keep the
// limit, however their calls coincide: the span is longer by a margin, and the part is rounded down to whole calls,
// which costs less the fewer instances there are. A part of less than one call becomes one call in a longer span. calls
// must be above 0, instances at least 1.
func PerInstance(calls float64, span time.Duration, instances int) Limit {
	const rounding = 1e-9 // 3 × a third may come out below 1
	in, part := float64(span)*(1+margin), calls/float64(instances)
	if part+rounding < 1 {
		return Limit{Calls: 1, In: time.Duration(in / part).Round(time.Microsecond)}
	}
	return Limit{Calls: int(part + rounding), In: time.Duration(in).Round(time.Microsecond)}
}

// window holds the start times of a Limit's last Calls calls, in a ring.
type window struct {
	in     time.Duration
	starts []time.Time // zero: no call yet
	oldest int
}

func newWindow(l Limit) *window { return &window{in: l.In, starts: make([]time.Time, l.Calls)} }

// free returns the time at which there is room for one more call.
func (w *window) free() time.Time { return w.starts[w.oldest].Add(w.in) }

// record adds a call.
func (w *window) record(now time.Time) {
	w.starts[w.oldest] = now
	w.oldest = (w.oldest + 1) % len(w.starts)
}

// Shared is a Limit on the calls of several limiters together. It is safe for concurrent use.
type Shared struct {
	mu sync.Mutex
	w  *window
}

// NewShared returns a limit without a call.
func NewShared(l Limit) *Shared { return &Shared{w: newWindow(l)} }

// take adds a call that is scheduled for at, by now, and returns the time at which it counts; or it returns the later time at
// which there may be room for it. As for a Limiter's own limits, a call may start earlier by timerGrain than it counts. A nil
// Shared always has room.
func (s *Shared) take(at time.Time) (free time.Time, ok bool) {
	if s == nil {
		return at, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	free = s.w.free()
	for _, t := range []time.Time{at, now} {
		if t.After(free) {
			free = t
		}
	}
	if free.After(now.Add(timerGrain)) {
		return free, false
	}
	s.w.record(free)
	return free, true
}
