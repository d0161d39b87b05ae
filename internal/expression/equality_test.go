package expression_test

import (
	"slices"
	"testing"

	"license-deactivator/internal/expression"
)

func TestEqualitiesAreFoundWithTheirOperands(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"a == b":                                      {"a = b in a == b"},
		"a.b=='x' && !(c == d)":                       {"a.b = 'x' in a.b=='x' && !(c == d)", "c = d in a.b=='x' && !(c == d)"},
		"a != b || a <= b && a >= c":                  nil,
		"length(a[?x == y.z && w]) == `0`":            {"length(a[?x == y.z && w]) = `0` in length(a[?x == y.z && w]) == `0`", "x = y.z in x == y.z && w"},
		"'a == b' == \"c == d\"":                      {"'a == b' = \"c == d\" in 'a == b' == \"c == d\""},
		"not_null(a, b[0]) == to_number(c) || d":      {"not_null(a, b[0]) = to_number(c) in not_null(a, b[0]) == to_number(c) || d"},
		"contains(a, b == c)":                         {"b = c in contains(a, b == c)"},
		"a | b == c":                                  {"b = c in a | b == c"},
		"[?a[?b == c] == d] | length(@) > `0`":        {"a[?b == c] = d in a[?b == c] == d", "b = c in b == c"},
		"a == `[\"=\", null]`":                        {"a = `[\"=\", null]` in a == `[\"=\", null]`"},
		"(a || b) == c":                               {"(a || b) = c in (a || b) == c"},
		"a[0].b == a[-1].b && length(a) == length(b)": {"a[0].b = a[-1].b in a[0].b == a[-1].b && length(a) == length(b)", "length(a) = length(b) in a[0].b == a[-1].b && length(a) == length(b)"},
	} {
		compiled, err := expression.Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var got []string
		for _, e := range compiled.Equalities() {
			got = append(got, e.Left.String()+" = "+e.Right.String()+" in "+e.In.String())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestLiteralsAreFound(t *testing.T) {
	t.Parallel()
	compiled, err := expression.Compile("a == 'it\\'s' && contains(`[\"x\", 1]`, \"b'c\") || d != `null`")
	if err != nil {
		t.Fatal(err)
	}
	texts, jsons := compiled.Literals()
	if !slices.Equal(texts, []string{"it's"}) || !slices.Equal(jsons, []string{`["x", 1]`, "null"}) {
		t.Errorf("texts %q, JSON %q", texts, jsons)
	}
}
