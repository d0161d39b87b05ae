package worker

import (
	"errors"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi"
)

// What a configuration fault is and what to do about it, for the person whom the alarm wakes.
const (
	secretUnreadable = "the License API's secret cannot be read: give the secret behind LICENSE_API_SECRET_ARN a value " +
		`{"api_key":"…","shared_key":"…"} (for OAuth client_id and client_secret), and the worker's role the right to read it`
	secretUnusable = "the License API's secret cannot be used: put api_key and shared_key (for OAuth client_id and " +
		"client_secret) as LicenseSpring shows them into the secret behind LICENSE_API_SECRET_ARN, without white space at the ends"
	credentialsRefused = "the License API refuses the API key, its signature, or the OAuth client: put the company's current " +
		"api_key and shared_key (or client_id and client_secret) into the secret behind LICENSE_API_SECRET_ARN"
	dateRefused = "the License API refuses the date of a fresh signature: its clock and ours differ by more than 15 minutes; " +
		"nothing to set here, ask LicenseSpring"
	accessRefused = "the License API refuses access without saying why: check LICENSE_API_URL, and that no proxy stands before it"
	callRefused   = "the License API, or the token endpoint of OAuth, refuses every call: check LICENSE_API_URL (and token_url in the " +
		"secret, if it is there), and that the key or client may change licenses"
	productLocked = "the API key may not touch this message's product: allow the product for the key, or use another key"
)

// Verdict is one row of the outcome table: what becomes of a message by the kind of the API's answer.
type Verdict struct {
	Outcome deactivation.Outcome
	Happens string // what happens to the message, for a person who reads a dead letter or a log
	Todo    string // what a person has to do; "" where nothing
	Fault   string // what the operator is told; "" where the deployment is not at fault
	Stops   bool   // the fault is every message's: no further call in this batch
}

const (
	happensDeleted    = "deleted"
	happensDeadLetter = "to the dead-letter queue at once, reason `rejected`"
	happensLater      = "kept; tried again after 30 s, then ever later, at most every 15 minutes, for three days"
	happensAtCap      = "kept; tried again in 15 minutes, like the rest of its batch, until the fault is mended"
)

// VerdictOf is the one table from the kind of an answer to what becomes of the message, for an answer that decides:
// one that another signature may mend (batch.mendable) has been asked for twice by then. Our own fault is never a
// rejection, or one wrong secret would empty the queue into the dead-letter queue.
func VerdictOf(kind licenseapi.Kind) Verdict {
	switch kind {
	case licenseapi.KindDeactivated:
		return Verdict{Outcome: deactivation.Deactivated, Happens: happensDeleted}
	case licenseapi.KindAlreadyInactive:
		return Verdict{Outcome: deactivation.AlreadyInactive, Happens: happensDeleted,
			Todo: "nothing, if the code is expected; many of them from one source mean that its hardware ids are wrong"}
	case licenseapi.KindRejected:
		return Verdict{Outcome: deactivation.Rejected, Happens: happensDeadLetter,
			Todo: "compare license key, product and device with LicenseSpring; mend them where the store got them from, then send the request again"}
	case licenseapi.KindUnavailable:
		return Verdict{Outcome: deactivation.Deferred, Happens: happensLater,
			Todo: "nothing; if it lasts, look at LicenseSpring's status and at LICENSE_API_URL"}
	case licenseapi.KindRateLimited:
		return Verdict{Outcome: deactivation.Deferred, Happens: "kept; tried again when the API says, or after a minute, and the worker slows down",
			Todo: "nothing; if it lasts, lower CallsPerSecond: live license checks share the limit"}
	case licenseapi.KindBadCredentials:
		return Verdict{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: credentialsRefused, Stops: true}
	case licenseapi.KindStaleDate:
		return Verdict{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: dateRefused, Stops: true}
	case licenseapi.KindUnauthorized:
		return Verdict{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: accessRefused, Stops: true}
	case licenseapi.KindMisconfigured:
		return Verdict{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: callRefused, Stops: true}
	case licenseapi.KindProductNotAllowed:
		return Verdict{Outcome: deactivation.Deferred, Happens: "kept; tried again in 15 minutes; the rest of its batch goes on", Fault: productLocked}
	}
	return Verdict{Outcome: deactivation.Deferred, Happens: happensLater} // a kind that this table does not know yet: keep the message
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
	v := VerdictOf(a.kind)
	r := result{outcome: v.Outcome, class: a.kind.String(), latency: a.latency, version: a.version, code: deactivation.CleanText(licenseapi.CodeOf(a.err))}
	if a.err != nil {
		r.detail = deactivation.CleanText(messageOf(a.err))
	}

	switch {
	case v.Outcome == deactivation.Rejected:
		r.reason = deactivation.ReasonRejected
	case v.Fault != "":
		r.retryIn = b.h.cfg.Backoff.Cap
		b.note(fault{what: v.Fault, evidence: errors.Join(a.err, a.stale), code: r.code, stops: v.Stops})
	case v.Outcome == deactivation.Deferred:
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
