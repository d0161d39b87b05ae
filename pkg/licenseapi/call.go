package licenseapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"license-deactivator/pkg/signing"
)

// maxReplyBytes bounds what is read of a reply, in bytes. Real ones have a line; a proxy's error page has some KiB.
const maxReplyBytes = 64 << 10

// post makes one attempt: dated, signed, sent, read. wanted is the word that the documentation promises as the body
// of a 200. secrets are the values of the request that must not come back in an error.
func (c *Client) post(ctx context.Context, op, wanted string, body []byte, secrets []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	date := signing.Date(c.now())
	authorization, err := c.authorizer.Authorize(ctx, date)
	if err != nil {
		return fmt.Errorf("licenseapi: %s: authorize: %w", op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/"+op, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("licenseapi: %s: the base address makes no request", op)
	}
	req.Header.Set("Date", date) // the very text that is signed
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if id := requestIDOf(ctx); id != "" {
		req.Header.Set(headerRequestID, id)
	}
	// A connection that died while the function was frozen is found out by the first call on it. An empty
	// X-Idempotency-Key is not sent, and lets net/http repeat the request on a new connection; a deactivation may be
	// repeated.
	req.Header["X-Idempotency-Key"] = []string{}
	s := &scrubber{values: secrets, authorization: authorization}

	// RoundTrip, not an http.Client: no redirect is ever followed, and a redirect to an unreadable address is still
	// an answer with its status. We send no cookies and bound the time ourselves.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return newNetworkError(op, err, s)
	}
	defer resp.Body.Close()
	reply, whole := readReply(resp)
	if resp.StatusCode != http.StatusOK {
		answer := newError(op, resp, reply, whole, s, c.now())
		if o, ok := c.authorizer.(*OAuth); ok && (answer.tokenRefused() || answer.kind() == KindUnauthorized) {
			o.drop(authorization)
		}
		return answer
	}

	// The status alone decides: the body's form is not documented clearly, and what was done is done.
	if text := strings.TrimSpace(string(reply)); !whole || (text != wanted && text != `"`+wanted+`"`) {
		c.logger.WarnContext(ctx, "license api: 200 with an unexpected body", "op", op,
			"length", len(reply), "whole", whole, "content_type", s.keep(mediaType(resp), maxCodeRunes))
	}
	return nil
}

// readReply reads the body to its end, so that the connection can be used again. whole is false when it is cut or
// longer than maxReplyBytes.
func readReply(resp *http.Response) (reply []byte, whole bool) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, false // its body is the connection itself and has no end
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	return reply, err == nil && len(reply) <= maxReplyBytes
}

func mediaType(resp *http.Response) string {
	name, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return name
}

// networkError is a call that got no answer. Its text is scrubbed and bounded, since net/http quotes what a server
// sent; Unwrap gives the cause for errors.Is and errors.As, not for printing.
type networkError struct {
	text  string
	cause error
}

func newNetworkError(op string, cause error, s *scrubber) *networkError {
	word := codeConnection
	if isTimeout(cause) {
		word = codeTimeout
	} else if errors.Is(cause, context.Canceled) {
		word = codeCanceled
	}
	return &networkError{text: "licenseapi: " + op + ": " + word + ": " + s.scrub(unquoted(cause.Error())), cause: cause}
}

// Error implements error.
func (e *networkError) Error() string { return e.text }

// Unwrap returns what net/http said.
func (e *networkError) Unwrap() error { return e.cause }

// unquoted cuts a text off where it begins to quote: what net/http quotes there, the server has written, and it may
// be the body that it was sent, escaped once more.
func unquoted(text string) string {
	if before, _, quotes := strings.Cut(text, `"`); quotes {
		return before + removed
	}
	return text
}
