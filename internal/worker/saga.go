package worker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

// noManagementKey is the configuration fault of a look-up without a key; internal/lookup has the others.
const noManagementKey = "LOOK_UP is on, and there is no usable key of the Management API: add management_api_key, as LicenseSpring shows it, to " +
	"the secret behind LICENSE_API_SECRET_ARN, or set LOOK_UP to off; only messages that need a look-up wait"

const (
	// countedReceives is the last receive at which SQS counts a message in ApproximateAgeOfOldestMessage, and waitingFirsts is
	// the longest wait until then of a message without a license, in units of Backoff.First: three minutes in production. Its
	// next looks are 2, 5, 8, 15 and 60 minutes after it was sent. Without those at 5 and 8 it would set off the alarm for
	// messages that are never received, at 15 minutes.
	countedReceives = 3
	waitingFirsts   = 6
)

// freeNamed deactivates the device that a message names, before its look-up. It decides the message if the brake holds it, or
// if the device is to be tried again.
func (b *batch) freeNamed(m *message) (result, bool) {
	if guarded, ok := b.guard(m); ok {
		return guarded, true
	}
	r := b.call(m, m.request)
	if r.outcome == deactivation.Deferred {
		return r, true
	}
	m.named = &r
	return result{}, false
}

// runSaga looks a message up and does what is left to do.
func (b *batch) runSaga(m *message) (result, bool) {
	var last result   // the latest answer of the License API
	var waits *result // the one for which the message waits
	var held string   // why the brake holds the message
	found := b.h.lookUp.saga.Run(b.calls, lookup.Job{
		Request: m.request, Age: b.ageOf(m), Management: management{b},
		Released: !m.request.Released.IsZero(), Watch: b.h.cfg.Watch,
		Deactivate: func(_ context.Context, license deactivation.License) lookup.Answer {
			last = b.deactivate(m, license)
			counted := last // besides the answer that decides, which the message's line counts
			if last.outcome == deactivation.Deferred && (waits == nil || !last.ofLicense) {
				latest := last
				counted, waits = *cmp.Or(waits, &result{}), &latest
			}
			if counted.class != "" {
				b.h.cfg.Recorder.Answer(counted.class, counted.latency)
			}
			return lookup.Answer{Outcome: last.outcome, Code: last.code, Detail: last.detail, RetryIn: last.retryIn, OfLicense: last.ofLicense}
		},
		Alone: b.aloneWith,
		Admit: func(licenses []string) deactivation.Reason {
			if held = b.h.held(m.request, licenses...); held != "" {
				return deactivation.ReasonHeld
			}
			return ""
		},
	})
	m.found = &found
	switch {
	case found.Outcome == deactivation.Deferred && waits != nil && found.Err == nil && found.Fault == "":
		waits.notCalled = waits.notCalled && !acted(found.Report)
		return *waits, true
	case found.Outcome == deactivation.Deferred:
		r := b.later(m, found)
		r.notCalled = !acted(found.Report)
		return r, true
	}
	r := result{outcome: found.Outcome, reason: found.Reason, code: deactivation.CleanText(found.Code), detail: found.Detail, version: last.version}
	if held != "" {
		r.code, r.detail = deactivation.CodeSurge, deactivation.CleanText(held+"; "+found.Detail)
	}
	if b.h.cfg.Watch {
		r = watched(m, r)
	}
	if r.outcome != deactivation.Rejected && r.detail == deactivation.CleanText(found.Report.String()) {
		r.detail = "" // the line has the whole report
	}
	return r, true
}

// aloneWith lets no call for these users start until unlock is called.
func (b *batch) aloneWith(ctx context.Context, users []string) (unlock func(), err error) {
	var identities []string
	for _, user := range users {
		identities = append(identities, deactivation.License{Username: user}.Identity())
	}
	return b.h.calling.Lock(ctx, identities...)
}

