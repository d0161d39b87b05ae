package oracles_test

import (
	"errors"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"license-deactivator/pkg/signing"
)

// TestPolarSignsByTheBytesOfItsOlderSecretsAndWeVerify signs as Polar does by a secret that was made until 2026-09-07, with
// the library that its server uses: the key is the whole text of the secret, with its whsec_. Newer ones are those of
// Standard Webhooks.
func TestPolarSignsByTheBytesOfItsOlderSecretsAndWeVerify(t *testing.T) {
	t.Parallel()
	const secret, other = "whsec_legacy-Polar_Token-without_padding-0123456789", "whsec_legacy-Polar_Token-without_padding-9876543210"
	polar, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	scheme := newScheme(t, signing.Spec{
		Header: []string{"webhook-signature"}, Separator: " ", Form: "v1,{signature}", Timestamp: "webhook-timestamp",
		Signed: "{webhook-id}.{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "base64", Key: "text", Tolerance: 5 * time.Minute,
	})
	now := time.Now()
	for name, body := range bodies() {
		signature, err := polar.Sign("msg_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		d := delivery("webhook", now, signature, body)
		if err := scheme.Verify(d, now, newKey(t, scheme, other), newKey(t, scheme, secret)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := scheme.Verify(d, now, newKey(t, scheme, other)); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: by another secret: got %v, want %v", name, err, signing.ErrMismatch)
		}
		ours := signing.Delivery{Header: map[string]string{"webhook-id": "msg_1"}, Body: body}
		if err := scheme.Sign(&ours, now, newKey(t, scheme, secret)); err != nil {
			t.Fatal(err)
		}
		if err := polar.Verify(body, httpHeader(ours)); err != nil {
			t.Errorf("%s: the library: %v", name, err)
		}
	}
}
