package worker

import (
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/lookup"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

// The limits of both APIs, on every plan. The calls of both count together for one address. All calls of one second have
// the same Authorization value, since it is made from the key and the date; with OAuth all calls during a token's life have
// it, and the Management API's value is always the key.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
const (
	perAddress        = 200 // calls in addressSpan
	addressSpan       = 10 * time.Second
	perAuthorization  = 50 // calls in authorizationSpan
	authorizationSpan = time.Second
	planSpan          = time.Minute
)

// Stack is the configuration of all instances together.
type Stack struct {
	CallsPerSecond     float64 // the ceiling, above 0
	Instances          int     // that call at the same time, at least 1
	PlanCallsPerMinute int     // of the vendor's plan; 0: not known, no such limit
	LiveShare          float64 // the part of the plan that is left to live checks, 0 to below 1
	SurgeLimit         int     // licenses of a source and hour; 0: no brake

	LookUp                   bool
	ManagementCallsPerMinute int // of the Management API, with LookUp
}

// PerInstance is one instance's part of the ceiling, in calls per second.
func (s Stack) PerInstance() float64 { return s.CallsPerSecond / float64(s.Instances) }

// SurgePart is one instance's part of SurgeLimit, rounded down.
func (s Stack) SurgePart() int { return s.SurgeLimit / s.Instances }

// Check refuses a SurgeLimit of which an instance's part is less than one license: the brake would hold every message. It
// refuses a plan of which an instance's part does not allow one call in an invocation of that length: its messages would be
// received and returned until their receives are used up. It also refuses more instances than a flood limit has calls, since
// one call of each may fall into the same second, and a part of the Management API's calls with which a large order could
// never be read. Each problem is an error with its arithmetic, by the names of the settings.
// internal/config checks an instance's part of CALLS_PER_SECOND.
func (s Stack) Check(invocation time.Duration) error {
	var problems []error
	if s.SurgeLimit > 0 && s.SurgePart() < 1 {
		problems = append(problems, fmt.Errorf("worker: SURGE_LIMIT %d ÷ WORKER_INSTANCES %d is less than one license for each: raise SURGE_LIMIT, "+
			"lower WORKER_INSTANCES, or set SURGE_LIMIT to 0 for no brake", s.SurgeLimit, s.Instances))
	}
	if s.PlanCallsPerMinute > 0 {
		available := invocation - callReserve - leastCall
		part := throttle.PerInstance(s.planCalls(), planSpan, s.Instances)
		if every := part.In / time.Duration(part.Calls); every > available {
			problems = append(problems, fmt.Errorf("worker: PLAN_CALLS_PER_MINUTE %d × (1 − LIVE_SHARE %v) ÷ WORKER_INSTANCES %d is one call in %v, "+
				"and an invocation has %v for calls: lower WORKER_INSTANCES or LIVE_SHARE",
				s.PlanCallsPerMinute, s.LiveShare, s.Instances, every.Round(time.Millisecond), available))
		}
	}
	if s.LookUp && s.managementCallsIn(invocation) < readsOfOneMessage {
		problems = append(problems, fmt.Errorf("worker: MANAGEMENT_CALLS_PER_MINUTE %d ÷ WORKER_INSTANCES %d is %d calls in the %v that an invocation has for calls, "+
			"and one message may need %d before its first write: raise MANAGEMENT_CALLS_PER_MINUTE or lower WORKER_INSTANCES",
			s.ManagementCallsPerMinute, s.Instances, s.managementCallsIn(invocation), invocation-callReserve-leastCall, readsOfOneMessage))
	}
	if s.CallsPerSecond > perAuthorization {
		return errors.Join(problems...)
	}
	for _, flood := range []struct {
		calls int
		in    time.Duration
	}{{perAuthorization, authorizationSpan}, {int(perAddress * s.addresses()), addressSpan}} {
		if s.Instances > flood.calls {
			problems = append(problems, fmt.Errorf("worker: WORKER_INSTANCES %d × 1 call is above the License API's limit of %d calls in %v: lower WORKER_INSTANCES",
				s.Instances, flood.calls, flood.in))
		}
	}
	return errors.Join(problems...)
}

// planCalls is the stack's part of the plan, in calls per planSpan.
func (s Stack) planCalls() float64 { return float64(s.PlanCallsPerMinute) * (1 - s.LiveShare) }

// addresses is how many addresses the ceiling implies, at least 1 and at most one for each instance.
func (s Stack) addresses() float64 {
	return min(max(s.CallsPerSecond*addressSpan.Seconds()/perAddress, 1), float64(s.Instances))
}

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
		limits = append(limits, throttle.PerInstance(s.planCalls(), planSpan, s.Instances))
	}
	if s.CallsPerSecond > perAuthorization {
		return limits
	}
	return append(limits,
		s.together(),
		throttle.PerInstance(perAuthorization, authorizationSpan, s.Instances))
}

