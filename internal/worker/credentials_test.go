package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	testClientID     = "canary-client-id"
	testClientSecret = "canary-client-secret"
)

func oauthText(clientSecret, tokenURL string) string {
	return fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"token_url":%q}`, testClientID, clientSecret, tokenURL)
}

// newOAuthHarness makes a harness whose secret holds an OAuth client. Its fake API has the licenses of request(1) to
// request(n) and no API key.
func newOAuthHarness(t *testing.T, n int) (*harness, *licenseapitest.Server, string) {
	t.Helper()
	state := fakeAPI(t, n).State()
	state.APIKeys, state.Clients = nil, map[string]string{testClientID: testClientSecret}
	api, err := licenseapitest.New(state)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	tokenURL := licenseapitest.TokenURL(server.URL)
	r := newHarnessAt(t, server.URL+licenseapitest.Base)
	r.secret.text = oauthText(testClientSecret, tokenURL)
	return r, api, tokenURL
}

// saysNothingSecret searches all the worker's output for canaries.
func (r *harness) saysNothingSecret() {
	r.t.Helper()
	if log := string(r.log.Bytes()); strings.Contains(log, "canary-client") || strings.Contains(log, "Bearer") || strings.Contains(log, "canary-shared") {
		r.t.Error("a credential is in the log")
	}
}

func TestASecretWithAnOAuthClientSignsWithTokens(t *testing.T) {
	t.Parallel()
	r, api, _ := newOAuthHarness(t, 50)
	r.work(requests(20)...)
	r.work(requests(50)[20:]...)
	if got := count(r.logged()); got[deactivation.Deactivated] != 50 || active(api) > 0 {
		t.Errorf("outcomes %v, %d devices active; want 50 deactivated", got, active(api))
	}
	if got := api.Counts(); got.Tokens != 1 || r.faults() > 0 {
		t.Errorf("%d tokens, %d faults; want one token", got.Tokens, r.faults())
	}
	if n := strings.Count(string(r.log.Bytes()), `"credentials":"oauth"`); n != 1 {
		t.Errorf("%d lines say how calls are signed, want one", n)
	}
	r.saysNothingSecret()
}

func TestATokenThatTheAPIRefusesIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault  string
		want   map[deactivation.Outcome]int
		faults int
	}{
		{"token-expired", map[deactivation.Outcome]int{deactivation.Deactivated: 20}, 0},
		{"token-malformed", map[deactivation.Outcome]int{deactivation.Deactivated: 20}, 0},
		{"code=oauth_token_expired", map[deactivation.Outcome]int{deactivation.Deferred: 20}, 1}, // permanently
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			r, api, _ := newOAuthHarness(t, 20)
			if err := api.Fail(test.fault); err != nil {
				t.Fatal(err)
			}
			logged := r.work(requests(20)...)
			if diff := cmp.Diff(test.want, count(logged)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if r.faults() != test.faults || r.dead.Len() > 0 || r.secret.readCount() != 1 {
				t.Errorf("%d faults, %d dead letters, %d reads; want %d, none and one", r.faults(), r.dead.Len(), r.secret.readCount(), test.faults)
			}
			if got := api.Counts(); got.Tokens < 2 || got.Calls > 40 {
				t.Errorf("%d tokens, %d calls; want another token, and two calls for a message at most", got.Tokens, got.Calls)
			}
			r.saysNothingSecret()
		})
	}
}

func TestAClientWhoseSecretWasRotatedIsReadAgain(t *testing.T) {
	t.Parallel()
	r, api, tokenURL := newOAuthHarness(t, 40)
	api.RotateClient(testClientID, "canary-client-rotated")
	logged := r.work(requests(20)...)
	if got := count(logged); got[deactivation.Deferred] != 20 || r.faults() != 1 || logged[0].Code != "unauthorized_client" || r.dead.Len() > 0 {
		t.Errorf("outcomes %v, %d faults, %d dead letters; want 20 kept and one fault", got, r.faults(), r.dead.Len())
	}
	for _, m := range logged {
		if m.RetryIn != 15*time.Minute {
			t.Errorf("%s comes back in %v, want 15 min", m.ID, m.RetryIn)
		}
	}

	// A new environment holds the old version when the store gets the new one.
	fresh, freshAPI, freshURL := newOAuthHarness(t, 40)
	fresh.work(requests(1)...)
	freshAPI.RotateClient(testClientID, "canary-client-rotated")
	fresh.secret.rotate(oauthText("canary-client-rotated", freshURL))
	if err := freshAPI.Fail("token-expired"); err != nil { // otherwise the old token would be valid for some more minutes
		t.Fatal(err)
	}
	logged = fresh.work(requests(40)[1:]...)
	if got := count(logged); got[deactivation.Deactivated] != 39 || fresh.faults() > 0 || fresh.secret.readCount() != 2 {
		t.Errorf("outcomes %v, %d faults, %d reads; want 39 deactivated after one more read", got, fresh.faults(), fresh.secret.readCount())
	}
	if tokenURL == freshURL {
		t.Error("two servers have one address")
	}
	r.saysNothingSecret()
	fresh.saysNothingSecret()
}

// TestWhatTheTokenEndpointSaysIsNeverAMessagesFault: nothing is dead-lettered, and one fault is emitted if an operator
// has to act.
func TestWhatTheTokenEndpointSaysIsNeverAMessagesFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		body   string
		code   string
		faults int
	}{
		{"no such client", 401, `{"error":"invalid_client"}`, "invalid_client", 1},
		{"grant refused", 400, `{"error":"unsupported_grant_type"}`, "unsupported_grant_type", 1},
		{"a code of the API", 400, `{"error":"license_not_found"}`, "license_not_found", 1},
		{"401 without a reason", 401, ``, "http_401", 1},
		{"wrong address", 404, `<html>`, "http_404", 1},
		{"down", 503, ``, "http_503", 0},
		{"too many", 429, ``, "http_429", 0},
		{"a proxy's page", 400, `<html>`, "http_400", 0},
		{"no token", 200, `{}`, "http_200", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, api, _ := newOAuthHarness(t, 1)
			endpoint := httptest.NewServer(&answering{status: test.status, body: test.body})
			t.Cleanup(endpoint.Close)
			r.secret.text = oauthText(testClientSecret, endpoint.URL)
			got := r.work(requests(1)...)[0]
			if got.Outcome != deactivation.Deferred || got.Code != test.code || r.faults() != test.faults || r.dead.Len() > 0 || r.source.Len() != 1 {
				t.Errorf("%s (%s), %d faults, %d dead letters; want deferred (%s), %d, none", got.Outcome, got.Code, r.faults(), r.dead.Len(), test.code, test.faults)
			}
			if calls := api.Counts().Calls; calls > 0 {
				t.Errorf("%d calls without a token", calls)
			}
			r.saysNothingSecret()
		})
	}
}

func TestAnOAuthClientThatCannotBeUsedIsAFaultOfTheBatch(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no https":  oauthText(testClientSecret, "http://example.com/token"),
		"no secret": `{"client_id":"canary-client-id"}`,
		"both":      `{"client_id":"canary-client-id","client_secret":"canary-client-secret","api_key":"a","shared_key":"b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, api, _ := newOAuthHarness(t, 5)
			r.secret.text = text
			if got := count(r.work(requests(5)...)); got[deactivation.Deferred] != 5 || r.faults() != 1 || r.dead.Len() > 0 || api.Counts().Calls > 0 {
				t.Errorf("outcomes %v, %d faults, %d dead letters, %d calls; want 5 kept and one fault", got, r.faults(), r.dead.Len(), api.Counts().Calls)
			}
			r.saysNothingSecret()
		})
	}
}

