package lookup

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// Job is one receive of one message, with the calls that it may make. Request, Management and Deactivate are required.
type Job struct {
	Request deactivation.Request
	Age     time.Duration // of the message

	// Management finds, disables and reads back.
	Management Management

	// Deactivate frees one device of one license by the License API, with the limiter, the signature and the repetition
	// of a call. An Answer that is Deferred ends the run, unless it is OfLicense.
	Deactivate func(ctx context.Context, license deactivation.License) Answer

	// Alone waits until no call of the License API for these users runs, and lets none start until unlock is called. It is
	// called for a reset of a device, which is no call of Deactivate. Nil: nothing else makes such calls.
	Alone func(ctx context.Context, users []string) (unlock func(), err error)

	// Admit is the brake. It is called before the first write to licenses, with their identities, and again for additional
	// licenses; a license that it has already admitted counts once. A reason other than "" ends the run as a dead letter
	// with that reason, without a write to any of them. Nil admits all.
	Admit func(licenses []string) deactivation.Reason

	// Released means that a person has reviewed the message and lets it act: it passes reviews and caps, but never a
	// record that does not match.
	Released bool

	// Watch looks everything up and writes nothing: what would be written ends as a dead letter with the reason
	// watched. Admit is asked as if it were; what it would hold has the code surge.
	Watch bool
}

// Answer is the result of one deactivation.
type Answer struct {
	Outcome deactivation.Outcome
	Code    string
	Detail  string
	RetryIn time.Duration // of Deferred; 0: the caller's back-off
	Fault   string        // of Deferred, as in Result
	Err     error         // of Deferred, as in Result

	// OfLicense: of Deferred, the API refuses what may be this license alone. The run goes on with the other licenses, and then
	// ends with this answer.
	OfLicense bool
}

// Codes of a Result, in addition to those of the License API and http_<status>.
const (
	// CodeNoLicense: no license was found. Deferred while the fulfilment may be late, then rejected, or already_inactive for
	// a shop that sells other things.
	CodeNoLicense = "no_license"
	// CodeMismatch: a record or a device does not match the filter, and the API's filters work. Never released.
	CodeMismatch = "mismatch"
	// CodeUntrusted: the API's filters do not work. Deferred; the look-up stops.
	CodeUntrusted = "filters_untrusted"

	// Reviews: dead letters that a person may release.
	CodeTooMany        = "too_many"         // more licenses or devices than a message may act on
	CodePartial        = "partial"          // part of an order was refunded, and which of its licenses is not certain
	CodeUnconfirmed    = "unconfirmed"      // a buyer could write the id that found the license, and nothing else confirms it
	CodeGivenBack      = "given_back"       // somebody has enabled the license, or let it be activated, since the event
	CodeNewerThanEvent = "newer_than_event" // the license was made more than a day after the event

	// CodeStillEnabled and CodeStillActive: the API answered 200 to a write, and reading back shows no effect. Deferred.
	CodeStillEnabled = "still_enabled"
	CodeStillActive  = "still_active"

	// CodeNoActiveDevice and CodeAlreadyDisabled: codes of already_inactive when no work was left. After the first the
	// license can still be used: the request does not disable it.
	CodeNoActiveDevice  = "no_active_device"
	CodeAlreadyDisabled = "already_disabled"
)

// IsReview reports whether a code is of a dead letter that a person may release. CodeMismatch is not.
func IsReview(code string) bool {
	switch code {
	case CodeTooMany, CodePartial, CodeUnconfirmed, CodeGivenBack, CodeNewerThanEvent:
		return true
	}
	return false
}

// Result is the result of a request in this receive.
type Result struct {
	Outcome deactivation.Outcome
	Reason  deactivation.Reason // of Rejected
	Code    string
	Detail  string // for a person, without secrets

	RetryIn time.Duration // of Deferred: when it makes sense to try again; 0: the caller's back-off
	Waiting bool          // of Deferred: no license is found yet, which says nothing about an outage
	Fault   string        // of Deferred: the deployment's fault and what to do about it; "": not the deployment's
	Err     error         // of Deferred: the Management API's error; nil where there was none

	// StillUsable means that a license was found and can be activated again: the request does not disable it.
	StillUsable bool

	Report Report
}

// Report is what was found, done and read back.
type Report struct {
	Named    *Answer   // of the device that the request names; nil where none was deactivated
	Tried    []Attempt // the candidates of the look-up, in order
	Licenses []LicenseReport
	ReadBack bool // After… of the licenses were read
}

