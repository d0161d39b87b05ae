package lookup

import (
	"time"

	"license-deactivator/internal/deactivation"
)

// nothingToFindBy ends a request without an id for a list.
func (s *saga) nothingToFindBy() *Result {
	const why = "the request holds no id that a license can be looked up by"
	switch {
	case s.report.Named != nil: // it is done as without look-up
		r := s.namedResult()
		r.StillUsable = true
		r.Detail = s.report.String() + "; " + why + ", and is not disabled"
		return r
	case s.job.Watch && s.namesDevice() && !s.request.Buyer:
		r := s.watched(nil)
		r.Detail += why + ", and would not be disabled"
		return &r
	case s.request.Lookup.None == deactivation.NoneIgnore:
		return &Result{Outcome: deactivation.AlreadyInactive, Code: CodeNoLicense, Detail: why}
	}
	return s.rejected(CodeNoLicense, why)
}

// namedResult is the result of the device that the request names.
func (s *saga) namedResult() *Result {
	a := *s.report.Named
	r := &Result{Outcome: a.Outcome, Code: a.Code, Detail: a.Detail}
	if a.Outcome == deactivation.Rejected {
		r.Reason = deactivation.ReasonRejected
	}
	return r
}

// notFound waits for a late fulfilment, and then ends the request.
func (s *saga) notFound(unconfirmed, refused *Result) *Result {
	if wait := s.l.waitForLicense(s.request.ID, s.job.Age, s.now); wait > 0 {
		return &Result{
			Outcome: deactivation.Deferred, Code: CodeNoLicense, Detail: "no license yet: " + s.report.String(), RetryIn: wait, Waiting: true,
		}
	}
	switch {
	case unconfirmed != nil:
		return unconfirmed
	case refused != nil:
		return refused
	case s.report.Named != nil && (s.request.Lookup.None == deactivation.NoneIgnore || s.report.Named.Outcome == deactivation.Rejected):
		r := s.namedResult() // where the License API refuses what the request names, its code says more than no_license
		r.Detail = s.report.String()
		return r
	case s.request.Lookup.None == deactivation.NoneIgnore:
		return &Result{Outcome: deactivation.AlreadyInactive, Code: CodeNoLicense, Detail: s.report.String()}
	}
	return s.rejected(CodeNoLicense, s.report.String())
}

// waitForLicense returns how long to wait before the next look-up of a message without a license; 0: no further one.
// The schedule depends on the message's age, not on its receives, which an outage may have used. A message of any age
// is looked up at least twice, with some time between.
func (l *Lookup) waitForLicense(id string, age time.Duration, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, looked := l.first[id]
	if !looked {
		if len(l.first) >= maxRemembered {
			clear(l.first)
		}
		l.first[id] = now
	}
	for _, at := range l.cfg.NotFound {
		if age < at {
			return at - age
		}
	}
	shortest := l.cfg.NotFound[0]
	if !looked {
		return shortest
	}
	if wait := shortest - now.Sub(first); wait > 0 { // another copy of the message was just looked up
		return wait
	}
	delete(l.first, id)
	return 0
}

// forget drops the record of a message whose license is found.
func (l *Lookup) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.first, id)
}
