package source_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// dangerous is a small file with parts to replace. Its rule is at line 10.
func dangerous(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`verify:
  - {header: X-Sig, form: "t={timestamp},v={signature}", separator: ",", signed: "{timestamp}.{body}", mac: hmac-sha256, encoding: hex, tolerance: 5m}
  - {header: X-Old, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex, ping: 'webhook_id=\d+', require: shop == 'acme'}
event:
  type: type
  test: test == ` + "`true`" + `
license: [data]
lines: {each: lines, license: [own], refunded: current == ` + "`0`" + `}
rules:
  - {name: r, when: "status == 'refunded'", cause: refund}
`)
}

func dangers(t *testing.T, file string) (errors, warnings []string) {
	t.Helper()
	for _, d := range get(t, load(t, file), "tiny").Dangers() {
		text := fmt.Sprintf("%d: %s", d.Line, d.Text)
		if d.Warning {
			warnings = append(warnings, text)
		} else {
			errors = append(errors, text)
		}
	}
	return errors, warnings
}

func TestDangersOfAFileAreNamedByLine(t *testing.T) {
	t.Parallel()
	when := func(condition string) string { return dangerous("status == 'refunded'", condition) }
	rule := func(text string) string {
		return dangerous(`{name: r, when: "status == 'refunded'", cause: refund}`, text)
	}
	const empty, missing = "holds on an event without any of its fields", "are both missing, since null == null is true"
	for name, c := range map[string]struct {
		file, want string // "": no danger
		warning    bool
	}{
		"none": {file: dangerous()},

		"an hour's tolerance":         {file: dangerous("5m", "1h")},
		"a longer tolerance":          {file: dangerous("5m", "61m"), want: "2: tolerance is 1h1m: anybody who sees a delivery can send it again"},
		"a test mode by absence":      {file: dangerous("test == `true`", `"!live"`), want: "6: test " + empty},
		"a test mode of two absent":   {file: dangerous("test == `true`", "mode == shop.mode"), want: "6: test holds where mode and shop.mode " + missing},
		"a requirement by absence":    {file: dangerous("shop == 'acme'", "shop != 'other'"), want: "3: require " + empty},
		"a requirement of two absent": {file: dangerous("shop == 'acme'", "shop == owner && plan"), want: "3: require holds where shop and owner " + missing},
		"a line by absence":           {file: dangerous("current == `0`", "current != `1`"), want: "8: lines.refunded " + empty},
		"a line of two absent":        {file: dangerous("current == `0`", "returned == quantity && id"), want: "8: lines.refunded holds where returned and quantity " + missing},

		"a rule by absence":          {file: when("status != 'paid'"), want: `10: rule "r" ` + empty + " (status != 'paid'); compare with the intended value"},
		"one of its tests":           {file: rule("{name: r, when: [status == 'refunded', \"!paid\"], cause: refund}"), want: `10: rule "r" ` + empty + " (!paid)"},
		"a typed rule by absence":    {file: rule("{name: r, type: refund, when: \"status != 'part'\", cause: refund}"), want: `10: rule "r" ` + empty, warning: true},
		"an ignoring rule":           {file: rule("{name: r, when: \"status != 'refunded'\", ignore: true}"), want: `10: rule "r" ` + empty},
		"a review by absence":        {file: rule("{name: r, when: \"status != 'refunded'\", review: true}")},
		"a reversal by absence":      {file: rule("{name: r, when: \"status != 'refunded'\", reversal: true}")},
		"two absent":                 {file: when("refunded == total"), want: `10: rule "r" holds where refunded and total ` + missing},
		"two absent, and more":       {file: when("kind == 'refund' && amount.refunded == amount.total"), want: `10: rule "r" holds where amount.refunded and amount.total ` + missing},
		"two absent, in a typed one": {file: rule("{name: r, type: refund, when: \"a == b && c == `1`\", cause: refund}"), want: `10: rule "r" holds where a and b ` + missing},
		"two absent, ignored":        {file: rule("{name: r, when: \"a == b && c == 'x'\", ignore: true}"), want: `10: rule "r" holds where a and b ` + missing},
		"two absent, of a list":      {file: when("contains(['a', 'b'], kind) && a == b"), want: `10: rule "r" holds where a and b ` + missing},
		"two absent, in JSON":        {file: when("kind == `7` && flag == `false` && a == b"), want: `10: rule "r" holds where a and b ` + missing},
		"two absent, by a function":  {file: when("x == 'y' && to_string(a) == to_string(b)"), want: `10: rule "r" holds where to_string(a) and to_string(b) ` + missing},
		"two absent, the largest":    {file: when("x && max(a[].n || `[]`) == max(b[].n || `[]`)"), want: "10: rule \"r\" holds where max(a[].n || `[]`) and max(b[].n || `[]`) " + missing},
		"two absent, in a filter":    {file: when("length(items[?back == bought && id] || `[]`) > `0`"), want: `10: rule "r" holds where back and bought ` + missing},
		"beside many others": {file: when("f1 == '1' && f2 == '2' && f3 == '3' && f4 == '4' && f5 == '5' && f6 == '6' && f7 == '7' && 'f8' == f8 && a == b"),
			want: `10: rule "r" holds where a and b ` + missing},
		"beside more than are tried": {file: when("a == b && (f1 || f2 || f3 || f4 || f5 || f6 || f7 || f8 || f9) && contains(['x', 'y', 'z'], kind)"),
			want: `10: rule "r" holds where a and b ` + missing},
		"in brackets": {file: when("x == 'y' && (z == '1' || (a == b && z == '2'))"), want: `10: rule "r" holds where a and b ` + missing},

		"guarded":             {file: when("a != `null` && a == b")},
		"guarded by the rest": {file: when("contains(['x', 'y'], a) && a == b")},
		"guarded in a filter": {file: when("length(items[?back && back == bought] || `[]`) > `0`")},
		"with a constant":     {file: when("x == 'y' && a == `null`")},
		"numbers":             {file: when("x == 'y' && a >= b")},
		"different":           {file: when("x == 'y' && a != `null` && a != b")},
		"an error on nothing": {file: when("length(a) == length(b)")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errors, warnings := dangers(t, c.file)
			got, other := errors, warnings
			if c.warning {
				got, other = warnings, errors
			}
			if c.want == "" && len(got) == 0 && len(other) == 0 {
				return
			}
			if len(got) != 1 || len(other) > 0 || c.want == "" || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("errors %q, warnings %q, want %q", errors, warnings, c.want)
			}
		})
	}
}

