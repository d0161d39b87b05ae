package signing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The values of a Spec's MAC, Encoding and Key.
const (
	macHMAC        = "hmac-sha256"
	macNone        = "none"
	encodingHex    = "hex"
	encodingBase64 = "base64"
	keyText        = "text"
	keyBase64      = "base64"
)

// Spec is one scheme as data: the fields of `verify:` in a source's file, under the same names. Templates hold
// placeholders in braces.
type Spec struct {
	Header    []string      // names, in any case, of the header that carries Form; the first one present is used
	Query     string        // instead of Header: the query parameter of the address that carries Form
	Form      string        // text and {timestamp}, {signature} or {secret}: "t={timestamp},v1={signature}"
	Separator string        // splits the value and Form into parts, which may come in any order and repeat; "": one part
	Timestamp string        // name of the header that holds the timestamp, where Form does not
	Unit      time.Duration // of the timestamp: time.Second (also when zero) or time.Millisecond
	Signed    string        // text, {body}, {timestamp}, {method}, {url} and {Any-Header}: "{timestamp}.{body}"; empty without a MAC
	MAC       string        // "hmac-sha256"; or "none": {secret} itself is compared
	Encoding  string        // of {signature}: "hex" (lower case) or "base64"; of {secret}: "" or "base64" (HTTP Basic)
	Key       string        // form of the secret: "text" (also when empty) or "base64"
	KeyPrefix string        // of a base64 key, removed before decoding if present: "whsec_"
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

	s := &Scheme{spec: spec}
	err := errors.Join(s.checkCarrier(), s.compileForm(), s.checkTimestamp(), s.compileSigned(), s.checkWords())
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Signs reports whether the value of the named header is signed.
func (s *Scheme) Signs(header string) bool {
	name := strings.ToLower(header)
	return slices.ContainsFunc(s.signed, func(p piece) bool {
		return p.kind == pieceHeader && p.text == name || p.kind == pieceTimestamp && s.spec.Timestamp == name && name != ""
	})
}

// SecretHeaders returns, in lower case, the names of the headers that carry {signature} or {secret} and must never be
// stored; none if a query parameter carries it.
func (s *Scheme) SecretHeaders() []string {
	return slices.Clone(s.spec.Header)
}

// checkCarrier checks the header or query parameter that carries Form.
func (s *Scheme) checkCarrier() error {
	if len(s.spec.Header) == 0 && s.spec.Query == "" {
		return bad("header", "neither a header nor a query parameter is named")
	}
	if len(s.spec.Header) > 0 && s.spec.Query != "" {
		return bad("query", "stands beside header; one of them carries the form")
	}
	for _, name := range s.spec.Header {
		if !isToken(name) {
			return bad("header", "%q is no name of a header", name)
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

// checkWords checks the enumerated fields, and the key's prefix.
func (s *Scheme) checkWords() error {
	var problems []error
	switch s.spec.MAC {
	case macHMAC:
		if s.spec.Encoding != encodingHex && s.spec.Encoding != encodingBase64 {
			problems = append(problems, bad("encoding", "%q is neither hex nor base64", s.spec.Encoding))
		}
	case macNone:
		if s.spec.Encoding != "" && s.spec.Encoding != encodingBase64 {
			problems = append(problems, bad("encoding", "%q: a secret is base64 or as it is", s.spec.Encoding))
		}
	default:
		problems = append(problems, bad("mac", "%q is neither hmac-sha256 nor none", s.spec.MAC))
	}
	if s.spec.Key != keyText && s.spec.Key != keyBase64 {
		problems = append(problems, bad("key", "%q is neither text nor base64", s.spec.Key))
	}
	if s.spec.KeyPrefix != "" && s.spec.Key != keyBase64 {
		problems = append(problems, bad("key_prefix", "goes with a base64 key; a text key is used whole"))
	}
	return errors.Join(problems...)
}

// bad makes an error that names a field as a source's file does.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("signing: %s: %s", field, fmt.Sprintf(format, args...))
}
