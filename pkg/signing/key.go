package signing

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// maxKeyBytes bounds the text of a secret. Senders' secrets have 20 to 130 characters.
const maxKeyBytes = 1 << 10

// redacted is how a Key prints.
const redacted = "[key]"

// Key is one secret or public key of a sender, ready for use. The zero Key is not a key: Verify and Sign refuse it with
// ErrNoKey, and so do they a key that was made by a scheme of another kind. It prints as "[key]" with fmt and log/slog.
type Key struct {
	// Each a func, since fmt cannot call Format on an unexported field, and then prints even the target of a pointer (%s
	// does). For a func it prints only the address.
	bytes   func() []byte           // of a MAC, or the secret itself
	public  func() crypto.PublicKey // ed25519.PublicKey or *rsa.PublicKey
	private func() crypto.Signer    // with public, of NewSigningKey
}

func newKey(bytes []byte) Key { return Key{bytes: func() []byte { return bytes }} }

// NewKey reads the text of a secret or of a public key in the scheme's key form. It refuses an empty key (also after
// decoding), white space at its ends, control characters, more than 1 KiB (PEM: 8 KiB), base64 that is not canonical
// (padding is optional), hexadecimal with a character that is none, and a public key as the secret of a MAC: with it
// anybody could sign. A private key is refused; see NewSigningKey. The error never holds the text.
func (s *Scheme) NewKey(text string) (Key, error) {
	if s.Certified() {
		return newPayPalKey(text)
	}
	if s.PublicKey() {
		return s.newPublicKey(text)
	}
	if IsPublicKey(text) {
		return Key{}, errors.New("signing: key: a public key (PEM, whpk_) is no secret: anybody could sign with it")
	}
	if err := checkSecret("key", text); err != nil {
		return Key{}, err
	}
	bytes, err := s.decodeKey(text)
	switch {
	case err != nil:
		return Key{}, err
	case len(bytes) == 0:
		return Key{}, errors.New("signing: key: empty after its prefix")
	}
	return newKey(bytes), nil
}

// decodeKey decodes a key that is not PEM.
func (s *Scheme) decodeKey(text string) ([]byte, error) {
	switch s.spec.Key {
	case keyHex:
		bytes, err := hex.DecodeString(text) // err would show the character
		if err != nil {
			return nil, errors.New("signing: key: not hexadecimal")
		}
		return bytes, nil
	case keyBase64:
		return decodeKeyText(strings.TrimPrefix(text, s.spec.KeyPrefix))
	}
	return []byte(text), nil
}

// decodeKeyText decodes standard base64 in its one canonical form, with or without padding.
func decodeKeyText(text string) ([]byte, error) {
	encoding := base64.StdEncoding
	if !strings.HasSuffix(text, "=") {
		encoding = base64.RawStdEncoding
	}
	bytes, err := encoding.DecodeString(text)
	if err != nil || encoding.EncodeToString(bytes) != text { // err would show the position
		return nil, errors.New("signing: key: not standard base64")
	}
	return bytes, nil
}

// checkKeys refuses an empty list, too many keys, a zero Key, and one of another kind of scheme.
func (s *Scheme) checkKeys(keys []Key) error {
	if len(keys) == 0 {
		return ErrNoKey
	}
	if len(keys) > MaxKeys {
		return fmt.Errorf("%w: %d keys, at most %d are tried", ErrNoKey, len(keys), MaxKeys)
	}
	for _, key := range keys {
		switch {
		case key.bytes == nil && key.public == nil:
			return fmt.Errorf("%w: a key that was never made", ErrNoKey)
		case s.PublicKey() != (key.public != nil) || s.PublicKey() && !s.fits(key.public()):
			return fmt.Errorf("%w: a key for another mac", ErrNoKey)
		}
	}
	return nil
}

// Format implements fmt.Formatter: "[key]", with every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer: "[key]".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }
