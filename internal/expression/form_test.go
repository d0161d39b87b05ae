package expression_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/expression"
	"license-deactivator/pkg/signing"
)

const formType = "application/x-www-form-urlencoded"

// phpReads are forms with what PHP's parse_str makes of them, in JSON, by https://www.php.net/manual/en/faq.html.php#faq.html.arrays
// and php_register_variable_ex of php-src/main/php_variables.c.
func phpReads() map[string]string {
	return map[string]string{
		"a=1&b=2":                           `{"a":"1","b":"2"}`,
		"a=&b":                              `{"a":"","b":""}`,
		"a[]=1&a[]=2":                       `{"a":["1","2"]}`,
		"a[]=1":                             `{"a":["1"]}`,
		"a%5B%5D=1&a%5B%5D=2":               `{"a":["1","2"]}`,
		"a[b]=1&a[c]=2":                     `{"a":{"b":"1","c":"2"}}`,
		"a[0]=x&a[1]=y":                     `{"a":["x","y"]}`,
		"a[0][c]=1&a[0][d]=2&a[1][c]=3":     `{"a":[{"c":"1","d":"2"},{"c":"3"}]}`,
		"a[][c]=1&a[][d]=2":                 `{"a":[{"c":"1"},{"d":"2"}]}`,
		"a[b][]=1&a[b][]=2":                 `{"a":{"b":["1","2"]}}`,
		"a[1]=x&a[2]=y":                     `{"a":{"1":"x","2":"y"}}`,
		"a[00]=x":                           `{"a":{"00":"x"}}`,
		"a[b[c]=1":                          `{"a":{"b[c":"1"}}`,
		"payload[subscription][id]=7&id=19": `{"payload":{"subscription":{"id":"7"}},"id":"19"}`,
		"n=a+b%2Bc%26d%3De":                 `{"n":"a b+c&d=e"}`,
		"n=%C3%A9%E2%82%AC":                 `{"n":"é€"}`,
		"t=007&u=1.0&v=1e3":                 `{"t":"007","u":"1.0","v":"1e3"}`,
	}
}

func TestAFormIsReadAsPHPReadsIt(t *testing.T) {
	t.Parallel()
	for form, php := range phpReads() {
		var want any
		if err := json.Unmarshal([]byte(php), &want); err != nil {
			t.Fatal(err)
		}
		tree, err := expression.ReadForm([]byte(form), formType)
		if err != nil {
			t.Errorf("%s: %v", form, err)
		} else if diff := cmp.Diff(want, tree.Exact); diff != "" {
			t.Errorf("%s: (-PHP +got)\n%s", form, diff)
		}
	}
}

// TestAFormIsNeverGuessedAt: where PHP drops a value or renames a name, nothing is lost.
func TestAFormIsNeverGuessedAt(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]any{
		"a=1&a=2":       map[string]any{"a": []any{"1", "2"}}, // PHP: the last
		"a[b]=1&a[b]=2": map[string]any{"a": map[string]any{"b": []any{"1", "2"}}},
		"a[0]=1&a[0]=2": map[string]any{"a": []any{[]any{"1", "2"}}},
		"a[1]=y&a[0]=x": map[string]any{"a": []any{"x", "y"}},   // PHP: the order of the fields
		"a.b=1&a b=2":   map[string]any{"a.b": "1", "a b": "2"}, // PHP: a_b
		"a[b=1":         map[string]any{"a[b": "1"},             // PHP: a_b
		"a[b]c=1":       map[string]any{"a[b]c": "1"},           // PHP: drops the c
		"a[b]c[d]=1":    map[string]any{"a[b]c[d]": "1"},
		"]=1&a]=2":      map[string]any{"]": "1", "a]": "2"},
		"0=x&1=y":       map[string]any{"0": "x", "1": "y"}, // the whole is always an object
		"+a=1":          map[string]any{" a": "1"},          // PHP: a
	} {
		tree, err := expression.ReadForm([]byte(form), "")
		if err != nil {
			t.Errorf("%s: %v", form, err)
		} else if diff := cmp.Diff(want, tree.Exact); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", form, diff)
		}
	}
}

func TestAFormThatContradictsItselfIsUnreadable(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{
		"a=1&a[b]=2":                           "a field of the form contradicts an earlier field",
		"a[b]=1&a=2":                           "contradicts",
		"a[b]=1&a[b][c]=2":                     "contradicts",
		"a[b][c]=1&x=2&a[b]=2":                 "contradicts",
		"a[]=1&a=2":                            "contradicts",
		"a=1&a[]=2":                            "contradicts",
		"a[]=1&a[b]=2":                         "contradicts",
		"a[b]=1&a[]=2":                         "contradicts",
		"a[]=1&a[0]=2":                         "contradicts",
		"a[0]=1&a[]=2":                         "contradicts",
		"a" + strings.Repeat("[b]", 17) + "=1": "more than 16 brackets",
		forms(2501, 16):                        "more than 40000 brackets in all names",
		"a=1&b=%zz":                            "it is not a form: field 2 of the form: its value holds a %",
		"=canary":                              "it has no name",
		strings.Repeat("a&", signing.MaxFields+1): "more than 10000 fields",
		"":                     "it is empty",
		`{"a":"b=c&refund=d"}`: "but JSON or XML",
		"<a>b=c</a>":           "but JSON or XML",
		"a=%FF":                "not UTF-8",
		"%E9=1":                "not UTF-8",
	} {
		tree, err := expression.ReadForm([]byte(form), formType)
		switch {
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%.40q: %v, want an error with %q", form, err, want)
		case tree.Exact != nil || tree.Normalised != nil:
			t.Errorf("%.40q: a tree beside the error", form)
		case strings.Contains(err.Error(), "canary"):
			t.Errorf("%.40q: the error quotes a value: %v", form, err)
		}
	}
	if _, err := expression.ReadForm([]byte("a"+strings.Repeat("[b]", 16)+"=1"), formType); err != nil {
		t.Errorf("16 brackets: %v", err)
	}
	if _, err := expression.ReadForm([]byte(forms(2500, 16)), formType); err != nil {
		t.Errorf("40000 brackets: %v", err)
	}
}

