package secrets

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// canary is in every secret of these tests and must be in no output.
const canary = "canary-5f1c"

func TestParseLicense(t *testing.T) {
	t.Parallel()
	got, err := ParseLicense(`{"shared_key":"s ` + canary + `","api_key":"a","note":[1]}`)
	if err != nil || got.APIKey != "a" || got.SharedKey != "s "+canary {
		t.Errorf("keys %t, error %v; want both keys", got.APIKey == "a", err)
	}
	for text, want := range map[string]License{
		`{"api_key":"a","shared_key":"b","token_url":" "}`:                        {APIKey: "a", SharedKey: "b"},
		`{"client_id":"c","client_secret":"d","note":""}`:                         {ClientID: "c", ClientSecret: "d"},
		`{"client_id":"c","client_secret":"d","token_url":"https://example.com"}`: {ClientID: "c", ClientSecret: "d", TokenURL: "https://example.com"},
	} {
		if got, err := ParseLicense(text); err != nil || got != want || got.OAuth() != (want.ClientID != "") {
			t.Errorf("%s: the right one %t, error %v", text, got == want, err)
		}
	}

	for _, c := range []struct{ name, text, want string }{
		{"empty", ``, "is not JSON (at byte 0)"},
		{"not JSON", canary, "is not JSON (at byte 1)"},
		{"cut", `{"api_key":"` + canary, "is not JSON"},
		{"two values", `{"api_key":"a","shared_key":"b"} ` + canary, "is not JSON"},
		{"a text", `"` + canary + `"`, "is not a JSON object"},
		{"a list", `["` + canary + `"]`, "is not a JSON object"},
		{"null", `null`, "is not a JSON object"},
		{"not UTF-8", "{\"api_key\":\"a\xff\",\"shared_key\":\"b\"}", "is not UTF-8"},
		{"too long", `{"api_key":"` + strings.Repeat("x", maxText) + `"}`, "is longer than 65536 bytes"},
		{"nothing", `{}`, "api_key is missing, shared_key is missing"},
		{"no shared key", `{"api_key":"` + canary + `"}`, "license secret: shared_key is missing"},
		{"no API key", `{"shared_key":"` + canary + `"}`, "license secret: api_key is missing;"},
		{"other case", `{"API_KEY":"a","shared_key":"` + canary + `"}`, "api_key is missing"},
		{"empty key", `{"api_key":"","shared_key":"` + canary + `"}`, "api_key is empty"},
		{"a number", `{"api_key":12345,"shared_key":"` + canary + `"}`, "api_key is not a text"},
		{"null key", `{"api_key":null,"shared_key":"` + canary + `"}`, "api_key is not a text"},
		{"line break", `{"api_key":"a","shared_key":"` + canary + `\n"}`, "shared_key has white space at an end"},
		{"space", `{"api_key":" a","shared_key":"` + canary + `"}`, "api_key has white space at an end"},
		{"no client secret", `{"client_id":"` + canary + `"}`, "license secret: client_secret is missing;"},
		{"no client id", `{"client_secret":"` + canary + `"}`, "license secret: client_id is missing;"},
		{"empty client id", `{"client_id":"","client_secret":"` + canary + `"}`, "client_id is empty"},
		{"line break in a client", `{"client_id":"a","client_secret":"` + canary + `\n"}`, "client_secret has white space at an end"},
		{"an address with a space", `{"client_id":"a","client_secret":"b","token_url":" ` + canary + `"}`, "token_url has white space at an end"},
		{"an address that is none", `{"client_id":"a","client_secret":"b","token_url":12345}`, "token_url is not a text"},
		{"an address alone", `{"token_url":"` + canary + `"}`, "api_key is missing, shared_key is missing"},
		{"both", `{"api_key":"a","shared_key":"b","client_id":"c","client_secret":"` + canary + `"}`, "license secret: holds keys and an OAuth client;"},
		{"one of each", `{"api_key":"a","client_secret":"` + canary + `"}`, "holds keys and an OAuth client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseLicense(c.text)
			if err == nil || got != (License{}) {
				t.Fatalf("no error, or a license with it")
			}
			message := err.Error()
			if !strings.Contains(message, c.want) || !strings.Contains(message, licenseForm) {
				t.Errorf("error %q, want %q and what to store", message, c.want)
			}
			for _, secret := range []string{canary, "12345"} {
				if strings.Contains(message, secret) {
					t.Errorf("the error holds the value")
				}
			}
		})
	}
}

