package licenseapi

import (
	"errors"
	"net/http"
	"strconv"

	"license-deactivator/pkg/internal/apihttp"
)

// Kind says what the caller has to do after a call. The zero Kind is none of them.
type Kind int

// The kinds of result.
const (
	// KindDeactivated: the slot is free (nil error).
	KindDeactivated Kind = iota + 1
	// KindAlreadyInactive: nothing was left to do. A wrong device id looks the same, so count it separately.
	KindAlreadyInactive
	// KindRejected: this request can never succeed.
	KindRejected
	// KindUnavailable: a temporary failure, or one that looks temporary: 5xx, 408, the network, an answer that cannot
	// be read. Retry later.
	KindUnavailable
	// KindRateLimited: 429. Retry after Error.RetryAfter, or at least a minute if there is none, and slow down.
	KindRateLimited
	// KindStaleDate: the API's clock and ours differ. Sign again once, then check the clock; never add an offset.
	KindStaleDate
	// KindBadCredentials: key, client or token are not valid (any more). Read them again (a refused token has been
	// dropped: see TokenRefused) and sign again once; after that it is a configuration fault.
	KindBadCredentials
	// KindUnauthorized: 401 or 403 without a known reason. Sign again once; after that it is a refusal like
	// KindRefused.
	KindUnauthorized
	// KindMisconfigured: address or request are wrong for every license alike. Keep the message and raise an alarm.
	KindMisconfigured
	// KindRefused: a refusal that may concern this license, the account or the address: 402, 409, 423, 425, not_found,
	// or a code that this release does not know. Only other licenses show which. Keep the message. If several licenses
	// in a row get it, it is a configuration fault; if others succeed meanwhile, it concerns this license.
	KindRefused
	// KindUnconfirmed: status 200, but the body does not say that the license was deactivated, as in a proxy's page.
	// Try again later: if the device was freed, the next attempt ends as KindAlreadyInactive.
	KindUnconfirmed
	// KindProductNotAllowed: the API key may not act on this product: a configuration fault of only this message.
	KindProductNotAllowed
	// KindFileRefused: the API refuses a signature, a key or a date, and the call carried two of each: the header's and
	// the request file's. A file that was made with another or an older key stays refused; a header does not, once the
	// secret is right. Try again later, and reject the file when other calls have succeeded meanwhile.
	KindFileRefused
)

// String returns the kind in snake case, or "kind(0)" for none.
func (k Kind) String() string {
	switch k {
	case KindDeactivated:
		return "deactivated"
	case KindAlreadyInactive:
		return "already_inactive"
	case KindRejected:
		return "rejected"
	case KindUnavailable:
		return "unavailable"
	case KindRateLimited:
		return "rate_limited"
	case KindStaleDate:
		return "stale_date"
	case KindBadCredentials:
		return "bad_credentials"
	case KindUnauthorized:
		return "unauthorized"
	case KindMisconfigured:
		return "misconfigured"
	case KindRefused:
		return "refused"
	case KindUnconfirmed:
		return "unconfirmed"
	case KindProductNotAllowed:
		return "product_not_allowed"
	case KindFileRefused:
		return "file_refused"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// KindOf returns the kind of a call's result: KindDeactivated for nil, the table's for an *Error, KindRejected for a
// Deactivation or a RequestFile that was not sent, and KindUnavailable for everything else.
func KindOf(err error) Kind {
	if err == nil {
		return KindDeactivated
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.kind()
	}
	if refusedCode(err) != "" {
		return KindRejected
	}
	return KindUnavailable
}

// kind uses only the status for 429, 408 and 5xx, then a known code, then the status. Only an answer of 400 and above
// has an error body.
func (e *Error) kind() Kind {
	switch {
	case e.Status == http.StatusTooManyRequests:
		return KindRateLimited
	case e.Status == http.StatusOK && e.Op != opToken:
		return KindUnconfirmed
	case e.Status == http.StatusRequestTimeout, e.Status >= 500, e.Status < 300:
		return KindUnavailable
	case e.Status < 400:
		return KindMisconfigured // a redirect: the address is wrong
	}
	if e.Op == opToken {
		return e.tokenKind()
	}
	if kind, known := offlineKind(e.Op, e.Code); known {
		return kind
	}
	if kind, known := kindOfCode(e.Code); known {
		return kind
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return KindUnauthorized
	case http.StatusPaymentRequired, http.StatusConflict, http.StatusLocked, http.StatusTooEarly:
		return KindRefused
	}
	if e.Code == "" {
		return KindUnavailable // a proxy's page must not turn a whole queue into dead letters
	}
	return KindRefused
}

// CodeOf returns the code to report for an error: the API's code, or http_<status> if it gave none; "timeout",
// "canceled" or "connection" without an answer; "conflicting_identity", "missing_field" or "invalid_field" when nothing
// was sent; "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		if answer.Code != "" {
			return answer.Code
		}
		return statusCode(answer.Status)
	}
	if code := refusedCode(err); code != "" {
		return code
	}
	return apihttp.NetworkCode(err)
}

func statusCode(status int) string { return "http_" + strconv.Itoa(status) }

func refusedCode(err error) string {
	switch {
	case errors.Is(err, ErrIdentity):
		return "conflicting_identity"
	case errors.Is(err, ErrMissingField):
		return "missing_field"
	case errors.Is(err, ErrInvalidField):
		return "invalid_field"
	}
	return ""
}
