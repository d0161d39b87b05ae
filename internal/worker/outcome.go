package worker

import (
	"errors"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi"
)

// What a configuration fault is and what to do about it, for the person whom the alarm wakes.
const (
	secretUnreadable = "the License API's secret cannot be read: give the secret behind LICENSE_API_SECRET_ARN a value " +
		`{"api_key":"…","shared_key":"…"}, and the worker's role the right to read it`
	secretUnusable = "the License API's secret cannot be used: put api_key and shared_key as LicenseSpring shows them " +
		"into the secret behind LICENSE_API_SECRET_ARN, without white space at the ends"
	credentialsRefused = "the License API refuses the API key or its signature: put the company's current api_key and " +
		"shared_key into the secret behind LICENSE_API_SECRET_ARN"
	dateRefused = "the License API refuses the date of a fresh signature: its clock and ours differ by more than 15 minutes; " +
		"nothing to set here, ask LicenseSpring"
	accessRefused = "the License API refuses access without saying why: check LICENSE_API_URL, and that no proxy stands before it"
	callRefused   = "the License API refuses every call: check LICENSE_API_URL, and that the API key may change licenses"
	productLocked = "the API key may not touch this message's product: allow the product for the key, or use another key"
)

// verdict is one row of the outcome table.
type verdict struct {
	outcome deactivation.Outcome
	fault   string // what to tell the operator; "" where the deployment is not at fault
	stops   bool   // the fault is every message's: no further call in this batch
}

// verdictOf is the one table from the kind of an answer to what becomes of the message, for an answer that
// decides: one that another signature may mend (batch.mendable) has been asked for twice by then. Our own fault
// is never a rejection, or one wrong secret would empty the queue into the dead-letter queue.
func verdictOf(kind licenseapi.Kind) verdict {
	switch kind {
	case licenseapi.KindDeactivated:
		return verdict{outcome: deactivation.Deactivated}
	case licenseapi.KindAlreadyInactive:
		return verdict{outcome: deactivation.AlreadyInactive}
	case licenseapi.KindRejected:
		return verdict{outcome: deactivation.Rejected}
	case licenseapi.KindUnavailable, licenseapi.KindRateLimited:
		return verdict{outcome: deactivation.Deferred}
	case licenseapi.KindBadCredentials:
		return verdict{outcome: deactivation.Deferred, fault: credentialsRefused, stops: true}
	case licenseapi.KindStaleDate:
		return verdict{outcome: deactivation.Deferred, fault: dateRefused, stops: true}
	case licenseapi.KindUnauthorized:
		return verdict{outcome: deactivation.Deferred, fault: accessRefused, stops: true}
	case licenseapi.KindMisconfigured:
		return verdict{outcome: deactivation.Deferred, fault: callRefused, stops: true}
	case licenseapi.KindProductNotAllowed:
		return verdict{outcome: deactivation.Deferred, fault: productLocked}
	}
	return verdict{outcome: deactivation.Deferred} // a kind that this table does not know yet: keep the message
}

// fault is a configuration fault, without secrets.
type fault struct {
	what     string
	evidence error
	code     string
	stops    bool
}

// note keeps one fault for the invocation: the first, but one that stops the batch before one that does not. With
// one that stops it the batch's other messages are not called any more.
func (b *batch) note(f fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault == nil || f.stops && !b.fault.stops {
		b.fault = &f
	}
	if f.stops {
		b.stopCalls()
	}
}

// resultOf decides a message by an answer. The client has taken everything secret out of its errors.
func (b *batch) resultOf(m *message, a answer) result {
	v := verdictOf(a.kind)
	r := result{outcome: v.outcome, latency: a.latency, version: a.version, code: clean(licenseapi.CodeOf(a.err))}
	if a.err != nil {
		r.detail = clean(messageOf(a.err))
	}

	switch {
	case v.outcome == deactivation.Rejected:
		r.reason = deactivation.ReasonRejected
	case v.fault != "":
		r.retryIn = b.h.cfg.Backoff.Cap
		b.note(fault{what: v.fault, evidence: errors.Join(a.err, a.stale), code: r.code, stops: v.stops})
	case v.outcome == deactivation.Deferred:
		r.retryIn = b.h.cfg.Backoff.after(a.err, m.receives)
	}
	return r
}

// messageOf is the API's own message where it sent one, else the error's text.
func messageOf(err error) string {
	if answered, ok := errors.AsType[*licenseapi.Error](err); ok && answered.Message != "" {
		return answered.Message
	}
	return err.Error()
}
