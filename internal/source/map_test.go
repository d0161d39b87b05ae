package source_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

func TestWhereLicenseDataComesFrom(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data.metadata, data]
rules: [{name: refunded, type: r, cause: refund}]
`
	for name, c := range map[string]struct {
		data   string
		answer string
		want   []string
	}{
		"the first place":           {`{"metadata":{"license_key":"K1","product":"XY","hardware_id":"h1"},"license_key":"K2","product":"Z","hardware_id":"h2"}`, "accepted", []string{"K1// XY  h1"}},
		"filled from the second":    {`{"metadata":{"license_key":"K1"},"product":"XY","hardware_id":"h1"}`, "accepted", []string{"K1// XY  h1"}},
		"identity is not mixed":     {`{"metadata":{"license_key":"K1","product":"XY","hardware_id":"h1"},"username":"u","license_id":7}`, "accepted", []string{"K1// XY  h1"}},
		"product_code":              {`{"license_key":"K1","product_code":"XY","hardware_id":"h1"}`, "accepted", []string{"K1// XY  h1"}},
		"product_short_code":        {`{"license_key":"K1","product_short_code":"XY","hardware_id":"h1"}`, "accepted", []string{"K1// XY  h1"}},
		"user":                      {`{"username":"u","license_id":820982911946154508,"product":"XY","bundle_code":"b","hardware_id":"h1"}`, "accepted", []string{"/u/820982911946154508 XY b h1"}},
		"a number keeps its digits": {`{"license_key":820982911946154508,"product":7,"hardware_id":"h1"}`, "accepted", []string{"820982911946154508// 7  h1"}},
		"comma-separated":           {`{"license_key":" K1, ,K2,K1 ","product":"XY","hardware_id":"h1"}`, "accepted", []string{"K1// XY  h1", "K2// XY  h1"}},
		"lists":                     {`{"license_key":["K1","K2"],"product":"XY","hardware_id":["h1","h2"]}`, "accepted", []string{"K1// XY  h1", "K1// XY  h2", "K2// XY  h1", "K2// XY  h2"}},
		"other names are not read":  {`{"code":"c","ip":"1.2.3.4","license_key":"K1","product":"XY","hardware_id":"h1"}`, "accepted", []string{"K1// XY  h1"}},
		"no device":                 {`{"license_key":"K1","product":"XY"}`, "unmappable", nil},
		"blank device":              {`{"license_key":"K1","product":"XY","hardware_id":" ; \n"}`, "unmappable", nil},
		"no product":                {`{"license_key":"K1","hardware_id":"h1"}`, "unmappable", nil},
		"no identity":               {`{"product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"two identities":            {`{"license_key":"K1","username":"u","product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"object as key":             {`{"license_key":{"a":1},"product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"boolean as device":         {`{"license_key":"K1","product":"XY","hardware_id":true}`, "unmappable", nil},
		"fraction as key":           {`{"license_key":1.5,"product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"1.0 as key":                {`{"license_key":1.0,"product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"object in a list":          {`{"license_key":["K1",{}],"product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"line break in a key":       {`{"license_key":"K1\n","product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"U+FFFF in a device":        {`{"license_key":"K1","product":"XY","hardware_id":"h\uffff"}`, "unmappable", nil},
		"a key of 257 characters":   {`{"license_key":"` + strings.Repeat("ä", 257) + `","product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"a key of 256 characters":   {`{"license_key":"` + strings.Repeat("ä", 256) + `","product":"XY","hardware_id":"h1"}`, "accepted", []string{strings.Repeat("ä", 256) + "// XY  h1"}},
		"101 requests":              {`{"license_key":"` + strings.Join(numbered("K", 101), ",") + `","product":"XY","hardware_id":"h1"}`, "unmappable", nil},
		"11 times 10 requests":      {`{"license_key":"` + strings.Join(numbered("K", 11), ",") + `","product":"XY","hardware_id":"` + strings.Join(numbered("h", 10), ";") + `"}`, "unmappable", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, got, log := became(t, file, `{"id":"e1","type":"r","data":`+c.data+`}`)
			if answer != c.answer || !slices.Equal(got, c.want) {
				t.Errorf("%s %q, want %s %q\n%s", answer, got, c.answer, c.want, log)
			}
		})
	}
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

func TestHundredRequestsOfOneEventAreTaken(t *testing.T) {
	t.Parallel()
	const file = head + "license: [data]\nrules: [{name: refunded, type: r, cause: refund}]\n"
	_, got, _ := became(t, file, `{"id":"e1","type":"r","data":{"license_key":"`+strings.Join(numbered("K", 100), ",")+`","product":"XY","hardware_id":"h1"}}`)
	if len(got) != 100 {
		t.Errorf("%d requests, want 100", len(got))
	}
}

const linesFile = head + `
license: [order]
lines:
  each: lines
  join: {refunds: "refunds[].lines[]", on: line, is: id}
  license:
    - {pairs: properties, name: name, value: value}
    - {product: sku}
  refunded: left == ` + "`0`" + ` && quantity > ` + "`0`" + ` && sum(refunds[].quantity) >= quantity
rules:
  - {name: whole, when: status == 'refunded', cause: refund}
  - {name: by line, when: status == 'partial', lines: refunded, cause: refund}
  - {name: part, when: status == 'partial', ignore: true}
`

func TestLicensesOfLines(t *testing.T) {
	t.Parallel()
	property := func(name, value string) string { return `{"name":"` + name + `","value":"` + value + `"}` }
	line := func(id, left, properties, sku string) string {
		return `{"id":` + id + `,"quantity":1,"left":` + left + `,"sku":"` + sku + `","properties":[` + properties + `]}`
	}
	refund := func(ids ...string) string {
		var out []string
		for _, id := range ids {
			out = append(out, `{"lines":[{"line":`+id+`,"quantity":1}]}`)
		}
		return strings.Join(out, ",")
	}
	own1, own2 := property("license_key", "K1")+","+property("hardware_id", "h1"), property("license_key", "K2")+","+property("hardware_id", "h2")
	const big1, big2 = "9007199254740993", "9007199254740992" // equal as float64
	for name, c := range map[string]struct {
		status, order, lines, refunds string
		answer                        string
		want                          []string
	}{
		"each its own":                          {"refunded", `{}`, line("1", "0", own1, "A") + "," + line("2", "0", own2, "B"), "", "accepted", []string{"K1// A  h1", "K2// B  h2"}},
		"device of the order":                   {"refunded", `{"hardware_id":"h0"}`, line("1", "0", property("license_key", "K1"), "A"), "", "accepted", []string{"K1// A  h0"}},
		"never the device of another line":      {"refunded", `{}`, line("1", "0", property("license_key", "K1"), "A") + "," + line("2", "0", own2, "B"), "", "unmappable", nil},
		"the order's, one product":              {"refunded", `{"license_key":"K0","hardware_id":"h0"}`, line("1", "0", "", "A") + "," + line("2", "0", "", "A"), "", "accepted", []string{"K0// A  h0"}},
		"the order's, named product":            {"refunded", `{"license_key":"K0","hardware_id":"h0","product":"P"}`, line("1", "0", "", "A") + "," + line("2", "0", "", "B"), "", "accepted", []string{"K0// P  h0"}},
		"the order's, two products":             {"refunded", `{"license_key":"K0","hardware_id":"h0"}`, line("1", "0", "", "A") + "," + line("2", "0", "", "B"), "", "unmappable", nil},
		"a line without license beside another": {"refunded", `{}`, line("1", "0", own1, "A") + "," + line("2", "0", "", "shirt"), "", "accepted", []string{"K1// A  h1"}},
		"no license anywhere":                   {"refunded", `{}`, line("1", "0", "", "A"), "", "unmappable", nil},
		"no lines":                              {"refunded", `{"license_key":"K0","hardware_id":"h0","product":"P"}`, "", "", "accepted", []string{"K0// P  h0"}},
		"twice the same":                        {"refunded", `{}`, line("1", "0", own1, "A") + "," + line("2", "0", own1, "A"), "", "accepted", []string{"K1// A  h1"}},
		"part: the refunded line alone":         {"partial", `{}`, line("1", "0", own1, "A") + "," + line("2", "1", own2, "B"), refund("1"), "accepted", []string{"K1// A  h1"}},
		"part: removed by an edit":              {"partial", `{}`, line("1", "0", own1, "A"), "", "ignored", nil},
		"part: refunded, but still there":       {"partial", `{}`, line("1", "1", own1, "A"), refund("1"), "ignored", nil},
		"part: the order's license stays":       {"partial", `{"license_key":"K0","hardware_id":"h0"}`, line("1", "0", "", "A"), refund("1"), "ignored", nil},
		"part: ids beyond float64":              {"partial", `{}`, line(big1, "0", own1, "A") + "," + line(big2, "0", own2, "B"), refund(big2), "accepted", []string{"K2// B  h2"}},
		"part: paid for with another line":      {"partial", `{}`, line("1", "0", own1, "A") + "," + line("2", "1", own1, "A"), refund("1"), "ignored", nil},
		"part: one of two devices paid for":     {"partial", `{}`, line("1", "0", property("license_key", "K1")+","+property("hardware_id", "h1;h2"), "A") + "," + line("2", "1", own1, "B"), refund("1"), "accepted", []string{"K1// A  h2"}},
		"part: a line of nothing":               {"partial", `{}`, strings.Replace(line("1", "0", own1, "A"), `"quantity":1`, `"quantity":0`, 1), "", "ignored", nil},
		"part: refunded or not is an error":     {"partial", `{}`, line("1", "0", own1, "A"), `{"lines":[{"line":1,"quantity":"one"}]}`, "unmappable", nil},
		"a property twice":                      {"refunded", `{}`, line("1", "0", own1+","+property("license_key", "K9"), "A"), "", "unmappable", nil},
		"neither":                               {"paid", `{"license_key":"K0","hardware_id":"h0","product":"P"}`, line("1", "0", own1, "A"), "", "ignored", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"id":"e1","type":"r","status":%q,"order":%s,"lines":[%s],"refunds":[%s]}`, c.status, c.order, c.lines, c.refunds)
			answer, got, log := became(t, linesFile, body)
			if answer != c.answer || !slices.Equal(got, c.want) {
				t.Errorf("%s %q, want %s %q\n%s", answer, got, c.answer, c.want, log)
			}
		})
	}
}

func TestConditionsHoldOnlyWhenTheyAreExactlyTrue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ when, event, want string }{
		"true":                     {"a == 'x'", `"a":"x"`, "accepted"},
		"false":                    {"a == 'y'", `"a":"x"`, "ignored"},
		"null":                     {"a", `"b":1`, "ignored"},
		"a text is no verdict":     {"status == 'refunded' || 'voided'", `"status":"paid"`, "unmappable"},
		"an error is no verdict":   {"starts_with(status, 'r')", `"b":1`, "unmappable"},
		"number against number":    {"a >= b", `"a":10.0,"b":10`, "accepted"},
		"number against a literal": {"quantity == `0`", `"quantity":0`, "accepted"},
		"0.0 is 0":                 {"quantity == `0`", `"quantity":0.0`, "accepted"},
		"money as text":            {"to_number(a) >= to_number(b)", `"a":"89.99","b":"89.99"`, "accepted"},
		"ids beyond float64":       {"a == b", `"a":9007199254740993,"b":9007199254740992`, "ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := head + "license: [data]\nrules:\n  - name: r\n    when: " + fmt.Sprintf("%q", c.when) + "\n    cause: refund\n"
			answer, _, log := became(t, file, `{"id":"e1","type":"t","data":{"license_key":"K1","product":"XY","hardware_id":"h1"},`+c.event+`}`)
			if answer != c.want {
				t.Errorf("%s, want %s\n%s", answer, c.want, log)
			}
		})
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
rules:
  - {name: off, enabled: false, type: r, ignore: true}
  - {name: inquiry, when: kind == 'inquiry', ignore: true}
  - {name: chargeback, type: [r, s], cause: dispute}
  - {name: later, type: r, cause: refund}
  - {name: asked, type: m}
