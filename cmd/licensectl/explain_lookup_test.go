package main

import (
	"strings"
	"testing"
)

// TestExplainShowsWhatIsLookedUp with --look-up: the ids with their marks, the scope, and whether the license is disabled.
func TestExplainShowsWhatIsLookedUp(t *testing.T) {
	t.Parallel()
	for sample, want := range map[string][]string{
		"stripe/chargeback": {
			"RESULT accepted: 1 look-up by the rule \"chargeback opened\".", "look up the licenses of the whole order, and deactivate all their devices, cause dispute",
			"order pi_3Tg3hjsKq7VbnZx2Rt1dEG6o8I", "scope order", "disable false",
		},
		"shopify/subscription-contract-cancelled": {
			"look up the licenses of the subscription, and deactivate all their devices, cause subscription_ended", "order 11471484334259", "subscription 9710598298",
		},
		"shopify/line-refund-no-license-data": {
			"look up the licenses of the refunded items, deactivate all their devices and disable them, cause refund",
			"order 9587 weak: counts only with the customer's e-mail address", "e-mail …@example.com confirms, and never finds", "scope items: 1 of acme-render", "disable true",
		},
		"shopify/several-lines": {
			"RESULT accepted: 2 deactivations and 1 look-up by the rule", "deactivate …XNXZ of acme-pro on device …4165, then all its devices, and disable it, cause refund",
			"license_key …XNXZ buyer: a buyer can write it, so it counts only if it is confirmed", "none ignore",
		},
		"stripe/no-hardware-id":       {"look up …KXRE, deactivate all its devices and disable it, cause refund", "license_key …KXRE"},
		"stripe/refund-still-pending": {"RESULT unmappable: the rule \"refund not finished\" keeps it for review."},
	} {
		code, stdout, stderr := explained(t, "", sample, "--look-up")
		flat := strings.Join(strings.Fields(stdout), " ")
		if code != exitDone || stderr != "" {
			t.Errorf("%s: exit code %d, %s", sample, code, stderr)
		}
		for _, text := range want {
			if !strings.Contains(flat, text) {
				t.Errorf("%s: %q is not in\n%s", sample, text, stdout)
			}
		}
		if strings.Contains(stdout, "customer-") || strings.Contains(stdout, "Hint: with the look-up") {
			t.Errorf("%s: an e-mail address is shown, or a hint:\n%s", sample, stdout)
		}
	}
}

// TestExplainHintsAtTheLookUp where it would find the license, and nowhere else.
func TestExplainHintsAtTheLookUp(t *testing.T) {
	t.Parallel()
	for sample, want := range map[string]bool{
		"stripe/chargeback": true, "stripe/no-hardware-id": true, "hubspot/deal-refunded": false, "stripe/refund-still-pending": false,
		"stripe/full-refund": false, "shopify/several-products-one-license": false,
	} {
		_, stdout, _ := explained(t, "", sample)
		if strings.Contains(stdout, "Hint: with the look-up on") != want {
			t.Errorf("%s: want a hint: %t\n%s", sample, want, stdout)
		}
	}
}

// TestExplainSaysThatAnEventIsAboutOtherGoods where lookup.when does not hold.
func TestExplainSaysThatAnEventIsAboutOtherGoods(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"mine/acme.yaml": `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type}
license: [data]
lookup: {order: [order, {id: short}], when: "kind == 'software'"}
rules: [{name: refunded, type: refunded, cause: refund}]
`})
	for body, want := range map[string]string{
		`{"id":"e","type":"refunded","order":"ord_1","kind":"shirt"}`:                 `RESULT ignored: the rule "refunded" matches, but it names no license, and lookup.when says that it is not about licensed goods.`,
		`{"id":"e","type":"refunded","order":"ord_1","short":"12","kind":"software"}`: "order 12 from short (for people alone: no license is looked up by it)",
	} {
		code, stdout, stderr := explained(t, body, "-", "--source", "acme", "--sources", dir, "--look-up")
		if code != exitDone || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("%s: exit code %d, %s\n%s", body, code, stderr, stdout)
		}
	}
}

func TestSourcesCheckListsWhatIsLookedUp(t *testing.T) {
	t.Parallel()
	code, stdout, _ := command(t, "sources", "check", "../../sources")
	for _, want := range []string{
		"stripe.yaml:37: look-up: by order data.object.payment_intent, ", "order_number (weak)", "data.custom_data.order_id (buyer)", "name without # (weak)",
		`look-up: rule "chargeback lost": disables the license`, `look-up: rule "first payment refunded": no order; subscription data.attributes.subscription_id; disables the license`,
		`look-up: rule "subscription ended": subscription data.id; disables nothing`,
	} {
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, %q is not in\n%s", code, want, stdout)
		}
	}
}

// TestSourcesCheckMapsTheSamplesWithTheLookUpOn, too.
func TestSourcesCheckMapsTheSamplesWithTheLookUpOn(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"mine/acme.yaml": `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type}
license: [data]
lookup: {order: [order]}
rules: [{name: refunded, type: refunded, cause: refund}]
`,
		"events/acme/a.json": `{"id":"e","type":"refunded","order":"ord_1"}`,
		"events/acme/a.yaml": "answer: unmappable\nrule: refunded\nmissing: [license_key, product, hardware_id]\n",
	})
	code, stdout, _ := command(t, "sources", "check", dir)
	if want := `events/acme/a.yaml: error: it says unmappable by the rule "refunded", but the event is accepted by the rule "refunded"`; code != exitFailed || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d, want %q in\n%s", code, want, stdout)
	}
}
