package source_test

import (
	"slices"
	"testing"
)

// TestWhatIsNoListOfPairsIsNotReadAsNoData: a license in a form that is not read must neither hand the line to the
// order's license nor leave a paid line without one.
func TestWhatIsNoListOfPairsIsNotReadAsNoData(t *testing.T) {
	t.Parallel()
	const file = head + `
license: [{pairs: notes, name: name, value: value}]
lines:
  each: lines
  license: [{pairs: properties, name: name, value: value}]
  refunded: gone
rules:
  - {name: lines, type: lines, lines: refunded, cause: refund}
  - {name: whole, type: whole, cause: refund}
  - {name: rest, type: lines, ignore: true}
`
	const k1 = `[{"name":"license_key","value":"K1"},{"name":"hardware_id","value":"h1"},{"name":"product","value":"P"}]`
	onLine := []string{"K1// P  h1"}
	for name, c := range map[string]struct {
		event  string
		answer string
		want   []string
	}{
		"pairs on the order":       {`"type":"whole","notes":` + k1, "accepted", onLine},
		"one pair in no list":      {`"type":"whole","notes":{"name":"license_key","value":"K1"},"lines":[{"properties":` + k1 + `}]`, "accepted", onLine},
		"nothing but an empty one": {`"type":"whole","notes":{},"lines":[{"properties":` + k1 + `}]`, "accepted", onLine},
		"an empty text":            {`"type":"whole","notes":"","lines":[{"properties":` + k1 + `}]`, "accepted", onLine},
		"an object of fields":      {`"type":"whole","notes":` + k1 + `,"lines":[{"properties":{"license_key":"K2"}}]`, "unmappable", nil},
		"an object with numbers":   {`"type":"whole","notes":` + k1 + `,"lines":[{"properties":{"0":{"name":"license_key","value":"K2"}}}]`, "unmappable", nil},
		"a list of lists":          {`"type":"whole","notes":` + k1 + `,"lines":[{"properties":[["license_key","K2"]]}]`, "unmappable", nil},
		"a text":                   {`"type":"whole","notes":` + k1 + `,"lines":[{"properties":"license_key: K2"}]`, "unmappable", nil},
		"a paid line with another": {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":[{"name":"license_key","value":"K2"}]}]`, "accepted", onLine},
		"with the same":            {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":` + k1 + `}]`, "ignored", nil},
		"with the same in k1":      {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":[{"name":"license_key","value":"k1"},{"name":"hardware_id","value":"H1"}]}]`, "ignored", nil},
		"with fields of an object": {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":{"license_key":"K1"}}]`, "unmappable", nil},
		"with a list of lists":     {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":[["license_key","K1"]]}]`, "unmappable", nil},
		"with a text":              {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":"license_key: K1"}]`, "unmappable", nil},
		"with nothing":             {`"type":"lines","lines":[{"gone":true,"properties":` + k1 + `},{"properties":[]}]`, "accepted", onLine},
	} {
		answer, got, why := became(t, file, `{"id":"e",`+c.event+`}`)
		if answer != c.answer || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s %q, want %s %q\n%s", name, answer, got, c.answer, c.want, why)
		}
	}
}