`
	data := `,"data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`
	for name, c := range map[string]struct{ event, answer, rule, cause string }{
		"one before is off":  {`{"id":"e1","type":"r"`, "accepted", "chargeback", "dispute"},
		"any of its types":   {`{"id":"e1","type":"s"`, "accepted", "chargeback", "dispute"},
		"an ignoring one":    {`{"id":"e1","type":"r","kind":"inquiry"`, "ignored", "inquiry", ""},
		"none":               {`{"id":"e1","type":"x"`, "ignored", "", ""},
		"no cause is manual": {`{"id":"e1","type":"m"`, "accepted", "asked", "manual"},
		"test mode first":    {`{"id":"e1","type":"r","test":true`, "ignored", "test event", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := one(t, file, c.event+data)
			if string(m.Answer) != c.answer || m.Rule != c.rule {
				t.Errorf("%s by the rule %q, want %s by %q", m.Answer, m.Rule, c.answer, c.rule)
			}
			if c.answer == "accepted" {
				if r := m.Requests; len(r) != 1 || r[0].Rule != c.rule || r[0].Cause != c.cause {
					t.Errorf("requests %v", r)
				}
			} else if len(m.Requests) != 0 {
				t.Error("an ignored event became a request")
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	const file = head + "license: [data]\nrules: [{name: r, type: r, cause: refund}]\n"
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct{ id, prefix string }{
		"as it is":           {`"evt_1.A-z"`, "tiny.evt_1.A-z.0"},
		"number":             {`820982911946154508`, "tiny.820982911946154508.0"},
		"with other letters": {`"a/b ä"`, "tiny.a_b__-"},
		"very long":          {`"` + long + `"`, "tiny.xxx"},
		"absent":             {`null`, "tiny."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"id":` + c.id + `,"type":"r","data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`
			var ids []string
			for range 2 {
				ids = append(ids, one(t, file, body).Requests[0].ID)
			}
			if ids[0] != ids[1] {
				t.Errorf("two deliveries of one event have the ids %q", ids)
			}
			if !strings.HasPrefix(ids[0], c.prefix) || len(ids[0]) > 80 || !strings.HasSuffix(ids[0], ".0") {
				t.Errorf("id %q, want %s… and at most 80 characters", ids[0], c.prefix)
			}
		})
	}
}

func TestIDsThatLookAlikeStayApart(t *testing.T) {
	t.Parallel()
	const file = head + "license: [data]\nrules: [{name: r, type: r, cause: refund}]\n"
	seen := map[string]string{}
	for _, id := range []string{"a/b", "a b", "a_b", "a:b", strings.Repeat("x", 100), strings.Repeat("x", 101)} {
		raw, _ := json.Marshal(id)
		got := one(t, file, `{"id":`+string(raw)+`,"type":"r","data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`).Requests[0].ID
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q have the same id %s", id, other, got)
		}
		seen[got] = id
	}
}

