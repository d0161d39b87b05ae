package signing_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/signing"
)

// The decoded texts are those of Python's urllib.parse.parse_qsl(body, keep_blank_values=True, encoding="latin-1").
func TestReadFieldsKeepsTheOrderAndTheBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       []signing.Field
	}{
		{"nothing", "", []signing.Field{}},
		{"order and repeated names", "b=2&a=1&b=3", []signing.Field{{"b", "2"}, {"a", "1"}, {"b", "3"}}},
		{"plus and escaped plus", "n=a+b%2Bc%20d", []signing.Field{{"n", "a b+c d"}}},
		{"brackets, escaped and not", "IPN_PID%5B%5D=1&IPN_PID[]=2&a%5Bb%5d=3", []signing.Field{{"IPN_PID[]", "1"}, {"IPN_PID[]", "2"}, {"a[b]", "3"}}},
		{"no value", "a&b=&c", []signing.Field{{"a", ""}, {"b", ""}, {"c", ""}}},
		{"equals sign in a value", "a=b=c%3Dd", []signing.Field{{"a", "b=c=d"}}},
		{"escaped ampersand", "a=b%26c=d&e=f", []signing.Field{{"a", "b&c=d"}, {"e", "f"}}},
		{"semicolon is no separator", "a=1;b=2", []signing.Field{{"a", "1;b=2"}}},
		{"empty parts", "&&a=1&&b=2&", []signing.Field{{"a", "1"}, {"b", "2"}}},
		{"UTF-8", "n=%C3%A9+%E2%82%AC", []signing.Field{{"n", "é €"}}},
		{"Latin-1 stays its byte", "n=%E9&m=\xE9", []signing.Field{{"n", "\xE9"}, {"m", "\xE9"}}},
		{"a zero byte and a line break", "n=%00%0D%0A", []signing.Field{{"n", "\x00\r\n"}}},
	} {
		got, err := signing.ReadFields([]byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.name, diff)
		}
	}
}

func TestReadFieldsRefusesWhatIsNoForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body, want string }{
		{"a bare percent sign in a value", "a=1&b=100%", "field 2 of the form: its value holds a %"},
		{"a bad escape in a name", "a%zz=1", "field 1 of the form: its name holds a %"},
		{"no name", "a=1&=canary", "field 2 of the form: it has no name"},
		{"a name too long", strings.Repeat("n", 1025) + "=1", "longer than 1024 bytes"},
		{"too many fields", strings.Repeat("a&", signing.MaxFields+1), "more than 10000 fields"},
	} {
		fields, err := signing.ReadFields([]byte(test.body))
		switch {
		case !errors.Is(err, signing.ErrMalformed) || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want an error with %q", test.name, err, test.want)
		case fields != nil:
			t.Errorf("%s: %d fields beside the error", test.name, len(fields))
		case strings.Contains(err.Error(), "canary"):
			t.Errorf("%s: the error quotes a value: %v", test.name, err)
		}
	}
	if _, err := signing.ReadFields([]byte(strings.Repeat("a&", signing.MaxFields))); err != nil {
		t.Errorf("%d fields: %v", signing.MaxFields, err)
	}
}

// FuzzReadFields compares the reader with net/url's, which keeps the order within a name.
func FuzzReadFields(f *testing.F) {
	for _, seed := range []string{
		"", "a", "a=1&a=2&b[]=%C3%A9", "a=100%", "=1", "&&", "a=1;b=2", "a%5B0%5D%5Bc%5D=+%2B", "SIGNATURE_SHA3_256=00&IPN_PID%5B%5D=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := signing.ReadFields(body)
		if err != nil {
			if !errors.Is(err, signing.ErrMalformed) || fields != nil {
				t.Fatalf("%v with %d fields", err, len(fields))
			}
			return
		}
		got := url.Values{}
		for _, field := range fields {
			got.Add(field.Name, field.Value)
		}
		want, err := url.ParseQuery(string(body))
		if strings.ContainsRune(string(body), ';') {
			return // net/url refuses an unescaped one
		}
		if err != nil {
			t.Fatalf("net/url refuses what was read: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-net/url +got)\n%s", diff)
		}
		var again []string
		for _, field := range fields {
			again = append(again, url.QueryEscape(field.Name)+"="+url.QueryEscape(field.Value))
		}
		twice, err := signing.ReadFields([]byte(strings.Join(again, "&")))
		if err != nil || !slices.Equal(fields, twice) {
			t.Fatalf("escaped and read again: %v, %q, want %q", err, twice, fields)
		}
	})
}
