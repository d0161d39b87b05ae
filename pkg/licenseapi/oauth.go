package licenseapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"golang.org/x/sync/singleflight"

	"license-deactivator/pkg/internal/apihttp"
)

// DefaultTokenURL is the vendor's token endpoint.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/oauth-authorization
const DefaultTokenURL = "https://auth.licensespring.com/realms/user-portal/protocol/openid-connect/token" //nolint:gosec // an address, not a token

// opToken is the Op of the token endpoint's errors.
const opToken = "token"

const (
	// tokenTimeout bounds one request for a token. A call that needs one waits for it within its own five seconds,
	// which leaves two for the call itself.
	tokenTimeout = 3 * time.Second

	// tokenMargin is how long before its end a token is no longer used: a call takes five seconds, and both clocks may
	// differ a little. A token is always used for at least half of its life.
	tokenMargin = 30 * time.Second

	// defaultTokenLife is used if the endpoint does not say how long a token is valid; the documentation says 480 s.
	defaultTokenLife = time.Minute

	// maxTokenLife bounds expires_in, so that the number does not overflow a Duration.
	maxTokenLife = 24 * time.Hour

	// maxTokenBytes bounds a token: it is sent with every call, and servers accept headers of 8 KiB. Real ones have 1
	// to 2 KiB.
	maxTokenBytes = 8 << 10

	// maxCredentialBytes bounds a client id and a client secret. Real ones have some thirty characters.
	maxCredentialBytes = 1 << 10
)

// OAuth is the authorization by an OAuth client (client credentials): it fetches a token, keeps it until shortly before
// it expires, and authorizes every call with it. Calls that need a new token at the same time wait for one request. It
// is safe for concurrent use, prints neither secret nor token, and cannot be built empty: use [Client.OAuth].
//
// When the API refuses the token ([TokenRefused], or a 401 or 403 without a reason), the Client drops it. The next call
// fetches another one, so repeat the call once.
//
// Every answer of the token endpoint that holds no token is an *[Error] with the Op "token" and OAuth's error as its
// Code. invalid_client and unauthorized_client are [KindBadCredentials]. No refusal by the token endpoint makes a
// deactivation [KindRejected].
type OAuth struct {
	client    func() (id, secret string) // a func, so that fmt and reflection see only an address
	url       string
	transport http.RoundTripper
	now       func() time.Time
	userAgent string

	held    atomic.Pointer[token] // nil: none
	fetches *singleflight.Group   // a pointer, so that printing an OAuth does not read a lock in use
}

type token struct {
	authorization string
	until         time.Time // not used from then on; wall time, which advances while a function is frozen
}

// OAuth makes an authorization by an OAuth client, without a call; give it to [Client.With]. tokenURL is the token
// endpoint, https except on this machine; "" means [DefaultTokenURL]. It has its own connections, since the endpoint is
// another host, with c's configuration. All problems are reported at once, by name and without a value.
func (c *Client) OAuth(clientID, clientSecret, tokenURL string) (*OAuth, error) {
	if tokenURL == "" {
		tokenURL = DefaultTokenURL
	}
	_, err := checkAddress("TokenURL", tokenURL, DefaultTokenURL)
	if err := errors.Join(checkCredential("client id", clientID), checkCredential("client secret", clientSecret), err); err != nil {
		return nil, err
	}
	return &OAuth{
		client:    func() (id, secret string) { return clientID, clientSecret },
		url:       tokenURL,
		transport: apihttp.NewTransport(1, c.dial), // one request at a time, some minutes apart
		now:       c.now,
		userAgent: c.userAgent,
		fetches:   new(singleflight.Group),
	}, nil
}

// Authorize implements [Authorizer]: "Bearer" and the token. A token does not depend on the date.
func (o *OAuth) Authorize(ctx context.Context, _ string) (string, error) {
	if authorization := o.current(); authorization != "" {
		return authorization, nil
	}
	fetched := o.fetches.DoChan("", func() (any, error) {
		if authorization := o.current(); authorization != "" {
			return authorization, nil // another request has fetched it meanwhile
		}
		return o.fetch(context.WithoutCancel(ctx)) // the end of one caller must not end it for the others
	})
	select {
	case result := <-fetched:
		authorization, _ := result.Val.(string)
		return authorization, result.Err
	case <-ctx.Done():
		return "", apihttp.NewNetworkError("licenseapi: "+opToken, ctx.Err(), nil)
	}
}

