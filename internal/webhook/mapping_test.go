package webhook_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
)

// posted posts a body to one of the built-in sources and says what became of its first event.
func posted(t *testing.T, source, body string) ruling {
	t.Helper()
	rulings := newJudge(t).did(t, made{source: source, headers: map[string]string{"webhook-id": "msg_1"}, body: []byte(body)})
	if len(rulings) == 0 {
		t.Fatal("no event")
	}
	return rulings[0]
}

func TestChargebeesEndOfASubscriptionNeedsNoStatus(t *testing.T) {
	t.Parallel()
	got := posted(t, "chargebee", `{"id":"ev_1","event_type":"subscription_cancelled","content":{"subscription":{"id":"s","cf_license_key":"K1","cf_hardware_id":"h1","cf_product":"P1"}}}`)
	if got.answer != deactivation.Accepted {
		t.Errorf("%s, so a subscription ended and nobody hears of it", got.answer)
	}
}

func TestEveryFieldIsReadUnderEveryNameOfIt(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"chargebee":                 `{"id":"e","event_type":"subscription_cancelled","content":{"subscription":{"cf_username":"u","cf_license_id":7,"cf_bundle_code":"b","cf_hardware_id":"h","cf_product_short_code":"P1"}}}`,
		"paddle":                    `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"username":"u","license_id":7,"bundle_code":"b","hardware_id":"h"},"items":[{"price":{"custom_data":{"product_short_code":"P1"}}}]}}`,
		"chargebee/in two places":   `{"id":"e","event_type":"subscription_cancelled","content":{"subscription":{"cf_username":"u","cf_license_id":7,"cf_bundle_code":"b","meta_data":{"license_key":"K9","hardware_id":"h","product":"P1"}}}}`,
		"paddle/first of its names": `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"username":"u","license_id":7,"bundle_code":"b","hardware_id":"h"},"items":[{"price":{"custom_data":{"product":"","product_code":"P1","product_short_code":"P2"}}}]}}`,
	} {
		source, _, _ := strings.Cut(name, "/")
		got := posted(t, source, body)
		if want := []string{"u/7 bundle b of P1 on h"}; !slices.Equal(got.licenses, want) {
			t.Errorf("%s: %s %q, want %q", name, got.answer, got.licenses, want)
		}
	}
	got := posted(t, "paddle", `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"license_key":"K1","product":"P1","hardware_id":"h"},"items":[{"price":{"custom_data":{"product":false}}}]}}`)
	if got.answer != deactivation.Unmappable {
		t.Errorf("a boolean in the place of a product: %s, want unmappable", got.answer)
	}
}

func TestAShopifyContractWhoseBillingFailedHasEnded(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]deactivation.Answer{
		"cancelled": deactivation.Unmappable, "expired": deactivation.Unmappable, "failed": deactivation.Unmappable,
		"active": deactivation.Ignored, "paused": deactivation.Ignored,
	} {
		if got := posted(t, "shopify", fmt.Sprintf(`{"id":1,"origin_order_id":2,"status":%q}`, status)); got.answer != want {
			t.Errorf("%s: %s, want %s", status, got.answer, want)
		}
	}
}

