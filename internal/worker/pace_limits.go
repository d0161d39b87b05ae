package worker

import "time"

// The License API's limits, on every plan. All calls of one second have the same Authorization value, since it is made
// of the key and the date, and with OAuth all calls of an hour have it.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
const (
	perAddress        = 200 // calls in addressSpan
	addressSpan       = 10 * time.Second
	perAuthorization  = 50 // calls in authorizationSpan
	authorizationSpan = time.Second
	planSpan          = time.Minute
)

// margin is how much longer than the API's span ours is: a call that took the network longer than the next one of its
// place arrives closer to it. Of the address's ten seconds it is 50 ms. Time and not calls: instances that begin
// together call together, and then all of them come closer at once.
const margin = 0.005

// A Limit is the most calls in any span of time of that length. Calls must be at least 1, In above 0.
type Limit struct {
	Calls int
	In    time.Duration
}

func (l Limit) perSecond() float64 { return float64(l.Calls) / l.In.Seconds() }

// Stack is what all instances together may call.
type Stack struct {
	CallsPerSecond     float64 // the ceiling, above 0
	Instances          int     // that call at the same time, at least 1
	PlanCallsPerMinute int     // of the vendor's plan; 0: not known, no such limit
	LiveShare          float64 // the part of the plan that is left to live checks, 0 to below 1
}

// Share is one instance's part of the ceiling, in calls per second.
func (s Stack) Share() float64 { return s.CallsPerSecond / float64(s.Instances) }

// Limits is one instance's part of each of the License API's limits, so that all instances together keep them,
// however they fall together: spans are longer by a margin, and parts are rounded down to whole calls, which costs the
// less the fewer instances there are.
//
//	company        PlanCallsPerMinute × (1 − LiveShare) in 60 s; none where the plan is not known
//	address        200 in 10 s for all instances, since they may have one address. A ceiling above 20/s says that they
//	               have several: then an instance's part grows with it, up to what one address has
//	Authorization  50 in 1 s, which all share wherever they are
//
// A ceiling above 50/s cannot be meant for these published limits: the vendor has others (those of a single tenant are
// custom). Then the ceiling is obeyed as given, and only the plan limits it.
func (s Stack) Limits() []Limit {
	var limits []Limit
	if s.PlanCallsPerMinute > 0 {
		limits = append(limits, s.part(float64(s.PlanCallsPerMinute)*(1-s.LiveShare), planSpan))
	}
	if s.CallsPerSecond > perAuthorization {
		return limits
	}
	addresses := max(s.CallsPerSecond*addressSpan.Seconds()/perAddress, 1)
	addresses = min(addresses, float64(s.Instances))
	return append(limits,
		s.part(perAddress*addresses, addressSpan),
		s.part(perAuthorization, authorizationSpan))
}

// part is one instance's part of so many calls in that span. Less than one call becomes one in a longer span.
func (s Stack) part(calls float64, span time.Duration) Limit {
	const rounding = 1e-9 // 3 × a third may come out below 1
	in, part := float64(span)*(1+margin), calls/float64(s.Instances)
	if part+rounding < 1 {
		return Limit{Calls: 1, In: time.Duration(in / part).Round(time.Microsecond)}
	}
	return Limit{Calls: int(part + rounding), In: time.Duration(in).Round(time.Microsecond)}
}

// window remembers the calls of a Limit: its last Calls ones, each in the place of the one that it replaces.
type window struct {
	in    time.Duration
	turns []time.Time // zero: none yet
	next  int         // the oldest
}

func newWindow(l Limit) *window { return &window{in: l.In, turns: make([]time.Time, l.Calls)} }

// free is when there is room for one more call.
func (w *window) free() time.Time { return w.turns[w.next].Add(w.in) }

// take notes a call.
func (w *window) take(now time.Time) {
	w.turns[w.next] = now
	w.next = (w.next + 1) % len(w.turns)
}
