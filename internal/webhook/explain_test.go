package webhook_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"license-deactivator/events"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
)

// TestExplainSaysWhatMapSays holds on every sample that watching changes nothing.
func TestExplainSaysWhatMapSays(t *testing.T) {
	t.Parallel()
	sources := load(t, "")
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	const secret = "c2VjcmV0OmZvciB0aGUgc2FtcGxlcw==" // Base64 too, since some schemes want it
	for _, sample := range samples {
		t.Run(sample.Name(), func(t *testing.T) {
			t.Parallel()
			source, _ := sources.Get(sample.Source)
			req, err := sample.Signed(source, "https://hooks.example.com", secret, clock)
			if err != nil {
				t.Fatal(err)
			}
			d := signing.Delivery{Method: req.Method, URL: req.URL.String(), Header: map[string]string{}, Body: sample.Body}
			for name := range req.Header {
				d.Header[strings.ToLower(name)] = req.Header.Get(name)
			}
			verified, err := source.Verify(d, clock, []string{secret})
			if err != nil {
				t.Fatal(err)
			}
			verified.ReceivedAt = clock
			want, err := source.Map(verified, false)
			if err != nil {
				t.Fatal(err)
			}
			parsed := parseSecrets(t, fmt.Sprintf(`{%q:%q}`, sample.Source, secret))
			for _, from := range []*secrets.Webhooks{parsed, nil} {
				e := source.Explain(d, clock, from)
				var got []webhook.Mapping
				for _, event := range e.Events {
					got = append(got, event.Mapping)
					if len(event.Requests) > 0 && len(event.Licenses) != len(event.Requests) {
						t.Errorf("%d licenses and %d requests", len(event.Licenses), len(event.Requests))
					}
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("checked %v:\n%s", from != nil, diff)
				}
			}
		})
	}
}

func parseSecrets(t *testing.T, text string) *secrets.Webhooks {
	t.Helper()
	parsed, err := secrets.ParseWebhooks(text)
	if err != nil {
		t.Fatal(err)
	}
	return &parsed
}

