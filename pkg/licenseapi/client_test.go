package licenseapi

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

const (
	testAPIKey    = "company-api-key-7e6b"
	testSharedKey = "kw4qSnpSwXzgiv5yxYpZZmFEd9QAeiKTQ6OuyMja" // published example
)

func testSigner(t testing.TB) Authorizer {
	t.Helper()
	signer, err := signing.NewSigner(testAPIKey, testSharedKey)
	if err != nil {
		t.Fatal(err)
	}
	return HMAC(signer)
}

// testClient returns a client for url and the text of its log.
func testClient(t testing.TB, url string) (*Client, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c, err := New(Config{
		BaseURL: url, CallsInFlight: 4, Authorizer: testSigner(t), Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &log
}

// testAPI starts the fake with one license for each identity.
func testAPI(t testing.TB, options ...licenseapitest.Option) (api *licenseapitest.Server, url string) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey},
		Licenses: []licenseapitest.License{
			{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"some-unique-id", "second-device"}},
			{Product: "US", Username: "test@example.com", Password: "some_password123", Devices: []string{"some-unique-id"}},
			{Product: "SS", CustomerAccountCode: "account-1", IDToken: "token-4711", Code: "code-4711",
				Devices: []string{"some-unique-id", "second-device"}},
		},
	}, options...)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return api, url
}

func keyBased() Deactivation {
	return Deactivation{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "some-unique-id"}
}

// confirmed is a 200 that confirms the deactivation.
func confirmed() *http.Response {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(licenseDeactivated))}
}

// roundTrip is a transport made from a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNewNamesEveryBadField(t *testing.T) {
	t.Parallel()
	_, err := New(Config{CallsInFlight: -1, UserAgent: "a\r\nb"})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, field := range []string{"BaseURL", "CallsInFlight", "UserAgent"} {
		if !strings.Contains(err.Error(), "licenseapi: "+field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func TestNewChecksTheAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, base string // base "": refused
	}{
		{"https://api.licensespring.com/api/v4", "https://api.licensespring.com/api/v4"},
		{"https://api.licensespring.com/api/v4/", "https://api.licensespring.com/api/v4"},
		{"HTTPS://api.licensespring.com", "https://api.licensespring.com"},
		{"http://127.0.0.1:8081/api/v4", "http://127.0.0.1:8081/api/v4"},
		{"http://[::1]:8081/api/v4", "http://[::1]:8081/api/v4"},
		{"http://localhost:8081/api/v4/", "http://localhost:8081/api/v4"},
		{"http://api.licensespring.com/api/v4", ""},
		{"http://localhost.example.com/api/v4", ""},
		{"http://0.0.0.0/api/v4", ""},
		{"ftp://api.licensespring.com/api/v4", ""},
		{"api.licensespring.com/api/v4", ""},
		{"https:///api/v4", ""},
		{"https://user:pass-word@api.licensespring.com/api/v4", ""},
		{"https://api.licensespring.com/api/v4?key=pass-word", ""},
		{"https://api.licensespring.com/api/v4#pass-word", ""},
		{"https://pass-word\x7f/", ""},
		{"", ""},
	} {
		client, err := New(Config{BaseURL: c.address, Authorizer: testSigner(t)})
		switch {
		case (err == nil) != (c.base != ""):
			t.Errorf("%q: got error %v, want base %q", c.address, err, c.base)
		case err == nil && client.base != c.base:
			t.Errorf("%q: got base %q, want %q", c.address, client.base, c.base)
		case err != nil && strings.Contains(err.Error(), "pass-word"):
			t.Errorf("%q: the error repeats the address: %v", c.address, err)
		}
	}
}

func TestWithChangesTheCredentialsAndKeepsTheConnections(t *testing.T) {
	t.Parallel()
	api, url := testAPI(t)
	client, _ := testClient(t, url)
	signer, err := signing.NewSigner(testAPIKey, "another-shared-key")
	if err != nil {
		t.Fatal(err)
	}
	other := client.With(HMAC(signer))

	if err := other.Deactivate(t.Context(), keyBased()); CodeOf(err) != "signature_mismatch" {
		t.Errorf("with the wrong key: got %v, want signature_mismatch", err)
	}
	if err := client.Deactivate(t.Context(), keyBased()); err != nil {
		t.Errorf("the first client has changed: %v", err)
	}
	if got := api.Counts().Connections; got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

// TestAClientWithoutCredentialsSendsNothing covers the worker, which makes its client before it has read its secret.
func TestAClientWithoutCredentialsSendsNothing(t *testing.T) {
	t.Parallel()
	api, url := testAPI(t)
	client, err := New(Config{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Deactivate(t.Context(), keyBased()); KindOf(err) != KindUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if got := api.Counts().Calls; got != 0 {
		t.Errorf("%d calls were made", got)
	}
	if err := client.With(testSigner(t)).Deactivate(t.Context(), keyBased()); err != nil {
		t.Errorf("with credentials: %v", err)
	}
}

func TestWarmOpensTheConnectionThatTheFirstCallUses(t *testing.T) {
	t.Parallel()
	api, url := testAPI(t)
	client, _ := testClient(t, url)
	var seen *http.Request
	inner := client.transport
	client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodHead {
			seen = r
		}
		return inner.RoundTrip(r)
	})

	if err := client.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Deactivate(t.Context(), keyBased()); err != nil {
		t.Fatal(err)
	}
	if seen == nil || seen.Header.Get("Authorization") != "" || seen.Header.Get("Date") != "" {
		t.Errorf("the warm-up is not an unsigned HEAD: %v", seen)
	}
	if got := api.Counts(); got.Connections != 1 || got.Warm != 1 {
		t.Errorf("got %d connections and %d warm-ups, want 1 and 1", got.Connections, got.Warm)
	}
}

func TestWarmTakesAnyStatusAndReportsANetworkFault(t *testing.T) {
	t.Parallel()
	_, url := testAPI(t)
	client, _ := testClient(t, strings.TrimSuffix(url, licenseapitest.Base)+"/nowhere") // 404
	if err := client.Warm(t.Context()); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	client, _ = testClient(t, "http://127.0.0.1:1/api/v4") // no server listens on tcpmux
	if err := client.Warm(t.Context()); CodeOf(err) != "connection" {
		t.Errorf("got %v, want a connection fault", err)
	}
}

func TestEachAttemptHasItsOwnDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2011, 6, 7, 20, 51, 35, 0, time.UTC)
	var dates, signatures []string
	client, _ := testClient(t, "https://api.licensespring.com/api/v4")
	client.now = func() time.Time { return now }
	client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		dates = append(dates, r.Header.Get("Date"))
		signatures = append(signatures, r.Header.Get("Authorization"))
		return confirmed(), nil
	})
	for range 2 {
		if err := client.Deactivate(t.Context(), keyBased()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if dates[0] != "Tue, 07 Jun 2011 20:51:35 GMT" || dates[1] != "Tue, 07 Jun 2011 20:51:36 GMT" {
		t.Errorf("got dates %q", dates)
	}
	// Published: https://docs.licensespring.com/license-api/license-api-authorization/request-signature
	if !strings.Contains(signatures[0], `signature="UDysfR6MndUZReo07Y9r+vErn8vSxrnQ5ulit18iJ/Q="`) {
		t.Error("the first signature is not the published one")
	}
	if signatures[0] == signatures[1] {
		t.Error("two seconds have one signature")
	}
}
