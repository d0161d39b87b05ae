package managementapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"license-deactivator/pkg/internal/apihttp"
)

// maxReplyBytes bounds how much of a reply's body is read, in bytes. The documented license has 4 KiB, and a page a
// hundred of them; metadata may make it ten times as long.
const maxReplyBytes = 4 << 20

// The operations: the Op of errors.
const (
	opListLicenses = "list_licenses"
	opGetLicense   = "get_license"
	opListDevices  = "list_devices"
	opDisable      = "disable"
	opEnable       = "enable"
	opResetDevice  = "reset_device"
)

// request makes one HTTP request, through Config.Through, and returns the body of a 200. secret is the value of the
// request that no error may hold; "": only the key.
func (c *Client) request(ctx context.Context, op, method, path string, query url.Values, secret string) (reply []byte, err error) {
	if c.key == "" {
		return nil, ErrNoKey
	}
	var answered error
	err = c.through(ctx, func(ctx context.Context) error {
		reply, answered = c.send(ctx, op, method, path, query, secret)
		return answered
	})
	switch {
	case err == nil:
		return reply, nil
	case answered != nil && errors.Is(err, answered):
		return nil, err // already names the operation
	}
	return nil, fmt.Errorf("managementapi: %s: %w", op, err)
}

// send makes one attempt.
func (c *Client) send(ctx context.Context, op, method, path string, query url.Values, secret string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, apihttp.CallTimeout)
	defer cancel()

	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, fmt.Errorf("managementapi: %s: the base address makes no request", op)
	}
	authorization := "Api-Key " + c.key
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	// As in licenseapi: an empty X-Idempotency-Key is not sent, and lets net/http repeat a POST on a new connection
	// when the old one closed before it answered. Every POST of this client may be repeated.
	req.Header["X-Idempotency-Key"] = []string{}
	s := &apihttp.Scrubber{Values: []string{secret}, Authorization: authorization}

	// RoundTrip is used and not an http.Client: no redirect is followed, since the key would be sent elsewhere.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, apihttp.NewNetworkError("managementapi: "+op, err, s)
	}
	defer resp.Body.Close()
	reply, readErr := apihttp.ReadReply(resp, maxReplyBytes)
	if resp.StatusCode != http.StatusOK {
		return nil, newError(op, resp, reply, readErr == nil, s, c.now())
	}
	if readErr != nil {
		return nil, &UnreadableError{Op: op, Why: "the reply is cut off or too long"}
	}
	if method == http.MethodGet && !isObject(reply) { // here, so that Through sees the page of a proxy for what it is
		return nil, &UnreadableError{Op: op, Why: noObject}
	}
	return reply, nil
}
