package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"license-deactivator/events"
)

// decodeSlowly is the reference for decodeJSON: encoding/json's own decoder, and a copy of the tree for conditions.
func decodeSlowly(body []byte) (Tree, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return Tree{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Tree{}, errors.New("something follows")
	}
	return Tree{tree, normalise(tree)}, nil
}

func normalise(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for key, value := range t {
			out[key] = normalise(value)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, value := range t {
			out[i] = normalise(value)
		}
		return out
	case json.Number:
		return normaliseNumber(t.String())
	case string:
		return normaliseText(t)
	}
	return tree
}

func sameAsSlowly(t interface {
	Helper()
	Fatalf(string, ...any)
}, body []byte) {
	t.Helper()
	want, wantErr := decodeSlowly(body)
	got, err := decodeJSON(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: error %v, want %v", body, err, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q:\ngot  %#v\nwant %#v", body, got, want)
	}
}

// awkward are texts on which JSON parsers differ.
func awkward() []string {
	return []string{
		``, ` `, `null`, ` true `, `false`, `0`, `-0`, `-1`, `1.0`, `1e3`, `1E+3`, `1e-3`, `1e999`, `-1e-999`, `01`, `+1`, `1.`, `.5`, `-`, `1e`,
		`9007199254740991`, `9007199254740992`, `9007199254740993`, `-9007199254740993`, `123456789012345678901234567890`,
		`""`, `"a"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e4\u20ac"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`,
		`"\ud83dude00"`, `"\ud83d\n"`, `"\uD83D\uDE00"`, `"\ufffd"`, `"\uffff"`, `"\u0000"`, `"\\u0041"`, `"\\\\"`, `"\\\""`, `"ä€😀"`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x7f\"", `"a`,
		`[]`, `[ ]`, `[1]`, `[1,"a",null,true,[2],{"b":3}]`, `["a",1]`, `[[],{},[[]]]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `]`, `[1]]`,
		`{}`, `{ }`, `{"a":1}`, `{"a":"x","b":1,"c":"y"}`, `{"a":1,"a":"x"}`, `{"a":"x","a":1}`, `{"a":1,"a":2}`, `{"":{"":""}}`, `{"a\u0062":1,"ab":2}`,
		`{"a":1,}`, `{,}`, `{"a"}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":1}}`, `{"a":1} x`, `{}{}`, `{}]`, `{} /* */`, `nul`, `truefalse`, `NaN`,
		" {\n\t\"a\" :\r\n[ 1 , 2 ] , \"b\" : { \"c\" : \"d\" } } ", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	}
}

func TestJSONIsReadAsEncodingJSONReadsIt(t *testing.T) {
	t.Parallel()
	for _, text := range awkward() {
		sameAsSlowly(t, []byte(text))
	}
	samples, err := fs.Glob(events.FS(), "*/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("%d samples: %v", len(samples), err)
	}
	for _, file := range samples {
		body, err := fs.ReadFile(events.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		sameAsSlowly(t, body)
	}
}

func TestAnyJSONIsReadAsEncodingJSONReadsIt(t *testing.T) {
	t.Parallel()
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n"})
	text := rapid.OneOf(rapid.StringMatching(`"([a-z"/]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00){0,6}"`), rapid.SampledFrom([]string{`"a"`, `"b"`, `"ä"`}))
	scalar := rapid.OneOf(text, rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?`), rapid.SampledFrom([]string{"true", "false", "null"}))
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			pad := func(s string) string { return space.Draw(t, "space") + s + space.Draw(t, "space") }
			kind := rapid.IntRange(0, 3).Draw(t, "kind")
			if depth == 0 || kind < 2 {
				return pad(scalar.Draw(t, "scalar"))
			}
			var parts []string
			for range rapid.IntRange(0, 4).Draw(t, "parts") {
				part := value(depth-1).Draw(t, "part")
				if kind == 3 {
					part = pad(text.Draw(t, "name")) + ":" + part
				}
				parts = append(parts, part)
			}
			all := strings.Join(parts, ",")
			if kind == 3 {
				return pad("{" + all + space.Draw(t, "space") + "}")
			}
			return pad("[" + all + space.Draw(t, "space") + "]")
		})
	}
	rapid.Check(t, func(t *rapid.T) { sameAsSlowly(t, []byte(value(4).Draw(t, "JSON"))) })
}

// FuzzDecodeJSON searches for texts that the two decoders read differently.
func FuzzDecodeJSON(f *testing.F) {
	for _, text := range awkward() {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) || bytes.ContainsRune(body, '\uFFFD') { // the replacement of invalid UTF-8, which is refused earlier
			if _, err := decodeJSON(body); err == nil && !json.Valid(body) {
				t.Fatalf("%q is no JSON", body)
			}
			return
		}
		sameAsSlowly(t, body)
	})
}

// TestNaNAndInfinityAreNoNumbers: comparisons with NaN are false, so a refund of NaN would be no part of any total.
func TestNaNAndInfinityAreNoNumbers(t *testing.T) {
	t.Parallel()
	isNumber, err := Compile("to_number(a) != `null`")
	if err != nil {
		t.Fatal(err)
	}
	text, err := Compile("a")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{
		"NaN": false, "nan": false, "inf": false, "-Inf": false, "+infinity": false, "Infinity": false, "9.90": true, "-1": true, "1e3": true, "Nancy": false,
	} {
		tree, err := ReadJSON([]byte(`{"a":"` + value + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := isNumber.Holds(tree); err != nil || got != want {
			t.Errorf("%s: a number %t, want %t: %v", value, got, want, err)
		}
		if got, err := text.Text(tree); err != nil || got != value {
			t.Errorf("%s: read as %q: %v", value, got, err)
		}
	}
}
