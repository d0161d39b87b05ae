package licenseapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/internal/apihttp"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	testClientID     = "auth_company_1-canary"
	testClientSecret = "canary&client=secret"
)

// withOAuth starts the fake with one client and returns the client that uses it.
func withOAuth(t *testing.T) (api *licenseapitest.Server, client *Client) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		Clients:  map[string]string{testClientID: testClientSecret},
		Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"some-unique-id"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client, err = New(Config{BaseURL: url, CallsInFlight: 20})
	if err != nil {
		t.Fatal(err)
	}
	return api, client.With(newOAuth(t, client, licenseapitest.TokenURL(url)))
}

func newOAuth(t *testing.T, client *Client, tokenURL string) *OAuth {
	t.Helper()
	o, err := client.OAuth(testClientID, testClientSecret, tokenURL)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOAuthSignsAllCallsWithOneToken(t *testing.T) {
	t.Parallel()
	api, client := withOAuth(t)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if err := client.Deactivate(t.Context(), keyBased()); KindOf(err) != KindDeactivated && KindOf(err) != KindAlreadyInactive {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	bundle := keyBased()
	if err := client.DeactivateBundle(t.Context(), bundle); CodeOf(err) != "unknown_product" {
		t.Errorf("got %v, want an answer to a call that was let in", err)
	}
	got := api.Counts()
	if got.Tokens != 1 || got.Answers[licenseDeactivated] != 1 || got.Answers["device_not_found"] != 19 {
		t.Errorf("got %+v, want one token, 1 deactivated, 19 inactive", got)
	}
}

// TestARefusedTokenIsReplaced shows that the first call gets the refusal, and that the caller's repeat uses a new
// token.
func TestARefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]struct {
		code    string
		refused bool
	}{
		"token-expired":   {"oauth_token_expired", true},
		"token-malformed": {"oauth_token_malformed", true},
		"unauthorized":    {"http_401", false},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			api, client := withOAuth(t)
			if err := api.Fail(fault); err != nil {
				t.Fatal(err)
			}
			err := client.Deactivate(t.Context(), keyBased())
			if CodeOf(err) != want.code || TokenRefused(err) != want.refused {
				t.Errorf("first: got %v, token refused %t; want %s, %t", err, TokenRefused(err), want.code, want.refused)
			}
			if err := client.Deactivate(t.Context(), keyBased()); err != nil {
				t.Errorf("second: got %v", err)
			}
			if got := api.Counts().Tokens; got != 2 {
				t.Errorf("%d tokens, want 2", got)
			}
		})
	}
}

