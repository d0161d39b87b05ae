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

// provesAsPHP reports whether one of the proofs is valid for the canonical form of the fields as the sender's own library
// reads them: PHP has put all values of IPN_PID[] where the first of them was sent, so the lines of an order may follow each
// other in the body, and the library removes the backslashes with which old versions of PHP escaped quotes. What the sender
// does with a backslash is not known; either way is accepted. Where the form is the same anyway, it is false.
func (s *Scheme) provesAsPHP(keys []Key, fields []Field, proofs [][]byte) bool {
	if s.spec.Canonical == "" {
		return false
	}
	first := make(map[string]int, len(fields))
	read := slices.Clone(fields)
	for i, f := range fields {
		if _, seen := first[rootOf(f.Name)]; !seen {
			first[rootOf(f.Name)] = i
		}
		read[i].Value = stripSlashes(f.Value)
	}
	slices.SortStableFunc(read, func(a, b Field) int { return cmp.Compare(first[rootOf(a.Name)], first[rootOf(b.Name)]) })
	return !slices.Equal(read, fields) && s.proves(keys, signedText{s.canonical(read)}, proofs)
}

// stripSlashes is PHP's: a backslash goes, and what it escapes stays; \0 is a zero byte.
func stripSlashes(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out.WriteByte(text[i])
			continue
		}
		i++
		switch {
		case i == len(text): // nothing is escaped
		case text[i] == '0':
			out.WriteByte(0)
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
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
