package webhook_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/queue"
)

const head = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type, time: at, test: test == ` + "`true`" + `}
`

// became posts a body to a small source and says what became of it: the answer, and each request as
// "key/user/id product bundle device".
func became(t *testing.T, file, body string) (answer string, requests []string, log string) {
	t.Helper()
	b := newBench(t, file)
	got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil))
	var said struct {
		Answer string `json:"answer"`
	}
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil {
		t.Fatalf("answer %d %s", got.StatusCode, got.Body)
	}
	for _, r := range b.queue.requests(t) {
		requests = append(requests, fmt.Sprintf("%s/%s/%s %s %s %s", r.LicenseKey, r.Username, r.LicenseID, r.Product, r.BundleCode, r.HardwareID))
	}
	return said.Answer, requests, b.log.String()
}

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
		"blank device":              {`{"license_key":"K1","product":"XY","hardware_id":" , "}`, "unmappable", nil},
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
		"11 times 10 requests":      {`{"license_key":"` + strings.Join(numbered("K", 11), ",") + `","product":"XY","hardware_id":"` + strings.Join(numbered("h", 10), ",") + `"}`, "unmappable", nil},
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
		"part: one of two devices paid for":     {"partial", `{}`, line("1", "0", property("license_key", "K1")+","+property("hardware_id", "h1,h2"), "A") + "," + line("2", "1", own1, "B"), refund("1"), "accepted", []string{"K1// A  h2"}},
		"part: a line of nothing":               {"partial", `{}`, strings.Replace(line("1", "0", own1, "A"), `"quantity":1`, `"quantity":0`, 1), "", "ignored", nil},
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
			answer, _, log := became(t, file, `{"id":"e1","data":{"license_key":"K1","product":"XY","hardware_id":"h1"},`+c.event+`}`)
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
			b := newBench(t, file)
			b.post(t, signed(t, b, "tiny", "tiny-secret-canary", c.event+data, clock, nil))
			if c.rule != "" && !strings.Contains(b.log.String(), `"rule":"`+c.rule+`"`) {
				t.Errorf("the log does not name the rule %q: %s", c.rule, b.log)
			}
			if c.answer == "accepted" {
				if r := b.queue.requests(t); len(r) != 1 || r[0].Rule != c.rule || r[0].Cause != c.cause {
					t.Errorf("requests %v", r)
				}
			} else if len(b.queue.taken) != 0 {
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
				b := newBench(t, file)
				b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil))
				ids = append(ids, b.queue.requests(t)[0].ID)
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
		b := newBench(t, file)
		raw, _ := json.Marshal(id)
		b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"id":`+string(raw)+`,"type":"r","data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`, clock, nil))
		got := b.queue.requests(t)[0].ID
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q have the same id %s", id, other, got)
		}
		seen[got] = id
	}
}

func TestSeveralEventsOfOneDelivery(t *testing.T) {
	t.Parallel()
	const file = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id, type: type}
license: [data]
rules: [{name: r, type: r, cause: refund}]
answer: fastspring
`
	good := func(id string) string {
		return `{"id":"` + id + `","type":"r","data":{"license_key":"K-` + id + `","product":"XY","hardware_id":"h1"}}`
	}
	body := `{"events":[` + good("a") + `,{"id":"b","type":"other"},{"id":"c","type":"r","data":{}},` + good("d") + `]}`
	b := newBench(t, file)
	got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil))
	if got.StatusCode != 200 || len(b.queue.taken) != 2 || len(b.letters.taken) != 1 {
		t.Errorf("answer %d, %d messages, %d dead letters, want 200, 2 and 1", got.StatusCode, len(b.queue.taken), len(b.letters.taken))
	}

	part := newBench(t, file)
	part.queue.refuse = refuseHolding("K-d")
	got = part.post(t, signed(t, part, "tiny", "tiny-secret-canary", body, clock, nil))
	if got.StatusCode != 202 || got.Body != "a\nb\nc\n" {
		t.Errorf("when one was not taken: %d %q, want 202 and the ids that are done", got.StatusCode, got.Body)
	}
	down := newBench(t, file)
	down.queue.refuse, down.letters.refuse = refuseHolding(""), refuseHolding("")
	got = down.post(t, signed(t, down, "tiny", "tiny-secret-canary", `{"events":[`+good("a")+`]}`, clock, nil))
	if got.StatusCode != 503 {
		t.Errorf("when none was taken: %d %q, want 503", got.StatusCode, got.Body)
	}
	for name, body := range map[string]string{"null": `{}`, "no object": `{"events":["a"]}`, "a text": `{"events":"a"}`} {
		if got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil)); got.StatusCode != 400 {
			t.Errorf("%s: %d, want 400", name, got.StatusCode)
		}
	}
	if got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"events":[]}`, clock, nil)); got.StatusCode != 200 {
		t.Errorf("no events: %d, want 200", got.StatusCode)
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
		b := newBench(t, file)
		b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"id":"e","type":"r","at":`+at+`,"data":{"license_key":"K1","product":"XY","hardware_id":"h1"}}`, clock, nil))
		r := b.queue.requests(t)
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

func refuseHolding(text string) func(queue.Entry) bool {
	return func(e queue.Entry) bool { return strings.Contains(e.Body, text) }
}
