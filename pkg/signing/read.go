package signing

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// fieldsOf reads the fields of a delivery, nil for a scheme that needs none.
func (s *Scheme) fieldsOf(d Delivery) ([]Field, error) {
	if !s.ReadsForm() {
		return nil, nil
	}
	return ReadFields(d.Body)
}

// carried returns the value that has the scheme's form.
func (s *Scheme) carried(d Delivery, fields []Field) (string, error) {
	for _, name := range s.spec.Field {
		value, err := field(fields, name)
		switch {
		case errors.Is(err, ErrMissing), err == nil && value == "":
		case err == nil:
			return bounded("field "+name, value)
		default:
			return "", err
		}
	}
	if len(s.spec.Field) > 0 {
		return "", fmt.Errorf("%w: field %s", ErrMissing, strings.Join(s.spec.Field, " or "))
	}
	for _, name := range s.spec.Header {
		if d.Header[name] != "" {
			return header(d, name)
		}
	}
	if s.spec.Query == "" {
		return "", fmt.Errorf("%w: header %s", ErrMissing, strings.Join(s.spec.Header, " or "))
	}
	if len(d.URL) > maxValueBytes {
		return "", fmt.Errorf("%w: address longer than %d bytes", ErrMalformed, maxValueBytes)
	}
	address, _, _ := strings.Cut(d.URL, "#")
	_, query, _ := strings.Cut(address, "?")
	parameters, err := url.ParseQuery(query)
	values := parameters[s.spec.Query]
	switch {
	case err != nil || len(values) > 1: // err quotes the query
		return "", fmt.Errorf("%w: query of the address", ErrMalformed)
	case len(values) == 0 || values[0] == "":
		return "", fmt.Errorf("%w: query parameter %s", ErrMissing, s.spec.Query)
	}
	return values[0], nil
}

// read parses value. Parts that the form does not have are ignored: senders add new ones.
func (s *Scheme) read(value string) (stamp string, proofs [][]byte, err error) {
	parts := []string{value}
	if s.spec.Separator != "" {
		parts = strings.SplitN(value, s.spec.Separator, maxParts+1)
	}
	if len(parts) > maxParts {
		return "", nil, fmt.Errorf("%w: signature of more than %d parts", ErrMalformed, maxParts)
	}
	for _, part := range parts {
		match, text, ok := s.match(part, stamp != "")
		switch {
		case !ok:
		case !match.stamp:
			if proof, canonical := s.decode(text); canonical {
				proofs = append(proofs, proof)
			}
		case stamp != "" || !isTimestamp(text):
			return "", nil, fmt.Errorf("%w: timestamp", ErrMalformed)
		default:
			stamp = text
		}
	}
	if s.PublicKey() && len(proofs) > maxPublic {
		return "", nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxPublic)
	}
	if len(proofs) == 0 {
		return "", nil, fmt.Errorf("%w: no signature in the form of the scheme", ErrMalformed)
	}
	return stamp, proofs, nil
}

// match finds the part of the form that fits text, and returns what follows the form's own text. A bare {timestamp}
// matches only digits, and only once.
func (s *Scheme) match(text string, stamped bool) (formPart, string, bool) {
	for _, part := range s.form {
		rest, ok := strings.CutPrefix(text, part.prefix)
		if ok && part.stamp && part.prefix == "" && (stamped || !isTimestamp(text)) {
			continue
		}
		if ok {
			return part, rest, true
		}
	}
	return formPart{}, "", false
}

// parts resolves the signed text. It copies only short texts: the body may be large.
func (s *Scheme) parts(d Delivery, fields []Field, stamp string) (signedText, error) {
	if s.spec.Canonical != "" {
		return signedText{s.canonical(fields)}, nil
	}
	parts := make(signedText, 0, len(s.signed))
	for _, p := range s.signed {
		text, err := p.text, error(nil)
		switch p.kind {
		case pieceBody:
			parts = append(parts, d.Body)
			continue
		case pieceTimestamp:
			text = stamp
		case pieceMethod:
			text, err = bounded("method", d.Method)
		case pieceURL:
			text, err = bounded("url", d.URL)
		case pieceHeader:
			text, err = header(d, p.text)
		case pieceField:
			text, err = field(fields, p.text)
		case pieceSecret:
			text = "" // the key's, see proof
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, []byte(text))
	}
	if s.spec.MAC == macSHA256 {
		return parts, checkNoPadding(parts)
	}
	return parts, nil
}

// checkNoPadding refuses a zero byte in what a plain hash covers. Who has seen a delivery can lengthen its last part and
// compute the new hash without the secret, but only with SHA-256's padding between the old end and the new, and that
// holds zero bytes. No sender's value holds one.
func checkNoPadding(parts signedText) error {
	for _, part := range parts {
		if bytes.IndexByte(part, 0) >= 0 {
			return fmt.Errorf("%w: a zero byte in the signed text", ErrMalformed)
		}
	}
	return nil
}

// isTimestamp reports whether text is 1 to 18 ASCII digits.
func isTimestamp(text string) bool {
	return text != "" && len(text) <= maxDigits && strings.Trim(text, "0123456789") == ""
}

func header(d Delivery, name string) (string, error) { return bounded("header "+name, d.Header[name]) }

func bounded(name, value string) (string, error) {
	switch {
	case value == "":
		return "", fmt.Errorf("%w: %s", ErrMissing, name)
	case len(value) > maxValueBytes:
		return "", fmt.Errorf("%w: %s longer than %d bytes", ErrMalformed, name, maxValueBytes)
	}
	return value, nil
}
