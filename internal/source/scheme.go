package source

import (
	"fmt"
	"slices"
	"strings"

	"license-deactivator/pkg/signing"
)

// scheme is one way in which a sender signs.
type scheme struct {
	*signing.Scheme
	spec signing.Spec // as in the file
	name string       // among the file's schemes, stable as long as the sender signs in this way
	line int          // of the file
}

// signsInForm reports whether a body has a field with the scheme's signature.
func (s *scheme) signsInForm(body []byte) bool {
	if len(s.spec.Field) == 0 {
		return false
	}
	fields, err := signing.ReadFields(body)
	return err == nil && slices.ContainsFunc(fields, func(f signing.Field) bool { return slices.Contains(s.spec.Field, f.Name) })
}

// describe describes the signature: "HMAC-SHA256 of {timestamp}.{body}, hex, in Stripe-Signature, at most 5m old".
func (s *scheme) describe() string {
	if s.Certified() {
		return "RSA-SHA256 of {transmission id}|{time}|{webhook id}|{CRC-32 of the body}, base64, in PAYPAL-TRANSMISSION-SIG, with PayPal's certificate, at most 4 days old"
	}
	where := "in " + strings.Join(s.spec.Header, " or ")
	switch {
	case s.spec.Query != "":
		where = "in the address, as ?" + s.spec.Query + "=…"
	case len(s.spec.Field) > 0:
		where = "in the form's field " + strings.Join(s.spec.Field, " or ")
	}
	if s.spec.MAC == "none" {
		if form := strings.ReplaceAll(s.spec.Form, "{secret}", "…"); form != "…" {
			where += ": " + form
		}
		return "the secret itself, " + where
	}
	description := fmt.Sprintf("%s of %s, %s, %s", macNames()[s.spec.MAC], s.describeSigned(), s.spec.Encoding, where)
	if s.spec.Tolerance > 0 {
		description += fmt.Sprintf(", at most %s old", strings.TrimSuffix(s.spec.Tolerance.String(), "0s"))
	}
	if s.CoversPart() {
		description += "; only the fields " + strings.Join(s.spec.Covers, ", ") + " are signed and read"
	}
	return description
}

func (s *scheme) describeSigned() string {
	if s.spec.Canonical != "" {
		return "all values of the form, each after its length"
	}
	return s.spec.Signed
}

// macNames are the names of the algorithms in texts for people.
func macNames() map[string]string {
	return map[string]string{
		"hmac-sha256": "HMAC-SHA256", "hmac-sha3-256": "HMAC-SHA3-256", "sha256": "SHA-256", "ed25519": "Ed25519 signature",
		"rsa-sha256": "RSA-SHA256 signature",
	}
}
