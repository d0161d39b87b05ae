package source_test

import (
	"slices"
	"strings"
	"testing"
)

// TestOfSeveralObjectsPairsStayPairs: a license is deactivated on the device that stands with it, and on no other.
func TestOfSeveralObjectsPairsStayPairs(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [first, second]
rules: [{name: refunded, type: r, cause: refund}]
`
	const k1h1, k2h2 = `{"license_key":"K1","hardware_id":"h1"}`, `{"license_key":"K2","hardware_id":"h2"}`
	for name, c := range map[string]struct {
		event  string
		answer string
		want   []string
	}{
		"two pairs":                              {`"first":[` + k1h1 + `,` + k2h2 + `],"second":{"product":"P"}`, "accepted", []string{"K1// P  h1", "K2// P  h2"}},
		"two users":                              {`"first":[{"username":"u","hardware_id":"h1"},{"username":"v","hardware_id":"h2"}],"second":{"product":"P"}`, "accepted", []string{"/u/ P  h1", "/v/ P  h2"}},
		"each its product":                       {`"first":[{"license_key":"K1","hardware_id":"h1","product":"P"},{"license_key":"K2","hardware_id":"h2","product":"Q"}]`, "accepted", []string{"K1// P  h1", "K2// Q  h2"}},
		"in one object several are all":          {`"first":{"license_key":"K1,K2","hardware_id":"h1;h2","product":"P"}`, "accepted", []string{"K1// P  h1", "K1// P  h2", "K2// P  h1", "K2// P  h2"}},
		"in each of two objects":                 {`"first":[{"license_key":"K1,K2","hardware_id":"h1"},{"license_key":"K3","hardware_id":["h2","h3"]}],"second":{"product":"P"}`, "accepted", []string{"K1// P  h1", "K2// P  h1", "K3// P  h2", "K3// P  h3"}},
		"one without a device":                   {`"first":[` + k1h1 + `,{"license_key":"K2"}],"second":{"product":"P"}`, "unmappable", nil},
		"a device that stands by itself":         {`"first":[` + k1h1 + `,{"hardware_id":"h2"}],"second":{"product":"P"}`, "unmappable", nil},
		"beside two licenses without one":        {`"first":[{"license_key":"K1"},{"license_key":"K2"},{"hardware_id":"h2"}],"second":{"product":"P"}`, "unmappable", nil},
		"beside one license, without one":        {`"first":[{"license_key":"K1"},{"hardware_id":"h1"},{"product":"P"}]`, "accepted", []string{"K1// P  h1"}},
		"the device of a later place":            {`"first":{"license_key":"K1","product":"P"},"second":{"hardware_id":"h1"}`, "accepted", []string{"K1// P  h1"}},
		"there with the same license":            {`"first":{"license_key":"K1","product":"P"},"second":[` + k2h2 + `,` + k1h1 + `]`, "accepted", []string{"K1// P  h1"}},
		"there with another license":             {`"first":{"license_key":"K1","product":"P"},"second":` + k2h2, "unmappable", nil},
		"there with a user":                      {`"first":{"license_key":"K1","product":"P"},"second":{"username":"u","hardware_id":"h1"}`, "unmappable", nil},
		"of two licenses each finds its own":     {`"first":[{"license_key":"K1"},{"license_key":"K2"}],"second":[{"license_key":"K2","hardware_id":"h2","product":"P"},{"license_key":"K1","hardware_id":"h1","product":"P"}]`, "accepted", []string{"K1// P  h1", "K2// P  h2"}},
		"a product that both can have":           {`"first":[` + k1h1 + `,` + k2h2 + `,{"product":"P"}]`, "accepted", []string{"K1// P  h1", "K2// P  h2"}},
		"two products to choose from":            {`"first":[` + k1h1 + `,{"product":"P"},{"product":"Q"}]`, "unmappable", nil},
		"the same pair twice":                    {`"first":[` + k1h1 + `,` + k1h1 + `],"second":{"product":"P"}`, "accepted", []string{"K1// P  h1"}},
		"a device in an earlier place, another":  {`"first":{"hardware_id":"h1"},"second":{"license_key":"K2","hardware_id":"h2","product":"P"}`, "unmappable", nil},
		"a device in an earlier place, the same": {`"first":{"hardware_id":"h2"},"second":{"license_key":"K2","hardware_id":"h2","product":"P"}`, "accepted", []string{"K2// P  h2"}},
		"a hundred objects":                      {`"first":[` + strings.Repeat(k1h1+",", 99) + k2h2 + `],"second":{"product":"P"}`, "accepted", []string{"K1// P  h1", "K2// P  h2"}},
		"a hundred and one":                      {`"first":[` + strings.Repeat(k1h1+",", 100) + k2h2 + `],"second":{"product":"P"}`, "unmappable", nil},
	} {
		answer, got, why := became(t, file, `{"id":"e","type":"r",`+c.event+`}`)
		if answer != c.answer || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s %q, want %s %q\n%s", name, answer, got, c.answer, c.want, why)
		}
	}
}

func TestTheFirstPlaceThatHasAFieldCounts(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [first, second]
rules: [{name: refunded, type: r, cause: refund}]
`
	const whole = `"license_key":"K1","product":"P","hardware_id":"h1"`
	for name, c := range map[string]struct {
		event  string
		answer string
		want   []string
	}{
		"an object as product later":         {`"first":{` + whole + `},"second":{"product":{"id":1}}`, "accepted", []string{"K1// P  h1"}},
		"a boolean as device later":          {`"first":{` + whole + `},"second":{"hardware_id":true}`, "accepted", []string{"K1// P  h1"}},
		"two identities later":               {`"first":{` + whole + `},"second":{"license_key":"K2","username":"u"}`, "accepted", []string{"K1// P  h1"}},
		"too long a key later":               {`"first":{` + whole + `},"second":{"license_key":"` + strings.Repeat("a", 300) + `"}`, "accepted", []string{"K1// P  h1"}},
		"a text where the object is, later":  {`"first":{` + whole + `},"second":"x"`, "accepted", []string{"K1// P  h1"}},
		"another product later":              {`"first":{` + whole + `},"second":{"product":"Q"}`, "accepted", []string{"K1// P  h1"}},
		"an object as product first":         {`"first":{"product":{"id":1}},"second":{` + whole + `}`, "unmappable", nil},
		"a boolean as device first":          {`"first":{"hardware_id":false},"second":{` + whole + `}`, "unmappable", nil},
		"two identities first":               {`"first":{"license_key":"K1","username":"u"},"second":{` + whole + `}`, "unmappable", nil},
		"null first":                         {`"first":{"product":null,"license_key":"","hardware_id":[]},"second":{` + whole + `}`, "accepted", []string{"K1// P  h1"}},
		"odd only where it is still missing": {`"first":{"license_key":"K1","hardware_id":"h1"},"second":{"product":{"id":1}}`, "unmappable", nil},
	} {
		answer, got, why := became(t, file, `{"id":"e","type":"r",`+c.event+`}`)
		if answer != c.answer || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s %q, want %s %q\n%s", name, answer, got, c.answer, c.want, why)
		}
	}
}

