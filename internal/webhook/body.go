package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// maxRecords bounds the events of one delivery. The largest that a sender documents is 100 (HubSpot, Salesforce).
const maxRecords = 500

// errUnreadable is wrapped by everything that makes a verified body no event: the sender hears 400.
var errUnreadable = errors.New("the body cannot be read")

// record is one event of a delivery in its two forms, as facts describes them.
type record struct{ exact, normalised any }

// readBody decodes a verified body into its event records. It is not called before the body has been verified.
func (s *Source) readBody(body []byte) (whole record, records []record, err error) {
	whole, err = s.decode(body)
	if err != nil {
		return record{}, nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if s.event.records == nil {
		if _, ok := whole.exact.(map[string]any); !ok {
			return record{}, nil, fmt.Errorf("%w: it is no object", errUnreadable)
		}
		return whole, []record{whole}, nil
	}
	records, err = pairs(s.event.records, whole)
	switch {
	case err != nil:
		return record{}, nil, fmt.Errorf("%w: %w", errUnreadable, err)
	case records == nil:
		return record{}, nil, fmt.Errorf("%w: it has no %s", errUnreadable, s.event.records.text)
	case len(records) > maxRecords:
		return record{}, nil, fmt.Errorf("%w: it holds more than %d events", errUnreadable, maxRecords)
	}
	for _, r := range records {
		if _, ok := r.exact.(map[string]any); !ok {
			return record{}, nil, fmt.Errorf("%w: an event in it is no object", errUnreadable)
		}
	}
	return whole, records, nil
}

func (s *Source) decode(body []byte) (record, error) {
	switch {
	case len(body) == 0:
		return record{}, errors.New("it is empty")
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		return record{}, errors.New("it begins with a byte order mark")
	case !utf8.Valid(body):
		return record{}, errors.New("it is not UTF-8")
	case s.xml:
		tree, err := decodeXML(body)
		return both(tree), err // it holds texts alone
	}
	return decodeJSON(body)
}

// pairs evaluates an expression that finds parts of a record on both forms. nil where it finds null; one part where
// it finds no list. The forms must agree on the number of parts, else no value could be told from another.
func pairs(e *expression, from record) ([]record, error) {
	exact, err := e.search(from.exact)
	if err != nil {
		return nil, err
	}
	normalised, err := e.search(from.normalised)
	if err != nil {
		return nil, err
	}
	if exact == nil && normalised == nil {
		return nil, nil
	}
	exacts, normaliseds := list(exact), list(normalised)
	if len(exacts) != len(normaliseds) {
		return nil, fmt.Errorf("%s compares numbers; it may only point at parts", e.text)
	}
	parts := make([]record, len(exacts))
	for i := range exacts {
		parts[i] = record{exact: exacts[i], normalised: normaliseds[i]}
	}
	return parts, nil
}

func list(found any) []any {
	if many, ok := found.([]any); ok {
		return many
	}
	return []any{found}
}

// scalar reads a key, an id or a type: "" where it is absent (null or an empty text). What can be none of these,
// an object, a list, a boolean or a number with a fraction, is an error.
func scalar(found any) (string, error) {
	switch v := found.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "", errors.New("a number with a fraction stands in the place of a text")
		}
		return v.String(), nil
	case float64: // made by a function of the expression: length(…), to_number(…)
		if whole, accuracy := big.NewFloat(v).Int(nil); accuracy == big.Exact {
			return whole.String(), nil
		}
		return "", errors.New("a number with a fraction stands in the place of a text")
	}
	return "", errors.New("an object, a list or a boolean stands in the place of a text")
}
