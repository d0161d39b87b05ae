// Package managementapi is a client for the part of LicenseSpring's Management API that finds the licenses of an order
// and their devices, and switches licenses off and on.
//
// Start with [New]; one Client is enough for a process, since it holds the connections:
//
//	client, err := managementapi.New(managementapi.Config{
//		BaseURL: "https://saas.licensespring.com/api/v1",
//		Key:     managementKey,
//	})
//	...
//	found, err := client.Licenses(ctx, managementapi.ByOrder("pi_3Nx"), 100)
//	for _, license := range found.Records {
//		if !managementapi.ByOrder("pi_3Nx").Matches(license) { ... } // act on nothing
//	}
//
// A Management key can do far more than this client. The client has no call that deletes, blacklists or edits, none
// that resets a license, none that acts on more than one record, and no list without a filter.
//
// It is not documented whether the API ignores a filter that it does not know, and an ignored filter returns the
// licenses of all customers. Compare every record with the filter ([Filter.Matches], [Device.License]) before anything
// is written, and write nothing after a difference.
//
// Each HTTP request is one attempt of at most five seconds; a list of many pages is several requests. The package does
// not retry (except on a connection that was closed before it answered): the caller does. [KindOf] says what the caller
// has to do after an error, and [CodeOf] how to report it. Disable, Enable and ResetDevice may be repeated.
//
// The Management API counts its calls separately from the License API: 600 to 2,400 a minute and company, by plan, in a
// rolling minute, in addition to 200 in 10 s per address and 50 a second per Authorization value. [Config.Through] is
// the place of a rate limiter.
//
// No error, print or log of this package holds a license key, a requested order id, an e-mail address, a hardware id or
// the Management key.
//
// Sources: https://docs.licensespring.com/management-api and the pages named in the code;
// https://docs.licensespring.com/license-api/rate-limiting
package managementapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"license-deactivator/pkg/internal/apihttp"
)

const (
	// defaultCallsInFlight is how many requests at the same time the client is made for when Config does not set it: at
	// ten calls a second, the rate of the smallest plan, four are in flight at a latency of 400 ms.
	defaultCallsInFlight = 4

	defaultUserAgent = "license-deactivator"
)

// ErrNoKey is the error of a call by a Client without a key. Nothing was sent.
var ErrNoKey = errors.New("managementapi: no key; give one to New or With")

// Config is the configuration of a Client.
type Config struct {
	// BaseURL is the address of the API with its version, "https://saas.licensespring.com/api/v1"; a slash at its end
	// is removed. It must be https, since the key is sent with every request; http is allowed only for this machine
	// (localhost, 127.0.0.0/8, ::1). Required.
	BaseURL string

	// Key is the Management API key. With "" the client's own calls fail with ErrNoKey, and only With makes a usable
	// client. It must be printable ASCII without spaces.
	Key string

	// CallsInFlight is how many requests run at the same time: as many connections stay open between them. Zero means
	// 4.
	CallsInFlight int

	// Through makes every HTTP request of the client, also each page of a list: it calls request at most once and
	// returns its error, or its own error without the request, which is returned wrapped. It is the place of a rate
	// limiter and a circuit breaker, and is called by many goroutines at once. Nil makes the request at once.
	Through func(ctx context.Context, request func(context.Context) error) error

	// Now is the clock with which a Retry-After with a date is compared. Nil means time.Now.
	Now func() time.Time

	// UserAgent is sent with every request. "" means "license-deactivator".
	UserAgent string

	// DialContext opens the connections, as http.Transport's field of that name does. It does not change which BaseURL
	// is allowed, and https is still used over the connections that it returns. Nil means TCP, with two seconds for the
	// handshake.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client calls the Management API. It is safe for concurrent use.
type Client struct {
	transport http.RoundTripper
	base      string // without a slash at its end
	key       string
	through   func(ctx context.Context, request func(context.Context) error) error
	now       func() time.Time
	userAgent string
}

// New checks every field of the configuration without a call, and reports all wrong ones at once, by name. No error
// holds a value of the configuration.
func New(cfg Config) (*Client, error) {
	base, err := apihttp.CheckAddress(cfg.BaseURL, "https://saas.licensespring.com/api/v1")
	var problems []error
	if err != nil {
		problems = append(problems, fmt.Errorf("managementapi: BaseURL: %w", err))
	}
	if cfg.Key != "" {
		problems = append(problems, checkKey(cfg.Key))
	}
	if cfg.CallsInFlight < 0 {
		problems = append(problems, errors.New("managementapi: CallsInFlight: must be 1 or more, or 0 for the default"))
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		problems = append(problems, errors.New("managementapi: UserAgent: must be printable ASCII"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}

	c := &Client{base: base, key: cfg.Key, through: cfg.Through, now: cfg.Now, userAgent: cfg.UserAgent}
	inFlight := cfg.CallsInFlight
	if inFlight == 0 {
		inFlight = defaultCallsInFlight
	}
	c.transport = apihttp.NewTransport(inFlight, cfg.DialContext)
	if c.through == nil {
		c.through = func(ctx context.Context, request func(context.Context) error) error { return request(ctx) }
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	return c, nil
}

// With returns a client with another key and the same connections. Its error says that the key is missing or cannot be
// sent, without the key.
func (c *Client) With(key string) (*Client, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	other := *c
	other.key = key
	return &other, nil
}

// checkKey refuses an invalid key: a space or a line break at its end comes from a copy, and changes the key.
func checkKey(key string) error {
	if key == "" {
		return errors.New("managementapi: Key: is missing")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("managementapi: Key: must be printable ASCII without spaces")
	}
	return nil
}
