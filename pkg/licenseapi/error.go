package licenseapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxCodeRunes is the longest code that is kept, in characters; the longest documented one has 36.
	maxCodeRunes = 64

	// maxTextRunes is how much of a message is kept, in characters: one line of a log.
	maxTextRunes = 256

	// maxRequestIDRunes bounds a request id; AWS's trace ids have 74.
	maxRequestIDRunes = 128

	// maxRetryAfter bounds what a server may ask us to wait. No honest one asks for more than a day, and a number of
	// seconds that overflows a Duration must not become negative.
	maxRetryAfter = 24 * time.Hour
)

// Error is an answer of the API other than 200. It holds no value of the request.
type Error struct {
	// Op is the operation: "deactivate_license", "deactivate_bundle", or "token" for OAuth's token endpoint, whose
	// "error" and "error_description" are Code and Message.
	Op string

	// Status is the HTTP status.
	Status int

	// Code is the API's code as it came. It is "" when the body is not an error of the API (not JSON, cut, too long,
	// no code in it, or a status below 400), and "http_<status>" when there is a code that cannot be kept: longer than
	// 64 characters, unprintable, or with a value of the request in it.
	Code string

	// Message is the API's text for people, in at most 256 characters, without control characters and with
	// "[removed]" in place of values of the request; "" if there is none. Never branch on it.
	Message string

	// RequestID is the server's name for the call, for the vendor's support; "" if it gave none.
	RequestID string

	// RetryAfter is how long the server asks us to wait, at most a day. Zero means that it does not say, or names a
	// time that is over: wait as one would without it. It is never negative.
	RetryAfter time.Duration
}

// Error implements error: "licenseapi: deactivate_license: 400 license_not_found: …".
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("licenseapi: " + e.Op + ": " + strconv.Itoa(e.Status))
	if e.Code != "" {
		text.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		text.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		text.WriteString(" (request " + e.RequestID + ")")
	}
	return text.String()
}

// newError reads an answer leniently: other fields are ignored, a missing message and a code of the wrong type are
// no fault, and the Content-Type does not matter.
func newError(op string, resp *http.Response, reply []byte, whole bool, s *scrubber, now time.Time) *Error {
	e := &Error{
		Op: op, Status: resp.StatusCode,
		RequestID:  requestID(resp.Header, s),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
	}
	if e.Status < 400 || !whole {
		return e
	}
	code, message := errorBody(op, reply)
	e.Code = keepCode(code, e.Status, s)
	e.Message = s.scrub(message)
	return e
}

// errorBody reads the API's form of an error, or OAuth's; "" for what is not there, not a text or not JSON.
func errorBody(op string, reply []byte) (code, message string) {
	var body struct {
		Code, Message any
		Error         any
		Description   any `json:"error_description"`
	}
	if json.Unmarshal(bytes.TrimPrefix(reply, []byte("\xEF\xBB\xBF")), &body) != nil { // some proxies put a byte order mark in front
		return "", ""
	}
	if op == opToken {
		body.Code, body.Message = body.Error, body.Description
	}
	code, _ = body.Code.(string)
	code = strings.TrimSpace(code)
	message, _ = body.Message.(string)
	return code, message
}

// keepCode keeps a known code first: a device called "device" must not hide device_not_found.
func keepCode(code string, status int, s *scrubber) string {
	if code == "" {
		return ""
	}
	if _, known := kindOfCode(code); known {
		return code
	}
	if kept := s.keep(code, maxCodeRunes); kept != "" {
		return kept
	}
	return statusCode(status)
}

// requestID reads the headers in which servers and AWS's front doors name a call; the API documents none.
func requestID(h http.Header, s *scrubber) string {
	for _, name := range []string{"X-Request-Id", "X-Amzn-Requestid", "Apigw-Requestid", "X-Amzn-Trace-Id"} {
		if id := s.keep(h.Get(name), maxRequestIDRunes); id != "" {
			return id
		}
	}
	return ""
}

// retryAfter reads seconds or an HTTP date. What cannot be read counts as absent.
//
// Source: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	wait := maxRetryAfter
	if strings.Trim(value, "0123456789") == "" {
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds < int64(maxRetryAfter/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
		return wait // more digits than an int64 has: as long as we wait at all
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), wait)
}
