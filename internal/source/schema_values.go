package source

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/expression"
)

// This file reads the leaves of a source's file: expressions, values, conditions and patterns.

func readExpression(to **expression.Expression) reader {
	return func(node *yaml.Node) error {
		var source string
		if err := text(&source)(node); err != nil {
			return err
		}
		compiled, err := expression.Compile(source)
		if err != nil {
			return errorAt(node, "%s", err)
		}
		*to = compiled.At(node.Line)
		return nil
	}
}

func readValue(to *value) reader {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			r, err := readTextReader(item)
			if err == nil {
				*to = append(*to, r)
			}
			return err
		})
	}
}

func readTextReader(node *yaml.Node) (textReader, error) {
	var r textReader
	if node.Kind != yaml.MappingNode {
		err := readExpression(&r.path)(node)
		return r, err
	}
	var header, signed string
	err := keys(node, "a value", map[string]reader{"header": text(&header), "signed": text(&signed)})
	if err != nil {
		return textReader{}, err
	}
	if len(node.Content) != 2 {
		return textReader{}, errorAt(node, "expected one of header and signed")
	}
	r.header, r.signed = strings.ToLower(header+signed), signed != ""
	return r, nil
}

func readCondition(to *condition) reader {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			var t test
			var err error
			if item.Kind == yaml.MappingNode {
				err = keys(item, "a condition", map[string]reader{"header": text(&t.header), "is": text(&t.is)})
				if err == nil && (t.header == "" || t.is == "") {
					err = errorAt(item, "expected header and is")
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

// withLine keeps the line of the node that it reads.
func withLine(to *int, read reader) reader {
	return func(node *yaml.Node) error {
		*to = node.Line
		return read(node)
	}
}

// readPattern reads an RE2 pattern that must match the whole text.
func readPattern(to **regexp.Regexp) reader {
	return func(node *yaml.Node) error {
		var source string
		if err := text(&source)(node); err != nil {
			return err
		}
		pattern, err := regexp.Compile(`\A(?:` + source + `)\z`)
		if err != nil {
			return errorAt(node, "not a regular expression (RE2): %s", err)
		}
		*to = pattern
		return nil
	}
}