// Attempt is one candidate.
type Attempt struct {
	By    string // the filter's name
	Value string // a license key is shortened
	Found int    // licenses, by the API's count
	Note  string // why they do not count, or why the API was not asked; "": they count
}

// LicenseReport is one license of the request.
type LicenseReport struct {
	ID         int64
	Product    string // short code
	License    string // key, shortened; "" for a user-based one
	Hash       string // of the key (deactivation.HashLicense); "" for a user-based one
	WasEnabled bool
	Active     int  // devices that were active
	LeftAlone  int  // devices that were activated too long after the event
	Freed      int  // devices that this run has deactivated
	Inactive   int  // devices that were already inactive, or whose license was disabled
	Rejected   int  // devices that the API refused
	Disable    bool // the license is to be disabled by this run

	AfterEnabled bool // as read back, like AfterActive
	AfterActive  int  // -1: the record does not say
}

// String is one line with the candidate that found the licenses, the writes, and the state that was read back.
func (r Report) String() string {
	var parts []string
	if r.Named != nil {
		parts = append(parts, "named device: "+word(string(r.Named.Outcome), r.Named.Code))
	}
	for _, t := range r.Tried {
		text := t.By + " " + strconv.Quote(t.Value) + ": " + count(t.Found, "license")
		if t.Note != "" {
			text += " (" + t.Note + ")"
		}
		parts = append(parts, text)
	}
	for _, l := range r.Licenses {
		parts = append(parts, l.text(r.ReadBack))
	}
	return strings.Join(parts, "; ")
}

func (l LicenseReport) text(readBack bool) string {
	text := "license " + strconv.FormatInt(l.ID, 10)
	if l.License != "" {
		text += " " + l.License
	}
	text += " of " + l.Product + ": " + count(l.Active, "active device")
	for _, part := range []struct {
		n    int
		what string
	}{{l.Freed, "deactivated"}, {l.Inactive, "already inactive"}, {l.Rejected, "refused"}, {l.LeftAlone, "left alone"}} {
		if part.n > 0 {
			text += ", " + strconv.Itoa(part.n) + " " + part.what
		}
	}
	if !l.WasEnabled {
		text += ", was disabled"
	}
	if !readBack {
		return text
	}
	text += ", now enabled"
	if !l.AfterEnabled {
		text = strings.TrimSuffix(text, "enabled") + "disabled"
	}
	if l.AfterActive >= 0 {
		text += " with " + count(l.AfterActive, "active device")
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func word(outcome, code string) string {
	if code == "" {
		return outcome
	}
	return outcome + " " + code
}

// rejected is a dead letter with a code.
func (s *saga) rejected(code, detail string) *Result {
	return &Result{Outcome: deactivation.Rejected, Reason: deactivation.ReasonRejected, Code: code, Detail: detail}
}

// reviewed is a review. If a person has released the message, it returns nil.
func (s *saga) reviewed(code, detail string) *Result {
	if s.job.Released {
		return nil
	}
	return s.rejected(code, detail)
}

func deferredBy(a Answer) *Result {
	return &Result{Outcome: deactivation.Deferred, Code: a.Code, Detail: a.Detail, RetryIn: a.RetryIn, Fault: a.Fault, Err: a.Err}
}

// Faults of the deployment, for the operator who handles the alarm.
const (
	faultKey = "the Management API refuses the key: put a current management_api_key that may read and change licenses into the " +
		"secret behind LICENSE_API_SECRET_ARN"
	faultAddress   = "the Management API is not at its address, which ends in /api/v1: check MANAGEMENT_API_URL, --management-api"
	faultRefused   = "the Management API refuses a filter that its documentation has: ask LicenseSpring"
	faultUntrusted = "the Management API ignores its filters: a value that no license has found licenses. The look-up has stopped and probes " +
		"again every few minutes; ask LicenseSpring"
	faultIgnored = "the Management API answers 200 to a write and changes nothing: check that the key may change licenses, and ask LicenseSpring"
)

// transient returns the result of an error after which the message waits, or nil for an error that concerns the
// request: not found or refused.
func transient(err error) *Result {
	r := Result{Outcome: deactivation.Deferred, Code: managementapi.CodeOf(err), Detail: err.Error(), Err: err}
	switch managementapi.KindOf(err) {
	case managementapi.KindNotFound, managementapi.KindRejected:
		return nil
	case managementapi.KindUnauthorized:
		r.Fault = faultKey
	case managementapi.KindMisconfigured:
		r.Fault = faultAddress
	case managementapi.KindRateLimited:
		if answer, ok := errors.AsType[*managementapi.Error](err); ok {
			r.RetryIn = answer.RetryAfter
		}
	}
	return &r
}
