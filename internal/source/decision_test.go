package source_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
)

// decided is what a mapping says, without its licenses.
func decided(t *testing.T, file string, headers map[string]string, body string) string {
	t.Helper()
	mappings := mapped(t, "tiny", file, headers, body)
	if len(mappings) != 1 {
		t.Fatalf("%d events of %s", len(mappings), body)
	}
	m := mappings[0]
	if (len(m.Requests) > 0) != (m.Answer == deactivation.Accepted) {
		t.Errorf("%d requests of an event that is %s", len(m.Requests), m.Answer)
	}
	return strings.Join(strings.Fields(string(m.Answer)+" "+m.Code+" "+m.Rule), " ")
}

const wholeLicense = `"data":{"license_key":"K1","product":"P","hardware_id":"h1"}`

// TestARuleDoesOneOfFourThings: what a rule for review or a reversal matches is never a request, whatever it names.
func TestARuleDoesOneOfFourThings(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
rules:
  - {name: refunded, type: refund, when: status == 'done', cause: refund}
  - {name: pending, type: refund, review: true}
  - {name: won, type: won, reversal: true}
  - {name: lost, type: lost, enabled: false, reversal: true}
  - {name: paid, type: paid, ignore: true}
  - {name: asked, type: asked}
`
	for body, want := range map[string]string{
		`{"id":"e","type":"refund","status":"done",` + wholeLicense + `}`:    "accepted refunded",
		`{"id":"e","type":"refund","status":"pending",` + wholeLicense + `}`: "unmappable review pending",
		`{"id":"e","type":"refund","status":"pending"}`:                      "unmappable review pending",
		`{"id":"e","type":"won",` + wholeLicense + `}`:                       "reversed won",
		`{"id":"e","type":"won"}`:                                            "reversed won",
		`{"id":"e","type":"lost",` + wholeLicense + `}`:                      "ignored",
		`{"id":"e","type":"paid",` + wholeLicense + `}`:                      "ignored paid",
		`{"id":"e","type":"asked",` + wholeLicense + `}`:                     "accepted asked",
		`{"id":"e","type":"won","test":true}`:                                "ignored test event",
	} {
		if got := decided(t, file, nil, body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if m := one(t, file, `{"id":"e","type":"refund","status":"pending"}`); m.Problem != "for review" || len(m.Missing) > 0 {
		t.Errorf("a review: problem %q, missing %v", m.Problem, m.Missing)
	}
}

// TestWhatNoRuleMatchesIsIgnoredOnlyWhereASignedTypeSaysWhatItIs: else a body in place of an order, such as an error
// report, would pass for nothing to do.
func TestWhatNoRuleMatchesIsIgnoredOnlyWhereASignedTypeSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const end = "\nlicense: [data]\nrules: [{name: r, when: a, cause: refund}, {name: known, when: b, ignore: true}]\n"
	const unsigned = `verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}` + "\n"
	const signed = `verify: {header: X-Sig, form: "{signature}", signed: "{X-Topic}.{body}", mac: hmac-sha256, encoding: hex}` + "\n"
	topic := map[string]string{"x-topic": "orders/paid"}
	for name, c := range map[string]struct {
		file    string
		headers map[string]string
		body    string
		want    string
	}{
		"a type in the body":                 {unsigned + "event: {type: kind}" + end, nil, `{"kind":"paid"}`, "ignored"},
		"an empty one":                       {unsigned + "event: {type: kind}" + end, nil, `{"kind":""}`, "unmappable unknown_shape"},
		"null":                               {unsigned + "event: {type: kind}" + end, nil, `{"kind":null}`, "unmappable unknown_shape"},
		"none":                               {unsigned + "event: {type: kind}" + end, nil, `{"code":"cannot_view"}`, "unmappable unknown_shape"},
		"the file knows no type":             {unsigned + "event: {id: id}" + end, nil, `{"kind":"paid"}`, "unmappable unknown_shape"},
		"a header that anybody can add":      {unsigned + "event: {type: {header: X-Topic}}" + end, topic, `{}`, "unmappable unknown_shape"},
		"one that is signed":                 {signed + "event: {type: {signed: X-Topic}}" + end, topic, `{}`, "ignored"},
		"the header behind one in the body":  {unsigned + "event: {type: [kind, {header: X-Topic}]}" + end, topic, `{}`, "unmappable unknown_shape"},
		"the body before the header":         {unsigned + "event: {type: [kind, {header: X-Topic}]}" + end, topic, `{"kind":"paid"}`, "ignored"},
		"a shape that a rule knows":          {unsigned + "event: {id: id}" + end, nil, `{"b":true}`, "ignored known"},
		"an object where the type should be": {unsigned + "event: {type: kind}" + end, nil, `{"kind":{}}`, "unmappable"},
	} {
		if got := decided(t, c.file, c.headers, c.body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAnUnreadableEventDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	const file = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id, type: type}
license: [data]
rules: [{name: refunded, type: refund, cause: refund}]
`
	good := `{"id":"e","type":"refund",` + wholeLicense + `}`
	for body, want := range map[string][]string{
		`{"events":[null,` + good + `]}`:     {"unmappable unreadable", "accepted "},
		`{"events":[` + good + `,"x",[],7]}`: {"accepted ", "unmappable unreadable", "unmappable unreadable", "unmappable unreadable"},
		`{"events":null}`:                    {"unmappable unreadable"},
		`{"events":"x"}`:                     {"unmappable unreadable"},
		`{"events":` + good + `}`:            {"accepted "},
		`[]`:                                 {"unmappable unreadable"},
		`null`:                               {"unmappable unreadable"},
		`{"events":[` + good:                 {"unmappable unreadable"},
		"\xEF\xBB\xBF" + `{"events":[` + good + `]}`: {"accepted "},
	} {
		var got []string
		for _, m := range mapped(t, "tiny", file, nil, body) {
			got = append(got, string(m.Answer)+" "+m.Code)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestWhoWroteALicenseIsInTheRequest: a buyer can put another customer's key into an order.
func TestWhoWroteALicenseIsInTheRequest(t *testing.T) {
	t.Parallel()
	const file = head + `
license:
  - own
  - {pairs: attributes, name: name, value: value, by: buyer}
  - {pairs: tags, by: buyer}
  - {license_key: note, by: buyer}
lines:
  each: lines
  license: [own, {pairs: tags, by: buyer}]
rules:
  - {name: refunded, type: refund, cause: refund}
  - {name: cancelled, type: cancelled, cause: order_cancelled}
`
	const device = `"product":"P","hardware_id":"h1"`
	for name, c := range map[string]struct {
		event string
		buyer []bool
	}{
		"the vendor's":                        {`"own":{"license_key":"K1",` + device + `}`, []bool{false}},
		"pairs":                               {`"attributes":[{"name":"license_key","value":"K1"}],"own":{` + device + `}`, []bool{true}},
		"an object":                           {`"tags":{"username":"u",` + device + `}`, []bool{true}},
		"one field":                           {`"note":"K1","own":{` + device + `}`, []bool{true}},
		"the device alone":                    {`"own":{"license_key":"K1"},"tags":{` + device + `}`, []bool{false}},
		"the first place is the vendor's":     {`"own":{"license_key":"K1",` + device + `},"tags":{"license_key":"K1"}`, []bool{false}},
		"of a line":                           {`"lines":[{"tags":{"license_key":"K1",` + device + `}},{"own":{"license_key":"K2",` + device + `}}]`, []bool{true, false}},
		"the same license, once the vendor's": {`"lines":[{"tags":{"license_key":"K1",` + device + `}},{"own":{"license_key":"K1",` + device + `}}]`, []bool{false}},
		"the order's on a line":               {`"tags":{"license_key":"K1","hardware_id":"h1"},"lines":[{"own":{"product":"P"}}]`, []bool{true}},
	} {
		m := one(t, file, `{"id":"e","type":"refund",`+c.event+`}`)
		var got []bool
		for _, r := range m.Requests {
			got = append(got, r.Buyer)
		}
		if !slices.Equal(got, c.buyer) {
			t.Errorf("%s: by a buyer %v, want %v; %s, missing %v %s", name, got, c.buyer, m.Answer, m.Missing, m.Problem)
		}
		want := "accepted cancelled"
		if slices.Contains(c.buyer, true) {
			want = "unmappable review cancelled"
		}
		if got := decided(t, file, nil, `{"id":"e","type":"cancelled",`+c.event+`}`); got != want {
			t.Errorf("%s, cancelled and never paid: %s, want %s", name, got, want)
		}
	}
}

// TestTheTimeOfAnEventIsThatOfTheFact: an order is updated for years after its refund, and its age decides whether it is
// acted on.
func TestTheTimeOfAnEventIsThatOfTheFact(t *testing.T) {
	t.Parallel()
	const license = `"note_attributes":[{"name":"license_key","value":"K1"},{"name":"product","value":"P"},{"name":"hardware_id","value":"h1"}]`
	order := func(refunds string) string {
		return `{"id":1,"financial_status":"refunded","updated_at":"2026-11-20T00:00:00Z","refunds":[` + refunds + `],` + license + `}`
	}
	paid := `"transactions":[{"kind":"refund","status":"success"}]`
	for name, c := range map[string]struct{ source, body, want string }{
		"Shopify, the newest refund": {"shopify", order(`{"created_at":"2026-03-01T10:00:00+02:00",` + paid + `},{"processed_at":"2026-04-01T00:00:00Z","created_at":"2026-04-02T00:00:00Z",` + paid + `}`), "2026-04-01T00:00:00Z"},
		"Lemon Squeezy, the refund":  {"lemonsqueezy", `{"meta":{"event_name":"order_refunded","custom_data":{"license_key":"K1","product":"P","hardware_id":"h1"}},"data":{"id":"1","attributes":{"status":"refunded","total":100,"refunded_amount":100,"refunded_at":"2026-04-01T00:00:00.000000Z","updated_at":"2026-11-20T00:00:00.000000Z"}}}`, "2026-04-01T00:00:00Z"},
	} {
		m := mapped(t, c.source, "", nil, c.body)[0]
		if len(m.Requests) != 1 || m.Requests[0].OccurredAt.UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%s: %+v, want %s", name, m, c.want)
		}
	}
}