// TestOneRefusalDropsOneToken covers calls of a batch whose refusals arrive late: the new token must stay.
func TestOneRefusalDropsOneToken(t *testing.T) {
	t.Parallel()
	api, client := withOAuth(t)
	o, _ := client.authorizer.(*OAuth)
	authorize := func() string {
		authorization, err := o.Authorize(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return authorization
	}
	old := authorize()
	o.drop(old)
	fresh := authorize()
	o.drop(old)
	if got := authorize(); got != fresh || got == old || api.Counts().Tokens != 2 {
		t.Errorf("%d tokens; want the second one to stay", api.Counts().Tokens)
	}
}

// tokens is a token endpoint with given answers, for tests with their own clock.
type tokens struct {
	asked  int
	answer func(n int, form url.Values) (status int, body string)
	takes  time.Duration
}

func (e *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	e.asked++
	status, text := e.answer(e.asked, form)
	if e.takes > 0 {
		select {
		case <-time.After(e.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://example.com/"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// asking returns an OAuth that uses e. The endpoint's address is the vendor's.
func asking(t *testing.T, e *tokens) *OAuth {
	t.Helper()
	client, err := New(Config{BaseURL: "https://api.licensespring.com/api/v4"})
	if err != nil {
		t.Fatal(err)
	}
	o := newOAuth(t, client, "")
	o.transport = e
	return o
}

func TestATokenIsUsedUntilShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expires string
		used    time.Duration
	}{
		"documented":   {`,"expires_in":480`, 450 * time.Second},
		"short":        {`,"expires_in":40`, 20 * time.Second},
		"a minute":     {`,"expires_in":60`, 30 * time.Second},
		"not said":     {``, 30 * time.Second},
		"null":         {`,"expires_in":null`, 30 * time.Second},
		"a fraction":   {`,"expires_in":1.5`, 750 * time.Millisecond},
		"for ever":     {`,"expires_in":1e300`, 24*time.Hour - 30*time.Second},
		"over already": {`,"expires_in":-5`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &tokens{answer: func(n int, _ url.Values) (int, string) {
					return 200, fmt.Sprintf(`{"access_token":"t%d","token_type":"bearer"%s}`, n, c.expires)
				}}
				o := asking(t, e)
				for step, want := range []string{"Bearer t1", "Bearer t1", "Bearer t2"} {
					switch step {
					case 1:
						if c.used == 0 {
							continue
						}
						time.Sleep(c.used - time.Nanosecond)
					case 2:
						time.Sleep(time.Nanosecond)
					}
					if got, err := o.Authorize(t.Context(), "date"); got != want || err != nil {
						t.Errorf("step %d: got %q, %v; want %q", step, got, err, want)
					}
				}
			})
		})
	}
}

func TestTheTokenRequestIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	e := &tokens{answer: func(_ int, form url.Values) (int, string) {
		want := url.Values{"grant_type": {"client_credentials"}, "client_id": {testClientID}, "client_secret": {testClientSecret}}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Error("the form differs") // its values are not printed
		}
		return 200, `{"access_token":"t","expires_in":480,"refresh_expires_in":0,"token_type":"Bearer","not-before-policy":0,"scope":"profile email"}`
	}}
	o := asking(t, e)
	o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPost || r.URL.String() != DefaultTokenURL || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("got %s %s, %s", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("the credentials are sent twice")
		}
		return e.RoundTrip(r)
	})
	if got, err := o.Authorize(t.Context(), ""); got != "Bearer t" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestADateIsSentWithATokenToo(t *testing.T) {
	t.Parallel()
	client, _ := testClient(t, "https://api.licensespring.com/api/v4")
	client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Date") == "" {
			t.Errorf("Authorization right: %t, Date %q", r.Header.Get("Authorization") == "Bearer t", r.Header.Get("Date"))
		}
		return confirmed(), nil
	})
	o := asking(t, &tokens{answer: func(int, url.Values) (int, string) { return 200, `{"access_token":"t","token_type":"Bearer"}` }})
	if err := client.With(o).Deactivate(t.Context(), keyBased()); err != nil {
		t.Error(err)
	}
}

