package signing

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// provesGrouped reports whether one of the proofs is valid for the canonical form of the fields as PHP groups them: all
// values of IPN_PID[] stand where the first of them was sent. The sender's own library reads them like that, so the lines of
// an order that follow each other in the body are signed either way. Where the order is the same anyway, it is false.
func (s *Scheme) provesGrouped(keys []Key, fields []Field, proofs [][]byte) bool {
	if s.spec.Canonical == "" {
		return false
	}
	first := make(map[string]int, len(fields))
	for i, f := range fields {
		if _, seen := first[rootOf(f.Name)]; !seen {
			first[rootOf(f.Name)] = i
		}
	}
	byGroup := func(a, b Field) int { return cmp.Compare(first[rootOf(a.Name)], first[rootOf(b.Name)]) }
	if slices.IsSortedFunc(fields, byGroup) {
		return false
	}
	grouped := slices.Clone(fields)
	slices.SortStableFunc(grouped, byGroup)
	return s.proves(keys, signedText{s.canonical(grouped)}, proofs)
}

// rootOf is a name without its brackets: IPN_PID of IPN_PID[].
func rootOf(name string) string {
	root, _, _ := strings.Cut(name, "[")
	return root
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
