package source_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// lookedUp maps the one event of a body by a small file, with the look-up on.
func lookedUp(t testing.TB, file, body string) source.Mapping {
	t.Helper()
	s := get(t, load(t, file), "tiny")
	mappings, err := s.Map(assumed(t, s, nil, body), source.Options{LookUp: true})
	if err != nil || len(mappings) != 1 {
		t.Fatalf("%d events: %v", len(mappings), err)
	}
	for _, r := range mappings[0].Requests {
		wire, err := r.Wire()
		if err == nil {
			_, _, err = deactivation.Parse(wire)
		}
		if err != nil {
			t.Errorf("a request that the worker could not read: %v", err)
		}
	}
	return mappings[0]
}

// printedRequest is a request in short: what it names, what it is looked up by, its scope, and its marks.
func printedRequest(r deactivation.Request) string {
	parts := []string{fmt.Sprintf("%s%s/%s/%s", r.LicenseKey, r.Username, r.Product, r.HardwareID)}
	mark := func(c deactivation.Candidate) string {
		text := c.ID
		if c.Weak {
			text += "?"
		}
		if c.Buyer {
			text += "!"
		}
		return text
	}
	for _, c := range r.Lookup.Order {
		parts = append(parts, "order "+mark(c))
	}
	if r.Lookup.Subscription.ID != "" {
		parts = append(parts, "subscription "+mark(r.Lookup.Subscription))
	}
	for _, text := range []string{r.Lookup.Email, r.Lookup.None, r.Scope} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	for _, p := range r.Products {
		parts = append(parts, fmt.Sprintf("%d of %s", p.Count, p.Product))
	}
	if r.Disable {
		parts = append(parts, "disable")
	}
	if r.Buyer {
		parts = append(parts, "buyer")
	}
	return strings.Join(parts, ", ")
}

func printedRequests(m source.Mapping) []string {
	var all []string
	for _, r := range m.Requests {
		all = append(all, printedRequest(r))
	}
	return all
}

const orderFile = head + `
license: [data, {pairs: written, by: buyer}]
lookup: {order: [order, {weak: number}, {buyer: theirs}], subscription: sub, email: mail}
rules:
  - {name: refunded, type: r, cause: refund}
  - {name: disputed, type: d, cause: dispute}
  - {name: lost, type: l, cause: dispute, disable: true}
  - {name: gone, type: g, cause: refund, disable: false}
  - {name: ended, type: s, cause: subscription_ended, lookup: {order: [], subscription: id}}
  - {name: unpaid, type: c, cause: order_cancelled}
  - {name: asked, type: m}
  - {name: odd, type: o, review: true}
  - {name: back, type: b, reversal: true}
`

