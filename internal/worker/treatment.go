package worker

import (
	"errors"
	"net/http"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi"
)

// The configuration faults, each with what to do, for the operator on call.
const (
	secretUnreadable = "the License API's secret cannot be read: give the secret behind LICENSE_API_SECRET_ARN a value " +
		`{"api_key":"…","shared_key":"…"} (for OAuth client_id and client_secret), and the worker's role the right to read it`
	secretUnusable = "the License API's secret cannot be used: put api_key and shared_key (for OAuth client_id and " +
		"client_secret) as LicenseSpring shows them into the secret behind LICENSE_API_SECRET_ARN, without white space at the ends"
	credentialsRefused = "the License API refuses the API key, its signature, or the OAuth client: put the company's current " +
		"api_key and shared_key (or client_id and client_secret) into the secret behind LICENSE_API_SECRET_ARN"
	dateRefused = "the License API refuses the date of a fresh signature: its clock and ours differ by more than 15 minutes; " +
		"nothing to set here, ask LicenseSpring"
	accessRefused = "the License API refuses access without saying why: check LICENSE_API_URL, and that there is no proxy in front of it"
	callRefused   = "the License API, or the token endpoint of OAuth, refuses every call: check LICENSE_API_URL (and token_url in the " +
		"secret, if it is there), and that the key or client may change licenses"
	productLocked       = "the API key may not change this message's product: allow the product for the key, or use another key"
	fileOrSecretRefused = "the License API refuses the signature, key or date of request files, one after another: check the secret behind " +
		"LICENSE_API_SECRET_ARN; if other calls succeed it is right, and the files were made with another key"
	licensesRefused = "the License API refuses license after license with the same answer: check the account at LicenseSpring (suspended, " +
		"unpaid), LICENSE_API_URL, and that there is no proxy in front of it"
	notConfirmed = "something answers 200 in place of the License API, and does not confirm the deactivation: check LICENSE_API_URL, and " +
		"that there is no proxy or maintenance page in front of it"
)

// Treatment is one row of the outcome table: what happens to a message after an answer of one kind.
type Treatment struct {
	Outcome deactivation.Outcome
	Happens string // the effect on the message, for a person who reads a dead letter or a log
	Todo    string // for the operator; "" for nothing
	Fault   string // the configuration fault, for the operator; "" for none
	Stops   bool   // the fault affects every message: no further call in this batch

	// ByEvidence: the answer may concern this license or the deployment. Fault and Stops count only once several licenses in a
	// row got it (evidence.go); until then the message is deferred with its back-off.
	ByEvidence bool
	// Rejects: from the fifth receive and the third refusal on the message is rejected, if other licenses succeeded meanwhile.
	Rejects bool
}

const (
	happensDeleted    = "deleted"
	happensDeadLetter = "to the dead-letter queue at once, reason `rejected`"
	happensLater      = "kept; tried again after 30 s, then at growing intervals of at most 15 minutes, for nearly three days; then to the " +
		"dead-letter queue, reason `exhausted`"
	happensAtCap      = "kept; tried again in 15 minutes, like the rest of its batch, until the fault is repaired"
	happensByEvidence = "kept and tried again like `unavailable`; from the fifth receive and the third such answer on to the dead-letter queue, reason `rejected`, " +
		"if other licenses succeeded meanwhile. Three licenses in a row with the same answer and no success between them: a configuration " +
		"fault; the batch is kept and tried again in 15 minutes"
	todoByEvidence = "look up the license in LicenseSpring, repair what the code names, and send the request again"
	happensFile    = "kept and tried again like `unavailable`; from the fifth receive on to the dead-letter queue, reason `rejected`, if other " +
		"licenses succeeded meanwhile. Three files in a row with the same answer and no success between them: a configuration fault; other " +
		"calls go on"
)

// TreatmentOf is the one table from the kind of an answer to the treatment of the message. The answer is the last one: if
// a fresh signature could change it, the call has been repeated (batch.shouldResign). A configuration fault never rejects
// a message: otherwise one wrong secret would move the whole queue to the dead-letter queue.
func TreatmentOf(kind licenseapi.Kind) Treatment {
	switch kind {
	case licenseapi.KindDeactivated:
		return Treatment{Outcome: deactivation.Deactivated, Happens: happensDeleted}
	case licenseapi.KindAlreadyInactive:
		return Treatment{Outcome: deactivation.AlreadyInactive, Happens: happensDeleted,
			Todo: "nothing, if the code is expected; many of them from one source mean that its hardware ids are wrong"}
	case licenseapi.KindRejected:
		return Treatment{Outcome: deactivation.Rejected, Happens: happensDeadLetter,
			Todo: "compare license key, product and device with LicenseSpring; correct them at their origin, then send the request again"}
	case licenseapi.KindUnavailable:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensLater,
			Todo: "nothing; if it lasts, look at LicenseSpring's status and at LICENSE_API_URL"}
	case licenseapi.KindRateLimited:
		return Treatment{Outcome: deactivation.Deferred, Happens: "kept; tried again after the API's Retry-After, or after a minute, and the worker slows down",
			Todo: "nothing; if it lasts, lower CallsPerSecond: live license checks share the limit"}
	case licenseapi.KindBadCredentials:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: credentialsRefused, Stops: true}
	case licenseapi.KindStaleDate:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: dateRefused, Stops: true}
	case licenseapi.KindUnauthorized:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensByEvidence, Todo: todoByEvidence,
			Fault: accessRefused, Stops: true, ByEvidence: true, Rejects: true}
	case licenseapi.KindRefused:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensByEvidence, Todo: todoByEvidence,
			Fault: licensesRefused, Stops: true, ByEvidence: true, Rejects: true}
	case licenseapi.KindUnconfirmed:
		return Treatment{Outcome: deactivation.Deferred, Happens: "kept and tried again like `unavailable`, since the next answer shows whether the " +
			"device is free. The second such answer in a row: a configuration fault; three licenses in a row: the batch is kept and tried again in 15 minutes",
			Todo: "find out what answers at LICENSE_API_URL: a proxy, a login page or a maintenance page", Fault: notConfirmed, Stops: true, ByEvidence: true}
	case licenseapi.KindMisconfigured:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensAtCap, Fault: callRefused, Stops: true}
	case licenseapi.KindProductNotAllowed:
		return Treatment{Outcome: deactivation.Deferred, Happens: "kept; tried again in 15 minutes; the rest of its batch goes on", Fault: productLocked}
	case licenseapi.KindFileRefused:
		return Treatment{Outcome: deactivation.Deferred, Happens: happensFile, Fault: fileOrSecretRefused, ByEvidence: true, Rejects: true,
			Todo: "`licensectl offline inspect --secrets FILE` on the request file says whether your keys signed it; for a file made with another or an older key, write a new file, or deactivate the license by its key and device"}
	}
	return Treatment{Outcome: deactivation.Deferred, Happens: happensLater} // a kind that this table does not have yet: retain the message
}

