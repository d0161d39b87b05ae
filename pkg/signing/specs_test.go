package signing_test

import (
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

const tolerance = 5 * time.Minute

// specs are the schemes of real senders, from their documentation.
func specs() map[string]signing.Spec {
	body := func(header, encoding string) signing.Spec {
		return signing.Spec{Header: []string{header}, Form: "{signature}", Signed: "{body}", MAC: "hmac-sha256", Encoding: encoding}
	}
	standard := func(prefix string) signing.Spec {
		return signing.Spec{
			Header: []string{prefix + "-signature"}, Separator: " ", Form: "v1,{signature}", Timestamp: prefix + "-timestamp",
			Signed: "{" + prefix + "-id}.{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "base64",
			Key: "base64", KeyPrefix: "whsec_", Tolerance: tolerance,
		}
	}
	shopify := body("X-Shopify-Hmac-Sha256", "base64")
	shopify.Header = append(shopify.Header, "Shopify-Hmac-Sha256")
	generic := body("X-Signature-256", "hex")
	generic.Form = "sha256={signature}"

	return map[string]signing.Spec{
		// https://docs.stripe.com/webhooks
		"stripe": {
			Header: []string{"Stripe-Signature"}, Separator: ",", Form: "t={timestamp},v1={signature}",
			Signed: "{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: tolerance,
		},
		// https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
		"shopify": shopify,
		// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
		"standard-webhooks": standard("webhook"),
		"svix":              standard("svix"),
		// https://developer.paddle.com/webhooks/signature-verification
		"paddle": {
			Header: []string{"Paddle-Signature"}, Separator: ";", Form: "ts={timestamp};h1={signature}",
			Signed: "{timestamp}:{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: tolerance,
		},
		// https://developer.fastspring.com/docs/message-security
		"fastspring": body("X-FS-Signature", "base64"),
		// https://woocommerce.com/document/webhooks/
		"woocommerce": body("X-WC-Webhook-Signature", "base64"),
		// https://docs.lemonsqueezy.com/help/webhooks/signing-requests
		"lemonsqueezy": body("X-Signature", "hex"),
		// https://github.com/recurly/recurly-client-go/blob/HEAD/webhook_test.go
		"recurly": {
			Header: []string{"recurly-signature"}, Separator: ",", Form: "{timestamp},{signature}", Unit: time.Millisecond,
			Signed: "{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: tolerance,
		},
		// https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
		"hubspot-v3": {
			Header: []string{"X-HubSpot-Signature-v3"}, Form: "{signature}", Timestamp: "X-HubSpot-Request-Timestamp",
			Unit: time.Millisecond, Signed: "{method}{url}{body}{timestamp}", MAC: "hmac-sha256", Encoding: "base64",
			Tolerance: tolerance,
		},
		"generic": generic,
		// RFC 7617
		"basic": {Header: []string{"Authorization"}, Form: "Basic {secret}", MAC: "none", Encoding: "base64"},
		// RFC 6750
		"bearer": {Header: []string{"Authorization"}, Form: "Bearer {secret}", MAC: "none"},
		"query":  {Query: "token", Form: "{secret}", MAC: "none"},
		// A MAC in the address: no known sender uses it, but the two can be combined.
		"signed query": {Query: "sig", Form: "{signature}", Signed: "{method} {body}", MAC: "hmac-sha256", Encoding: "hex"},
	}
}

func mustScheme(tb testing.TB, spec signing.Spec) *signing.Scheme {
	tb.Helper()
	scheme, err := signing.NewScheme(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return scheme
}

func mustKey(tb testing.TB, scheme *signing.Scheme, text string) signing.Key {
	tb.Helper()
	key, err := scheme.NewKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