// TestOnlyMissingLicenseDataIsLookedUp of facts/lookup.md, 5.1: what is complete acts as without look-up, what only a
// person can decide stays a person's.
func TestOnlyMissingLicenseDataIsLookedUp(t *testing.T) {
	t.Parallel()
	const ids = `"order":"ord_1","number":1001,"sub":"sub_1","mail":"a@example.com"`
	const by = ", order ord_1, order 1001?, subscription sub_1, a@example.com, order"
	for name, c := range map[string]struct {
		event string
		want  []string
		else_ string // answer, code and problem of an event that is not accepted
	}{
		"no license data":                    {`"type":"r",` + ids, []string{"//" + by + ", disable"}, ""},
		"a dispute disables nothing":         {`"type":"d",` + ids, []string{"//" + by}, ""},
		"a lost one does":                    {`"type":"l",` + ids, []string{"//" + by + ", disable"}, ""},
		"a rule can switch it off":           {`"type":"g",` + ids, []string{"//" + by}, ""},
		"a rule's own candidates":            {`"type":"s",` + ids, []string{"//, subscription evt_1, a@example.com, order"}, ""},
		"a key without a device":             {`"type":"r",` + ids + `,"data":{"license_key":"KEY1"}`, []string{"KEY1//" + by + ", disable"}, ""},
		"a key and nothing else":             {`"type":"r","data":{"license_key":"KEY1"}`, []string{"KEY1//, order, disable"}, ""},
		"complete, and to be disabled":       {`"type":"r",` + ids + `,"data":{"license_key":"KEY1","product":"P","hardware_id":"h1"}`, []string{"KEY1/P/h1" + by + ", disable"}, ""},
		"complete, and not":                  {`"type":"d",` + ids + `,"data":{"license_key":"KEY1","product":"P","hardware_id":"h1"}`, []string{"KEY1/P/h1"}, ""},
		"complete, by a buyer":               {`"type":"d",` + ids + `,"written":{"license_key":"KEY1","product":"P","hardware_id":"h1"}`, []string{"KEY1/P/h1" + by + ", buyer"}, ""},
		"two devices, disabled once":         {`"type":"r","data":{"license_key":"KEY1","product":"P","hardware_id":["h1","h2"]}`, []string{"KEY1/P/h1, order, disable", "KEY1/P/h2"}, ""},
		"one with a device, one without":     {`"type":"d","data":[{"license_key":"KEY1","product":"P","hardware_id":"h1"},{"license_key":"KEY2","product":"P"}]`, []string{"KEY1/P/h1", "KEY2/P/, order"}, ""},
		"a key without a product":            {`"type":"r","data":{"license_key":"KEY1","hardware_id":"h1"}`, []string{"KEY1//, order, disable"}, ""},
		"the same, devices alone":            {`"type":"d",` + ids + `,"data":{"license_key":"KEY1","hardware_id":"h1"}`, nil, "unmappable  missing product"},
		"a device without its license":       {`"type":"d",` + ids + `,"data":{"hardware_id":"h1"}`, nil, "unmappable  missing license_key, product"},
		"the same, all are meant":            {`"type":"r",` + ids + `,"data":{"hardware_id":"h1"}`, []string{"//" + by + ", disable"}, ""},
		"a user":                             {`"type":"r",` + ids + `,"data":{"username":"ada","product":"P"}`, []string{"ada/P/" + by + ", disable"}, ""},
		"a user without an order":            {`"type":"r","data":{"username":"ada","product":"P"}`, nil, "unmappable  missing hardware_id"},
		"a cancelled order without data":     {`"type":"c",` + ids, nil, "unmappable  missing license_key, product, hardware_id"},
		"a cancelled order finds its own":    {`"type":"c",` + ids + `,"data":{"license_key":"KEY1"}`, []string{"KEY1//, a@example.com, order, disable"}, ""},
		"from a buyer, a person decides":     {`"type":"c",` + ids + `,"written":{"license_key":"KEY1"}`, nil, "unmappable review for review: nobody paid"},
		"asked for one license":              {`"type":"m",` + ids + `,"data":{"license_key":"KEY1"}`, []string{"KEY1//, a@example.com, order"}, ""},
		"asked for an order":                 {`"type":"m",` + ids, []string{"//" + by}, ""},
		"a review":                           {`"type":"o",` + ids, nil, "unmappable review for review"},
		"a reversal":                         {`"type":"b",` + ids, nil, "reversed"},
		"a fault":                            {`"type":"r",` + ids + `,"data":{"license_key":{}}`, nil, "unmappable  license_key: an object"},
		"an ambiguity":                       {`"type":"r",` + ids + `,"data":[{"license_key":"KEY1"},{"license_key":"KEY2"},{"hardware_id":"h1"}]`, nil, "unmappable  hardware_id is in an object without"},
		"no ids":                             {`"type":"r"`, nil, "unmappable  missing license_key, product, hardware_id"},
		"nothing confirms a weak one":        {`"type":"r","number":1001`, nil, "unmappable  missing license_key, product, hardware_id"},
		"an address does":                    {`"type":"r","number":1001,"mail":"a@example.com"`, []string{"//, order 1001?, a@example.com, order, disable"}, ""},
		"what a buyer can write comes last":  {`"type":"r","theirs":"ord_2",` + ids, []string{"//, order ord_1, order 1001?, order ord_2!, subscription sub_1, a@example.com, order, disable"}, ""},
		"sure counts more than weak":         {`"type":"r","order":"1001","number":1001`, []string{"//, order 1001, order, disable"}, ""},
		"too short, a placeholder, no texts": {`"type":"r","order":"12","number":{"id":1},"sub":"subscription_empty","theirs":"{{id}}","mail":"a@example.com"`, nil, "unmappable  missing license_key, product, hardware_id"},
		"a trial's order":                    {`"type":"r","order":"trial_17"`, nil, "unmappable  missing license_key, product, hardware_id"},
	} {
		m := lookedUp(t, orderFile, `{"id":"evt_1",`+c.event+`}`)
		if diff := cmp.Diff(c.want, printedRequests(m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		problem := m.Problem
		if len(m.Missing) > 0 {
			problem = "missing " + strings.Join(m.Missing, ", ")
		}
		if got := strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Answer, m.Code, problem)); c.else_ != "" && !strings.HasPrefix(got, c.else_) {
			t.Errorf("%s: %q, want %q …", name, got, c.else_)
		}
	}
}

