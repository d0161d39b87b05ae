package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// maxText bounds a secret before it is parsed: 64 KiB is Secrets Manager's own limit.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const maxText = 64 << 10

// licenseForm is the form of the value to store. It is part of every error, since an operator has to store a value.
const licenseForm = `store {"api_key":"…","shared_key":"…"} or, for OAuth, {"client_id":"…","client_secret":"…"}`

// License holds the License API's credentials: the pair of a company's keys, or that of an OAuth client; the other
// pair is empty. They are never printed.
type License struct {
	APIKey    string `json:"-"`
	SharedKey string `json:"-"`

	ClientID     string `json:"-"`
	ClientSecret string `json:"-"`
	TokenURL     string `json:"-"` // where the client gets its tokens; "": the vendor's own. Its reader checks it
}

// OAuth reports whether it holds an OAuth client.
func (l License) OAuth() bool { return l.ClientID != "" }

// Format implements fmt.Formatter for every verb.
func (l License) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[license credentials]") }

// LogValue implements slog.LogValuer.
func (l License) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(l)) }

// ParseLicense reads {"api_key":"…","shared_key":"…"} or {"client_id":"…","client_secret":"…"} with or without a
// "token_url"; other fields are ignored. Both pairs together are refused: it would be ambiguous which one signs. Its
// errors say what is wrong and what to store, and hold no part of the text.
func ParseLicense(text string) (License, error) {
	fields, err := object(text)
	if err != nil {
		return License{}, fmt.Errorf("secrets: license secret: %w; %s", err, licenseForm)
	}
	keys, client := has(fields, "api_key", "shared_key"), has(fields, "client_id", "client_secret")

	var l License
	var problems []string
	switch {
	case keys && client:
		problems = []string{"holds keys and an OAuth client"}
	case client:
		l.ClientID, problems = licenseKey(problems, fields, "client_id")
		l.ClientSecret, problems = licenseKey(problems, fields, "client_secret")
		if has(fields, "token_url") {
			l.TokenURL, problems = licenseKey(problems, fields, "token_url")
		}
	default:
		l.APIKey, problems = licenseKey(problems, fields, "api_key")
		l.SharedKey, problems = licenseKey(problems, fields, "shared_key")
	}
	if len(problems) > 0 {
		return License{}, fmt.Errorf("secrets: license secret: %s; %s", strings.Join(problems, ", "), licenseForm)
	}
	return l, nil
}

// has reports whether one of the fields is present, with any value.
func has(fields map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if _, ok := fields[name]; ok {
			return true
		}
	}
	return false
}

// licenseKey reads one field and appends its problem.
func licenseKey(problems []string, fields map[string]json.RawMessage, name string) (string, []string) {
	raw, ok := fields[name]
	if !ok {
		return "", append(problems, name+" is missing")
	}
	key, err := keyText(raw)
	if err != nil {
		return "", append(problems, name+" "+err.Error())
	}
	return key, problems
}

// object reads a JSON object's fields by their exact names; encoding/json would also match "API_KEY" with "api_key".
func object(text string) (map[string]json.RawMessage, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("is longer than %d bytes", maxText)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("is not UTF-8") // encoding/json would put U+FFFD into the key
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal([]byte(text), &fields)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("is not JSON (at byte %d)", syntax.Offset) // its own text quotes the secret
	case err != nil || fields == nil:
		return nil, errors.New("is not a JSON object")
	}
	return fields, nil
}

// keyText reads one key. It refuses white space at the ends: it comes from a file's last line or a paste, no sender's
// key has it, and it makes every signature wrong.
func keyText(raw json.RawMessage) (string, error) {
	var key string
	switch err := json.Unmarshal(raw, &key); {
	case err != nil || string(raw) == "null":
		return "", errors.New("is not a text")
	case key == "":
		return "", errors.New("is empty")
	case strings.TrimSpace(key) != key:
		return "", errors.New("has white space at an end")
	}
	return key, nil
}
