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

func TestNothingMayFollowTheBody(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	for _, after := range []string{"}", "]", "]]x", ",", "{}", "1", "\x00", " null"} {
		if got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody+after, clock, nil)); got.StatusCode != 400 {
			t.Errorf("%q after it: status %d, want 400", after, got.StatusCode)
		}
	}
	if got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody+" \r\n\t", clock, nil)); got.StatusCode != 200 {
		t.Errorf("white space after it: status %d, want 200", got.StatusCode)
	}
}

func TestRepeatsAreDroppedBeforeRequestsAreCounted(t *testing.T) {
	t.Parallel()
	const file = head + "license: [data.metadata, data]\nrules: [{name: refunded, type: r, cause: refund}]\n"
	repeated := strings.Repeat("K1,", 150) + "K2"
	many := strings.Join(numbered("K", 150), ",")
	for name, c := range map[string]struct {
		data string
		want int
	}{
		"150 times the same key":            {`{"license_key":"` + repeated + `","product":"XY","hardware_id":"h1"}`, 2},
		"150 times the same key, as a list": {`{"license_key":["` + strings.ReplaceAll(repeated, ",", `","`) + `"],"product":"XY","hardware_id":"h1"}`, 2},
		"many keys in a place not used":     {`{"license_key":"` + many + `","product":"XY","hardware_id":"h1","metadata":{"license_key":"K1"}}`, 1},
		"100 keys and the same once more":   {`{"license_key":"` + strings.Join(numbered("K", 100), ",") + `,K7","product":"XY","hardware_id":"h1"}`, 100},
		"101 keys":                          {`{"license_key":"` + strings.Join(numbered("K", 101), ",") + `","product":"XY","hardware_id":"h1"}`, 0},
	} {
		answer, got, log := became(t, file, `{"id":"e1","type":"r","data":`+c.data+`}`)
		if len(got) != c.want {
			t.Errorf("%s: %s with %d requests, want %d\n%s", name, answer, len(got), c.want, log)
		}
	}
}

// TestLinesWithTheSameManyLicensesAreCountedOnce: two lines of sixty licenses each are sixty, if they are the same.
func TestLinesWithTheSameManyLicensesAreCountedOnce(t *testing.T) {
	t.Parallel()
	line := `{"id":1,"quantity":1,"left":0,"sku":"A","properties":[{"name":"license_key","value":"` + strings.Join(numbered("K", 60), ",") + `"},{"name":"hardware_id","value":"h1"}]}`
	_, got, log := became(t, linesFile, `{"id":"e1","type":"r","status":"refunded","order":{},"lines":[`+line+`,`+line+`]}`)
	if len(got) != 60 {
		t.Errorf("%d requests, want 60\n%s", len(got), log)
	}
}

func TestAPartialRefundDoesNotReadLinesThatStay(t *testing.T) {
	t.Parallel()
	line := func(id, left, key string) string {
		return `{"id":` + id + `,"quantity":1,"left":` + left + `,"sku":"A","properties":[{"name":"license_key","value":` + key + `},{"name":"hardware_id","value":"h1"}]}`
	}
	for name, c := range map[string]struct {
		order, lines, refunded, answer string
		want                           []string
	}{
		"a fault on a line that stays":          {`{}`, line("1", "0", `"K1"`) + "," + line("2", "1", `true`), "1", "accepted", []string{"K1// A  h1"}},
		"a fault on a line, and none refunded":  {`{}`, line("2", "1", `true`), "7", "ignored", nil},
		"a fault on the order, and none either": {`{"license_key":true}`, line("2", "1", `"K1"`), "7", "ignored", nil},
		"a fault on the line that was refunded": {`{}`, line("1", "0", `true`), "1", "unmappable", nil},
		"a fault on the order that fills it up": {`{"hardware_id":true}`, line("1", "0", `"K1"`), "1", "unmappable", nil},
	} {
		answer, got, log := became(t, linesFile, `{"id":"e1","type":"r","status":"partial","order":`+c.order+`,"lines":[`+c.lines+`],"refunds":[{"lines":[{"line":`+c.refunded+`,"quantity":1}]}]}`)
		if answer != c.answer || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s %q, want %s %q\n%s", name, answer, got, c.answer, c.want, log)
		}
	}
}

func TestALineWithoutADeviceHasTheOrders(t *testing.T) {
	t.Parallel()
	device := func(id string) string {
		return `{"sku":"A","properties":[{"name":"hardware_id","value":"` + id + `"}]}`
	}
	const bare = `{"sku":"A","properties":[]}`
	for name, c := range map[string]struct {
		lines string
		want  []string
	}{
		"each its own":    {device("h1") + "," + device("h2"), []string{"K0// A  h1", "K0// A  h2"}},
		"one has none":    {device("h1") + "," + bare, []string{"K0// A  h1", "K0// A  h0"}},
		"none has":        {bare + "," + bare, []string{"K0// A  h0"}},
		"the order's too": {device("h0") + "," + bare, []string{"K0// A  h0"}},
	} {
		_, got, log := became(t, linesFile, `{"id":"e1","type":"r","status":"refunded","order":{"license_key":"K0","hardware_id":"h0"},"lines":[`+c.lines+`]}`)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q\n%s", name, got, c.want, log)
		}
	}
}

func TestAllEventsOfADeliveryTogetherAreBounded(t *testing.T) {
	t.Parallel()
	event := func(i int) string {
		return fmt.Sprintf(`{"id":"e%d","live":true,"type":"subscription.deactivated","data":{"tags":{"product":"P","hardware_id":"h","license_key":"%s"}}}`, i, strings.Join(numbered("K", 100), ","))
	}
	var all []string
	for i := range 51 {
		all = append(all, event(i))
	}
	rulings := newJudge(t).did(t, made{source: "fastspring", headers: map[string]string{}, body: []byte(`{"events":[` + strings.Join(all, ",") + `,{"id":"other","type":"other"}]}`)})
	for i, r := range rulings {
		want, n := deactivation.Accepted, 100
		switch i {
		case 50:
			want, n = deactivation.Unmappable, 0
		case 51:
			want, n = deactivation.Ignored, 0
		}
		if r.answer != want || len(r.licenses) != n {
			t.Errorf("event %d: %s with %d requests, want %s with %d", i, r.answer, len(r.licenses), want, n)
		}
	}
	if len(rulings) != 52 {
		t.Errorf("%d events", len(rulings))
	}
}