// current returns the held authorization, or "" when none is valid any more.
func (o *OAuth) current() string {
	if held := o.held.Load(); held != nil && o.wall().Before(held.until) {
		return held.authorization
	}
	return ""
}

// drop discards the token of this authorization. A token that was fetched since then stays.
func (o *OAuth) drop(authorization string) {
	if held := o.held.Load(); held != nil && held.authorization == authorization {
		o.held.CompareAndSwap(held, nil)
	}
}

// fetch requests a token and keeps it.
func (o *OAuth) fetch(ctx context.Context) (authorization string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()

	id, secret := o.client()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", errors.New("licenseapi: token: the address makes no request")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", o.userAgent)
	req.Header["X-Idempotency-Key"] = []string{} // as in post: a second token does no harm
	s := &apihttp.Scrubber{Values: []string{id, secret}}

	asked := o.wall()                       // the token may be as old as the request
	resp, err := o.transport.RoundTrip(req) // follows no redirect, which would send the secret elsewhere
	if err != nil {
		return "", apihttp.NewNetworkError("licenseapi: "+opToken, err, s)
	}
	defer resp.Body.Close()
	reply, readErr := apihttp.ReadReply(resp, apihttp.MaxReplyBytes)
	if resp.StatusCode != http.StatusOK {
		return "", newError(opToken, resp, reply, readErr == nil, s, o.now())
	}
	fresh, ok := readToken(reply, readErr == nil, asked)
	if !ok {
		return "", &Error{Op: opToken, Status: resp.StatusCode, Message: "the answer holds no bearer token that can be sent"}
	}
	o.held.Store(fresh)
	return fresh.authorization, nil
}

// readToken reads the answer to a client that is known.
//
// Source: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
func readToken(reply []byte, whole bool, asked time.Time) (t *token, ok bool) {
	var body struct {
		AccessToken string   `json:"access_token"`
		TokenType   string   `json:"token_type"`
		ExpiresIn   *float64 `json:"expires_in"` // seconds
	}
	if !whole || json.Unmarshal(reply, &body) != nil {
		return nil, false
	}
	unsendable := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }
	if body.AccessToken == "" || len(body.AccessToken) > maxTokenBytes || strings.ContainsFunc(body.AccessToken, unsendable) ||
		!strings.EqualFold(body.TokenType, "Bearer") {
		return nil, false
	}
	life := defaultTokenLife
	if body.ExpiresIn != nil {
		seconds := min(max(*body.ExpiresIn, 0), maxTokenLife.Seconds())
		life = time.Duration(seconds * float64(time.Second))
	}
	return &token{"Bearer " + body.AccessToken, asked.Add(max(life-tokenMargin, life/2))}, true
}

// wall is the time without the monotonic clock, which may stop while a function is frozen.
func (o *OAuth) wall() time.Time { return o.now().Round(0) }

// TokenRefused reports whether the API refused the token of a call and not its client: a new token could change the
// answer. The Client has dropped the old one.
func TokenRefused(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.tokenRefused()
}

// FromTokenEndpoint reports whether an error is an answer of OAuth's token endpoint. Such an answer says nothing about the
// license of the call.
func FromTokenEndpoint(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Op == opToken
}

func (e *Error) tokenRefused() bool {
	return e.kind() == KindBadCredentials && (e.Code == "oauth_token_expired" || e.Code == "oauth_token_malformed")
}

// tokenKind is the kind of a 4xx of the token endpoint. Such an answer says nothing about a license, so it is never
// KindRejected.
func (e *Error) tokenKind() Kind {
	switch {
	case e.Code == "invalid_client" || e.Code == "unauthorized_client":
		return KindBadCredentials
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return KindUnauthorized
	case e.Code != "" || e.Status == http.StatusNotFound:
		return KindMisconfigured // the address is wrong, or refuses the grant
	}
	return KindUnavailable // a proxy's page, as with the API
}

// checkCredential refuses what no credential contains and a careless copy adds. The error never holds the text.
func checkCredential(name, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("licenseapi: %s: empty", name)
	case len(text) > maxCredentialBytes:
		return fmt.Errorf("licenseapi: %s: longer than %d bytes", name, maxCredentialBytes)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("licenseapi: %s: white space at its ends", name)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("licenseapi: %s: a control character in it", name)
	}
	return nil
}

// Format implements fmt.Formatter for every verb.
func (o *OAuth) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[OAuth client]") }

// LogValue implements slog.LogValuer.
func (o *OAuth) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }
