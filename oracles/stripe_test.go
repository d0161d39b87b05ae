package oracles_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"license-deactivator/pkg/signing"
)

const (
	stripeKey  = "whsec_oracle_secret"
	rotatedKey = "whsec_oracle_rotated"
)

func stripe(t *testing.T) *signing.Scheme {
	t.Helper()
	return newScheme(t, signing.Spec{
		Header: []string{"Stripe-Signature"}, Separator: ",", Form: "t={timestamp},v1={signature}",
		Signed: "{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: webhook.DefaultTolerance,
	})
}

func TestStripeSignsAndWeVerify(t *testing.T) {
	t.Parallel()
	scheme := stripe(t)
	key, other := newKey(t, scheme, stripeKey), newKey(t, scheme, rotatedKey)
	now := time.Now()
	for name, body := range bodies() {
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: stripeKey, Timestamp: now})
		d := signing.Delivery{Header: map[string]string{"stripe-signature": signed.Header}, Body: body}
		if err := scheme.Verify(d, now, other, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := scheme.Verify(d, now, other); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: by another key: got %v, want %v", name, err, signing.ErrMismatch)
		}
		d.Body = append(d.Body[:len(d.Body):len(d.Body)], 'x')
		if err := scheme.Verify(d, now, key); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: changed: got %v, want %v", name, err, signing.ErrMismatch)
		}
	}
}

func TestWeSignAndStripeVerifies(t *testing.T) {
	t.Parallel()
	scheme := stripe(t)
	for name, body := range bodies() {
		d := signing.Delivery{Body: body}
		if err := scheme.Sign(&d, time.Now(), newKey(t, scheme, stripeKey)); err != nil {
			t.Fatal(err)
		}
		if err := webhook.ValidatePayload(body, d.Header["stripe-signature"], stripeKey); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := webhook.ValidatePayload(body, d.Header["stripe-signature"], rotatedKey); err == nil {
			t.Errorf("%s: passes by another key", name)
		}
	}
}

// While a secret is rotated Stripe signs with both. Each side accepts the signature at either position of the header.
func TestStripeInRotation(t *testing.T) {
	t.Parallel()
	scheme := stripe(t)
	now, body := time.Now(), []byte(`{"id":"evt_1"}`)
	sign := func(secret string) string {
		return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: now}).Header
	}
	older, newer := sign(stripeKey), sign(rotatedKey)
	for _, value := range []string{older + newer[strings.Index(newer, ",v1="):], newer + older[strings.Index(older, ",v1="):]} {
		d := signing.Delivery{Header: map[string]string{"stripe-signature": value}, Body: body}
		for _, secret := range []string{stripeKey, rotatedKey} {
			if err := scheme.Verify(d, now, newKey(t, scheme, secret)); err != nil {
				t.Errorf("we: %v", err)
			}
			if err := webhook.ValidatePayload(body, value, secret); err != nil {
				t.Errorf("stripe-go: %v", err)
			}
		}
		if err := scheme.Verify(d, now, newKey(t, scheme, "whsec_third")); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("a third key: got %v, want %v", err, signing.ErrMismatch)
		}
	}
}

// stripe-go accepts any time in the future; we do not.
func TestWeRefuseTheFutureThatStripeTakes(t *testing.T) {
	t.Parallel()
	scheme := stripe(t)
	body := []byte(`{}`)
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: body, Secret: stripeKey, Timestamp: time.Now().AddDate(3, 0, 0),
	})
	if err := webhook.ValidatePayload(body, signed.Header, stripeKey); err != nil {
		t.Fatalf("stripe-go: %v", err)
	}
	d := signing.Delivery{Header: map[string]string{"stripe-signature": signed.Header}, Body: body}
	if err := scheme.Verify(d, time.Now(), newKey(t, scheme, stripeKey)); !errors.Is(err, signing.ErrFuture) {
		t.Errorf("got %v, want %v", err, signing.ErrFuture)
	}
}
