package worker

import (
	"time"

	"license-deactivator/internal/throttle"
)

// The License API's limits, on every plan. All calls of one second have the same Authorization value, since it is made
// of the key and the date; with OAuth all calls of a token's life have it.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
const (
	perAddress        = 200 // calls in addressSpan
	addressSpan       = 10 * time.Second
	perAuthorization  = 50 // calls in authorizationSpan
	authorizationSpan = time.Second
	planSpan          = time.Minute
)

// Stack is what all instances together may call.
type Stack struct {
	CallsPerSecond     float64 // the ceiling, above 0
	Instances          int     // that call at the same time, at least 1
	PlanCallsPerMinute int     // of the vendor's plan; 0: not known, no such limit
	LiveShare          float64 // the part of the plan that is left to live checks, 0 to below 1
}

// PerInstance is one instance's part of the ceiling, in calls per second.
func (s Stack) PerInstance() float64 { return s.CallsPerSecond / float64(s.Instances) }

// Limits is one instance's part of each of the License API's limits (throttle.PerInstance):
//
//	company        PlanCallsPerMinute × (1 − LiveShare) in 60 s; none where the plan is not known
//	address        200 in 10 s for all instances, since they may have one address. A ceiling above 20/s says that they
//	               have several: then an instance's part grows with it, up to what one address has
//	Authorization  50 in 1 s, which all share wherever they are
//
// A ceiling above 50/s cannot be meant for these published limits: the vendor has others (those of a single tenant are
// custom). Then the ceiling is obeyed as given, and only the plan limits it.
func (s Stack) Limits() []throttle.Limit {
	var limits []throttle.Limit
	if s.PlanCallsPerMinute > 0 {
		limits = append(limits, throttle.PerInstance(float64(s.PlanCallsPerMinute)*(1-s.LiveShare), planSpan, s.Instances))
	}
	if s.CallsPerSecond > perAuthorization {
		return limits
	}
	addresses := max(s.CallsPerSecond*addressSpan.Seconds()/perAddress, 1)
	addresses = min(addresses, float64(s.Instances))
	return append(limits,
		throttle.PerInstance(perAddress*addresses, addressSpan, s.Instances),
		throttle.PerInstance(perAuthorization, authorizationSpan, s.Instances))
}
