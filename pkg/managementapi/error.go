package managementapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"license-deactivator/pkg/internal/apihttp"
)

// Error is an answer of the API other than 200. It holds no value of the request.
type Error struct {
	// Op is the operation: "list_licenses", "get_license", "list_devices", "disable", "enable" or "reset_device".
	Op string

	// Status is the HTTP status.
	Status int

	// Detail is the API's text for people, "Authentication credentials were not provided." for a wrong key: at most 256
	// characters, without control characters and with "[removed]" in place of values of the request. It is "" if the body
	// is not an error of the API. Never branch on it.
	Detail string

	// RequestID is the server's id of the call, for the vendor's support; "" if the server gave none.
	RequestID string

	// RetryAfter is how long the server asks us to wait, at most a day. Zero means that the header is absent, or names
	// a time in the past. It is never negative.
	RetryAfter time.Duration
}

// Error implements error: "managementapi: list_licenses: 403: Authentication credentials …".
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("managementapi: " + e.Op + ": " + strconv.Itoa(e.Status))
	if e.Detail != "" {
		text.WriteString(": " + e.Detail)
	}
	if e.RequestID != "" {
		text.WriteString(" (request " + e.RequestID + ")")
	}
	return text.String()
}

// newError reads an answer leniently. Its form is not documented; the API seems to be built on Django REST framework,
// whose errors are {"detail": text} or, for one field, {"field": [text, …]}.
func newError(op string, resp *http.Response, reply []byte, whole bool, s *apihttp.Scrubber, now time.Time) *Error {
	e := &Error{
		Op: op, Status: resp.StatusCode,
		RequestID:  apihttp.RequestID(resp.Header, s),
		RetryAfter: apihttp.RetryAfter(resp.Header.Get("Retry-After"), now),
	}
	if e.Status < http.StatusBadRequest || !whole {
		return e
	}
	e.Detail = s.Scrub(errorDetail(reply))
	return e
}

// errorDetail returns the text of an error's body, or the first field's with its name; "" if the body is not such an
// error.
func errorDetail(reply []byte) string {
	var body map[string]any
	if json.Unmarshal(withoutMark(reply), &body) != nil {
		return ""
	}
	if detail, ok := body["detail"].(string); ok {
		return detail
	}
	for _, field := range slices.Sorted(maps.Keys(body)) {
		if texts, ok := body[field].([]any); ok && len(texts) > 0 {
			if text, ok := texts[0].(string); ok {
				return field + ": " + text
			}
		}
	}
	return ""
}

// withoutMark removes the byte order mark that some proxies add.
func withoutMark(reply []byte) []byte { return bytes.TrimPrefix(reply, []byte("\xEF\xBB\xBF")) }

// UnreadableError is a 200 that cannot be used: not JSON, not the documented form, a record without a required field,
// or a list whose pages do not fit together. It holds no value of the reply.
type UnreadableError struct {
	Op  string // as Error.Op
	Why string
}

// Error implements error.
func (e *UnreadableError) Error() string { return "managementapi: " + e.Op + ": " + e.Why }

// Kind says what the caller has to do after an error. The zero Kind is none of them.
type Kind int

// The kinds of error.
const (
	// KindNone is the kind of a nil error.
	KindNone Kind = iota + 1
	// KindUnavailable: a temporary failure, or one that looks temporary: 5xx, 408, the network, an answer that cannot
	// be read, a 400, 403 or 404 that is not the API's. Try again later.
	KindUnavailable
	// KindRateLimited: 429. Try again after Error.RetryAfter, or at least a minute if there is none, and slow down.
	KindRateLimited
	// KindUnauthorized: the key is wrong, revoked or may not do this. Read it again; after that it is a configuration
	// fault.
	KindUnauthorized
	// KindMisconfigured: the address is wrong for every request alike: a redirect, a list that does not exist.
	KindMisconfigured
	// KindNotFound: no such license or device, or none that the key may see.
	KindNotFound
	// KindRejected: this request can never succeed, or its filter was refused before it was sent (ErrFilter).
	KindRejected
)

// String returns the kind in snake case, or "kind(0)" for none.
func (k Kind) String() string {
	switch k {
	case KindNone:
		return "none"
	case KindUnavailable:
		return "unavailable"
	case KindRateLimited:
		return "rate_limited"
	case KindUnauthorized:
		return "unauthorized"
	case KindMisconfigured:
		return "misconfigured"
	case KindNotFound:
		return "not_found"
	case KindRejected:
		return "rejected"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// KindOf says what the caller has to do after a call: KindNone for nil, the status's for an *Error, KindRejected for
// ErrFilter, KindMisconfigured for ErrNoKey and KindUnavailable for everything else.
func KindOf(err error) Kind {
	if err == nil {
		return KindNone
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.kind()
	}
	switch {
	case errors.Is(err, ErrFilter):
		return KindRejected
	case errors.Is(err, ErrNoKey):
		return KindMisconfigured
	}
	return KindUnavailable
}

func (e *Error) kind() Kind {
	switch {
	case e.Status == http.StatusTooManyRequests:
		return KindRateLimited
	case e.Status == http.StatusRequestTimeout, e.Status >= 500, e.Status < 300:
		return KindUnavailable
	case e.Status < 400, e.Status == http.StatusMethodNotAllowed:
		return KindMisconfigured
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden && e.Detail != "":
		return KindUnauthorized
	case e.Status == http.StatusForbidden:
		return KindUnavailable // without the API's body: a firewall's or a proxy's
	case e.Status == http.StatusNotFound && (e.Op == opListLicenses || e.Op == opListDevices):
		return KindMisconfigured // a list without results exists and is empty
	case e.Detail == "" && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound):
		return KindUnavailable // as above
	case e.Status == http.StatusNotFound:
		return KindNotFound
	}
	return KindRejected
}

// CodeOf returns the code to report for an error: http_<status>; "timeout", "canceled" or "connection" without an
// answer; "unreadable" for a 200 that cannot be used; "invalid_filter" or "no_key" when nothing was sent; "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		return "http_" + strconv.Itoa(answer.Status)
	}
	if _, ok := errors.AsType[*UnreadableError](err); ok {
		return "unreadable"
	}
	switch {
	case errors.Is(err, ErrFilter):
		return "invalid_filter"
	case errors.Is(err, ErrNoKey):
		return "no_key"
	}
	return apihttp.NetworkCode(err)
}
