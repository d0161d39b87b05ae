package source_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// TestTheSendersOfShopsVerifyWhatOthersSigned holds the files to signatures that were not made here: Square's is the example
// of its documentation (https://developer.squareup.com/docs/webhooks/step3validate), the others were made with OpenSSL 3
// (printf %s "$signed" | openssl dgst -sha256 -hmac canary-key-1) for 2026-11-22 12:00 UTC.
func TestTheSendersOfShopsVerifyWhatOthersSigned(t *testing.T) {
	t.Parallel()
	const body = `{"hello":"world"}`
	for _, c := range []struct {
		source, secret, url string
		headers             map[string]string
		timed               bool
	}{
		{"square", "asdf1234", "https://example.com/webhook",
			map[string]string{"x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="}, false},
		{"appsumo", "canary-key-1", "", map[string]string{"x-appsumo-timestamp": "1795348800",
			"x-appsumo-signature": "c806f1f5260d28ff9343687ee4a71692935ab2da92f6bd4aca72e61363afb756"}, true},
		{"appsumo", "canary-key-1", "", map[string]string{"x-appsumo-timestamp": "1795348800000",
			"x-appsumo-signature": "aa4f68478b9a9860a5552c9546bf2b3d20ea6f723543d804619f2d33dc87f528"}, true},
		{"zoho-payments", "canary-key-1", "",
			map[string]string{"x-zoho-webhook-signature": "t=1795348800000,v=d398291dbff646fea7649a14e9a4cb46a3a9992609e3130b3bffaa50124fa087"}, true},
		{"zoho-payments", "canary-key-1", "",
			map[string]string{"x-zoho-webhook-signature": "t=1795348800,v=b7cdde46b73a7368498ab070c3a93d6475638fac066523fb700ba8f0edbc1957"}, true},
		{"creem", "canary-key-1", "", map[string]string{"creem-signature": "e0c38de6dd368864fc99ab9179305f0f00b64e9027d7fac553e960323bb6d530"}, false},
		{"maxio", "canary-key-1", "",
			map[string]string{"x-chargify-webhook-signature-hmac-sha-256": "e0c38de6dd368864fc99ab9179305f0f00b64e9027d7fac553e960323bb6d530"}, false},
		{"sendowl", "canary-key-1", "", map[string]string{"x-sendowl-hmac-sha256": "4MON5t02iGT8mauReTBfDwC2TpAn1/rFU+lgMju21TA="}, false},
	} {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			s := get(t, load(t, ""), c.source)
			verify := func(secret, url, body string, at time.Time) error {
				_, err := s.Verify(signing.Delivery{Method: "POST", URL: url, Header: c.headers, Body: []byte(body)}, at, []string{secret})
				return err
			}
			if err := verify(c.secret, c.url, body, clock); err != nil {
				t.Errorf("refused: %v", err)
			}
			for name, err := range map[string]error{
				"another secret": verify(c.secret+"x", c.url, body, clock),
				"another body":   verify(c.secret, c.url, body+" ", clock),
			} {
				if !errors.Is(err, signing.ErrMismatch) {
					t.Errorf("%s: %v, want %v", name, err, signing.ErrMismatch)
				}
			}
			if !c.timed {
				return
			}
			for name, at := range map[string]time.Time{"six minutes late": clock.Add(6 * time.Minute), "six minutes early": clock.Add(-6 * time.Minute)} {
				if err := verify(c.secret, c.url, body, at); !errors.Is(err, signing.ErrStale) && !errors.Is(err, signing.ErrFuture) {
					t.Errorf("%s: %v, want a refusal of the time", name, err)
				}
			}
		})
	}
}

// TestSquareSignsTheAddressLetterByLetter: what PUBLIC_URL must be.
func TestSquareSignsTheAddressLetterByLetter(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, ""), "square")
	for _, url := range []string{
		"https://example.com/webhook/", "http://example.com/webhook", "https://Example.com/webhook", "https://example.com:443/webhook",
		"https://example.com/webhook?", "https://example.com/webhook?a=b", "https://www.example.com/webhook",
	} {
		d := signing.Delivery{URL: url, Body: []byte(`{"hello":"world"}`),
			Header: map[string]string{"x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="}}
		if _, err := s.Verify(d, clock, []string{"asdf1234"}); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%q: %v, want %v", url, err, signing.ErrMismatch)
		}
	}
}

// TestASecretOfAnotherFormIsForThatSchemeAlone: Polar's older secrets are text and no Base64, its newer ones are Base64.
func TestASecretOfAnotherFormIsForThatSchemeAlone(t *testing.T) {
	t.Parallel()
	const text, encoded = "whsec_legacy-Polar_Token-without_padding-0123456789", "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtMTIz"
	s := get(t, load(t, ""), "polar")
	for _, secret := range []string{text, encoded} {
		d := signedBy(t, s, secret, `{}`, clock, map[string]string{"webhook-id": "msg_1"})
		for _, secrets := range [][]string{{secret}, {text, encoded}, {encoded, text}} {
			if _, err := s.Verify(d, clock, secrets); err != nil {
				t.Errorf("signed with %s, verified with %d secrets: %v", secret, len(secrets), err)
			}
		}
		if err := s.CheckKeys([]string{secret}); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
	d := signedBy(t, s, text, `{}`, clock, map[string]string{"webhook-id": "msg_1"})
	if _, err := s.Verify(d, clock, []string{encoded}); !errors.Is(err, signing.ErrMismatch) {
		t.Errorf("by another secret: %v, want %v", err, signing.ErrMismatch)
	}
	if _, err := s.Verify(d, clock, []string{" " + text}); !errors.Is(err, source.ErrSecret) || strings.Contains(err.Error(), "legacy") {
		t.Errorf("a secret that is a key of no scheme: %v, want ErrSecret without the secret", err)
	}
}

// TestARetryOfGumroadIsTheSameEvent: a retry has retry_count in its body. Two events of one sale differ in what they say of it.
func TestARetryOfGumroadIsTheSameEvent(t *testing.T) {
	t.Parallel()
	const (
		sale = "sale_id=S1%3D%3D&email=a%40example.com&refunded="
		end  = "subscription_id=B1%3D%3D&purchase_ids[]=S1%3D%3D&resource_name=subscription_ended&ended_at=2026-11-18T07:00:12Z"
	)
	events := []string{
		sale + "true&resource_name=refund&disputed=false&dispute_won=false", sale + "false&resource_name=refund&disputed=false&dispute_won=false",
		sale + "false&resource_name=dispute&disputed=true&dispute_won=false", sale + "false&resource_name=dispute_won&disputed=true&dispute_won=true",
		sale + "false", end, strings.ReplaceAll(end, "2026-11-18", "2027-11-18"), strings.ReplaceAll(end, "B1", "B2"),
		"resource_name=refund&refunded=true", // neither a sale nor a subscription: the bytes are the event's id
	}
	seen := map[string]string{}
	for i, body := range events {
		id := mapped(t, "gumroad", "", formHeader(), body)[0].Event
		if seen[id] != "" {
			t.Errorf("%s has the id of %s: %s", body, seen[id], id)
		}
		seen[id] = body
		if retried := mapped(t, "gumroad", "", formHeader(), body+"&retry_count=2")[0].Event; (retried == id) != (i < len(events)-1) {
			t.Errorf("%s: the id of the retry is %s, that of the event %s", body, retried, id)
		}
	}
}
