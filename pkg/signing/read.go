package signing

import (
	"fmt"
	"net/url"
	"strings"
)

// carried returns the value that has the scheme's form.
func (s *Scheme) carried(d Delivery) (string, error) {
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
func (s *Scheme) parts(d Delivery, stamp string) ([][]byte, error) {
	parts := make([][]byte, 0, len(s.signed))
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
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, []byte(text))
	}
	return parts, nil
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