// fault is a configuration fault. It holds no secrets.
type fault struct {
	what     string
	evidence error
	code     string
	stops    bool
}

// setFault keeps one fault for the invocation: the first, but one that stops the batch replaces one that does not. After a
// fault that stops the batch no further call starts.
func (b *batch) setFault(f fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault == nil || f.stops && !b.fault.stops {
		b.fault = &f
	}
	if f.stops {
		b.stopCalls()
	}
}

// setSecretErr records that the secret is temporarily unavailable, which is not a configuration fault: the messages back off.
// No further call starts, since each would only read the secret again.
func (b *batch) setSecretErr(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.secretErr = err
	b.stopCalls()
}

// resultOf decides the outcome of a request of a message by a response. The client's errors hold no secret.
func (b *batch) resultOf(m *message, req deactivation.Request, resp response) result {
	t := TreatmentOf(resp.kind)
	r := result{outcome: t.Outcome, class: resp.kind.String(), latency: resp.latency, version: resp.version, code: deactivation.CleanText(licenseapi.CodeOf(resp.err))}
	if resp.err != nil {
		r.detail = deactivation.CleanText(messageOf(resp.err))
	}

	switch {
	case t.Outcome == deactivation.Deactivated, t.Outcome == deactivation.AlreadyInactive:
		b.h.evidence.succeeded(resp.started, callID(m, req))
	case t.Outcome == deactivation.Rejected:
		r.reason = deactivation.ReasonRejected
	case t.ByEvidence && !licenseapi.FromTokenEndpoint(resp.err):
		b.weigh(m, req, resp, t, &r)
	case t.Fault != "":
		r.retryIn, r.atFault, r.ofLicense = b.h.cfg.Backoff.Cap, true, !t.Stops
		b.setFault(fault{what: t.Fault, evidence: errors.Join(resp.err, resp.refreshErr), code: r.code, stops: t.Stops})
	case t.Outcome == deactivation.Deferred:
		r.retryIn = b.h.cfg.Backoff.after(resp.err, m.receives)
	}
	return r
}

// weigh decides a message whose answer may concern the message or the deployment, by the answers to other licenses. A 401
// without a code concerns the credentials, which are never the message's: it never rejects.
func (b *batch) weigh(m *message, req deactivation.Request, resp response, t Treatment, r *result) {
	s := b.h.evidence.refusal(r.class+" "+r.code, callID(m, req), req.Identity())
	r.retryIn = b.h.cfg.Backoff.wait(m.receives)
	// Other refused files are no evidence: each has its own key, and a success shows that the header's is right.
	local := s.local || resp.kind == licenseapi.KindFileRefused && s.succeeded
	switch {
	case t.Rejects && local && m.receives >= localReceives && !hasStatus(resp.err, http.StatusUnauthorized):
		r.outcome, r.reason, r.retryIn = deactivation.Rejected, deactivation.ReasonRejected, 0
	case s.deployment:
		r.retryIn, r.atFault = b.h.cfg.Backoff.Cap, true
		b.setFault(fault{what: t.Fault, evidence: resp.err, code: r.code, stops: t.Stops})
	case !t.Rejects && s.repeated:
		r.atFault = true
		b.setFault(fault{what: t.Fault, evidence: resp.err, code: r.code})
	}
	r.ofLicense = r.outcome == deactivation.Deferred && !s.deployment
}

// callID identifies a call of a message among those of its receives. A look-up may make one for each of several devices.
func callID(m *message, req deactivation.Request) string {
	if !m.looksUp {
		return m.request.ID
	}
	return m.request.ID + " " + deactivation.HashUser(req.Identity()+" "+req.HardwareID)
}

func hasStatus(err error, status int) bool {
	refused, ok := errors.AsType[*licenseapi.Error](err)
	return ok && refused.Status == status
}

// messageOf is the API's own message if it sent one, else the error's text.
func messageOf(err error) string {
	if refused, ok := errors.AsType[*licenseapi.Error](err); ok && refused.Message != "" {
		return refused.Message
	}
	return err.Error()
}
