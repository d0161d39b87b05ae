package signing

import (
	"net/url"
	"slices"
	"strings"
)

// withField returns a form in which the first of names has the value, in the place where one of names stood, else at the
// end. Everything else stays byte for byte.
func withField(body []byte, names []string, value string) []byte {
	signature := url.QueryEscape(names[0]) + "=" + url.QueryEscape(value)
	var parts []string
	placed := false
	for part := range strings.SplitSeq(string(body), "&") {
		name, _ := nameOf(part)
		switch {
		case !slices.Contains(names, name):
			parts = append(parts, part)
		case !placed:
			parts, placed = append(parts, signature), true
		}
	}
	switch {
	case len(body) == 0:
		return []byte(signature)
	case !placed:
		parts = append(parts, signature)
	}
	return []byte(strings.Join(parts, "&"))
}

// WithoutValues returns a form in which the named fields are empty. Everything else stays byte for byte.
func WithoutValues(body []byte, names []string) []byte {
	var parts []string
	for part := range strings.SplitSeq(string(body), "&") {
		if name, ok := nameOf(part); ok && slices.Contains(names, name) {
			escaped, _, _ := strings.Cut(part, "=")
			part = escaped + "="
		}
		parts = append(parts, part)
	}
	return []byte(strings.Join(parts, "&"))
}

// nameOf returns the name of one part of a form, as ReadFields decodes it; false for a part that is no field.
func nameOf(part string) (string, bool) {
	escaped, _, _ := strings.Cut(part, "=")
	name, err := url.QueryUnescape(escaped)
	return name, err == nil && name != ""
}