// TestExplainAnswersAsTheHandlerDoes compares status and body with those of the whole function.
func TestExplainAnswersAsTheHandlerDoes(t *testing.T) {
	t.Parallel()
	stale := clock.Add(-time.Hour)
	for name, c := range map[string]struct {
		source, secret, body string
		at                   time.Time
		headers              map[string]string
		vault                string
		want                 int
	}{
		"accepted":       {"stripe", stripeSecret, refundBody, clock, nil, vaultText, 200},
		"ignored":        {"stripe", stripeSecret, `{"id":"e","type":"x","livemode":true}`, clock, nil, vaultText, 200},
		"unmappable":     {"stripe", stripeSecret, `{"id":"e","type":"customer.subscription.deleted","livemode":true}`, clock, nil, vaultText, 200},
		"unreadable":     {"stripe", stripeSecret, `[]`, clock, nil, vaultText, 400},
		"empty":          {"stripe", stripeSecret, ``, clock, nil, vaultText, 400},
		"wrong secret":   {"stripe", "whsec_wrong", refundBody, clock, nil, vaultText, 401},
		"stale":          {"stripe", stripeSecret, refundBody, stale, nil, vaultText, 401},
		"no secret":      {"stripe", stripeSecret, refundBody, clock, nil, `{"shopify":"x"}`, 404},
		"useless secret": {"standard", "c2VjcmV0", `{}`, clock, map[string]string{"webhook-id": "m"}, `{"standard":"whsec_%%%"}`, 503},
		"encoded":        {"stripe", stripeSecret, refundBody, clock, map[string]string{"content-encoding": "gzip"}, vaultText, 415},
		"too large":      {"stripe", stripeSecret, strings.Repeat(" ", webhook.MaxBodyBytes+1), clock, nil, vaultText, 413},
		"salesforce":     {"salesforce", "t", soap("00D", notification("n", "K")), clock, nil, `{"salesforce":"t"}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "")
			b.secrets.text = c.vault
			d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + c.source, Header: map[string]string{}, Body: []byte(c.body)}
			for name, text := range c.headers {
				d.Header[name] = text
			}
			source, _ := b.Sources.Get(c.source)
			if err := source.Sign(&d, c.at, c.secret); err != nil {
				t.Fatal(err)
			}
			_, query, _ := strings.Cut(d.URL, "?")
			want := b.post(t, delivery{source: c.source, query: query, body: c.body, headers: d.Header})
			got := source.Explain(d, clock, parseSecrets(t, c.vault))
			if got.Status != c.want || got.Status != want.StatusCode || got.Body != strings.TrimSpace(want.Body) {
				t.Errorf("explained as %d %s, answered with %d %s, want %d", got.Status, got.Body, want.StatusCode, want.Body, c.want)
			}
			if (got.Refused != "") != (c.want != 200) || got.Believed != (c.want == 200 || c.want == 400) {
				t.Errorf("refused %q, believed %v", got.Refused, got.Believed)
			}
		})
	}
}

func TestExplainKnowsAPing(t *testing.T) {
	t.Parallel()
	source, _ := load(t, "").Get("woocommerce")
	for _, from := range []*secrets.Webhooks{nil, parseSecrets(t, `{"woocommerce":"x"}`)} {
		if e := source.Explain(signing.Delivery{Body: []byte("webhook_id=17")}, clock, from); !e.Ping || e.Status != 200 || len(e.Events) > 0 {
			t.Errorf("%+v", e)
		}
	}
}

const verdictsFile = head + `
license: [order]
lines:
  each: lines
  license:
    - {pairs: properties, name: name, value: value}
    - {product: sku}
  refunded: left == ` + "`0`" + `
rules:
  - {name: off, enabled: false, when: "state == 'x'", ignore: true}
  - {name: other, type: [q, s], cause: refund}
  - {name: does not, when: state == 'y', ignore: true}
  - {name: by line, type: r, lines: refunded, cause: refund}
  - {name: either, when: ["state == 'z'", {header: X-State, is: z}], cause: dispute}
  - {name: fails, when: "starts_with(state, 'r')", cause: refund}
  - {name: never, type: r, ignore: true}
`

// explain explains an event of the tiny source, unchecked.
func explain(t *testing.T, file, event string, headers map[string]string) webhook.ExplainedEvent {
	t.Helper()
	source, _ := load(t, file).Get("tiny")
	e := source.Explain(signing.Delivery{Header: headers, Body: []byte(event)}, clock, nil)
	if len(e.Events) != 1 {
		t.Fatalf("%+v", e)
	}
	return e.Events[0]
}

func TestExplainSaysOfEachRuleWhyItDoesNotDecide(t *testing.T) {
	t.Parallel()
	lines := `"lines":[{"left":1,"properties":[{"name":"license_key","value":"K-of-line"}]},{"left":0,"sku":"A"}]`
	for name, c := range map[string]struct {
		event   string
		headers map[string]string
		want    []webhook.Verdict
	}{
		"an error ends it": {`{"id":"1","type":"r","state":4,` + lines + `}`, nil,
			[]webhook.Verdict{webhook.Off, webhook.OtherType, webhook.DoesNot, webhook.NoSuchLine, webhook.DoesNot, webhook.Fails, ""}},
		"the header": {`{"id":"1","type":"p","state":"a"}`, map[string]string{"x-state": "z"},
			[]webhook.Verdict{webhook.Off, webhook.OtherType, webhook.DoesNot, webhook.OtherType, webhook.Decides, "", ""}},
		"the type": {`{"id":"1","type":"s","state":"y"}`, nil,
			[]webhook.Verdict{webhook.Off, webhook.Decides, "", "", "", "", ""}},
		"none": {`{"id":"1","type":"p","state":"a"}`, nil,
			[]webhook.Verdict{webhook.Off, webhook.OtherType, webhook.DoesNot, webhook.OtherType, webhook.DoesNot, webhook.DoesNot, webhook.OtherType}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []webhook.Verdict
			for _, r := range explain(t, verdictsFile, c.event, c.headers).Rules {
				got = append(got, r.Verdict)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestExplainShowsTheValuesThatDecided(t *testing.T) {
	t.Parallel()
	e := explain(t, verdictsFile, `{"id":"1","type":"r","state":"a","lines":[{"left":1},{"left":0,"properties":[{"name":"license_key","value":"KEY-OF-LINE-2"}],"sku":"A"}]}`, map[string]string{"x-state": "b"})
	want := []webhook.Test{
		{Text: "left == `0`", Line: 1, Reads: []webhook.Fact{{Name: "left", Text: "1"}}},
		{Text: "left == `0`", Line: 2, Holds: true, Reads: []webhook.Fact{{Name: "left", Text: "0"}}},
	}
	if diff := cmp.Diff(want, e.Rules[3].Tests); diff != "" {
		t.Error(diff)
	}
	if got := e.Rules[2].Tests; len(got) != 1 || got[0].Holds || !cmp.Equal(got[0].Reads, []webhook.Fact{{Name: "state", Text: "'a'"}}) {
		t.Errorf("%+v", got)
	}
	e = explain(t, verdictsFile, `{"id":"1","type":"p","state":"a"}`, map[string]string{"x-state": "b"})
	want = []webhook.Test{
		{Text: "state == 'z'", Reads: []webhook.Fact{{Name: "state", Text: "'a'"}}},
		{Text: "header x-state is 'z'", Reads: []webhook.Fact{{Name: "header x-state", Text: "'b'"}}},
	}
	if diff := cmp.Diff(want, e.Rules[4].Tests); diff != "" {
		t.Error(diff)
	}
}

func TestExplainSaysWhereEachFieldStood(t *testing.T) {
	t.Parallel()
	const file = head + `
license:
  - "@"
  - {pairs: notes, name: name, value: value}
  - {pairs: fields, value: v}
  - {product: order.sku || order.code}
lines:
  each: lines
  license:
    - own
    - {product: sku}
rules: [{name: r, type: r, cause: refund}]
`
	for name, c := range map[string]struct {
		event string
		want  []string // field at line: place
	}{
		"top level, first place first": {`"license_key":"K1","notes":[{"name":"license_key","value":"K2"},{"name":"hardware_id","value":"h"},{"name":"product_code","value":"P"}]`,
			[]string{"hardware_id 0: hardware_id in notes", "license_key 0: license_key", "product 0: product_code in notes"}},
		"wrapped, and one field": {`"fields":{"license_key":{"v":"K1"},"hardware_id":{"v":"h"}},"order":{"sku":"P"}`,
			[]string{"hardware_id 0: fields.hardware_id.v", "license_key 0: fields.license_key.v", "product 0: order.sku || order.code"}},
		"a line's own, filled up": {`"hardware_id":"h0","lines":[{},{"own":{"license_key":"K1"},"sku":"A"}]`,
			[]string{"hardware_id 0: hardware_id", "license_key 2: own.license_key", "product 2: sku"}},
		"the order's, with what its lines say": {`"license_key":"K1","lines":[{"sku":"A","own":{"hardware_id":"h1"}},{"sku":"A"}]`,
			[]string{"hardware_id 1: own.hardware_id", "license_key 0: license_key", "product 1: sku", "product 2: sku"}},
		"the order's own product": {`"license_key":"K1","product":"P","hardware_id":"h0","lines":[{"sku":"A"}]`,
			[]string{"hardware_id 0: hardware_id", "license_key 0: license_key", "product 0: product"}},
		"an identity from one place": {`"username":"u","notes":[{"name":"license_id","value":"7"},{"name":"hardware_id","value":"h"},{"name":"product","value":"P"}]`,
			[]string{"hardware_id 0: hardware_id in notes", "product 0: product in notes", "username 0: username"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := explain(t, file, `{"id":"1","type":"r",`+c.event+`}`, nil)
			if len(e.Licenses) != 1 || len(e.Requests) != 1 {
				t.Fatalf("%d licenses, %d requests: %s", len(e.Licenses), len(e.Requests), e.Problem)
			}
			var got []string
			for field, from := range e.Licenses[0].From {
				for _, o := range from {
					got = append(got, fmt.Sprintf("%s %d: %s", field, o.Line, o.Place))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestExplainSaysWhereMissingFieldsWereLookedFor(t *testing.T) {
	t.Parallel()
	e := explain(t, linesFile, `{"id":"1","type":"r","status":"refunded","lines":[{"sku":"A"}]}`, nil)
	want := map[string][]string{
		"license_key": {"license_key in properties of each line", "order.license_key"},
		"hardware_id": {"hardware_id in properties of each line", "order.hardware_id"},
	}
	if diff := cmp.Diff(want, e.Places); diff != "" {
		t.Error(diff)
	}
}

func TestExplainListsTheLookUpOfTheRule(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
lookup: {order: [order, {weak: number}, order], subscription: sub, email: mail}
rules:
  - {name: own, type: r, cause: refund, lookup: {order: [other], subscription: id}}
  - {name: the files, type: s, cause: refund}
`
	const rest = `,"order":"o1","number":7,"other":"x","sub":"s1","mail":"jo.canary@example.com"}`
	for kind, want := range map[string][]webhook.Fact{
		"r": {{Name: "order", Text: "x", From: "other"}, {Name: "subscription", Text: "e1", From: "id"}, {Name: "email", Text: "…@example.com", From: "mail"}},
		"s": {{Name: "order", Text: "o1", From: "order"}, {Name: "order", Text: "7", From: "number (a short number, so it counts for little)"},
			{Name: "subscription", Text: "s1", From: "sub"}, {Name: "email", Text: "…@example.com", From: "mail"}},
		"ignored": nil,
	} {
		if diff := cmp.Diff(want, explain(t, file, `{"id":"e1","type":"`+kind+`"`+rest, nil).Lookup); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

func TestExplainHidesKeysWhereverTheyStand(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
rules:
  - name: everything
    when:
      - data.license_key == 'x'
      - copy == 'x'
      - length(list) == ` + "`99`" + `
      - list[0] == 'x'
      - number == ` + "`5`" + `
      - small == ` + "`5`" + `
      - api.token == 'x'
      - whole == 'x'
      - contains(note, 'zzz')
      - {header: X-Copy, is: x}
    ignore: true
`
	const key, device = "LICENSE-CANARY-AAAA", "device-canary-bbbb"
	body := fmt.Sprintf(`{"id":"e","type":"r","data":{"license_key":%q,"hardware_id":[%q,918273645546372819,8172635441]},"copy":%q,"list":[%q],"number":918273645546372819,"small":8172635441,`+
		`"api":{"token":"token-canary-cccc"},"whole":{"a":%q},"note":"red \u001b[31m and\nnew line"}`, key, device, key, device, key)
	e := explain(t, file, body, map[string]string{"x-copy": device})
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s %+v", raw, e)
	for _, canary := range []string{key, device, "918273645546372819", "8172635441", "token-canary"} {
		if strings.Contains(text, canary) {
			t.Errorf("%s is shown: %s", canary, text)
		}
	}
	if len(e.Rules[0].Tests) != 10 {
		t.Fatalf("%d tests", len(e.Rules[0].Tests))
	}
	if got := e.Rules[0].Tests[8].Reads[0].Text; got != "'red <U+001B>[31m and<U+000A>new line'" {
		t.Errorf("a terminal would obey %q", got)
	}
}

func TestSchemesInWords(t *testing.T) {
	t.Parallel()
	sources := load(t, "")
	for name, want := range map[string]string{
		"stripe":          "HMAC-SHA256 of {timestamp}.{body}, hex, in Stripe-Signature, at most 5m old",
		"shopify":         "HMAC-SHA256 of {body}, base64, in X-Shopify-Hmac-Sha256 or Shopify-Hmac-Sha256",
		"chargebee":       "the secret itself, in Authorization: Basic …",
		"salesforce":      "the secret itself, in the address, as ?token=…",
		"salesforce-flow": "the secret itself, in Authorization: Bearer … / the secret itself, in X-Api-Key",
	} {
		source, _ := sources.Get(name)
		if got := strings.Join(source.Schemes(), " / "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestCheckKeysFindsKeysThatNoSchemeCanUse(t *testing.T) {
	t.Parallel()
	source, _ := load(t, "").Get("standard")
	if err := source.CheckKeys([]string{"whsec_bG9jYWw="}); err != nil {
		t.Error(err)
	}
	err := source.CheckKeys([]string{"whsec_bG9jYWw=", "whsec_%canary"})
	if err == nil || !strings.Contains(err.Error(), `number 2 of "standard"`) || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