// TestWhatTheTokenEndpointAnswers shows that no answer of the endpoint makes a message rejected or done.
func TestWhatTheTokenEndpointAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   Kind
		code   string
	}{
		{"unknown client", 401, `{"error":"invalid_client","error_description":"Invalid client credentials"}`, KindBadCredentials, "invalid_client"},
		{"the same as 400", 400, `{"error":"invalid_client"}`, KindBadCredentials, "invalid_client"},
		{"wrong secret", 401, `{"error":"unauthorized_client"}`, KindBadCredentials, "unauthorized_client"},
		{"401 without a reason", 401, ``, KindUnauthorized, "http_401"},
		{"403 with another", 403, `{"error":"access_denied"}`, KindUnauthorized, "access_denied"},
		{"grant not allowed", 400, `{"error":"unsupported_grant_type"}`, KindMisconfigured, "unsupported_grant_type"},
		{"a code of the API", 400, `{"error":"license_not_found"}`, KindMisconfigured, "license_not_found"},
		{"a code that means done", 400, `{"error":"device_not_found"}`, KindMisconfigured, "device_not_found"},
		{"an error of the API's form", 400, `{"code":"license_not_found"}`, KindUnavailable, "http_400"},
		{"a proxy's page", 400, `<html>`, KindUnavailable, "http_400"},
		{"no such realm", 404, `<html>`, KindMisconfigured, "http_404"},
		{"redirected", 302, ``, KindMisconfigured, "http_302"},
		{"too many", 429, `{"error":"invalid_client"}`, KindRateLimited, "invalid_client"},
		{"too slow", 408, ``, KindUnavailable, "http_408"},
		{"down", 503, `{"error":"invalid_client"}`, KindUnavailable, "invalid_client"},
		{"no token", 200, `{}`, KindUnavailable, "http_200"},
		{"an empty token", 200, `{"access_token":"","token_type":"Bearer"}`, KindUnavailable, "http_200"},
		{"a token that is no text", 200, `{"access_token":7,"token_type":"Bearer"}`, KindUnavailable, "http_200"},
		{"a token of two lines", 200, `{"access_token":"canary\r\nX: y","token_type":"Bearer"}`, KindUnavailable, "http_200"},
		{"a token with a space", 200, `{"access_token":"canary token","token_type":"Bearer"}`, KindUnavailable, "http_200"},
		{"another kind of token", 200, `{"access_token":"canary","token_type":"mac"}`, KindUnavailable, "http_200"},
		{"a token too long", 200, `{"access_token":"` + strings.Repeat("c", maxTokenBytes+1) + `","token_type":"Bearer"}`, KindUnavailable, "http_200"},
		{"not JSON", 200, `canary`, KindUnavailable, "http_200"},
		{"no end", 200, `{"access_token":"canary","token_type":"Bearer","x":"` + strings.Repeat("x", apihttp.MaxReplyBytes) + `"}`, KindUnavailable, "http_200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, _ := testClient(t, "https://api.licensespring.com/api/v4")
			client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("a call was made without a token")
				return nil, io.EOF
			})
			e := &tokens{answer: func(int, url.Values) (int, string) { return c.status, c.body }}
			err := client.With(asking(t, e)).Deactivate(t.Context(), keyBased())
			if KindOf(err) != c.kind || CodeOf(err) != c.code || TokenRefused(err) {
				t.Errorf("got %v (%s, %s), want %s, %s", err, KindOf(err), CodeOf(err), c.kind, c.code)
			}
			if answer, ok := errors.AsType[*Error](err); !ok || answer.Op != "token" {
				t.Errorf("got %v, want an *Error of token", err)
			}
			if strings.Contains(err.Error(), "canary") || e.asked != 1 {
				t.Errorf("asked %d times, or a value is in the error: %v", e.asked, err)
			}
		})
	}
}

func TestTroubleOnTheWayToATokenIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, &tokens{takes: time.Hour, answer: func(int, url.Values) (int, string) { return 200, "" }})
		began := time.Now()
		_, err := o.Authorize(t.Context(), "")
		if KindOf(err) != KindUnavailable || CodeOf(err) != "timeout" || time.Since(began) != tokenTimeout {
			t.Errorf("got %v after %v, want a time-out after %v", err, time.Since(began), tokenTimeout)
		}
		o.transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("malformed response \"" + testClientSecret + "\" " + url.QueryEscape(testClientSecret))
		})
		if _, err = o.Authorize(t.Context(), ""); KindOf(err) != KindUnavailable || CodeOf(err) != "connection" || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v, want a connection fault without the secret", err)
		}
	})
}

