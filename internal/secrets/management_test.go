package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestParseManagement: the key is in either form of the license secret, and a mistake in one part leaves the other usable.
func TestParseManagement(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"api_key":"a","shared_key":"b","management_api_key":"` + canary + `"}`,
		`{"client_id":"a","client_secret":"b","management_api_key":"` + canary + `"}`,
		`{"management_api_key":"` + canary + `","api_key":" "}`,
	} {
		if got, err := ParseManagement(text); err != nil || got.Key != canary {
			t.Errorf("%s: the key %t, error %v", text, got.Key == canary, err)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"not JSON", canary, "is not JSON (at byte 1)"},
		{"a list", `["` + canary + `"]`, "is not a JSON object"},
		{"no key", `{"api_key":"a","shared_key":"` + canary + `"}`, "management_api_key is missing; add"},
		{"other case", `{"Management_Api_Key":"` + canary + `"}`, "management_api_key is missing; add"},
		{"empty", `{"management_api_key":"","api_key":"` + canary + `"}`, "management_api_key is empty; add"},
		{"a number", `{"management_api_key":1,"api_key":"` + canary + `"}`, "management_api_key is not a text; add"},
		{"a space", `{"management_api_key":"canary ` + canary + `"}`, "management_api_key is not printable ASCII without spaces"},
		{"line break", `{"management_api_key":"` + canary + `\n"}`, "management_api_key has white space at an end; add"},
	} {
		got, err := ParseManagement(c.text)
		switch {
		case err == nil || got != Management{}:
			t.Errorf("%s: error %v", c.name, err)
		case !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary):
			t.Errorf("%s: error %q, want %q without the key", c.name, err, c.want)
		case errors.Is(err, ErrNoManagementKey) != strings.Contains(c.want, "missing"):
			t.Errorf("%s: the error is that of a missing key: %v", c.name, errors.Is(err, ErrNoManagementKey))
		}
	}
	if _, err := ParseLicense(`{"api_key":"a","shared_key":"b","management_api_key":" "}`); err != nil {
		t.Errorf("a mistake in the Management key: %v", err)
	}
}

func TestAManagementKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	key := Management{Key: canary}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", key, "held", Held[Management]{Value: key})
	if all := fmt.Sprintf("%v %+v %#v %s %q %x", key, key, key, key, key, key) + string(text) + logged.String(); strings.Contains(all, canary) {
		t.Errorf("printed: %s", all)
	}
}