// readsOfOneMessage is how many calls of the Management API a message may need before its first write, which is progress
// that a later receive does not repeat: the probes of the four filters, lists by the key, six orders (the most that a
// sender's file has) and the subscription, the devices of ten licenses, and the list that reads back.
const readsOfOneMessage = 4 + 8 + lookup.DefaultMaxLicenses + 1

// managementPerInstance is one instance's part of ManagementCallsPerMinute, in calls per second.
func (s Stack) managementPerInstance() float64 {
	return float64(s.ManagementCallsPerMinute) / planSpan.Seconds() / float64(s.Instances)
}

// managementCallsIn is how many calls of the Management API an instance may make in an invocation of that length.
func (s Stack) managementCallsIn(invocation time.Duration) int {
	return int(s.managementPerInstance() * (invocation - callReserve - leastCall).Seconds())
}

// managementLimits is one instance's part of the Management API's limits: of its calls in a minute, and of an Authorization
// value where Limits has that.
func (s Stack) managementLimits() []throttle.Limit {
	limits := []throttle.Limit{throttle.PerInstance(float64(s.ManagementCallsPerMinute), planSpan, s.Instances)}
	if s.CallsPerSecond > perAuthorization {
		return limits
	}
	return append(limits, throttle.PerInstance(perAuthorization, authorizationSpan, s.Instances))
}

// together is one instance's part of the limit on the calls of one address, to both APIs; zero where Limits has none.
func (s Stack) together() throttle.Limit {
	if s.CallsPerSecond > perAuthorization {
		return throttle.Limit{}
	}
	return throttle.PerInstance(perAddress*s.addresses(), addressSpan, s.Instances)
}

// sagas is how many messages an instance looks up at the same time: as many as can all be read in one invocation. With more,
// each would get fewer calls than it needs, and none would finish.
func (s Stack) sagas(invocation time.Duration) int {
	return max(s.managementCallsIn(invocation)/readsOfOneMessage, 1)
}

// releasedLicenses is the most licenses of a message that a person has released. Each needs a call that lists its devices
// before the first write to any, and these may take half of an invocation's calls. A message with more reads than an invocation
// has calls would read all of them again at each receive, and never write.
func (s Stack) releasedLicenses(invocation time.Duration) int {
	return max(s.managementCallsIn(invocation)/2, lookup.DefaultMaxLicenses)
}

// LookUpPart is one instance's part of the look-up's configuration, for invocations of that length; nil without LookUp.
func (s Stack) LookUpPart(api managementapi.Config, keys ManagementKeys, invocation time.Duration) *LookUp {
	if !s.LookUp {
		return nil
	}
	return &LookUp{
		API: api, Keys: keys, CallsPerSecond: s.managementPerInstance(), Limits: s.managementLimits(), Together: s.together(),
		AtOnce: s.sagas(invocation), MaxReleased: s.releasedLicenses(invocation),
	}
}
