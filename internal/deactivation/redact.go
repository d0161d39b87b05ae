package deactivation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
)

// keptCharacters is how many of a license key's last characters are shown: enough to find it in the vendor's own list,
// too few to use it.
const keptCharacters = 4

// hashedCharacters is how many hexadecimal digits of a user's hash are shown: 48 bits, so that two of a vendor's users
// do not share one.
const hashedCharacters = 12

// licenseHashCharacters is how many hexadecimal digits of a license key's hash are logged: 64 bits. Among a million keys
// the probability that any two share them is 2.7e-8 (n²/2^65). The hash cannot be reversed by trial as long as keys are
// random: a key of 16 random letters and digits has 82 bits.
const licenseHashCharacters = 16

// HashLicense is the first 16 hexadecimal digits of the SHA-256 of a license key: by it the lines of a license are found,
// and no query of the log holds a key; "" for none.
func HashLicense(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:licenseHashCharacters]
}

// Shorten shows the last four characters of a license key or hardware id, "…DDDD". It shows none of a text of up to
// eight characters ("…").
func Shorten(key string) string {
	runes := []rune(key)
	switch {
	case len(runes) == 0:
		return ""
	case len(runes) <= 2*keptCharacters:
		return "…"
	}
	return "…" + string(runes[len(runes)-keptCharacters:])
}

// HashUser shows a license user by the first twelve hexadecimal digits of the name's SHA-256: the same user is the same
// text on every line, and with the name its lines can be found; "" for none.
func HashUser(name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:hashedCharacters]
}

// LogValue implements slog.LogValuer: id, source, cause, rule, product and the license key shortened.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", r.ID),
		slog.String("source", r.Source),
		slog.String("cause", r.Cause),
		slog.String("rule", r.Rule),
		slog.String("product", r.Product),
		slog.String("license", Shorten(r.LicenseKey)),
	)
}

// Format implements fmt.Formatter for every verb, so that neither %v nor %#v shows a key or a password.
func (r Request) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "request %s (%s, %s)", r.ID, r.Source, r.License)
}

// LogValue implements slog.LogValuer: product and the license key shortened.
func (l License) LogValue() slog.Value {
	return slog.GroupValue(slog.String("product", l.Product), slog.String("license", Shorten(l.LicenseKey)))
}

// Format implements fmt.Formatter for every verb, so that neither %v nor %#v shows a key or a password.
func (l License) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "license %s of %s", Shorten(l.LicenseKey), l.Product)
}

// MarshalJSON implements json.Marshaler with what LogValue shows: slog's JSON handler marshals values inside a struct
// or a list without calling their LogValue. Only Wire writes the wire form.
func (r Request) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID      string `json:"id"`
		Source  string `json:"source"`
		License string `json:"license"`
	}{r.ID, r.Source, Shorten(r.LicenseKey)})
}

// MarshalJSON implements json.Marshaler with what LogValue shows.
func (l License) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Product string `json:"product"`
		License string `json:"license"`
	}{l.Product, Shorten(l.LicenseKey)})
}
