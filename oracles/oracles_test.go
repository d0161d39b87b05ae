package oracles_test

import (
	"bytes"
	"testing"

	"license-deactivator/pkg/signing"
)

// bodies are raw bodies of every kind. pkg/signing and the other library must agree on each.
func bodies() map[string][]byte {
	return map[string][]byte{
		"event":          []byte(`{"id":"evt_1","object":"event","type":"charge.refunded"}`),
		"empty":          {},
		"line breaks":    []byte("{\r\n  \"a\": 1\n}\n"),
		"UTF-8":          []byte(`{"name":"Zoë 漢字"}`),
		"not UTF-8":      {0xff, 0x00, 0xfe},
		"percent signs":  []byte("%s%d%!"),
		"256 KiB":        bytes.Repeat([]byte("x"), 256<<10),
		"dots and comma": []byte("1.2.3,v1=0"),
	}
}

func newScheme(t *testing.T, spec signing.Spec) *signing.Scheme {
	t.Helper()
	scheme, err := signing.NewScheme(spec)
	if err != nil {
		t.Fatal(err)
	}
	return scheme
}

func newKey(t *testing.T, scheme *signing.Scheme, text string) signing.Key {
	t.Helper()
	key, err := scheme.NewKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigningKey(t *testing.T, scheme *signing.Scheme, text string) signing.Key {
	t.Helper()
	key, err := scheme.NewSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