func TestAListOfDevicesInATextHasNoCommas(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [data]
rules: [{name: refunded, type: r, cause: refund}]
`
	for devices, want := range map[string][]string{
		`"MacBookPro16,1-AA"`:                 {"MacBookPro16,1-AA"},
		`"MacBookPro16,1-AA; iMac19,1-BB ;"`:  {"MacBookPro16,1-AA", "iMac19,1-BB"},
		`"h1\nh2"`:                            {"h1", "h2"},
		`"h1\r\nh2\r\n"`:                      {"h1", "h2"},
		`"h1;\n;h1"`:                          {"h1"},
		`["MacBookPro16,1-AA","iMac19,1-BB"]`: {"MacBookPro16,1-AA", "iMac19,1-BB"},
		`["h1;h2"]`:                           {"h1;h2"},
		`"h1\u0001h2"`:                        nil,
		`7`:                                   {"7"},
	} {
		var got []string
		for _, r := range one(t, file, `{"id":"e","type":"r","data":{"license_key":"K1","product":"P","hardware_id":`+devices+`}}`).Requests {
			got = append(got, r.HardwareID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", devices, got, want)
		}
	}
	var keys []string
	for _, r := range one(t, file, `{"id":"e","type":"r","data":{"license_key":"K1, K2;K3","product":"P","hardware_id":"h"}}`).Requests {
		keys = append(keys, r.LicenseKey)
	}
	if !slices.Equal(keys, []string{"K1", "K2;K3"}) {
		t.Errorf("keys %q", keys)
	}
}

// TestWhatALineStillPaysForIsSpared, and where that cannot be told nothing is deactivated.
func TestWhatALineStillPaysForIsSpared(t *testing.T) {
	t.Parallel()
	const gone, stays = `"gone":true`, `"gone":false`
	const file = head + `
license: [order]
lines: {each: lines, license: [own], refunded: gone}
rules:
  - {name: part, type: r, lines: refunded, cause: refund}
  - {name: none, type: r, ignore: true}
`
	own := func(key, device string) string {
		return `"own":{"license_key":"` + key + `","product":"P","hardware_id":"` + device + `"}`
	}
	for name, c := range map[string]struct {
		order, lines string
		want         string
		devices      []string
	}{
		"two licenses":                      {`{}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,` + own("K2", "h2") + `}`, "accepted part", []string{"h1"}},
		"the same one":                      {`{}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,` + own("K1", "h1") + `}`, "ignored none", nil},
		"the order's, taken by a paid line": {`{"license_key":"K1","hardware_id":"h1","product":"P"}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `}`, "ignored none", nil},
		"the order's, and no line takes it": {`{"license_key":"K1","hardware_id":"h1","product":"P"}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,` + own("K2", "h2") + `}`, "accepted part", []string{"h1"}},
		"a paid line's key is odd":          {`{}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,"own":{"license_key":{}}}`, "unmappable review part", nil},
		"a paid line's identities are two":  {`{}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,"own":{"license_key":"K2","username":"u"}}`, "unmappable review part", nil},
		"the order's own license is odd":    {`{"license_key":{}}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `}`, "unmappable review part", nil},
		"a paid line says no device":        {`{}`, `{` + gone + `,` + own("K1", "h1") + `},{` + stays + `,"own":{"license_key":"K1","product":"P"}}`, "ignored none", nil},
		"nothing is refunded":               {`{}`, `{` + stays + `,` + own("K1", "h1") + `}`, "ignored none", nil},
	} {
		body := `{"id":"e","type":"r","order":` + c.order + `,"lines":[` + c.lines + `]}`
		if got := decided(t, file, nil, body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		var devices []string
		for _, r := range one(t, file, body).Requests {
			devices = append(devices, r.HardwareID)
		}
		if !slices.Equal(devices, c.devices) {
			t.Errorf("%s: devices %q, want %q", name, devices, c.devices)
		}
	}
}

// TestOneOfSeveralLinesWithoutAProduct: the others' products are no evidence of which product the order's license is of.
func TestOneOfSeveralLinesWithoutAProduct(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [order]
lines: {each: lines, license: [{product: sku}]}
rules: [{name: refunded, type: r, cause: refund}]
`
	for lines, want := range map[string]string{
		`{"sku":"P"},{"sku":"P"}`: "accepted", `{"sku":"P"},{"sku":""}`: "unmappable", `{},{"sku":"P"}`: "unmappable", `{"sku":"P"},{"sku":"Q"}`: "unmappable", `{"sku":"P"}`: "accepted",
	} {
		answer, _, why := became(t, file, `{"id":"e","type":"r","order":{"license_key":"K1","hardware_id":"h1"},"lines":[`+lines+`]}`)
		if answer != want {
			t.Errorf("%s: %s, want %s; %s", lines, answer, want, why)
		}
	}
}
