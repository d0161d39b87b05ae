package source_test

import (
	"strings"
	"testing"
)

// TestTheValuesOnWhichARuleMatchedAreNamed: those of the matching rule alone, without a key, and bounded.
func TestTheValuesOnWhichARuleMatchedAreNamed(t *testing.T) {
	t.Parallel()
	const rules = `license: [data]
rules:
  - {name: never, when: other == 'x', cause: refund}
  - {name: refunded, type: [refunded, returned], when: "status == 'refunded' && (data.license_key != 'x' && total > ` + "`1`" + `)", cause: refund}
  - {name: by type, type: paid, ignore: true}
`
	for body, want := range map[string]string{
		`{"id":"e","type":"refunded","status":"refunded","total":1050,"data":{"license_key":"AAAA-BBBB-CCCC-DDDD","hardware_id":"h","product":"P"}}`://
		"type 'refunded', status 'refunded', data.license_key …DDDD, total 1050",
		`{"id":"e","type":"paid"}`: "type 'paid'",
		`{"id":"e","type":"odd"}`:  "",
	} {
		if got := one(t, head+rules, body).Values; got != want {
			t.Errorf("%s\ngot  %q\nwant %q", body, got, want)
		}
	}
	long := `{"id":"e","type":"refunded","status":"refunded","total":2,"data":{"license_key":"` + strings.Repeat("k", 250) + `","hardware_id":"h","product":"P"}}`
	if got := one(t, head+rules, long).Values; len(got) > 200 {
		t.Errorf("%d characters: a long value is not bounded", len(got))
	}
	large := `{"id":"e","type":"refunded","status":"refunded","total":2,"data":{"license_key":"AAAA-BBBB","hardware_id":"h","product":"P"},"more":"` + strings.Repeat("x", 64<<10) + `"}`
	if got := one(t, head+rules, large).Values; got != "type 'refunded'" {
		t.Errorf("a large body: got %q, want the type alone", got)
	}
}
