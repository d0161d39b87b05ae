package source_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// signedBy is a delivery that a source's sender signed.
func signedBy(t *testing.T, s *source.Source, secret, body string, at time.Time, headers map[string]string) signing.Delivery {
	t.Helper()
	d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + s.Name, Header: map[string]string{}, Body: []byte(body)}
	for name, text := range headers {
		d.Header[name] = text
	}
	if err := s.Sign(&d, at, secret); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnySchemeAndAnySecretMayVerify(t *testing.T) {
	t.Parallel()
	const secret, other = "whsec_c2VjcmV0LW9uZQ==", "whsec_c2VjcmV0LXR3bw=="
	s := get(t, load(t, ""), "standard")
	for id, want := range map[string]string{"webhook-id": "in webhook-signature", "svix-id": "in svix-signature"} {
		d := signedBy(t, s, secret, `{}`, clock, map[string]string{id: "msg_1"})
		for _, secrets := range [][]string{{secret}, {secret, other}, {other, secret}} {
			verified, err := s.Verify(d, clock, secrets)
			if err != nil || !strings.Contains(verified.Scheme(), want) {
				t.Errorf("%s with %d secrets: %v, scheme %q, want one %s", id, len(secrets), err, verified.Scheme(), want)
			}
		}
		if !strings.Contains(s.GuessScheme(d), want) {
			t.Errorf("%s: guessed as %s", id, s.GuessScheme(d))
		}
	}
}