func TestParseWebhooks(t *testing.T) {
	t.Parallel()
	w, err := ParseWebhooks(`{
		"stripe" : [ "new", "old" ],
		"shopify": "one",
		"hubspot": "user:pass word",
		"number": 1, "null": null, "object": {"key":"` + canary + `"},
		"empty": "", "no-keys": [],
		"spaces": "` + canary + ` ",
		"one-bad": ["good", "` + canary + `\n"],
		"nested": [["` + canary + `"]]
	}`)
	if err != nil {
		t.Fatalf("ParseWebhooks: %v", err)
	}

	for _, c := range []struct {
		source string
		texts  []string
		want   string
	}{
		{"stripe", []string{"new", "old"}, ""},
		{"shopify", []string{"one"}, ""},
		{"hubspot", []string{"user:pass word"}, ""},
		{"unknown", nil, ""},
		{"Stripe", nil, ""},
		{"number", nil, "the key is not a text"},
		{"null", nil, "the key is not a text"},
		{"object", nil, "the key is not a text"},
		{"empty", nil, "the key is empty"},
		{"no-keys", nil, "the list of keys is empty"},
		{"spaces", nil, "the key has white space at an end"},
		{"one-bad", nil, "key 2 of 2 has white space at an end"},
		{"nested", nil, "key 1 of 1 is not a text"},
	} {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			texts, err := w.Keys(c.source)
			if diff := cmp.Diff(c.texts, texts); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if c.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{c.want, `"` + c.source + `"`, webhooksForm} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q", err, part)
				}
			}
			if strings.Contains(err.Error(), canary) {
				t.Error("the error holds the value")
			}
		})
	}

	want := []string{"empty", "hubspot", "nested", "no-keys", "null", "number", "object", "one-bad", "shopify", "spaces", "stripe"}
	if diff := cmp.Diff(want, w.Sources()); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestParseWebhooksThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, canary, `["` + canary + `"]`, `null`, `{"stripe":"` + canary} {
		_, err := ParseWebhooks(text)
		if err == nil {
			t.Error("no error")
			continue
		}
		if !strings.Contains(err.Error(), webhooksForm) || strings.Contains(err.Error(), canary) {
			t.Errorf("error %q: want what to store and no value", err)
		}
	}
	if w, err := ParseWebhooks(`{}`); err != nil || len(w.Sources()) != 0 {
		t.Errorf("an empty object: %v, want none and no source", err)
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	license, err := ParseLicense(`{"api_key":"` + canary + `","shared_key":"` + canary + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	oauth, err := ParseLicense(`{"client_id":"` + canary + `","client_secret":"` + canary + `","token_url":"` + canary + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	webhooks, err := ParseWebhooks(`{"stripe":"` + canary + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	v := &store{text: `{"api_key":"` + canary + `","shared_key":"` + canary + `"}`}
	cache := NewCache(v, ParseLicense)
	held, err := cache.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type outer struct{ Inner any }

	for name, value := range map[string]any{
		"value": Value{Text: canary, Version: "1"}, "license": license, "license pointer": &license,
		"OAuth": oauth, "webhooks": webhooks, "held": held, "cache": cache,
	} {
		for _, v := range []any{value, outer{value}, []any{value}, map[string]any{"v": value}} {
			if printed := printedInEveryWay(v); strings.Contains(printed, canary) || strings.Contains(printed, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s in a %T is printed with its secret", name, v)
			}
		}
	}
}

func printedInEveryWay(v any) string {
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, v)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("secret", "v", v)
	slog.New(slog.NewTextHandler(&out, nil)).Info("secret", "v", v)
	if b, err := json.Marshal(v); err == nil {
		out.Write(b)
	}
	return out.String()
}

func FuzzParse(f *testing.F) {
	f.Add(`{"api_key":"a","shared_key":"b"}`)
	f.Add(`{"client_id":"a","client_secret":"b","token_url":"c"}`)
	f.Add(`{"stripe":["a","b"],"shopify":"c"}`)
	f.Add(`{"stripe": [ ]}`)
	f.Add(`{"a":}`)
	f.Add("\ufeff{}")
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := ParseLicense(text); err == nil {
			for _, key := range []string{l.APIKey + l.ClientID, l.SharedKey + l.ClientSecret} {
				if key == "" || strings.TrimSpace(key) != key {
					t.Error("a key that cannot be used was taken")
				}
			}
		}
		w, err := ParseWebhooks(text)
		if err != nil {
			return
		}
		for _, source := range w.Sources() {
			texts, err := w.Keys(source)
			if (err == nil) == (len(texts) == 0) {
				t.Errorf("%d keys and error %v", len(texts), err)
			}
		}
	})
}
