package source_test

import (
	"strings"
	"testing"
)

// TestPartsThatBelongToManyLinesAreBounded: a thousand lines of one id, each with the same thousand refunds, are a
// million additions.
func TestPartsThatBelongToManyLinesAreBounded(t *testing.T) {
	t.Parallel()
	const file = head + `license: [data]
lines:
  each: lines
  join: {refunds: refunds, on: of, is: id}
  license: [own]
  refunded: sum(refunds[].n) >= n
rules: [{name: r, when: part, lines: refunded, cause: refund}]
`
	for lines, want := range map[int]string{10: "accepted", 11: "unmappable"} {
		body := `{"id":"e","part":true,"lines":[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"n":1000,"own":{"license_key":"K","product":"P","hardware_id":"h"}},`, lines), ",") +
			`],"refunds":[` + strings.TrimSuffix(strings.Repeat(`{"of":1,"n":1},`, 1000), ",") + `]}`
		answer, requests, why := became(t, file, body)
		if answer != want || (answer == "accepted") != (len(requests) == 1) || want == "unmappable" && !strings.Contains(why, "too many refunds belong to lines of the order with the same id") {
			t.Errorf("%d lines: %s %v, %s", lines, answer, requests, why)
		}
	}
}
