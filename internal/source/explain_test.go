package source_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/source"
)

const resultsFile = head + `
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
  - {name: either, when: ["state == 'z'", {header: X-State, is: z}], ignore: true}
  - {name: fails, when: "starts_with(state, 'r')", cause: refund}
  - {name: never, type: r, ignore: true}
`

// explain explains an event of the tiny source, unchecked.
func explain(t *testing.T, file, event string, headers map[string]string) source.ExplainedEvent {
	t.Helper()
	s := get(t, load(t, file), "tiny")
	events, err := s.Explain(assumed(t, s, headers, event), source.Options{})
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	return events[0]
}

func TestExplainSaysOfEachRuleWhyItDoesNotDecide(t *testing.T) {
	t.Parallel()
	lines := `"lines":[{"left":1,"properties":[{"name":"license_key","value":"K-of-line"}]},{"left":0,"sku":"A"}]`
	for name, c := range map[string]struct {
		event   string
		headers map[string]string
		want    []source.MatchResult
	}{
		"an error ends it": {`{"id":"1","type":"r","state":4,` + lines + `}`, nil,
			[]source.MatchResult{source.Disabled, source.TypeMismatch, source.ConditionFalse, source.NoRefundedLine, source.ConditionFalse, source.ConditionError, ""}},
		"the header": {`{"id":"1","type":"p","state":"a"}`, map[string]string{"x-state": "z"},
			[]source.MatchResult{source.Disabled, source.TypeMismatch, source.ConditionFalse, source.TypeMismatch, source.Matched, "", ""}},
		"the type": {`{"id":"1","type":"s","state":"y"}`, nil,
			[]source.MatchResult{source.Disabled, source.Matched, "", "", "", "", ""}},
		"none": {`{"id":"1","type":"p","state":"a"}`, nil,
			[]source.MatchResult{source.Disabled, source.TypeMismatch, source.ConditionFalse, source.TypeMismatch, source.ConditionFalse, source.ConditionFalse, source.TypeMismatch}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []source.MatchResult
			for _, r := range explain(t, resultsFile, c.event, c.headers).Rules {
				got = append(got, r.Result)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestExplainShowsTheValuesThatDecided(t *testing.T) {
	t.Parallel()
	e := explain(t, resultsFile, `{"id":"1","type":"r","state":"a","lines":[{"left":1},{"left":0,"properties":[{"name":"license_key","value":"KEY-OF-LINE-2"}],"sku":"A"}]}`, map[string]string{"x-state": "b"})
	want := []source.Test{
		{Text: "left == `0`", Line: 1, Reads: []source.Fact{{Name: "left", Text: "1"}}},
		{Text: "left == `0`", Line: 2, Holds: true, Reads: []source.Fact{{Name: "left", Text: "0"}}},
	}
	if diff := cmp.Diff(want, e.Rules[3].Tests); diff != "" {
		t.Error(diff)
	}
	if got := e.Rules[2].Tests; len(got) != 1 || got[0].Holds || !cmp.Equal(got[0].Reads, []source.Fact{{Name: "state", Text: "'a'"}}) {
		t.Errorf("%+v", got)
	}
	e = explain(t, resultsFile, `{"id":"1","type":"p","state":"a"}`, map[string]string{"x-state": "b"})
	want = []source.Test{
		{Text: "state == 'z'", Reads: []source.Fact{{Name: "state", Text: "'a'"}}},
		{Text: "header x-state is 'z'", Reads: []source.Fact{{Name: "header x-state", Text: "'b'"}}},
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
		"top level, first place first": {`"license_key":"K1","notes":[{"name":"license_key","value":"K1"},{"name":"hardware_id","value":"h"},{"name":"product_code","value":"P"}]`,
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
					got = append(got, fmt.Sprintf("%s %d: %s", field, o.Line, o.Where))
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
	if diff := cmp.Diff(want, e.Searched); diff != "" {
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
	for kind, want := range map[string][]source.Fact{
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
			t.Errorf("%s is visible: %s", canary, text)
		}
	}
	if len(e.Rules[0].Tests) != 10 {
		t.Fatalf("%d tests", len(e.Rules[0].Tests))
	}
	if got := e.Rules[0].Tests[8].Reads[0].Text; got != "'red <U+001B>[31m and<U+000A>new line'" {
		t.Errorf("a terminal would execute %q", got)
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
