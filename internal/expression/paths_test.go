package expression

import (
	"slices"
	"testing"
)

func TestReadsFindsThePathsOfAnExpression(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string][]string{
		"data.object.refunded == `true`":                                   {"data.object.refunded"},
		"current_quantity == `0` && sum(refunds[].quantity) >= quantity":   {"current_quantity", "refunds[].quantity", "quantity"},
		"contains(['needs_response', 'lost'], data.object.status)":         {"data.object.status"},
		"length(not_null(refund_line_items, `[]`)) > `0`":                  {"refund_line_items"},
		"length(refund_line_items[?quantity < line_item.quantity]) == `0`": {"refund_line_items[?quantity < line_item.quantity]"},
		"a == b && a == 'it\\'s'":                                          {"a", "b"},
		"status == 'refunded' || 'voided'":                                 {"status"},
		"\"odd name\".\"x.y\" == `1`":                                      {`"odd name"."x.y"`},
		"!(a || b).c":                                                      {"a", "b"},
		"a | b == `1`":                                                     {"a"},
		"length(a | [0]) == length(c)":                                     {"a", "c"},
		"sort_by(items, &price)[0].id == first":                            {"items", "first"},
		"items[0].id == items[-1].id":                                      {"items[0].id", "items[-1].id"},
		"[0].a":                                                            {"[0].a"},
		"[?a == 'b'] | length(@) > `0`":                                    {"[?a == 'b']"},
		"@":                                                                {"@"},
		"*.id":                                                             {"*.id"},
		"items.length(@) > `1`":                                            {"items.length(@)"},
		"{n: name, t: kind.of} == `{}`":                                    {"name", "kind.of"},
		"a.{x: b, y: c} == `{}` || a . b":                                  {"a.{x: b, y: c}", "a . b"},
		"a['x', b] == d":                                                   nil, // does not compile
		"to_number(a) >= to_number(\"b]\\\"'\")":                           {"a", `"b]\"'"`},
		"type == 'chargeback' && contains(['needs_response', 'under_review'], type)": {"type"},
		"'a.b' == `\"c.d\"`": nil,
	} {
		if _, err := Compile(expression); err != nil && want != nil {
			t.Errorf("%s: %v", expression, err)
		}
		if want == nil {
			continue
		}
		var got []string
		for _, path := range pathsOf(expression) {
			got = append(got, path.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s reads %q, want %q", expression, got, want)
		}
	}
}

func TestLiteralsAreNotRead(t *testing.T) {
	t.Parallel()
	if got := pathsOf("'a.b' == `\"c.d\"`"); len(got) != 0 {
		t.Errorf("%d paths", len(got))
	}
}

// FuzzReads shows that the scan ends and does not panic on any text, and returns only paths that compile.
func FuzzReads(f *testing.F) {
	for _, seed := range []string{"a.b[?c == 'd'].e | f(@)", "\"a\\", "a.[b, c].{d: e}", "`{\"a\": [1]}` == @", "(((", "a.", "a&&b||!c", "&a", "[", "a.b("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, path := range pathsOf(text) {
			if _, err := Compile(path.text); err != nil {
				t.Errorf("%q gives %q: %v", text, path.text, err)
			}
		}
	})
}
