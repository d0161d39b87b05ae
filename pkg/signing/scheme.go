package signing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The values of a Spec's MAC, Encoding, Key and Canonical.
const (
	macHMAC        = "hmac-sha256"
	macHMACSHA3    = "hmac-sha3-256"
	macSHA256      = "sha256"
	macEd25519     = "ed25519"
	macRSA         = "rsa-sha256"
	macNone        = "none"
	encodingHex    = "hex"
	encodingBase64 = "base64"
	keyText        = "text"
	keyBase64      = "base64"
	keyHex         = "hex"
	keyPEM         = "pem"
	lengthPrefixed = "length-prefixed-values"
)

// MACs lists the values of Spec.MAC, Keys those of Spec.Key, Canonicals those of Spec.Canonical.
func MACs() []string {
	return []string{macHMAC, macHMACSHA3, macSHA256, macEd25519, macRSA, macNone}
}

// Keys lists the values of Spec.Key.
func Keys() []string { return []string{keyText, keyBase64, keyHex, keyPEM} }

// Canonicals lists the values of Spec.Canonical.
func Canonicals() []string { return []string{lengthPrefixed} }

// Spec is one scheme as data: the fields of `verify:` in a source's file, under the same names. Templates hold
// placeholders in braces.
type Spec struct {
	// Scheme "paypal" is PayPal's, which no template describes; all other fields are then empty.
	Scheme string

	Header    []string      // names, in any case, of the header that carries Form; the first one present is used
	Query     string        // instead of Header: the query parameter of the address that carries Form
	Field     []string      // instead of Header: names of the form's field that carries Form; the first one present is used
	Form      string        // text and {timestamp}, {signature} or {secret}: "t={timestamp},v1={signature}"
	Separator string        // splits the value and Form into parts, which may come in any order and repeat; "": one part
	Timestamp string        // name of the header that holds the timestamp, where Form does not
	Unit      time.Duration // of the timestamp: time.Second (also when zero) or time.Millisecond
	Signed    string        // text, {body}, {timestamp}, {method}, {url}, {Any-Header}, {field:NAME}, {secret}: "{timestamp}.{body}"
	Canonical string        // instead of Signed: "length-prefixed-values", each value of the form after its length in bytes
	Skip      []string      // fields that Canonical leaves out, in addition to Field: signatures of other kinds
	Covers    []string      // the fields of Signed, where it does not hold {body}; other fields are not signed
	MAC       string        // one of MACs; "sha256" only with {secret} in Signed; "none": {secret} itself is compared
	Encoding  string        // of {signature}: "hex" (lower case) or "base64"; of {secret}: "" or "base64" (HTTP Basic)
	Key       string        // form of the secret: one of Keys; "text" when empty
	KeyPrefix string        // of a base64 key: "whsec_". It may be left out of a MAC's secret, not of a public key
	Tolerance time.Duration // between timestamp and clock, past and future; above 0 with a timestamp, else 0
}

// Scheme is a compiled Spec: how one sender signs. Use [NewScheme]. It holds no secret.
type Scheme struct {
	spec    Spec       // header names in lower case, defaults filled in
	form    []formPart // in the order in which they are matched
	signed  []piece
	stamped bool // the scheme has a timestamp
}

// NewScheme compiles spec. It refuses, by name, every field that cannot work or that would leave the body or the
// timestamp unsigned. It reports all problems at once, one a line.
func NewScheme(spec Spec) (*Scheme, error) {
	if spec.Scheme != "" {
		return newPayPal(spec)
	}
	spec.Header = slices.Clone(spec.Header)
	for i, name := range spec.Header {
		spec.Header[i] = strings.ToLower(name)
	}
	spec.Timestamp = strings.ToLower(spec.Timestamp)
	if spec.Unit == 0 {
		spec.Unit = time.Second
	}
	if spec.Key == "" {
		spec.Key = keyText
	}

	spec.Field, spec.Skip, spec.Covers = slices.Clone(spec.Field), slices.Clone(spec.Skip), slices.Clone(spec.Covers)

	s := &Scheme{spec: spec}
	err := errors.Join(s.checkCarrier(), s.compileForm(), s.checkTimestamp(), s.compileSigned(), s.checkCovers(), s.checkWords())
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Signs reports whether the value of the named header is signed.
func (s *Scheme) Signs(header string) bool {
	name := strings.ToLower(header)
	if s.Certified() {
		return name == payPalID || name == payPalTime
	}
	return slices.ContainsFunc(s.signed, func(p piece) bool {
		return p.kind == pieceHeader && p.text == name || p.kind == pieceTimestamp && s.spec.Timestamp == name && name != ""
	})
}

// SecretHeaders returns, in lower case, the names of the headers that carry {signature} or {secret} and must never be
// stored; none if a query parameter or a field of the body carries it.
func (s *Scheme) SecretHeaders() []string {
	return slices.Clone(s.spec.Header)
}

// checkCarrier checks the header, query parameter or field that carries Form.
func (s *Scheme) checkCarrier() error {
	if len(s.spec.Header) == 0 && s.spec.Query == "" && len(s.spec.Field) == 0 {
		return bad("header", "neither a header, nor a query parameter, nor a field of a form is named")
	}
	if len(s.spec.Header) > 0 && s.spec.Query != "" {
		return bad("query", "stands beside header; one of them carries the form")
	}
	if len(s.spec.Field) > 0 && (len(s.spec.Header) > 0 || s.spec.Query != "") {
		return bad("field", "stands beside header or query; one of them carries the form")
	}
	if len(s.spec.Field) > 0 && s.spec.MAC == macNone {
		return bad("field", "carries a {secret}, which would be stored with the body")
	}
	for _, name := range s.spec.Header {
		if !isToken(name) {
			return bad("header", "%q is no name of a header", name)
		}
	}
	for _, name := range s.spec.Field {
		if !isFieldName(name) {
			return bad("field", "%q is no name of a field", name)
		}
	}
	return nil
}

// checkTimestamp runs after compileForm, which knows whether the form holds a timestamp.
func (s *Scheme) checkTimestamp() error {
	var problems []error
	if name := s.spec.Timestamp; name != "" {
		switch {
		case !isToken(name):
			problems = append(problems, bad("timestamp", "%q is no name of a header", name))
		case s.stamped:
			problems = append(problems, bad("timestamp", "the form holds one already"))
		case s.spec.MAC == macNone:
			problems = append(problems, bad("timestamp", "nothing signs it without a mac"))
		case slices.Contains(s.spec.Header, name):
			problems = append(problems, bad("timestamp", "%q is the header of the form", name))
		}
		s.stamped = true
	}
	if s.stamped && s.spec.Tolerance <= 0 {
		problems = append(problems, bad("tolerance", "must be above 0 where there is a timestamp"))
	}
	if !s.stamped && s.spec.Tolerance != 0 {
		problems = append(problems, bad("tolerance", "has no timestamp to hold it against"))
	}
	if s.spec.Unit != time.Second && s.spec.Unit != time.Millisecond {
		problems = append(problems, bad("unit", "%v is neither a second nor a millisecond", s.spec.Unit))
	}
	return errors.Join(problems...)
}

// bad makes an error that names a field as a source's file does.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("signing: %s: %s", field, fmt.Sprintf(format, args...))
}
