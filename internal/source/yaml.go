package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader reads a node of a file into its target.
type reader = func(*yaml.Node) error

// lineError is a problem in a source's file, and its line.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.text) }

func errorAt(node *yaml.Node, format string, args ...any) error {
	return &lineError{line: node.Line, text: fmt.Sprintf(format, args...)}
}

// yamlLine finds the line in a message of the YAML library.
var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)

// readDocument reads the one YAML document of a file. A second one is an error: its rules would have no effect.
func readDocument(content []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	switch err := dec.Decode(&document); {
	case errors.Is(err, io.EOF) || (err == nil && len(document.Content) == 0):
		return nil, &lineError{1, "the file is empty"}
	case err != nil:
		return nil, yamlError(err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &lineError{second.Line, "a second YAML document (---) begins here; a file holds one"}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(err)
	}
	return document.Content[0], nil
}

func yamlError(err error) error {
	found := yamlLine.FindStringSubmatch(err.Error())
	if found == nil {
		return &lineError{1, err.Error()}
	}
	line, lineErr := strconv.Atoi(found[1])
	if lineErr != nil {
		line = 1
	}
	return &lineError{line, "not YAML: " + found[2]}
}

// keys calls the reader of each key of a mapping. An unknown key, a repeated key and a node that is not a mapping are
// errors; all of them are reported, not only the first.
func keys(node *yaml.Node, what string, readers map[string]reader) error {
	if node.Kind != yaml.MappingNode {
		return errorAt(node, "%s must be a mapping of keys to values", what)
	}
	var problems []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		read, known := readers[key.Value]
		switch {
		case !known:
			problems = append(problems, errorAt(key, "unknown key %q in %s; known are %s", key.Value, what, namesOf(readers)))
		case seen[key.Value]:
			problems = append(problems, errorAt(key, "key %q occurs twice in %s", key.Value, what))
		default:
			problems = append(problems, read(value))
		}
		seen[key.Value] = true
	}
	return errors.Join(problems...)
}

func namesOf(readers map[string]reader) string {
	names := make([]string, 0, len(readers))
	for name := range readers {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// text reads a plain text that is not empty.
func text(to *string) reader {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Value == "" {
			return errorAt(node, "a text is needed here; quote it when it begins with @ ! ` ' or [")
		}
		*to = node.Value
		return nil
	}
}

// texts reads one text or a list of texts.
func texts(to *[]string) reader {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			var one string
			if err := text(&one)(item); err != nil {
				return err
			}
			*to = append(*to, one)
			return nil
		})
	}
}

// each calls read for the items of a list, or for the node itself when it is not a list.
func each(node *yaml.Node, read reader) error {
	if node.Kind != yaml.SequenceNode {
		return read(node)
	}
	if len(node.Content) == 0 {
		return errorAt(node, "the list is empty")
	}
	var problems []error
	for _, item := range node.Content {
		problems = append(problems, read(item))
	}
	return errors.Join(problems...)
}

// boolean reads true or false.
func boolean(to *bool) reader {
	return func(node *yaml.Node) error {
		if node.Tag != "!!bool" || node.Decode(to) != nil {
			return errorAt(node, "true or false is needed here")
		}
		return nil
	}
}

// number reads a whole number above 0.
func number(to *int) reader {
	return func(node *yaml.Node) error {
		if node.Tag != "!!int" || node.Decode(to) != nil || *to < 1 {
			return errorAt(node, "a whole number above 0 is needed here")
		}
		return nil
	}
}

// duration reads a positive duration such as 5m or 20s.
func duration(to *time.Duration) reader {
	return func(node *yaml.Node) error {
		d, err := time.ParseDuration(node.Value)
		if err != nil || d <= 0 {
			return errorAt(node, "a duration such as 5m or 20s is needed here")
		}
		*to = d
		return nil
	}
}

// oneOf reads a text that must be one of the given ones.
func oneOf(to *string, allowed ...string) reader {
	return func(node *yaml.Node) error {
		if err := text(to)(node); err != nil {
			return err
		}
		if !slices.Contains(allowed, *to) {
			return errorAt(node, "%q is not one of %s", *to, strings.Join(allowed, ", "))
		}
		return nil
	}
}
