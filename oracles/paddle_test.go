package oracles_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	paddle "github.com/PaddleHQ/paddle-go-sdk/v4"

	"license-deactivator/pkg/signing"
)

const (
	paddleKey      = "pdl_ntfset_oracle_secret"
	paddleOtherKey = "pdl_ntfset_oracle_rotated"
)

func paddleScheme(t *testing.T) *signing.Scheme {
	t.Helper()
	return newScheme(t, signing.Spec{
		Header: []string{"Paddle-Signature"}, Separator: ";", Form: "ts={timestamp};h1={signature}",
		Signed: "{timestamp}:{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: 5 * time.Minute,
	})
}

// paddleVerifies asks Paddle's own verifier. Paddle's library cannot sign, so it only verifies what we sign.
func paddleVerifies(t *testing.T, signature string, body []byte, secret string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Paddle-Signature", signature)
	ok, err := paddle.NewWebhookVerifier(secret).Verify(req)
	return ok && err == nil
}

func TestWeSignAndPaddleVerifies(t *testing.T) {
	t.Parallel()
	scheme := paddleScheme(t)
	for name, body := range bodies() {
		d := signing.Delivery{Body: body}
		if err := scheme.Sign(&d, time.Now(), newKey(t, scheme, paddleKey)); err != nil {
			t.Fatal(err)
		}
		signature := d.Header["paddle-signature"]
		if !paddleVerifies(t, signature, body, paddleKey) {
			t.Errorf("%s: refused", name)
		}
		if paddleVerifies(t, signature, body, paddleOtherKey) {
			t.Errorf("%s: passes by another key", name)
		}
		if paddleVerifies(t, signature, append(body[:len(body):len(body)], 'x'), paddleKey) {
			t.Errorf("%s: passes with another body", name)
		}
	}
}

// While a secret is rotated Paddle sends both signatures. Paddle's own verifier accepts only one; ours must accept
// either. For this reason we do not use Paddle's.
func TestPaddleInRotation(t *testing.T) {
	t.Parallel()
	scheme := paddleScheme(t)
	now, body := time.Now(), []byte(`{"event_id":"evt_1"}`)
	sign := func(secret string) string {
		d := signing.Delivery{Body: body}
		if err := scheme.Sign(&d, now, newKey(t, scheme, secret)); err != nil {
			t.Fatal(err)
		}
		return d.Header["paddle-signature"]
	}
	older, newer := sign(paddleKey), sign(paddleOtherKey)
	both := older + newer[strings.Index(newer, ";h1="):]
	d := signing.Delivery{Header: map[string]string{"paddle-signature": both}, Body: body}
	for _, secret := range []string{paddleKey, paddleOtherKey} {
		if err := scheme.Verify(d, now, newKey(t, scheme, secret)); err != nil {
			t.Errorf("we: %v", err)
		}
		if paddleVerifies(t, both, body, secret) {
			t.Error("Paddle's verifier accepts two signatures now; the comment above is out of date")
		}
	}
	if err := scheme.Verify(d, now, newKey(t, scheme, "pdl_ntfset_third")); !errors.Is(err, signing.ErrMismatch) {
		t.Errorf("got %v, want %v", err, signing.ErrMismatch)
	}
}
