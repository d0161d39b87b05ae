package source

import (
	"slices"

	"license-deactivator/internal/expression"
)

// value is a VALUE of the file: a list of readers of one text, of which the first that finds a text counts.
type value []textReader

// textReader reads a text from an expression or from a header.
type textReader struct {
	path   *expression.Expression // nil: a header
	header string                 // lower case
	signed bool                   // the header counts only if the scheme that verified the delivery signs it
}

// find returns the first text that is present, "" for none. A value that cannot be a key or id is an error.
func (v value) find(f facts) (string, error) {
	_, found, err := v.first(f)
	return found, err
}

// first is find, with the index of the reader that found the text.
func (v value) first(f facts) (index int, text string, err error) {
	for i, r := range v {
		text, err := r.read(f)
		if err != nil || text != "" {
			return i, text, err
		}
	}
	return 0, "", nil
}

func (r textReader) read(f facts) (string, error) {
	switch {
	case r.path != nil:
		return r.path.Text(f.Tree)
	case r.signed && (f.scheme == nil || !f.scheme.Signs(r.header)):
		return "", nil
	}
	return f.headers[r.header], nil
}

// unsigned reports whether an unsigned header may decide the value.
func (v value) unsigned() bool {
	return slices.ContainsFunc(v, func(r textReader) bool { return !r.trusted() })
}

// trusted reports whether the text is the sender's own: of the body, or of a header that is signed.
func (r textReader) trusted() bool { return r.path != nil || r.signed }

// explain reads the value and returns where it came from. It returns nothing without a value.
func (v value) explain(name string, f facts) []Fact {
	i, text, err := v.first(f)
	if err != nil || text == "" {
		return nil
	}
	return []Fact{{name, printable(text), v[i].from()}}
}

// from says where the text is.
func (r textReader) from() string {
	switch {
	case r.path != nil:
		return oneLine(r.path.String())
	case r.signed:
		return "header " + r.header
	}
	return "header " + r.header + " (not signed)"
}