func TestOccurredAtIsReadInEveryForm(t *testing.T) {
	t.Parallel()
	const file = head + "license: [data]\nrules: [{name: r, type: r, cause: refund}]\n"
	for at, want := range map[string]string{
		`1790000000`: "2026-09-21T14:13:20Z", `"1790000000"`: "2026-09-21T14:13:20Z", `1790000000000`: "2026-09-21T14:13:20Z",
		`"2026-11-01T12:00:00.5+01:00"`: "2026-11-01T11:00:00.5Z", `"2026-11-01T12:00:00"`: "2026-11-01T12:00:00Z",
		`null`: "", `"Fri May 09 17:00:00 UTC 2025"`: "", `99999999999999999`: "", `-5`: "", `{}`: "",
	} {
		r := one(t, file, `{"id":"e","type":"r","at":`+at+`,"data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`).Requests
		if len(r) != 1 {
			t.Errorf("%s: %d requests", at, len(r))
			continue
		}
		got := ""
		if !r[0].OccurredAt.IsZero() {
			got = r[0].OccurredAt.Format("2006-01-02T15:04:05.999Z07:00")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

// first maps the first event of a body by one of the built-in sources.
func first(t *testing.T, name, body string) source.Mapping {
	t.Helper()
	mappings := mapped(t, name, "", map[string]string{"webhook-id": "msg_1"}, body)
	if len(mappings) == 0 {
		t.Fatal("no event")
	}
	return mappings[0]
}

func TestChargebeesEndOfASubscriptionNeedsNoStatus(t *testing.T) {
	t.Parallel()
	got := first(t, "chargebee", `{"id":"ev_1","event_type":"subscription_cancelled","content":{"subscription":{"id":"s","cf_license_key":"K1","cf_hardware_id":"h1","cf_product":"P1"}}}`)
	if got.Answer != deactivation.Accepted {
		t.Errorf("%s, so a subscription ended without a review", got.Answer)
	}
}

func TestEveryFieldIsReadUnderEveryNameOfIt(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"chargebee":                 `{"id":"e","event_type":"subscription_cancelled","content":{"subscription":{"cf_username":"u","cf_license_id":7,"cf_bundle_code":"b","cf_hardware_id":"h","cf_product_short_code":"P1"}}}`,
		"paddle":                    `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"username":"u","license_id":7,"bundle_code":"b","hardware_id":"h"},"items":[{"price":{"custom_data":{"product_short_code":"P1"}}}]}}`,
		"chargebee/in two places":   `{"id":"e","event_type":"subscription_cancelled","content":{"subscription":{"cf_username":"u","cf_license_id":7,"cf_bundle_code":"b","meta_data":{"username":"u","hardware_id":"h","product":"P1"}}}}`,
		"paddle/first of its names": `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"username":"u","license_id":7,"bundle_code":"b","hardware_id":"h"},"items":[{"price":{"custom_data":{"product":"","product_code":"P1","product_short_code":"P2"}}}]}}`,
	} {
		of, _, _ := strings.Cut(name, "/")
		got := first(t, of, body)
		var licenses []string
		for _, r := range got.Requests {
			licenses = append(licenses, asText(r.License))
		}
		if want := []string{"u/7 bundle b of P1 on h"}; !slices.Equal(licenses, want) {
			t.Errorf("%s: %s %q, want %q", name, got.Answer, licenses, want)
		}
	}
	got := first(t, "paddle", `{"event_id":"e","event_type":"subscription.canceled","data":{"custom_data":{"license_key":"K1","hardware_id":"h"},"items":[{"price":{"custom_data":{"product":false}}}]}}`)
	if got.Answer != deactivation.Unmappable {
		t.Errorf("a boolean in place of a product: %s, want unmappable", got.Answer)
	}
}

func TestAShopifyContractWhoseBillingFailedHasEnded(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]deactivation.Answer{
		"cancelled": deactivation.Unmappable, "expired": deactivation.Unmappable, "failed": deactivation.Unmappable,
		"active": deactivation.Ignored, "paused": deactivation.Ignored,
	} {
		if got := first(t, "shopify", fmt.Sprintf(`{"id":1,"origin_order_id":2,"status":%q}`, status)); got.Answer != want {
			t.Errorf("%s: %s, want %s", status, got.Answer, want)
		}
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

// TestLinesWithTheSameManyLicensesAreCountedOnce: two lines with the same sixty licenses each are sixty licenses.
func TestLinesWithTheSameManyLicensesAreCountedOnce(t *testing.T) {
	t.Parallel()
	line := `{"id":1,"quantity":1,"left":0,"sku":"A","properties":[{"name":"license_key","value":"` + strings.Join(numbered("K", 60), ",") + `"},{"name":"hardware_id","value":"h1"}]}`
	_, got, log := became(t, linesFile, `{"id":"e1","type":"r","status":"refunded","order":{},"lines":[`+line+`,`+line+`]}`)
	if len(got) != 60 {
		t.Errorf("%d requests, want 60\n%s", len(got), log)
	}
}

func TestAPartialRefundReadsOfLinesThatStayWhatTheyPayFor(t *testing.T) {
	t.Parallel()
	line := func(id, left, key string) string {
		return `{"id":` + id + `,"quantity":1,"left":` + left + `,"sku":"A","properties":[{"name":"license_key","value":` + key + `},{"name":"hardware_id","value":"h1"}]}`
	}
	for name, c := range map[string]struct {
		order, lines, refunded, answer string
		want                           []string
	}{
		"a fault on a line that stays":          {`{}`, line("1", "0", `"K1"`) + "," + line("2", "1", `true`), "1", "unmappable", nil},
		"a fault on a line, and none refunded":  {`{}`, line("2", "1", `true`), "7", "ignored", nil},
		"a fault on the order, and none either": {`{"license_key":true}`, line("2", "1", `"K1"`), "7", "ignored", nil},
		"a fault on the line that was refunded": {`{}`, line("1", "0", `true`), "1", "unmappable", nil},
		"a fault on the order that fills it up": {`{"product":true}`, strings.Replace(line("1", "0", `"K1"`), `"sku":"A",`, "", 1), "1", "unmappable", nil},
		"a fault on the order that fills none":  {`{"product":true,"hardware_id":true}`, line("1", "0", `"K1"`), "1", "accepted", []string{"K1// A  h1"}},
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
	mappings := mapped(t, "fastspring", "", nil, `{"events":[`+strings.Join(all, ",")+`,{"id":"other","type":"other"}]}`)
	for i, m := range mappings {
		want, n := deactivation.Accepted, 100
		switch i {
		case 50:
			want, n = deactivation.Unmappable, 0
		case 51:
			want, n = deactivation.Ignored, 0
		}
		if m.Answer != want || len(m.Requests) != n {
			t.Errorf("event %d: %s with %d requests, want %s with %d", i, m.Answer, len(m.Requests), want, n)
		}
	}
	if len(mappings) != 52 {
		t.Errorf("%d events", len(mappings))
	}
}
