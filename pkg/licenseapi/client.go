// Package licenseapi is a client for LicenseSpring's License API, made for a server that acts for many licenses
// and devices, not for an application that guards its own.
//
// Begin with [New]; one Client serves the whole process, since it holds the connections:
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
// [Client.DeactivateBundle] does the same for every license of a bundle. [Client.OAuth] authorizes by an OAuth client
// in place of [HMAC].
//
// Each call is one attempt of at most five seconds with a date and a signature of its own. The package never waits
// and tries again (but for a connection that turns out to be dead before it answered): that is the caller's, who
// has a queue and knows the pace. [KindOf] says what an answer asks of the caller and [CodeOf] how to report it.
// A deactivation may be repeated: the second one finds the device inactive ([KindAlreadyInactive]). Do not send two
// for the same license at the same time.
//
// Nothing that this package returns, prints or logs holds a license key, a user name, a password, a token, a
// hardware id, a signature or an Authorization header.
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
	"net/url"
	"strings"
	"time"

	"license-deactivator/pkg/signing"
)

const (
	// defaultCallsInFlight is how many calls at the same time the client is made for when Config does not say. Ten are
	// carried by a function of 128 MB at any latency from 20 ms.
	defaultCallsInFlight = 10

	defaultUserAgent = "license-deactivator"
)

// An Authorizer makes the Authorization header of one request. date is the text of its Date header, which the
// License API wants with every kind of authorization. It is asked before every attempt and by many goroutines at
// once, so it should keep what it can. Its error must hold no secret: it is returned wrapped, as a
// [KindUnavailable], unless it is or wraps an *[Error], which then decides.
type Authorizer interface {
	Authorize(ctx context.Context, date string) (authorization string, err error)
}

// HMAC is the authorization by API key and shared key. The signer must not be nil.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/api-key-authorization
func HMAC(signer *signing.Signer) Authorizer { return hmacAuthorizer{signer} }

type hmacAuthorizer struct{ signer *signing.Signer }

func (a hmacAuthorizer) Authorize(_ context.Context, date string) (string, error) {
	return a.signer.Authorize(date), nil
}

// noAuthorizer stands in a client that was made without one.
type noAuthorizer struct{}

func (noAuthorizer) Authorize(context.Context, string) (string, error) {
	return "", errors.New("licenseapi: no Authorizer; give one to New or With")
}

// Config is what a Client is made of.
type Config struct {
	// BaseURL is the address of the API with its version, "https://api.licensespring.com/api/v4"; a slash at its end
	// is taken off. It must be https, since a captured Authorization header is good for 15 minutes against any
	// endpoint; http is allowed for this machine alone (localhost, 127.0.0.0/8, ::1). Required.
	BaseURL string

	// CallsInFlight is how many calls run at the same time: as many connections are kept open between calls. More calls
	// at once work, and cost a handshake each. Zero means 10.
	CallsInFlight int

	// Authorizer signs each request; Client.With makes a client with another one. Nil makes a client that only With
	// makes useful: its own calls fail before they are sent.
	Authorizer Authorizer

	// Now is the clock that dates each request; the API takes dates up to 15 minutes old. Nil means time.Now.
	Now func() time.Time

	// Logger hears of answers that count as success but are not what the documentation says. Nil means silence.
	Logger *slog.Logger

	// UserAgent is sent with every request. "" means "license-deactivator".
	UserAgent string

	// DialContext opens the connections, as http.Transport's field of that name does. It changes nothing about what
	// BaseURL may be, and https is still spoken over what it returns. Nil means TCP, with two seconds for the handshake.
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

// New checks every field of the configuration, without a call, and reports all that are wrong at once, by name. No
// error holds a value of the configuration.
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
	c.transport = newTransport(inFlight, cfg.DialContext)
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

// Warm opens a connection with an unsigned HEAD of the base address, so that the first call finds it open; any
// status is fine. It takes two seconds at most. Its error is good for a log line: the next call opens the connection
// itself.
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
		return newNetworkError("warm", err, nil)
	}
	if err := resp.Body.Close(); err != nil {
		return newNetworkError("warm", err, nil)
	}
	return nil
}

// checkAddress returns the address without a slash at its end. Its errors do not repeat the address: it may hold a
// password.
func checkAddress(name, text, example string) (string, error) {
	bad := func(why string) (string, error) { return "", fmt.Errorf("licenseapi: %s: %s", name, why) }
	if text == "" {
		return bad("is missing")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return bad("is no address such as " + example)
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("must begin with https://")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return bad("must be https; http is allowed for this machine alone")
	case u.User != nil:
		return bad("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return bad("must end with its path: no query, no fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