// forms is a form of so many fields, each with so many brackets in its name.
func forms(fields, brackets int) string {
	var form strings.Builder
	for n := range fields {
		fmt.Fprintf(&form, "a%d%s=1&", n, strings.Repeat("[b]", brackets))
	}
	return form.String()
}

// The texts are those of Python: bytes.decode("windows-1252").
func TestTheCharsetOfAFormIsThatOfItsContentType(t *testing.T) {
	t.Parallel()
	const body = "n=Ren%E9+%80+%93x%94&e=\xE9"
	want := map[string]any{"n": "René € “x”", "e": "é"}
	for contentType, ok := range map[string]bool{
		formType + "; charset=ISO-8859-1":      true,
		formType + ";charset=iso-8859-1":       true,
		formType + `; charset="windows-1252"`:  true,
		formType + "; charset=UTF-8":           false,
		formType:                               false,
		"":                                     false,
		formType + "; charset=Shift_JIS":       false,
		formType + "; charset=":                false,
		"application/json; charset=iso-8859-1": false,
		"multipart/form-data; boundary=x":      false,
		"text/plain":                           false,
	} {
		tree, err := expression.ReadForm([]byte(body), contentType)
		switch {
		case (err == nil) != ok:
			t.Errorf("%q: %v, want it to be read: %v", contentType, err, ok)
		case ok && !cmp.Equal(want, tree.Exact):
			t.Errorf("%q: %v, want %v", contentType, tree.Exact, want)
		}
	}
	for _, contentType := range []string{"", formType, "Application/X-WWW-Form-Urlencoded; Charset=utf8", formType + ";", formType + "; charset=us-ascii"} {
		tree, err := expression.ReadForm([]byte("n=%C3%A9"), contentType)
		if err != nil || !cmp.Equal(map[string]any{"n": "é"}, tree.Exact) {
			t.Errorf("%q: %v, %v", contentType, tree.Exact, err)
		}
	}
}

// TestNumbersOfAFormAreTexts shows how a condition compares a number that a form holds.
func TestNumbersOfAFormAreTexts(t *testing.T) {
	t.Parallel()
	tree, err := expression.ReadForm([]byte("total=100.00&refunded=9.50&count=0&odd=NaN&key=1.0"), formType)
	if err != nil {
		t.Fatal(err)
	}
	for condition, want := range map[string]bool{
		"count == '0'":      true,
		"count == `0`":      false,
		"refunded >= total": false, // null: texts do not compare
		"to_number(refunded) >= to_number(total)": false,
		"to_number(refunded) < to_number(total)":  true,
		"to_number(odd) >= to_number(total)":      false, // NaN is no number
		"to_number(odd) == `null`":                true,
		"key == '1.0'":                            true,
	} {
		e, err := expression.Compile(condition)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Holds(tree); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", condition, got, err, want)
		}
	}
	key, err := expression.Compile("key")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := key.Text(tree); text != "1.0" || err != nil {
		t.Errorf("key is %q, %v, want the digits as they were sent", text, err)
	}
}

// FuzzReadForm checks on any body: nothing panics, a body that is read holds every value of the form once and as often
// as it was sent, nothing but objects, lists and texts, and the same form with its names escaped reads the same.
func FuzzReadForm(f *testing.F) {
	for form := range phpReads() {
		f.Add([]byte(form), formType)
	}
	f.Add([]byte("a=1&a[b]=2"), "")
	f.Add([]byte("n=%E9&odd=NaN"), formType+"; charset=iso-8859-1")
	f.Add([]byte("a[0]=-inf&a[1][]=&a[1][]=x"), formType+"; charset=utf-8")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		tree, err := expression.ReadForm(body, contentType)
		if err != nil {
			if tree.Exact != nil {
				t.Fatal("a tree beside the error")
			}
			return
		}
		fields, err := signing.ReadFields(body)
		if err != nil {
			t.Fatalf("the tree was read from no form: %v", err)
		}
		texts, normalised := textsOf(t, tree.Exact), textsOf(t, tree.Normalised)
		if len(texts) != len(fields) || len(normalised) != len(fields) {
			t.Fatalf("%d fields became %d texts, and %d for conditions", len(fields), len(texts), len(normalised))
		}
		if !strings.Contains(contentType, "charset") {
			var values []string
			for _, field := range fields {
				values = append(values, field.Value)
			}
			slices.Sort(values)
			slices.Sort(texts)
			if !slices.Equal(values, texts) {
				t.Fatalf("values %q became %q", values, texts)
			}
		}
		var again []string
		for _, field := range fields {
			again = append(again, url.QueryEscape(field.Name)+"="+url.QueryEscape(field.Value))
		}
		twice, err := expression.ReadForm([]byte(strings.Join(again, "&")), contentType)
		if len(fields) > 0 && (err != nil || !reflect.DeepEqual(tree, twice)) {
			t.Fatalf("escaped and read again: %v, %v, want %v", err, twice, tree)
		}
	})
}

// textsOf lists the texts of a tree, and fails on any other value.
func textsOf(t *testing.T, v any) []string {
	t.Helper()
	var all []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, textsOf(t, item)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, textsOf(t, v[name])...)
		}
	default:
		t.Fatalf("%T in the tree of a form", v)
	}
	return all
}
