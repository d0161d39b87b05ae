package webhook_test

import (
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

