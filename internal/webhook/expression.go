package webhook

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	jmespath "github.com/jmespath/go-jmespath"
	"go.yaml.in/yaml/v3"

	"license-deactivator/pkg/signing"
)

// expression is a JMESPath expression of a source's file. go-jmespath v0.4.0 panics on some malformed ones, when it
// compiles or only when it evaluates, so both are done under recover.
type expression struct {
	text string
	path *jmespath.JMESPath
}

var errPanicked = errors.New("the expression makes the JMESPath library fail; it is malformed")

func readExpression(to **expression) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		var source string
		if err := text(&source)(node); err != nil {
			return err
		}
		compiled, err := compile(source)
		if err != nil {
			return faultAt(node, "%s", err)
		}
		*to = compiled
		return nil
	}
}

// compile compiles the expression and tries it on an empty record. The trial finds what the library notices only
// then: functions that do not exist, and some malformed calls.
func compile(source string) (e *expression, err error) {
	defer func() {
		if recover() != nil {
			e, err = nil, errPanicked
		}
	}()
	path, err := jmespath.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("not a JMESPath expression: %w", err)
	}
	e = &expression{text: source, path: path}
	_, err = e.search(map[string]any{})
	if errors.Is(err, errPanicked) || (err != nil && strings.Contains(err.Error(), "unknown function")) {
		return nil, err
	}
	return e, nil
}

// search evaluates the expression. Its errors never quote a value of the event.
func (e *expression) search(tree any) (value any, err error) {
	defer func() {
		if recover() != nil {
			value, err = nil, errPanicked
		}
	}()
	value, err = e.path.Search(tree)
	if err != nil && strings.Contains(err.Error(), "unknown function") {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be evaluated on this event", e.text)
	}
	return value, nil
}

// facts is what values and conditions are evaluated on: one event record in its two forms, the delivery's headers
// and the scheme that the delivery passed.
type facts struct {
	exact      any               // digits as they were written: for values
	normalised any               // numbers that JMESPath can compare: for conditions
	headers    map[string]string // names in lower case
	scheme     *signing.Scheme   // nil: no header counts as signed
	line       int               // of the order, from 1; 0: the event itself
	trace      *trace            // nil: nobody asks why
}

// value is a list of places, of which the first that is present counts.
type value []valuePlace

type valuePlace struct {
	path   *expression
	header string // lower case
	signed bool   // the header counts only if the scheme that passed signs it
	weak   bool   // a short number that other shops have too
}

func readValue(to *value) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			place, err := readValuePlace(item)
			if err == nil {
				*to = append(*to, place)
			}
			return err
		})
	}
}

func readValuePlace(node *yaml.Node) (valuePlace, error) {
	var place valuePlace
	if node.Kind != yaml.MappingNode {
		err := readExpression(&place.path)(node)
		return place, err
	}
	var header, signed string
	err := fields(node, "a value", map[string]func(*yaml.Node) error{
		"header": text(&header),
		"signed": text(&signed),
		"weak":   readExpression(&place.path),
	})
	if err != nil {
		return valuePlace{}, err
	}
	if len(node.Content) != 2 {
		return valuePlace{}, faultAt(node, "one of header, signed and weak is needed here")
	}
	place.weak = place.path != nil
	place.header, place.signed = strings.ToLower(header+signed), signed != ""
	return place, nil
}

// find returns the first text that is present, "" where none is. A value that can be no key or id is an error.
func (v value) find(f facts) (string, error) {
	_, found, err := v.first(f)
	return found, err
}

// first is find, with the place of v that decided.
func (v value) first(f facts) (at int, text string, err error) {
	for i, place := range v {
		text, err := place.find(f)
		if err != nil || text != "" {
			return i, text, err
		}
	}
	return 0, "", nil
}

func (p valuePlace) find(f facts) (string, error) {
	switch {
	case p.path != nil:
		found, err := p.path.search(f.exact)
		if err != nil {
			return "", err
		}
		return scalar(found)
	case p.signed && (f.scheme == nil || !f.scheme.Signs(p.header)):
		return "", nil
	}
	return f.headers[p.header], nil
}

// unsigned says whether a header that nobody signed may decide the value.
func (v value) unsigned() bool {
	for _, place := range v {
		if place.header != "" && !place.signed {
			return true
		}
	}
	return false
}

// condition is a list of tests, of which any may hold.
type condition []test

type test struct {
	path       *expression
	header, is string
}

func readCondition(to *condition) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			var t test
			var err error
			if item.Kind == yaml.MappingNode {
				err = fields(item, "a condition", map[string]func(*yaml.Node) error{"header": text(&t.header), "is": text(&t.is)})
				if err == nil && (t.header == "" || t.is == "") {
					err = faultAt(item, "header and is are needed here")
				}
				t.header = strings.ToLower(t.header)
			} else {
				err = readExpression(&t.path)(item)
			}
			*to = append(*to, t)
			return err
		})
	}
}

// holds says whether any test is exactly true.
func (c condition) holds(f facts) (bool, error) {
	for _, t := range c {
		holds, err := t.holds(f)
		f.trace.test(t, f, holds, err)
		if holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// holds says whether the test is exactly true. null is no match; an error, and any other value than true, false and
// null, is an error: `status == 'refunded' || 'voided'` is a text, and it would be "true" for a paid order.
func (t test) holds(f facts) (bool, error) {
	if t.path == nil {
		return f.headers[t.header] == t.is, nil
	}
	found, err := t.path.search(f.normalised)
	if err != nil {
		return false, err
	}
	switch found {
	case true:
		return true, nil
	case false, nil:
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false on this event", t.path.text)
}

// readPattern reads an RE2 pattern that must match the whole text.
func readPattern(to **regexp.Regexp) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		var source string
		if err := text(&source)(node); err != nil {
			return err
		}
		pattern, err := regexp.Compile(`\A(?:` + source + `)\z`)
		if err != nil {
			return faultAt(node, "not a regular expression (RE2): %s", err)
		}
		*to = pattern
		return nil
	}
}
