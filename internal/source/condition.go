package source

import (
	"fmt"

	"license-deactivator/internal/expression"
)

// condition is a CONDITION of the file: a list of tests, of which any may hold.
type condition []test

// test is an expression that must be exactly true, or a header that must have a text.
type test struct {
	path       *expression.Expression // nil: a header
	header, is string                 // the header's name in lower case
}

// holds reports whether any test holds. An error of an evaluated test is the condition's error.
func (c condition) holds(f facts) (bool, error) {
	for _, t := range c {
		holds, err := t.holds(f)
		if f.trace != nil {
			f.trace.addTest(t.explain(f, holds, err))
		}
		if holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

func (t test) holds(f facts) (bool, error) {
	if t.path == nil {
		return f.headers[t.header] == t.is, nil
	}
	return t.path.Holds(f.Tree)
}

// explain returns the test with the values that it reads. It is only called for a trace.
func (t test) explain(f facts, holds bool, err error) Test {
	explained := Test{Line: f.line, Holds: holds}
	if err != nil {
		explained.Problem = err.Error()
	}
	if t.path == nil {
		explained.Text = fmt.Sprintf("header %s is '%s'", t.header, t.is)
		var text any
		if found, ok := f.headers[t.header]; ok {
			text = found
		}
		explained.Reads = []Fact{{Name: "header " + t.header, Text: f.trace.show(t.header, text)}}
		return explained
	}
	explained.Text = oneLine(t.path.String())
	for _, path := range t.path.Paths() {
		found, err := path.Operand(f.Tree)
		if err == nil {
			explained.Reads = append(explained.Reads, Fact{Name: oneLine(path.String()), Text: f.trace.show(path.String(), found)})
		}
	}
	return explained
}
