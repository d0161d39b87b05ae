package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A fault is what is wrong with a source's file, and in which line.
type fault struct {
	line int
	text string
}

func (f *fault) Error() string { return fmt.Sprintf("%d: %s", f.line, f.text) }

func faultAt(node *yaml.Node, format string, args ...any) error {
	return &fault{line: node.Line, text: fmt.Sprintf(format, args...)}
}

// fields calls the reader of each key of a mapping. An unknown key, a key that is there twice and a node that is no
// mapping are faults; all of them are reported, not only the first.
func fields(node *yaml.Node, what string, readers map[string]func(*yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return faultAt(node, "%s must be a mapping of keys to values", what)
	}
	var faults []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		read, known := readers[key.Value]
		switch {
		case !known:
			faults = append(faults, faultAt(key, "unknown key %q in %s; known are %s", key.Value, what, keysOf(readers)))
		case seen[key.Value]:
			faults = append(faults, faultAt(key, "key %q is there twice in %s", key.Value, what))
		default:
			faults = append(faults, read(value))
		}
		seen[key.Value] = true
	}
	return errors.Join(faults...)
}

func keysOf(readers map[string]func(*yaml.Node) error) string {
	names := make([]string, 0, len(readers))
	for name := range readers {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// text reads a plain, non-empty text into to.
func text(to *string) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Value == "" {
			return faultAt(node, "a text is needed here; quote it when it begins with @ ! ` ' or [")
		}
		*to = node.Value
		return nil
	}
}

// texts reads one text or a list of texts.
func texts(to *[]string) func(*yaml.Node) error {
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

// each calls read for the items of a list, or for the node itself when it is no list.
func each(node *yaml.Node, read func(*yaml.Node) error) error {
	if node.Kind != yaml.SequenceNode {
		return read(node)
	}
	if len(node.Content) == 0 {
		return faultAt(node, "the list is empty")
	}
	var faults []error
	for _, item := range node.Content {
		faults = append(faults, read(item))
	}
	return errors.Join(faults...)
}

// boolean reads true or false.
func boolean(to *bool) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if node.Tag != "!!bool" || node.Decode(to) != nil {
			return faultAt(node, "true or false is needed here")
		}
		return nil
	}
}

// duration reads a positive duration such as 5m or 20s.
func duration(to *time.Duration) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		d, err := time.ParseDuration(node.Value)
		if err != nil || d <= 0 {
			return faultAt(node, "a duration such as 5m or 20s is needed here")
		}
		*to = d
		return nil
	}
}

// oneOf reads a text that must be one of the given ones.
func oneOf(to *string, allowed ...string) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if err := text(to)(node); err != nil {
			return err
		}
		if !slices.Contains(allowed, *to) {
			return faultAt(node, "%q is not one of %s", *to, strings.Join(allowed, ", "))
		}
		return nil
	}
}
