package licenseapitest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withClient returns a server that knows one client and whose clock is now.
func withClient(t *testing.T, now *time.Time, options ...Option) *Server {
	t.Helper()
	s, err := New(State{
		Clients:  map[string]string{"auth_company_1": "client-secret"},
		Licenses: []License{{Product: "XY", LicenseKey: "K1", Devices: []string{"hw1"}}},
	}, append(options, Clock(func() time.Time { return *now }))...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// askToken posts a form and returns the status and the fields of the answer.
func askToken(t *testing.T, s *Server, form, contentType string) (status int, fields map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, TokenPath, strings.NewReader(form))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &fields); err != nil {
		t.Fatalf("status %d, not JSON: %v", w.Code, err)
	}
	return w.Code, fields
}

const (
	formType = "application/x-www-form-urlencoded"
	goodForm = "grant_type=client_credentials&client_id=auth_company_1&client_secret=client-secret"
)

func TestTheTokenEndpointChecksTheClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, form, contentType string
		status                  int
		code                    string
	}{
		{"good", goodForm, formType, 200, ""},
		{"JSON", `{}`, "application/json", 415, "unsupported_media_type"},
		{"no form", "%zz", formType, 400, "invalid_request"},
		{"no grant", strings.Replace(goodForm, "grant_type", "g", 1), formType, 400, "invalid_request"},
		{"another grant", strings.Replace(goodForm, "client_credentials", "password", 1), formType, 400, "unsupported_grant_type"},
		{"unknown client", strings.Replace(goodForm, "company_1", "company_2", 1), formType, 401, "invalid_client"},
		{"no client", strings.Replace(goodForm, "client_id", "c", 1), formType, 401, "invalid_client"},
		{"wrong secret", goodForm + "x", formType, 401, "unauthorized_client"},
		{"no secret", strings.Replace(goodForm, "client_secret", "c", 1), formType, 401, "unauthorized_client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now := noon()
			s := withClient(t, &now)
			status, fields := askToken(t, s, c.form, c.contentType)
			code, _ := fields["error"].(string)
			if status != c.status || code != c.code {
				t.Errorf("got %d %s, want %d %s", status, code, c.status, c.code)
			}
			if got := s.Counts().Tokens; (got == 1) != (c.code == "") {
				t.Errorf("%d tokens were given out", got)
			}
		})
	}
}

func TestATokenIsGoodUntilItExpires(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []Option
		life    time.Duration
	}{"as documented": {nil, 480 * time.Second}, "as set": {[]Option{TokenLife(time.Minute)}, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := noon()
			s := withClient(t, &now, c.options...)
			_, fields := askToken(t, s, goodForm, formType)
			if fields["expires_in"] != c.life.Seconds() || fields["token_type"] != "Bearer" {
				t.Errorf("got %v, %v; want %v, Bearer", fields["expires_in"], fields["token_type"], c.life.Seconds())
			}
			token, _ := fields["access_token"].(string)
			call := func(token string, date time.Time) string {
				_, code := said(t, s, newRequest(t, oneDevice, func(r *http.Request) {
					r.Header.Set("Authorization", "Bearer "+token)
					r.Header.Set("Date", date.Format(http.TimeFormat))
				}))
				return code
			}
			now = now.Add(c.life - time.Nanosecond)
			got := []string{
				call("other", now), call(token, now.Add(-time.Hour)), call(token, now), call(token, now),
			}
			s.RotateClient("auth_company_1", "another") // the issued token stays valid
			got = append(got, call(token, now))
			now = now.Add(time.Nanosecond)
			got = append(got, call(token, now))
			want := []string{"oauth_token_malformed", "date_header_diff", success, "device_not_found", "device_not_found", "oauth_token_expired"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestClientsRotate(t *testing.T) {
	t.Parallel()
	now := noon()
	s := withClient(t, &now)
	form := func(secret string) string {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {"auth_company_1"}, "client_secret": {secret}}.Encode()
	}
	if err := s.Fail("rotated-key"); err != nil {
		t.Fatal(err)
	}
	if status, _ := askToken(t, s, form("client-secret"), formType); status != 401 {
		t.Errorf("the old secret: %d, want 401", status)
	}
	if status, _ := askToken(t, s, form("client-secret-rotated"), formType); status != 200 {
		t.Errorf("the new secret: %d, want 200", status)
	}
	s.RotateClient("auth_company_1", "")
	if _, fields := askToken(t, s, form(""), formType); fields["error"] != "invalid_client" {
		t.Errorf("a removed client: %v, want invalid_client", fields["error"])
	}
}