// ageOf is the age of a message, by which a look-up without a license ends. Where SQS does not say when it was sent, it is that
// of its event.
func (b *batch) ageOf(m *message) time.Duration {
	now := b.h.cfg.Now()
	if age := ageOf(m.record, now); age > 0 || m.request.ReceivedAt.IsZero() {
		return age
	}
	return max(now.Sub(m.request.ReceivedAt), 0)
}

// acted reports whether a run has made a call that was to change something.
func acted(r lookup.Report) bool {
	return r.Named != nil || r.ReadBack || slices.ContainsFunc(r.Licenses, func(l lookup.LicenseReport) bool {
		return l.Freed+l.Inactive+l.Rejected > 0
	})
}

// deactivate frees one device of a look-up. That of the device which the message names may already be there.
func (b *batch) deactivate(m *message, license deactivation.License) result {
	if r := m.named; r != nil {
		m.named = nil
		return *r
	}
	request := m.request
	request.Action, request.License = deactivation.ActionDeactivateLicense, license
	return b.call(m, request)
}

// watched is a look-up's result in watch mode: also one that would end without a write to what it finds.
func watched(m *message, r result) result {
	if r.reason != deactivation.ReasonWatched {
		would := "would end it as " + string(r.outcome) + ": "
		if m.namesDevice() {
			would = "would " + describe(m.request) + ", and then end it as " + string(r.outcome) + ": "
		}
		return result{outcome: deactivation.Rejected, reason: deactivation.ReasonWatched, code: r.code, detail: deactivation.CleanText(would + r.detail)}
	}
	if r.code == deactivation.CodeSurge {
		r.detail = deactivation.CleanText("would hold it: " + r.detail)
	}
	return r
}

// later decides a message whose look-up is to be repeated.
func (b *batch) later(m *message, found lookup.Result) result {
	backoff := b.h.cfg.Backoff
	r := result{
		outcome: deactivation.Deferred, code: deactivation.CleanText(found.Code), detail: found.Detail,
		retryIn: max(found.RetryIn, backoff.wait(m.receives)),
	}
	paused, isPaused := errors.AsType[*throttle.PausedError](found.Err)
	key, noKey := errors.AsType[*keyError](found.Err)
	kind := managementapi.KindOf(found.Err)
	switch {
	case found.Waiting:
		r.retryIn = found.RetryIn
		if m.receives <= countedReceives {
			r.retryIn = min(r.retryIn, waitingFirsts*backoff.First)
		}
	case noKey && key.temporary:
		r.code, r.detail = "", deactivation.CleanText("not looked up, the Management API's key cannot be read now: "+key.Error())
	case noKey:
		r.code, r.detail, r.retryIn = "", "not looked up, there is no usable key of the Management API", backoff.Cap
		r.atFault = true
		b.setFault(fault{what: noManagementKey, evidence: key})
	case found.Fault != "":
		if kind == managementapi.KindUnauthorized || kind == managementapi.KindMisconfigured {
			r.retryIn = backoff.Cap
		}
		r.atFault = true
		b.setFault(fault{what: found.Fault, evidence: evidenceOf(found), code: r.code})
	case isPaused:
		r.retryIn, r.code = backoff.RateLimited(m.receives, paused.Left, random()), deactivation.CleanText(paused.Code)
		r.detail = "not looked up, the Management API asked for a pause that is longer than this invocation"
	case errors.Is(found.Err, throttle.ErrOpen):
		r.code = deactivation.CleanText(b.h.lookUp.breaker.LastCode())
		r.detail = "not looked up, the Management API did not answer the previous calls"
	case errors.Is(found.Err, throttle.ErrExceedsDeadline), b.calls.Err() != nil:
		return b.noTime(m)
	case kind == managementapi.KindRateLimited:
		r.retryIn = backoff.RateLimited(m.receives, found.RetryIn, random())
	}
	return r
}

// evidenceOf is the evidence of a fault.
func evidenceOf(found lookup.Result) error {
	if found.Err != nil {
		return found.Err
	}
	return errors.New(found.Detail)
}
