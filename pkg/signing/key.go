package signing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// maxKeyBytes bounds the text of a key. Senders' secrets have 20 to 130 characters.
const maxKeyBytes = 1 << 10

// redacted is how a Key prints.
const redacted = "[key]"

// Key is one secret of a sender, ready for use. The zero Key is not a key: Verify and Sign refuse it with ErrNoKey. It
// prints as "[key]" with fmt and log/slog.
type Key struct {
	// A func, since fmt cannot call Format on an unexported field, and then prints even the target of a pointer (%s
	// does). For a func it prints only the address.
	bytes func() []byte
}

func newKey(bytes []byte) Key { return Key{bytes: func() []byte { return bytes }} }

// NewKey reads the text of a secret in the scheme's key form. It refuses an empty key (also after decoding), white
// space at its ends, control characters, more than 1 KiB, and base64 that is not canonical; padding and KeyPrefix
// are optional. The error never holds the text.
func (s *Scheme) NewKey(text string) (Key, error) {
	if err := checkSecret("key", text); err != nil {
		return Key{}, err
	}
	if s.spec.Key != keyBase64 {
		return newKey([]byte(text)), nil
	}

	text = strings.TrimPrefix(text, s.spec.KeyPrefix)
	encoding := base64.StdEncoding
	if !strings.HasSuffix(text, "=") {
		encoding = base64.RawStdEncoding
	}
	bytes, err := encoding.DecodeString(text)
	switch {
	case err != nil || encoding.EncodeToString(bytes) != text: // err would show the position
		return Key{}, errors.New("signing: key: not standard base64")
	case len(bytes) == 0:
		return Key{}, errors.New("signing: key: empty after its prefix")
	}
	return newKey(bytes), nil
}

// checkKeys refuses an empty list, too many keys, and a zero Key.
func checkKeys(keys []Key) error {
	if len(keys) == 0 {
		return ErrNoKey
	}
	if len(keys) > MaxKeys {
		return fmt.Errorf("%w: %d keys, at most %d are tried", ErrNoKey, len(keys), MaxKeys)
	}
	for _, key := range keys {
		if key.bytes == nil {
			return fmt.Errorf("%w: a key that was never made", ErrNoKey)
		}
	}
	return nil
}

// Format implements fmt.Formatter: "[key]", with every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer: "[key]".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }
