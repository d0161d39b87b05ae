package signing

import (
	"bytes"
	"fmt"
	"strconv"
)

// canonical is the signed text of Spec.Canonical: the values of the form in the order in which they were sent, each
// after its length in bytes, without the fields that hold a signature. It covers no name, and it has no separator: who
// can read a delivery can give its values other names, or cut digits in another way. The sender of this form
// (2Checkout) sends it over TLS, and nothing that it signs is shown to buyers.
func (s *Scheme) canonical(fields []Field) []byte {
	var text bytes.Buffer
	for _, f := range fields {
		if s.covers(f.Name) {
			text.WriteString(strconv.Itoa(len(f.Value)))
			text.WriteString(f.Value)
		}
	}
	return text.Bytes()
}

// field returns the value of a signed field. A field that was sent twice is refused: the sender may have signed the one,
// and a reader would use the other. An empty value is a value.
func field(fields []Field, name string) (string, error) {
	value, found := "", false
	for _, f := range fields {
		switch {
		case f.Name != name:
		case found:
			return "", fmt.Errorf("%w: field %s was sent twice", ErrMalformed, name)
		default:
			value, found = f.Value, true
		}
	}
	if !found {
		return "", fmt.Errorf("%w: field %s", ErrMissing, name)
	}
	return value, nil
}