func TestWhatIsWrongWithEveryEventIsNotLoaded(t *testing.T) {
	t.Parallel()
	rule := func(text string) string {
		return dangerous(`{name: r, when: "status == 'refunded'", cause: refund}`, text)
	}
	ping := func(pattern string) string { return dangerous(`'webhook_id=\d+'`, "'"+pattern+"'") }
	for name, c := range map[string]struct{ file, want string }{ // "": it is loaded
		"a rule of a constant":         {rule("{name: r, when: \"`true`\", cause: refund}"), `tiny.yaml:10: rule "r" holds on every event: it would deactivate a license for each`},
		"a rule that compares itself":  {rule("{name: r, when: status == status, cause: refund}"), `tiny.yaml:10: rule "r" holds on every event`},
		"a rule of the whole event":    {rule("{name: r, when: \"@ != `null`\", cause: refund}"), `tiny.yaml:10: rule "r" holds on every event`},
		"a rule of either":             {rule("{name: r, when: \"!(a == 'x') || !(a == 'y')\", cause: refund}"), `tiny.yaml:10: rule "r" holds on every event`},
		"one of its tests":             {rule("{name: r, when: [a == 'x', \"`1` == `1`\"], cause: refund}"), `tiny.yaml:10: rule "r" holds on every event`},
		"all events ignored":           {rule("{name: r, when: \"`true`\", ignore: true}"), `tiny.yaml:10: rule "r" holds on every event, so no later rule would ever be tried`},
		"all events reviewed":          {rule("{name: r, when: \"`true`\", review: true}"), ""},
		"all events of a type":         {rule("{name: r, type: refund, when: \"`true`\", cause: refund}"), ""},
		"absence is not everything":    {rule("{name: r, when: \"status != 'paid'\", ignore: true}"), ""},
		"equality is not everything":   {rule("{name: r, when: a == b, ignore: true}"), ""},
		"a name with a line break":     {rule(`{name: "r\n2", type: t, cause: refund}`), `tiny.yaml:10: rule "r\n2" cannot be sent to the queue: its name: holds the character U+000A`},
		"a name of what SQS refuses":   {rule("{name: \"r\\uFFFE\", type: t, cause: refund}"), `cannot be sent to the queue: its name: holds the character U+FFFE`},
		"a name that is too long":      {rule("{name: " + strings.Repeat("r", 257) + ", type: t, cause: refund}"), "cannot be sent to the queue: its name: is longer than 256 characters"},
		"a ping of everything":         {ping("(?s).*"), `tiny.yaml:3: ping matches events, such as {"id":"evt_1","type":"refunded"}`},
		"a ping of every object":       {ping(`\{.*\}`), "tiny.yaml:3: ping matches events"},
		"a ping of every list":         {ping(`\[.*`), "tiny.yaml:3: ping matches events"},
		"a ping of every form":         {ping(`(\w+=\w+&?)+`), "tiny.yaml:3: ping matches events"},
		"a ping of every XML document": {ping(`<.*`), "tiny.yaml:3: ping matches events"},
		"a ping of one object":         {ping(`\{"ping":true\}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(c.file)}})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestARuleThatIsLoadedNamesItsRequests: what a file may call its rule, the queue takes.
func TestARuleThatIsLoadedNamesItsRequests(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"r", strings.Repeat("é", 256), "a “name” & <more>", "\t", "\u202e", "\uFFFD", "\u2028", strings.Repeat("r", 257), "a\u0085b"} {
		quoted := strings.NewReplacer("\t", `\t`, "\u2028", `\L`, "\u0085", `\N`).Replace(name)
		loaded, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(dangerous("name: r,", `name: "`+quoted+`",`))}})
		request := deactivation.Request{ID: "i", Source: "tiny", Cause: deactivation.CauseRefund, Rule: name, License: deactivation.License{LicenseKey: "K", Product: "P", HardwareID: "h"}}
		if invalid := request.Validate(); (invalid == nil) != (err == nil) {
			t.Errorf("%q: loading says %v, the queue says %v", name, err, invalid)
		}
		if err == nil && get(t, loaded, "tiny").Rules()[0].Name != name {
			t.Errorf("%q: is read as %q", name, get(t, loaded, "tiny").Rules()[0].Name)
		}
	}
}

func TestTheBuiltInFilesHoldNoDanger(t *testing.T) {
	t.Parallel()
	loaded := load(t, "")
	for _, name := range loaded.Names() {
		for _, d := range get(t, loaded, name).Dangers() {
			t.Errorf("%s.yaml:%d: %s", name, d.Line, d.Text)
		}
	}
}

// TestTheNeighbourOfAnIDIsCompared: 1000234 and Refunded have the signature of 1000 and 234Refunded.
func TestTheNeighbourOfAnIDIsCompared(t *testing.T) {
	t.Parallel()
	const warning = `rule "refunded" does not compare STATUS, which is signed next to ORDER_ID without a mark between them`
	for name, c := range map[string]struct {
		change []string
		want   string
	}{
		"compared":             {nil, ""},
		"not compared":         {[]string{", when: STATUS == 'Refunded'", ""}, warning},
		"in one of two":        {[]string{"STATUS == 'Refunded'", "[STATUS == 'Refunded', TEST == '0']"}, warning},
		"a mark between them":  {[]string{", when: STATUS == 'Refunded'", "", "{field:ORDER_ID}{field", "{field:ORDER_ID}|{field"}, ""},
		"the secret":           {[]string{", when: STATUS == 'Refunded'", "", "{field:STATUS}{secret}", "{secret}{field:STATUS}"}, ""},
		"no id":                {[]string{", when: STATUS == 'Refunded'", "", "order: ORDER_ID", "order: TEST", "license_key: ORDER_ID", "license_key: TEST"}, ""},
		"the type":             {[]string{", when: STATUS == 'Refunded'", "", "type: TYPE,", "type: STATUS,"}, ""},
		"a rule that ignores":  {[]string{", when: STATUS == 'Refunded', cause: refund", ", ignore: true"}, ""},
		"the id stands second": {[]string{", when: STATUS == 'Refunded'", "", "{field:ORDER_ID}{field:STATUS}", "{field:STATUS}{field:ORDER_ID}"}, warning},
	} {
		s := get(t, load(t, strings.NewReplacer(c.change...).Replace(partly)), "tiny")
		var got []string
		for _, d := range s.Dangers() {
			got = append(got, d.Text)
			if !d.Warning || d.Line != 13 {
				t.Errorf("%s: %+v, want a warning on line 13", name, d)
			}
		}
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
