package expression_test

import (
	"fmt"
	"slices"
	"testing"

	"license-deactivator/internal/expression"
)

func TestRootsAreTheNamesThatAnExpressionReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		names []string
		whole bool
	}{
		"A":                                 {[]string{"A"}, false},
		"A.B.C":                             {[]string{"A"}, false},
		`"IPN_PID[]"`:                       {[]string{"IPN_PID[]"}, false},
		`"a\u0062".c`:                       {[]string{"ab"}, false},
		"A == 'B' && C == `\"D\"` && !E":    {[]string{"A", "C", "E"}, false},
		"A == A":                            {[]string{"A"}, false},
		"join('-', [A, B.C, to_string(D)])": {[]string{"A", "B", "D"}, false},
		"contains(['B', 'C'], A)":           {[]string{"A"}, false},
		"{x: A, y: B}":                      {[]string{"A", "B"}, false},
		"A.{x: B}":                          {[]string{"A"}, false},
		"A[?B == 'c'].D | [0] || E":         {[]string{"A"}, false}, // | binds less: E is read from the result
		"(A | B) || C":                      {[]string{"A", "C"}, false},
		"A || B":                            {[]string{"A", "B"}, false},
		"sort_by(A, &B)":                    {[]string{"A"}, false},
		"[A, B][?contains(`[\"c\"]`, @)] == `[]`": {[]string{"A", "B"}, false},
		"not_null(A, B).C":                        {[]string{"A", "B"}, false},
		"`1` == `1`":                              {nil, false},
		"@":                                       {nil, true},
		"@.A":                                     {nil, true},
		"*":                                       {nil, true},
		"[0]":                                     {nil, true},
		"[?A]":                                    {nil, true},
		"keys(@)":                                 {nil, true},
		"A == B || length(@) > `1`":               {[]string{"A", "B"}, true},
		"map(&B, [@, A])":                         {[]string{"A"}, true},
	} {
		e, err := expression.Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if names, whole := e.Roots(); !slices.Equal(names, want.names) || whole != want.whole {
			t.Errorf("%s: %q, whole %v, want %q, %v", text, names, whole, want.names, want.whole)
		}
	}
}

// FuzzRoots holds Roots to what an expression does: without the names that it lists, its result is that of an empty event,
// whatever else the event holds.
func FuzzRoots(f *testing.F) {
	for _, seed := range []string{
		"A", "B || A", "A | B", "[A, B]", "{a: B}", "@", "A.B", "A[?B]", "sort_by([A], &B)", `"B"`, "not_null(A, B)", "!B", "A == B", "*", "to_string(B)",
		"A[*].B", "(A).B", "A && B", "A[B]", "join('', [A, B])", "max_by(A, &B) | B", "[0]", "[?B]", "A.*.B", "merge({a: B}, A)", "B[0:1]", "&B", "`\"B\"`", "'B'", "A[].B[]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := expression.Compile(text)
		if err != nil {
			return
		}
		names, whole := e.Roots()
		if whole {
			return
		}
		event := map[string]any{}
		for _, name := range []string{"A", "B", "C", "a", "b", "x"} {
			if !slices.Contains(names, name) {
				event[name] = []any{"marked", map[string]any{"A": "marked", "B": "marked"}}
			}
		}
		got, gotErr := e.Value(expression.Tree{Exact: event})
		want, wantErr := e.Value(expression.Tree{Exact: map[string]any{}})
		if (gotErr == nil) != (wantErr == nil) || !sameValue(got, want) {
			t.Fatalf("%s reads %q, but its result is %v (%v) in place of %v (%v)", text, names, got, gotErr, want, wantErr)
		}
	})
}

func sameValue(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }
