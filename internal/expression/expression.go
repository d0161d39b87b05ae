// Package expression evaluates the JMESPath expressions of a sender's file on an event.
//
// An event is read (ReadJSON, ReadXML, ReadForm) into a Tree: one value in two forms. A text that is taken from the event (a key,
// an id, a type) comes from the exact form, which keeps digits as they were written. A condition is evaluated on the
// normalised form, in which JMESPath can compare numbers. With one form only, either `current_quantity == 0` would be
// false or a license key 1.0 would become 1.
//
// The package has no side effects, and no error quotes a value of the event.
package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	jmespath "github.com/jmespath/go-jmespath"
)

// Tree is a value of an event, or a whole event, in two forms. Neither form may be changed: they share all parts that
// hold no number.
type Tree struct {
	Exact      any // numbers are json.Number, digits as they were written
	Normalised any // numbers are float64; whole numbers beyond 2^53 are texts, so that no two ids are equal
}

// Expression is a compiled JMESPath expression. It is safe for concurrent use.
//
// go-jmespath v0.4.0 panics on some malformed expressions, either when it compiles or only when it evaluates, so both
// recover from panics.
type Expression struct {
	text string
	path *jmespath.JMESPath
	line int // of the file
}

var errPanicked = errors.New("the expression makes the JMESPath library fail; it is malformed")

// Compile compiles an expression and evaluates it once on an empty event. That finds errors that the library reports
// only at evaluation: unknown functions, and some malformed calls.
func Compile(text string) (e *Expression, err error) {
	defer func() {
		if recover() != nil {
			e, err = nil, errPanicked
		}
	}()
	path, err := jmespath.Compile(text)
	if at, ok := errors.AsType[jmespath.SyntaxError](err); ok && at.Offset < len(text) {
		return nil, fmt.Errorf("not a JMESPath expression from %q on: %w", text[at.Offset:], err)
	}
	if err != nil {
		return nil, fmt.Errorf("not a JMESPath expression: %w", err)
	}
	e = &Expression{text: text, path: path}
	_, err = e.search(map[string]any{})
	if errors.Is(err, errPanicked) || (err != nil && strings.Contains(err.Error(), "unknown function")) {
		return nil, err
	}
	return e, nil
}

// At returns the expression with the line of the file on which it stands.
func (e *Expression) At(line int) *Expression {
	at := *e
	at.line = line
	return &at
}

// Line returns the line of At, 0 without one.
func (e *Expression) Line() int { return e.line }

// String returns the expression as it was written.
func (e *Expression) String() string { return e.text }

// Value returns the result of the expression, with digits as they were written; nil for no result.
func (e *Expression) Value(t Tree) (any, error) { return e.search(t.Exact) }

// Text is Scalar of Value: a key, an id or a type.
func (e *Expression) Text(t Tree) (string, error) {
	found, err := e.search(t.Exact)
	if err != nil {
		return "", err
	}
	return Scalar(found)
}

// Operand returns the result in the normalised form, which a condition compares.
func (e *Expression) Operand(t Tree) (any, error) { return e.search(t.Normalised) }

// Holds reports whether the expression is exactly true. null is false. Any other value is an error, since JMESPath
// treats it as true: `status == 'refunded' || 'voided'` is a text for a paid order.
func (e *Expression) Holds(t Tree) (bool, error) {
	found, err := e.search(t.Normalised)
	if err != nil {
		return false, err
	}
	switch found {
	case true:
		return true, nil
	case false, nil:
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false on this event", e.text)
}

// Parts returns the items of the list that is the expression's result, each in both forms; one item where the result is
// not a list, nil for null. The two forms must have the same number of items, since items are paired.
func (e *Expression) Parts(t Tree) ([]Tree, error) {
	exact, err := e.search(t.Exact)
	if err != nil {
		return nil, err
	}
	normalised, err := e.search(t.Normalised)
	if err != nil {
		return nil, err
	}
	if exact == nil && normalised == nil {
		return nil, nil
	}
	exacts, normaliseds := List(exact), List(normalised)
	if len(exacts) != len(normaliseds) {
		return nil, fmt.Errorf("%s compares numbers; it may only point at parts", e.text)
	}
	parts := make([]Tree, len(exacts))
	for i := range exacts {
		parts[i] = Tree{Exact: exacts[i], Normalised: normaliseds[i]}
	}
	return parts, nil
}

// search evaluates the expression. Its errors quote no value of the event.
func (e *Expression) search(form any) (value any, err error) {
	defer func() {
		if recover() != nil {
			value, err = nil, errPanicked
		}
	}()
	value, err = e.path.Search(form)
	if err != nil && strings.Contains(err.Error(), "unknown function") {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be evaluated on this event", e.text)
	}
	return value, nil
}

// List returns the items of a list, and a list of one for any other value.
func List(value any) []any {
	if many, ok := value.([]any); ok {
		return many
	}
	return []any{value}
}

// Scalar returns a value of the exact form as a key, an id or a type; "" for null and for an empty text. Every other
// value is an error: an object, a list, a boolean, a number with a fraction.
func Scalar(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "", errors.New("a number with a fraction in place of a text")
		}
		return v.String(), nil
	case float64: // the result of a function in the expression: length(…), to_number(…)
		if whole, accuracy := big.NewFloat(v).Int(nil); accuracy == big.Exact {
			return whole.String(), nil
		}
		return "", errors.New("a number with a fraction in place of a text")
	}
	return "", errors.New("an object, a list or a boolean in place of a text")
}
