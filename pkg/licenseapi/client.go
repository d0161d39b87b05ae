// Package licenseapi is a client for LicenseSpring's License API. It is made for a server that acts on many licenses
// and devices, not for an application that guards its own license.
//
// Start with [New]. One Client is enough for a process, since it holds the connections:
//
//	signer, err := signing.NewSigner(apiKey, sharedKey)
//	...
//	client, err := licenseapi.New(licenseapi.Config{
//		BaseURL:    "https://api.licensespring.com/api/v4",
//		Authorizer: licenseapi.HMAC(signer),
//	})
//	...
//	err = client.Deactivate(ctx, licenseapi.Deactivation{Product: "XY", LicenseKey: key, HardwareID: device})
//	switch licenseapi.KindOf(err) { ... }
//
// [Client.DeactivateBundle] does the same for every license of a bundle, [Client.DeactivateOffline] and
// [Client.DeactivateBundleOffline] for the license that a request file names. [Client.OAuth] authorizes by an OAuth client
// in place of [HMAC].
//
// Each call is one attempt of at most five seconds with its own date and signature. The package does not retry (except
// on a connection that was closed before it answered): the caller does, since it has a queue and a rate limit. [KindOf]
// says what the caller has to do after an answer, and [CodeOf] how to report it. A deactivation may be repeated: the
// second one finds the device inactive ([KindAlreadyInactive]). Do not send two for the same license at the same time.
//
// Nothing that this package returns, prints or logs holds a license key, a user name, a password, a token, a hardware
// id, a signature or an Authorization header.
//
// Sources: https://docs.licensespring.com/license-api and the pages named in the code.
package licenseapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"license-deactivator/pkg/internal/apihttp"
)

const (
	// defaultCallsInFlight is used when Config does not set it. A function of 128 MB sustains ten at any latency from
	// 20 ms.
	defaultCallsInFlight = 10

	defaultUserAgent = "license-deactivator"

	// warmTimeout bounds Warm, which runs before a function's first poll and must not delay it.
	warmTimeout = 2 * time.Second
)

// Config is the configuration of a Client.
type Config struct {
	// BaseURL is the address of the API with its version, "https://api.licensespring.com/api/v4"; a slash at its end is
	// removed. It must be https, since a captured Authorization header is valid for 15 minutes at any endpoint; http is
	// allowed only for this machine (localhost, 127.0.0.0/8, ::1). Required.
	BaseURL string

	// CallsInFlight is how many calls run at the same time: as many connections stay open between calls. More calls at
	// once work, and need a handshake each. Zero means 10.
	CallsInFlight int

	// Authorizer signs each request; Client.With makes a client with another one. With nil, the client's own calls fail
	// before they are sent, and only With makes a usable client.
	Authorizer Authorizer

	// Now is the clock that dates each request; the API takes dates up to 15 minutes old. Nil means time.Now.
	Now func() time.Time

	// Logger gets a warning for each answer that does not follow the documentation. Nil means no log.
	Logger *slog.Logger

	// UserAgent is sent with every request. "" means "license-deactivator".
	UserAgent string

	// DialContext opens the connections, as http.Transport's field of that name does. It does not change which BaseURL
	// is allowed, and https is still used over the connections that it returns. Nil means TCP, with two seconds for the
	// handshake.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client calls the License API. It is safe for concurrent use.
type Client struct {
	transport  http.RoundTripper
	base       string // without a slash at its end
	authorizer Authorizer
	now        func() time.Time
	logger     *slog.Logger
	userAgent  string

	dial func(ctx context.Context, network, address string) (net.Conn, error) // Config.DialContext
}

// New checks every field of the configuration without a call, and reports all problems at once, by field name. No error
// holds a value of the configuration.
func New(cfg Config) (*Client, error) {
	base, err := checkAddress("BaseURL", cfg.BaseURL, "https://api.licensespring.com/api/v4")
	problems := []error{err}
	if cfg.CallsInFlight < 0 {
		problems = append(problems, errors.New("licenseapi: CallsInFlight: must be 1 or more, or 0 for the default"))
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		problems = append(problems, errors.New("licenseapi: UserAgent: must be printable ASCII"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}

	c := &Client{
		dial: cfg.DialContext, base: base, authorizer: cfg.Authorizer, now: cfg.Now, logger: cfg.Logger, userAgent: cfg.UserAgent,
	}
	inFlight := cfg.CallsInFlight
	if inFlight == 0 {
		inFlight = defaultCallsInFlight
	}
	c.transport = apihttp.NewTransport(inFlight, cfg.DialContext)
	if c.authorizer == nil {
		c.authorizer = noAuthorizer{}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	return c, nil
}

// With returns a client with other credentials and the same connections. a must not be nil.
func (c *Client) With(a Authorizer) *Client {
	other := *c
	other.authorizer = a
	return &other
}

// Warm opens a connection with an unsigned HEAD request to the base address, so that the first call can use it; it
// accepts any status. It takes two seconds at most. Its error needs only a log line: the next call opens a connection
// by itself.
func (c *Client) Warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.base, nil)
	if err != nil {
		return errors.New("licenseapi: warm: the base address makes no request")
	}
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return apihttp.NewNetworkError("licenseapi: warm", err, nil)
	}
	if err := resp.Body.Close(); err != nil {
		return apihttp.NewNetworkError("licenseapi: warm", err, nil)
	}
	return nil
}

// checkAddress is apihttp.CheckAddress with the name of the field in its error.
func checkAddress(name, text, example string) (string, error) {
	address, err := apihttp.CheckAddress(text, example)
	if err != nil {
		return "", fmt.Errorf("licenseapi: %s: %w", name, err)
	}
	return address, nil
}
