package webhook

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxLines bounds the order lines that are looked at, and the parts that are joined to them: each line may have to go
// through all of these. A body of 256 KiB holds no more real ones.
const maxLines = 1000

// lines are the parts of an order that may carry a license of their own.
type lines struct {
	each     *expression
	join     *join
	license  []place
	refunded condition // the whole line was refunded
}

// join adds to each line the parts of the order that point at it, under a name that conditions can use.
type join struct {
	name   string
	parts  *expression
	on, is string // the part's key and the line's key that must be equal
}

func (s *Source) readLines(node *yaml.Node) error {
	s.lines = &lines{}
	err := fields(node, "lines", map[string]func(*yaml.Node) error{
		"each":     readExpression(&s.lines.each),
		"join":     s.lines.readJoin,
		"license":  readPlaces(&s.lines.license),
		"refunded": readCondition(&s.lines.refunded),
	})
	if err == nil && (s.lines.each == nil || len(s.lines.license) == 0) {
		return faultAt(node, "each and license are needed in lines")
	}
	return err
}

func (l *lines) readJoin(node *yaml.Node) error {
	j := &join{}
	readers := map[string]func(*yaml.Node) error{"on": text(&j.on), "is": text(&j.is)}
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if name := node.Content[i].Value; name != "on" && name != "is" && j.name == "" {
				j.name = name
				readers[name] = readExpression(&j.parts)
			}
		}
	}
	if err := fields(node, "join", readers); err != nil {
		return err
	}
	if j.parts == nil || j.on == "" || j.is == "" {
		return faultAt(node, "join needs a name with an expression, on and is")
	}
	l.join = j
	return nil
}

// of returns the order's lines with what was joined to them.
func (l *lines) of(order record) ([]record, error) {
	parts, err := pairs(l.each, order)
	if err != nil {
		return nil, err
	}
	if len(parts) > maxLines {
		return nil, errors.New("the order has too many lines")
	}
	for _, part := range parts {
		if _, ok := part.exact.(map[string]any); !ok {
			return nil, errors.New("a line of the order is no object")
		}
	}
	if l.join == nil || len(parts) == 0 {
		return parts, nil
	}
	return parts, l.join.to(parts, order)
}

// to adds the matches to each line. Keys are compared as they were written, so that ids of any size are told apart.
func (j *join) to(lines []record, order record) error {
	joined, err := pairs(j.parts, order)
	if err != nil {
		return err
	}
	if len(joined) > maxLines {
		return fmt.Errorf("the order has too many %s", j.name)
	}
	type matches struct{ exact, normalised []any } // one list for all lines of a key: there may be a thousand of both
	of := map[string]matches{}
	for _, part := range joined {
		object, _ := part.exact.(map[string]any)
		key, err := scalar(object[j.on])
		if err != nil {
			return err
		}
		m := of[key]
		of[key] = matches{append(m.exact, part.exact), append(m.normalised, part.normalised)}
	}
	for i, line := range lines {
		exact, normalised := line.exact.(map[string]any), line.normalised.(map[string]any)
		key, err := scalar(exact[j.is])
		if err != nil {
			return err
		}
		var theirs matches
		if key != "" {
			theirs = of[key]
		}
		lines[i] = record{exact: with(exact, j.name, theirs.exact), normalised: with(normalised, j.name, theirs.normalised)}
	}
	return nil
}

// with copies the object, since the order holds the same one, and sets one key.
func with(object map[string]any, key string, parts []any) map[string]any {
	out := make(map[string]any, len(object)+1)
	for k, v := range object {
		out[k] = v
	}
	if parts == nil {
		parts = []any{}
	}
	out[key] = parts
	return out
}