// rotated is a worker whose store holds v2 of the secret and v1 before it, and an API that knows the key of v1.
func rotated(t *testing.T, change ...func(current, before *secret)) (*harness, *locked) {
	t.Helper()
	api := &locked{sharedKey: testSharedKey}
	current := &secret{text: secretText("canary-shared-new"), version: "v2"}
	before := &secret{text: secretText(testSharedKey), version: "v1"}
	for _, c := range change {
		c(current, before)
	}
	r := newHarness(t, api, func(cfg *worker.Config) {
		cfg.Secrets = secrets.NewCacheWithPrevious(current, before, secrets.ParseLicense)
	})
	r.secret = current
	return r, api
}

func TestARotationThatBeginsInTheStoreLosesNoTime(t *testing.T) {
	t.Parallel()
	r, api := rotated(t)
	logged := append(r.work(requests(50)...), r.work(requests(100)[50:]...)...)
	if got := count(logged); got[deactivation.Deactivated] != 100 || r.faults() > 0 {
		t.Errorf("before the API knows the new key: outcomes %v, %d faults; want 100 deactivated", got, r.faults())
	}
	for _, m := range logged {
		if m.KeyVersion != "v1" {
			t.Errorf("%s was last signed with %q", m.ID, m.KeyVersion)
		}
	}
	if api.calls > 110 { // each of ten calls in flight may be refused once
		t.Errorf("%d calls for 100 messages: the version before is not kept in use", api.calls)
	}

	api.rotate("canary-shared-new")
	logged = r.work(requests(50)...)
	if got := count(logged); got[deactivation.Deactivated] != 50 || r.faults() > 0 || logged[49].KeyVersion != "v2" {
		t.Errorf("afterwards: outcomes %v, %d faults; want 50 deactivated with v2", got, r.faults())
	}
	log := string(r.log.Bytes())
	for line, want := range map[string]int{`"stage":"AWSPREVIOUS"`: 1, `"stage":"AWSCURRENT"`: 2} {
		if n := strings.Count(log, line); n != want {
			t.Errorf("%d lines with %s, want %d: one at each change", n, line, want)
		}
	}
	r.saysNothingSecret()
}

