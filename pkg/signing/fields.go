package signing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Limits of a form. An IPN of 2Checkout has about 100 fields and 30 more a line; PHP, in which such receivers are
// written, reads 1,000.
const (
	MaxFields         = 10_000
	maxFieldNameBytes = 1 << 10
)

// Field is one field of a form, percent-decoded. Its texts are bytes in the charset of the sender, so they may be
// invalid UTF-8.
type Field struct{ Name, Value string }

// ReadFields reads a body of the type application/x-www-form-urlencoded: its fields in the order in which they were
// sent, a repeated name as often as it was sent. Fields are separated by & alone; + is a blank; a field without = has an
// empty value; nothing between two & is no field. Names are as the sender wrote them: brackets stay.
//
// The error wraps ErrMalformed, and quotes nothing of the body: a % that does not begin two hexadecimal digits, a field
// without a name, a name longer than 1 KiB, more than MaxFields fields. An empty body has no fields.
func ReadFields(body []byte) ([]Field, error) {
	text := string(body)
	fields := make([]Field, 0, min(strings.Count(text, "&")+1, MaxFields))
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		if len(fields) == MaxFields {
			return nil, fmt.Errorf("%w: form of more than %d fields", ErrMalformed, MaxFields)
		}
		name, value, _ := strings.Cut(part, "=")
		field, err := unescapeField(name, value)
		if err != nil {
			return nil, fmt.Errorf("%w: field %d of the form: %w", ErrMalformed, len(fields)+1, err)
		}
		fields = append(fields, field)
	}
	return fields, nil
}

var (
	errNameEscape  = errors.New("its name holds a % without two hexadecimal digits")
	errValueEscape = errors.New("its value holds a % without two hexadecimal digits")
	errNoName      = errors.New("it has no name")
	errLongName    = fmt.Errorf("its name is longer than %d bytes", maxFieldNameBytes)
)

// unescapeField decodes a name and a value. url.QueryUnescape returns a text without an escape as it is.
func unescapeField(name, value string) (f Field, err error) {
	if f.Name, err = url.QueryUnescape(name); err != nil { // err quotes the text
		return Field{}, errNameEscape
	}
	if f.Value, err = url.QueryUnescape(value); err != nil {
		return Field{}, errValueEscape
	}
	switch {
	case f.Name == "":
		return Field{}, errNoName
	case len(f.Name) > maxFieldNameBytes:
		return Field{}, errLongName
	}
	return f, nil
}