// TestTheEndOfOneCallIsNotThatOfTheToken: other calls wait for the same request.
func TestTheEndOfOneCallIsNotThatOfTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &tokens{takes: 2 * time.Second, answer: func(int, url.Values) (int, string) {
			return 200, `{"access_token":"t","token_type":"Bearer","expires_in":480}`
		}}
		o := asking(t, e)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := o.Authorize(ctx, ""); !errors.Is(err, context.DeadlineExceeded) || CodeOf(err) != "timeout" {
				t.Errorf("a caller with one second: %v, want a time-out", err)
			}
		})
		synctest.Wait() // the request has started
		both.Go(func() {
			if got, err := o.Authorize(t.Context(), ""); got != "Bearer t" || err != nil {
				t.Errorf("a caller with time: %q, %v", got, err)
			}
		})
		both.Wait()
		if e.asked != 1 {
			t.Errorf("asked %d times, want once", e.asked)
		}
	})
}

func TestOAuthNamesEveryBadField(t *testing.T) {
	t.Parallel()
	client, err := New(Config{BaseURL: "https://api.licensespring.com/api/v4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id, secret, url string
		want            []string
	}{
		{"id", "secret-canary", "", nil},
		{"id", "secret-canary", "http://127.0.0.1:1/token", nil},
		{"", "", "http://canary.example.com/token", []string{"client id: empty", "client secret: empty", "TokenURL: must be https"}},
		{" canary", "canary\n", "https://user:canary@example.com/", []string{"client id: white space", "client secret: white space", "TokenURL: must not hold a user"}},
		{"can\x00ary", strings.Repeat("canary", 200), "canary", []string{"client id: a control character", "client secret: longer than", "TokenURL: is no address such as " + DefaultTokenURL}},
	} {
		_, err := client.OAuth(c.id, c.secret, c.url)
		if (err == nil) != (c.want == nil) {
			t.Errorf("got %v, want %q", err, c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), "licenseapi: "+want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("a value is in the error: %v", err)
		}
	}
}

// TestOAuthPrintsNoSecret prints an authorization that holds a token, and the errors of a server that repeats all it
// receives.
func TestOAuthPrintsNoSecret(t *testing.T) {
	t.Parallel()
	api, client := withOAuth(t)
	if err := client.Deactivate(t.Context(), keyBased()); err != nil {
		t.Fatal(err)
	}
	o, _ := client.authorizer.(*OAuth)
	bearer, err := o.Authorize(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"canary", strings.TrimPrefix(bearer, "Bearer ")}

	echoes := &tokens{answer: func(_ int, form url.Values) (int, string) {
		return 400, licenseapitest.ErrorBody(400, "", "") + fmt.Sprint(form)
	}}
	o.transport = echoes // the other one is still in use, and fmt would read it
	var out bytes.Buffer
	type outer struct {
		Shown  *OAuth
		hidden *OAuth
	}
	for _, v := range []any{o, outer{o, o}, &outer{o, o}, []any{o}, map[string]any{"o": o}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	}
	o.drop(bearer)
	err = client.Deactivate(t.Context(), keyBased())
	fmt.Fprintln(&out, err)
	echoes.answer = func(_ int, form url.Values) (int, string) {
		return 401, fmt.Sprintf(`{"error":%q,"error_description":%q}`, form.Get("client_secret"), form.Encode()+form.Get("client_id"))
	}
	err = client.Deactivate(t.Context(), keyBased())
	fmt.Fprintln(&out, err, CodeOf(err))
	o.held.Store(&token{bearer, time.Now().Add(time.Hour)})
	client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		body := licenseapitest.ErrorBody(400, "echo", r.Header.Get("Authorization")+" "+strings.TrimPrefix(bearer, "Bearer "))
		return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	fmt.Fprintln(&out, client.Deactivate(t.Context(), keyBased()))
	for _, secret := range secrets {
		if at := strings.Index(out.String(), secret); at >= 0 {
			t.Errorf("a secret is printed: %.80q", out.String()[max(at-60, 0):at])
		}
	}
	if got := api.Counts().Tokens; got != 1 || echoes.asked != 2 {
		t.Errorf("%d tokens, asked %d times: the test did not go through everything", got, echoes.asked)
	}
}