const soldFile = head + `
license: [order]
lines: {each: lines, license: [own, {product: sku}], refunded: gone, quantity: n}
lookup: {order: [id], email: mail}
rules:
  - {name: whole, type: r, cause: refund}
  - {name: part, type: p, cause: refund, lines: refunded}
  - {name: rest, type: p, ignore: true}
`

// TestALineIsLookedUpByItsProductAndCount and a line that is still paid for never loses its license.
func TestALineIsLookedUpByItsProductAndCount(t *testing.T) {
	t.Parallel()
	const gone, stays = `"gone":true`, `"gone":false`
	named := func(key, device string) string {
		return `"own":{"license_key":"` + key + `","hardware_id":"` + device + `"}`
	}
	for name, c := range map[string]struct {
		event string
		want  []string
		else_ string
	}{
		"the whole order, once":              {`"type":"r","lines":[{"sku":"P"},{"sku":"Q"}]`, []string{"//, order evt_1, order, disable"}, ""},
		"its products, with nothing to find": {`"id":"x","type":"r","lines":[{"sku":"P"},{"sku":"Q"}]`, nil, "unmappable  the license stands on the order, whose lines have different products"},
		"a device for one of several":        {`"type":"r","order":{"license_key":"KEY0"},"lines":[{"sku":"P"},{"sku":"Q"}]`, nil, "unmappable  the license stands on the order, whose lines have different products"},
		"the whole order of one product":     {`"type":"r","lines":[{"sku":"P"},{"sku":"P"}]`, []string{"//, order evt_1, order, disable"}, ""},
		"one line":                           {`"type":"p","lines":[{"sku":"P","n":1,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"//, order evt_1, items, 1 of P, disable"}, ""},
		"two of a line":                      {`"type":"p","lines":[{"sku":"P","n":2,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"//, order evt_1, items, 2 of P, disable"}, ""},
		"two lines of one product":           {`"type":"p","lines":[{"sku":"P","n":1,` + gone + `},{"sku":"P","n":2,` + gone + `},{"n":1,` + stays + `}]`, []string{"//, order evt_1, items, 3 of P, disable"}, ""},
		"two products":                       {`"type":"p","lines":[{"sku":"P","n":1,` + gone + `},{"sku":"Q","n":2,` + gone + `},{"n":1,` + stays + `}]`, []string{"//, order evt_1, items, 1 of P, 2 of Q, disable"}, ""},
		"no product":                         {`"type":"p","lines":[{"n":1,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"//, order evt_1, items, disable"}, ""},
		"no quantity":                        {`"type":"p","lines":[{"sku":"P",` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"//, order evt_1, items, disable"}, ""},
		"half a quantity":                    {`"type":"p","lines":[{"sku":"P","n":1.5,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"//, order evt_1, items, disable"}, ""},
		"nothing is refunded":                {`"type":"p","lines":[{"sku":"P","n":1,` + stays + `}]`, nil, "ignored"},
		"the product is still paid for":      {`"type":"p","lines":[{"sku":"P","n":1,` + gone + `},{"sku":"p","n":1,` + stays + `}]`, nil, "unmappable review for review: a line that is still paid for has the same product"},
		"a paid line cannot be read":         {`"type":"p","lines":[{"sku":"P","n":1,` + gone + `},{"n":1,"own":{"license_key":{}},` + stays + `}]`, nil, "unmappable review for review: a line that is still paid for cannot be read"},
		"the order has its own license":      {`"type":"p","order":{"license_key":"KEY0"},"lines":[{"sku":"P","n":1,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, nil, "ignored"},
		"a line's own license":               {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "h1") + `,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"KEY1/P/h1, order evt_1, items, 1 of P, disable"}, ""},
		"its product is still paid for":      {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "h1") + `,` + gone + `},{"sku":"P","n":1,` + stays + `}]`, []string{"KEY1/P/h1, items, disable"}, ""},
		"itself is, on another device":       {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "h1") + `,` + gone + `},{"sku":"P","n":1,` + named("key1", "h2") + `,` + stays + `}]`, []string{"KEY1/P/h1"}, ""},
		"itself is, and no device":           {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "") + `,` + gone + `},{"sku":"P","n":1,` + named("KEY1", "h2") + `,` + stays + `}]`, nil, "unmappable  missing hardware_id"},
		"a line's key without a device":      {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "") + `,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"KEY1/P/, order evt_1, items, 1 of P, disable"}, ""},
		"one line names its license":         {`"type":"p","lines":[{"sku":"P","n":1,` + named("KEY1", "h1") + `,` + gone + `},{"sku":"P","n":2,` + gone + `},{"sku":"Q","n":1,` + stays + `}]`, []string{"KEY1/P/h1, order evt_1, items, 3 of P, disable", "//, order evt_1, ignore, items, 3 of P, disable"}, ""},
		"of the whole order, one does":       {`"type":"r","lines":[{"sku":"P","n":1,` + named("KEY1", "h1") + `},{"sku":"Q","n":1},{"sku":"R","n":1}]`, []string{"KEY1/P/h1, order evt_1, order, disable", "//, order evt_1, ignore, order, disable"}, ""},
		"the order's license for all lines":  {`"type":"r","order":{"license_key":"KEY0","hardware_id":"h0","product":"P"},"lines":[{"sku":"P"},{"sku":"Q"}]`, []string{"KEY0/P/h0, order evt_1, order, disable"}, ""},
	} {
		m := lookedUp(t, soldFile, `{"id":"evt_1",`+c.event+`}`) // a later id counts
		if diff := cmp.Diff(c.want, printedRequests(m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		problem := m.Problem
		if problem == "" && len(m.Missing) > 0 {
			problem = "missing " + strings.Join(m.Missing, ", ")
		}
		if got := strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Answer, m.Code, problem)); c.else_ != "" && !strings.HasPrefix(got, c.else_) {
			t.Errorf("%s: %q, want %q …", name, got, c.else_)
		}
	}
}

// TestAnEventAboutOtherGoodsIsNotLookedUp: an event that lookup.when does not mean is mapped as without look-up, and
// ignored if it names no license.
func TestAnEventAboutOtherGoodsIsNotLookedUp(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
lookup: {order: [order], when: "contains(tags, 'software')"}
rules:
  - {name: refunded, type: r, cause: refund}
  - {name: own, type: o, cause: refund, lookup: {when: software, none: ignore}}
`
	for event, want := range map[string]string{
		`"type":"r","tags":["software"]`:                                                             "accepted [//, order ord_1, order, disable]",
		`"type":"r","tags":["shirt"]`:                                                                "ignored [] it names no license, and lookup.when says that it is not about licensed goods",
		`"type":"r","tags":["shirt"],"data":{"license_key":"KEY1"}`:                                  "unmappable []",
		`"type":"r","tags":["shirt"],"data":{"license_key":"KEY1","product":"P","hardware_id":"h1"}`: "accepted [KEY1/P/h1]",
		`"type":"r"`:                  "unmappable [] lookup.when: contains(tags, 'software') cannot be evaluated on this event",
		`"type":"o","software":true`:  "accepted [//, order ord_1, ignore, order, disable]",
		`"type":"o","software":false`: "ignored [] it names no license, and lookup.when says that it is not about licensed goods",
	} {
		m := lookedUp(t, file, `{"id":"evt_1","order":"ord_1",`+event+`}`)
		if got := strings.TrimSpace(fmt.Sprintf("%s %v %s", m.Answer, printedRequests(m), m.Problem)); got != want {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
		if (m.Answer == deactivation.Ignored) != (m.Answer != deactivation.Accepted && m.Rule != "" && strings.Contains(m.Problem, "licensed goods")) {
			t.Errorf("%s: by the rule %q", event, m.Rule)
		}
	}
}

// TestOtherFormsOfAnId: LicenseSpring may hold an id without its prefix, shortened, or with the vendor's own.
func TestOtherFormsOfAnId(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
lookup: {order: [{id: name, without: "#"}, {id: id, first: 15}, "join('-', ['FS', order])", {header: X-Order}]}
rules: [{name: refunded, type: r, cause: refund}]
`
	for event, want := range map[string]string{
		`"id":"evt_1","order":"123","name":"#A1001"`: "//, order A1001, order FS-123, order, disable",
		`"id":"evt_1","order":"123","name":"A1001"`:  "//, order FS-123, order, disable",
		`"id":"801000000000abcAAA","order":"123"`:    "//, order 801000000000abc, order FS-123, order, disable",
		`"id":"801000000000abc","order":"123"`:       "//, order FS-123, order, disable",
	} {
		s := get(t, load(t, file), "tiny")
		mappings, err := s.Map(assumed(t, s, map[string]string{"x-order": "anybody"}, `{"type":"r",`+event+`}`), source.Options{LookUp: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := printedRequests(mappings[0]); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
	}
}

func TestFaultsOfALookupAreReportedByLine(t *testing.T) {
	t.Parallel()
	for lookup, want := range map[string]string{
		`lookup: {orders: [a]}`:                   `tiny.yaml:5: unknown key "orders" in lookup`,
		`lookup: {order: [{weak: a, buyer: b}]}`:  "tiny.yaml:5: a candidate is an expression, or one of id, weak, buyer, header and signed",
		`lookup: {order: [{without: "#"}]}`:       "tiny.yaml:5: a candidate is an expression, or one of",
		`lookup: {order: [{strong: a}]}`:          `tiny.yaml:5: unknown key "strong" in a candidate`,
		`lookup: {order: [{id: a, first: 0}]}`:    "tiny.yaml:5: a whole number above 0 is needed here",
		`lookup: {order: ["a("]}`:                 "tiny.yaml:5: not a JMESPath expression",
		`lookup: {email: {weak: a}}`:              `tiny.yaml:5: unknown key "weak" in a value`,
		`lookup: {none: letter}`:                  `tiny.yaml:5: "letter" is not one of ignore`,
		`lookup: {when: {header: X-Kind, is: a}}`: "tiny.yaml:5: lookup.when reads the header x-kind, which is not signed",
		`lookup: {order: a}` + "\n#":              "",
	} {
		_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(head + "license: [data]\n" + lookup + "\nrules: [{name: r, type: r}]\n")}})
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) || want == "" {
			t.Errorf("%s: %v, want %s …", lookup, err, want)
		}
	}
	for rule, want := range map[string]string{
		`{name: r, type: r, ignore: true, disable: true}`:                            `rule "r" has disable, but deactivates nothing`,
		`{name: r, type: r, cause: refund, disable: maybe}`:                          "true or false is needed here",
		`{name: r, type: r, cause: refund, lookup: {when: {header: X-Kind, is: a}}}`: `rule "r" has a lookup.when that reads the header x-kind`,
	} {
		_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(head + "license: [data]\nrules:\n  - " + rule + "\n")}})
		if err == nil || !strings.HasPrefix(err.Error(), "tiny.yaml:6: "+want) {
			t.Errorf("%s: %v, want line 6: %s …", rule, err, want)
		}
	}
}
