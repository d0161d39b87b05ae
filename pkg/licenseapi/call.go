package licenseapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"license-deactivator/pkg/internal/apihttp"
	"license-deactivator/pkg/signing"
)

// A content is the body of a call.
type content struct {
	kind    string // Content-Type
	body    []byte
	secrets []string // the values in body that no error may hold
}

const jsonType = "application/json"

// post makes one attempt: dated, signed, sent, read. expected reports whether the trimmed body of a 200
// confirms the deactivation; any other 200 is an error of KindUnconfirmed.
func (c *Client) post(ctx context.Context, op string, expected func(text string) bool, content content) error {
	ctx, cancel := context.WithTimeout(ctx, apihttp.CallTimeout)
	defer cancel()

	date := signing.Date(c.now())
	authorization, err := c.authorizer.Authorize(ctx, date)
	if err != nil {
		return fmt.Errorf("licenseapi: %s: authorize: %w", op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/"+op, bytes.NewReader(content.body))
	if err != nil {
		return fmt.Errorf("licenseapi: %s: the base address makes no request", op)
	}
	req.Header.Set("Date", date) // the text that is signed
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", content.kind)
	req.Header.Set("Accept", jsonType)
	req.Header.Set("User-Agent", c.userAgent)
	if id := requestIDOf(ctx); id != "" {
		req.Header.Set(headerRequestID, id)
	}
	// A connection may have closed while the function was frozen, and the first call on it fails. An empty
	// X-Idempotency-Key is not sent, and makes net/http repeat the request on a new connection; a deactivation may be
	// repeated.
	req.Header["X-Idempotency-Key"] = []string{}
	s := &apihttp.Scrubber{Values: content.secrets, Authorization: authorization}

	// RoundTrip is used and not an http.Client: no redirect is followed, and a redirect to an unreadable address is
	// still an answer with its status. Cookies are not needed, and this function bounds the time.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return apihttp.NewNetworkError("licenseapi: "+op, err, s)
	}
	defer resp.Body.Close()
	reply, err := apihttp.ReadReply(resp, apihttp.MaxReplyBytes)
	if resp.StatusCode != http.StatusOK {
		answer := newError(op, resp, reply, err == nil, s, c.now())
		if o, ok := c.authorizer.(*OAuth); ok && (answer.tokenRefused() || answer.kind() == KindUnauthorized) {
			o.drop(authorization)
		}
		return answer
	}
	switch {
	case err == nil && expected(strings.TrimSpace(string(reply))):
		return nil
	case err != nil && !errors.Is(err, apihttp.ErrReplyTooLong):
		return apihttp.NewNetworkError("licenseapi: "+op, err, s)
	}
	// A proxy's page also has the status 200, and then nothing was deactivated. If the device was deactivated, the next
	// attempt finds it inactive.
	c.logger.WarnContext(ctx, "license api: 200 with an unexpected body", "op", op,
		"length", len(reply), "whole", err == nil, "content_type", s.Keep(apihttp.MediaType(resp), maxCodeRunes))
	return &Error{Op: op, Status: resp.StatusCode, RequestID: apihttp.RequestID(resp.Header, s), Message: "the answer does not confirm the deactivation"}
}
