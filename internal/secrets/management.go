package secrets

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// managementForm is the form of the value to store. It is part of every error, since an operator has to store a value.
const managementForm = `add "management_api_key":"…" to the license secret`

// ErrNoManagementKey is wrapped by the error of a license secret without a management_api_key.
var ErrNoManagementKey = errors.New("secrets: license secret: management_api_key is missing")

// Management holds the key of LicenseSpring's Management API. It is never printed.
type Management struct {
	Key string `json:"-"`
}

// Format implements fmt.Formatter for every verb.
func (m Management) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[management credentials]") }

// LogValue implements slog.LogValuer.
func (m Management) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// ParseManagement reads the "management_api_key" of the license secret, and nothing else of it: a mistake in this key does
// not make the License API's credentials unusable, nor the reverse. Its errors say what is wrong and what to store, and hold
// no part of the text.
func ParseManagement(text string) (Management, error) {
	fields, err := object(text)
	if err != nil {
		return Management{}, fmt.Errorf("secrets: license secret: %w; %s", err, managementForm)
	}
	raw, ok := fields["management_api_key"]
	if !ok {
		return Management{}, fmt.Errorf("%w; %s", ErrNoManagementKey, managementForm)
	}
	key, err := keyText(raw)
	if err == nil && strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		err = errors.New("is not printable ASCII without spaces, so it cannot be sent")
	}
	if err != nil {
		return Management{}, fmt.Errorf("secrets: license secret: management_api_key %w; %s", err, managementForm)
	}
	return Management{Key: key}, nil
}
