package apihttp

import (
	"context"
	"errors"
	"net"
	"strings"
)

// NetworkError is the error of a call without an answer. Its text is scrubbed and bounded, since net/http quotes what a
// server sent; Unwrap gives the cause for errors.Is and errors.As, not for printing.
type NetworkError struct {
	text  string
	cause error
}

// NewNetworkError makes an error whose text is op, NetworkCode's word and the cause's text. s may be nil.
func NewNetworkError(op string, cause error, s *Scrubber) *NetworkError {
	return &NetworkError{text: op + ": " + NetworkCode(cause) + ": " + s.Scrub(unquoted(cause.Error())), cause: cause}
}

// Error implements error.
func (e *NetworkError) Error() string { return e.text }

// Unwrap returns net/http's error.
func (e *NetworkError) Unwrap() error { return e.cause }

// NetworkCode is the word for a call without an answer: "timeout", "canceled", or "connection" for any other cause.
func NetworkCode(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return "timeout"
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	return "connection"
}

// unquoted cuts a text off at its first quotation mark. net/http quotes there what the server has written, which may be
// the body of the request, escaped once more.
func unquoted(text string) string {
	if before, _, quotes := strings.Cut(text, `"`); quotes {
		return before + removed
	}
	return text
}