func TestTheErrorOfVerifyIsThatOfTheSchemeThatCameFurthest(t *testing.T) {
	t.Parallel()
	const secret = "whsec_c2VjcmV0LW9uZQ=="
	s := get(t, load(t, ""), "standard")
	d := signedBy(t, s, secret, `{}`, clock, map[string]string{"svix-id": "msg_1"}) // by the second scheme
	forged := d
	forged.Body = []byte(`{"a":1}`)
	for name, c := range map[string]struct {
		d    signing.Delivery
		at   time.Time
		want error
	}{
		"no signature": {signing.Delivery{Body: []byte(`{}`)}, clock, signing.ErrMissing},
		"forged":       {forged, clock, signing.ErrMismatch},
		"old":          {d, clock.Add(time.Hour), signing.ErrStale},
		"early":        {d, clock.Add(-time.Hour), signing.ErrFuture},
	} {
		if _, err := s.Verify(c.d, c.at, []string{secret}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A wrong secret is reported as one also where a later scheme reads the same header and finds nothing of its own in it: the
// webhook reads the secrets again only after a mismatch, so a secret that was just rotated would stay unknown.
func TestALaterSchemeDoesNotHideHowFarAnEarlierOneCame(t *testing.T) {
	t.Parallel()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const secret, other = "whsec_c2VjcmV0LW9uZQ==", "whsec_c2VjcmV0LXR3bw=="
	whpk := "whpk_" + base64.StdEncoding.EncodeToString(public)
	standard, zoho := get(t, load(t, ""), "standard"), get(t, load(t, ""), "zoho-payments")
	byV1 := signedBy(t, standard, secret, `{}`, clock, map[string]string{"webhook-id": "msg_1"})
	inMilliseconds := signedBy(t, zoho, "secret", `{}`, clock, nil)
	for name, c := range map[string]struct {
		s       *source.Source
		d       signing.Delivery
		at      time.Time
		secrets []string
		want    error
	}{
		"v1 by another secret":    {standard, byV1, clock, []string{other, whpk}, signing.ErrMismatch},
		"v1, old":                 {standard, byV1, clock.Add(time.Hour), []string{secret, whpk}, signing.ErrStale},
		"v1, early":               {standard, byV1, clock.Add(-time.Hour), []string{secret, whpk}, signing.ErrFuture},
		"old, in milliseconds":    {zoho, inMilliseconds, clock.Add(time.Hour), []string{"secret"}, signing.ErrStale},
		"by another secret, Zoho": {zoho, inMilliseconds, clock, []string{"other"}, signing.ErrMismatch},
	} {
		if _, err := c.s.Verify(c.d, c.at, c.secrets); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestTheErrorOfVerifyNamesWhatIsMissing: the texts are those that docs/senders/your-own.md and hubspot.md promise.
func TestTheErrorOfVerifyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source, want string
		headers      map[string]string
	}{
		"the signature":                 {"stripe", "signing: missing: header stripe-signature", nil},
		"one of two names":              {"shopify", "signing: missing: header x-shopify-hmac-sha256 or shopify-hmac-sha256", nil},
		"the signatures of two schemes": {"standard", "signing: missing: header webhook-signature, or header svix-signature", nil},
		"one header of two schemes":     {"appsumo", "signing: missing: header x-appsumo-signature", nil},
		"the newer signature":           {"hubspot", "signing: missing: header x-hubspot-signature-v3", map[string]string{"x-hubspot-signature": "v2"}},
		"a header that is signed": {"standard", "signing: missing: header webhook-signature, or header svix-id",
			map[string]string{"svix-signature": "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32)), "svix-timestamp": "1700000000"}},
	} {
		_, err := get(t, load(t, ""), c.source).Verify(signing.Delivery{Header: c.headers, Body: []byte(`{}`)}, clock, []string{"whsec_c2VjcmV0LW9uZQ=="})
		if !errors.Is(err, signing.ErrMissing) || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestASecretThatCannotBeAKeyIsTheDeploymentsFault(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, ""), "standard")
	d := signedBy(t, s, "whsec_c2VjcmV0LW9uZQ==", `{}`, clock, map[string]string{"webhook-id": "msg_1"})
	_, err := s.Verify(d, clock, []string{"whsec_%canary"})
	if !errors.Is(err, source.ErrSecret) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want ErrSecret without the secret", err)
	}
}

func TestAPingIsUnsignedAndMatchesTheWholeBody(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, ""), "woocommerce")
	for body, ping := range map[string]bool{
		"webhook_id=1": true, "webhook_id=123456": true,
		"webhook_id=1&x=2": false, " webhook_id=1": false, "webhook_id=": false, "webhook_id=1\n": false, "": false,
	} {
		d := signing.Delivery{Body: []byte(body)}
		if _, err := s.Verify(d, clock, []string{"secret"}); errors.Is(err, source.ErrPing) != ping || err == nil {
			t.Errorf("%q: %v, want a ping: %v", body, err, ping)
		}
		if _, err := s.Assume(d); errors.Is(err, source.ErrPing) != ping {
			t.Errorf("%q, unchecked: %v, want a ping: %v", body, err, ping)
		}
		d.Header = map[string]string{"x-wc-webhook-signature": "Zm9v"}
		if _, err := s.Verify(d, clock, []string{"secret"}); err == nil || errors.Is(err, source.ErrPing) {
			t.Errorf("%q with a forged signature: %v", body, err)
		}
	}
}

func TestWhatMakesAVerifiedBodyNoEvent(t *testing.T) {
	t.Parallel()
	const file = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex, require: account == 'ours'}
event: {records: events}
license: [data]
rules: [{name: r, when: a, cause: refund}]
`
	s := get(t, load(t, file), "tiny")
	for body, want := range map[string]struct {
		err        error
		unreadable []bool // of each event
	}{
		`{"account":"ours","events":[]}`:     {},
		`{"account":"ours","events":[{}]}`:   {unreadable: []bool{false}},
		`{"account":"theirs","events":[{}]}`: {err: source.ErrNotRequired},
		`{"events":[{}]}`:                    {err: source.ErrNotRequired},
		``:                                   {unreadable: []bool{true}},
		"\xEF\xBB\xBF" + `{"account":"ours","events":[{}]}`: {unreadable: []bool{false}},
		"{\"a\":\"\xFF\"}":                   {unreadable: []bool{true}},
		`{"account":"ours"}`:                 {unreadable: []bool{true}},
		`{"account":"ours","events":["a"]}`:  {unreadable: []bool{true}},
		`{"account":"ours","events":[{},1]}`: {unreadable: []bool{false, true}},
		`{"account":"ours","events":[{}` + strings.Repeat(",{}", 500) + `]}`: {unreadable: []bool{true}},
	} {
		v := assumed(t, s, nil, body)
		mappings, err := s.Map(v, source.Options{})
		var unreadable []bool
		for _, m := range mappings {
			unreadable = append(unreadable, m.Answer == deactivation.Unmappable && m.Code == deactivation.CodeUnreadable)
		}
		if !errors.Is(err, want.err) || !slices.Equal(unreadable, want.unreadable) {
			t.Errorf("Map of %.40q: %v, unreadable %v, want %v, %v", body, err, unreadable, want.err, want.unreadable)
		}
		events, err := s.Explain(v, source.Options{})
		if !errors.Is(err, want.err) || len(events) != len(want.unreadable) {
			t.Errorf("Explain of %.40q: %d events, %v, want %d, %v", body, len(events), err, len(want.unreadable), want.err)
		}
	}
}

// TestASecretAndAPublicKeyEachHaveTheirScheme: standard.yaml verifies v1 with a secret and v1a with a public key. Neither
// is ever used for the other: whoever knows the public key could otherwise sign with it.
func TestASecretAndAPublicKeyEachHaveTheirScheme(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "whsec_c2VjcmV0LW9uZQ=="
	bare := base64.StdEncoding.EncodeToString(public)
	whpk, whsk := "whpk_"+bare, "whsk_"+base64.StdEncoding.EncodeToString(private)
	s := get(t, load(t, ""), "standard")
	id := map[string]string{"webhook-id": "msg_1"}
	byPublicKey := signedBy(t, s, whsk, `{}`, clock, id)
	bySecret := signedBy(t, s, secret, `{"by":"secret"}`, clock, id)
	byPublicKeyAsSecret := signedBy(t, s, "whsec_"+bare, `{}`, clock, id)
	for name, c := range map[string]struct {
		d       signing.Delivery
		secrets []string
		scheme  string // "": refused
	}{
		"v1a":                        {byPublicKey, []string{whpk}, "Ed25519 signature of {webhook-id}.{timestamp}.{body}, base64, in webhook-signature, at most 5m old"},
		"v1a, next to a secret":      {byPublicKey, []string{secret, whpk}, "Ed25519"},
		"v1, next to a public key":   {bySecret, []string{whpk, secret}, "HMAC-SHA256"},
		"v1a without a public key":   {byPublicKey, []string{secret}, ""},
		"v1 without a secret":        {bySecret, []string{whpk}, ""},
		"v1, made with a public key": {byPublicKeyAsSecret, []string{whpk}, ""},
	} {
		v, err := s.Verify(c.d, clock, c.secrets)
		if (err == nil) != (c.scheme != "") || !strings.HasPrefix(v.Scheme(), c.scheme) {
			t.Errorf("%s: %v, scheme %q, want %q", name, err, v.Scheme(), c.scheme)
		}
		if errors.Is(err, source.ErrSecret) {
			t.Errorf("%s: the deployment is at fault: %v", name, err)
		}
	}
	if got := s.VerifyingSecret(whsk); got != whpk || s.VerifyingSecret(secret) != secret || s.VerifyingSecret(whpk) != whpk {
		t.Errorf("the private key is verified by %s", got)
	}
	for _, broken := range []string{whsk, "whpk_canary", "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "-----BEGIN PUBLIC KEY-----"} {
		if err := s.CheckKeys([]string{secret, broken}); !errors.Is(err, source.ErrSecret) || !strings.Contains(err.Error(), "number 2") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", broken, err)
		}
	}
}
