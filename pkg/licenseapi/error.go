package licenseapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"license-deactivator/pkg/internal/apihttp"
)

// maxCodeRunes is the longest code that is kept, in characters; the longest documented one has 36.
const maxCodeRunes = 64

// Error is an answer of the API other than 200. It holds no value of the request.
type Error struct {
	// Op is the operation: "deactivate_license", "deactivate_bundle", "deactivate_offline", "deactivate_bundle_offline", or
	// "token" for OAuth's token endpoint, whose "error" and "error_description" are Code and Message.
	Op string

	// Status is the HTTP status.
	Status int

	// Code is the API's code unchanged. It is "" when the body is not an error of the API (not JSON, cut, too long,
	// without a code, or a status below 400), and "http_<status>" when a code cannot be kept: it is longer than 64
	// characters, unprintable, or holds a value of the request.
	Code string

	// Message is the API's text for people, in at most 256 characters, without control characters and with
	// "[removed]" in place of values of the request; "" if there is none. Never branch on it.
	Message string

	// RequestID is the server's id of the call, for the vendor's support; "" if the server gave none.
	RequestID string

	// RetryAfter is the wait that the server asks for, at most a day. Zero means that the header is absent, or names a
	// time in the past: wait as without it. It is never negative.
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

// newError reads an answer leniently: it ignores unknown fields, a missing message, a code of the wrong type and the
// Content-Type.
func newError(op string, resp *http.Response, reply []byte, whole bool, s *apihttp.Scrubber, now time.Time) *Error {
	e := &Error{
		Op: op, Status: resp.StatusCode,
		RequestID:  apihttp.RequestID(resp.Header, s),
		RetryAfter: apihttp.RetryAfter(resp.Header.Get("Retry-After"), now),
	}
	if e.Status < 400 || !whole {
		return e
	}
	code, message := errorBody(op, reply)
	e.Code = keepCode(code, e.Status, s)
	e.Message = s.Scrub(message)
	return e
}

// errorBody reads the API's form of an error, or OAuth's; "" for a value that is absent, not a text or not JSON.
func errorBody(op string, reply []byte) (code, message string) {
	var body struct {
		Code, Message any
		Error         any
		Description   any `json:"error_description"`
	}
	if json.Unmarshal(bytes.TrimPrefix(reply, []byte("\xEF\xBB\xBF")), &body) != nil { // some proxies add a byte order mark
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

// keepCode returns the code to keep. A known code is kept without scrubbing: a device called "device" must not hide
// device_not_found.
func keepCode(code string, status int, s *apihttp.Scrubber) string {
	if code == "" {
		return ""
	}
	if _, known := kindOfCode(code); known {
		return code
	}
	if kept := s.Keep(code, maxCodeRunes); kept != "" {
		return kept
	}
	return statusCode(status)
}