func TestEachVersionOfTheSecretIsTriedOnce(t *testing.T) {
	t.Parallel()
	always := func(int) *answering { return failure(400, "signature_mismatch") }
	for _, test := range []struct {
		name    string
		change  func(current, before *secret)
		stored  func(r *harness) // after the first version was read
		refuse  func(int) *answering
		outcome deactivation.Outcome
		calls   int
		faults  int
	}{
		{"the one before is accepted", nil, nil, nil, deactivation.Deactivated, 2, 0},
		{"both are refused", nil, nil, always, deactivation.Deferred, 2, 1},
		{"there is none before", func(_, before *secret) { before.err = secrets.ErrEmpty }, nil, nil, deactivation.Deferred, 1, 1},
		{"the one before cannot be used", func(_, before *secret) { before.text = `{"api_key":" "}` }, nil, nil, deactivation.Deferred, 1, 1},
		{"a newer one, then the one before", func(_, before *secret) { before.version = "v3" }, // two more were stored meanwhile
			func(r *harness) { r.secret.text, r.secret.version = secretText("canary-shared-newest"), "v4" }, nil, deactivation.Deactivated, 3, 0},
		{"all three are refused", func(_, before *secret) { before.version = "v3" },
			func(r *harness) { r.secret.text, r.secret.version = secretText("canary-shared-newest"), "v4" }, always, deactivation.Deferred, 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(_, _ *secret) {}
			}
			r, api := rotated(t, change)
			if test.stored != nil {
				api.rotate("canary-shared-new")
				r.work(requests(1)...) // holds v2
				api.rotate(testSharedKey)
				test.stored(r)
			}
			api.calls, api.refuse = 0, test.refuse
			got := r.work(requests(1)...)[0]
			if got.Outcome != test.outcome || api.calls != test.calls || r.faults() != test.faults || r.dead.Len() > 0 {
				t.Errorf("%s (%s) after %d calls, %d faults; want %s, %d, %d", got.Outcome, got.Code, api.calls, r.faults(), test.outcome, test.calls, test.faults)
			}
			r.saysNothingSecret()
		})
	}
}

// restless is a store that returns another version at each read.
type restless struct{ version int }

func (s *restless) Get(context.Context) (secrets.Held[secrets.License], error) {
	return secrets.Held[secrets.License]{
		Value: secrets.License{APIKey: testAPIKey, SharedKey: testSharedKey}, Version: fmt.Sprint(s.version),
	}, nil
}

func (s *restless) Refresh(ctx context.Context, _ string) (secrets.Held[secrets.License], error) {
	s.version++
	return s.Get(ctx)
}

func TestAMessageIsCalledForThreeTimesAtMost(t *testing.T) {
	t.Parallel()
	api := failure(400, "signature_mismatch")
	r := newHarness(t, api, func(cfg *worker.Config) { cfg.Secrets = &restless{} })
	if got := r.work(requests(1)...)[0]; got.Outcome != deactivation.Deferred || api.calls != 3 || r.faults() != 1 {
		t.Errorf("%s after %d calls, %d faults; want deferred after 3, one fault", got.Outcome, api.calls, r.faults())
	}
}

// TestAVersionBeforeThatIsRefusedIsNotUsedOn: the next message starts with the current one again.
func TestAVersionBeforeThatIsRefusedIsNotUsedOn(t *testing.T) {
	t.Parallel()
	r, api := rotated(t)
	api.rotate("canary-shared-other")
	r.work(requests(1)...)
	api.rotate("canary-shared-new")
	api.calls = 0
	if got := r.work(requests(1)...)[0]; got.Outcome != deactivation.Deactivated || got.KeyVersion != "v2" || api.calls != 1 {
		t.Errorf("%s with %s after %d calls; want deactivated with v2 at once", got.Outcome, got.KeyVersion, api.calls)
	}
}

// TestAVendorMovesFromKeysToOAuth: the store holds the client before LicenseSpring accepts it.
func TestAVendorMovesFromKeysToOAuth(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 20)
	server := httptest.NewServer(http.Handler(api))
	t.Cleanup(server.Close)
	current := &secret{text: oauthText(testClientSecret, licenseapitest.TokenURL(server.URL)), version: "v2"}
	before := &secret{text: secretText(testSharedKey), version: "v1"}
	r := newHarnessAt(t, server.URL+licenseapitest.Base, func(cfg *worker.Config) {
		cfg.Secrets = secrets.NewCacheWithPrevious(current, before, secrets.ParseLicense)
	})
	r.work(requests(10)...)
	api.RotateClient(testClientID, testClientSecret)
	api.Rotate(testAPIKey, "")
	r.work(requests(20)[10:]...)
	if got := count(r.logged()); got[deactivation.Deactivated] != 20 || r.faults() > 0 || api.Counts().Tokens != 1 {
		t.Errorf("outcomes %v, %d faults, %d tokens; want 20 deactivated", got, r.faults(), api.Counts().Tokens)
	}
	r.saysNothingSecret()
}
