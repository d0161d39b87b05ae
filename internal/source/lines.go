package source

import (
	"errors"
	"fmt"
	"strconv"

	"license-deactivator/internal/expression"
)

// maxLines bounds the lines of an order, and the parts that are joined to them: each line may have to search all of
// these. No real order has more.
const maxLines = 1000

// maxJoined bounds the parts that are joined to all lines together. Each part belongs to one line, so there are more
// only if many lines have one id.
const maxJoined = 10 * maxLines

// maxLineQuantity bounds the quantity of a line, so that sums cannot overflow; no look-up acts on more licenses.
const maxLineQuantity = 1_000_000

// lines are the parts of an order that may have their own license.
type lines struct {
	each     *expression.Expression
	join     *join
	license  []fieldSource
	refunded condition // the whole line was refunded

	// quantity is how many licenses a line is for, which the look-up compares with those that it finds. nil: unknown.
	quantity *expression.Expression

	refundedLine int // of the file
}

// join adds to each line the parts of the order that refer to it, under a name that conditions can use.
type join struct {
	name   string
	parts  *expression.Expression
	on, is string // the part's key and the line's key that must be equal
}

// of returns the order's lines with the joined parts.
func (l *lines) of(order expression.Tree) ([]expression.Tree, error) {
	parts, err := l.each.Parts(order)
	if err != nil {
		return nil, err
	}
	if len(parts) > maxLines {
		return nil, errors.New("the order has too many lines")
	}
	for _, part := range parts {
		if _, ok := part.Exact.(map[string]any); !ok {
			return nil, errors.New("a line of the order is not an object")
		}
	}
	if l.join == nil || len(parts) == 0 {
		return parts, nil
	}
	return parts, l.join.to(parts, order)
}

// to adds the matches to each line. Keys are compared as they were written, so that ids of any size stay distinct.
func (j *join) to(lines []expression.Tree, order expression.Tree) error {
	joined, err := j.parts.Parts(order)
	if err != nil {
		return err
	}
	if len(joined) > maxLines {
		return fmt.Errorf("the order has too many %s", j.name)
	}
	type matches struct{ exact, normalised []any } // one list for all lines with a key: there may be a thousand lines and a thousand parts
	byKey := map[string]matches{}
	for _, part := range joined {
		object, _ := part.Exact.(map[string]any)
		key, err := expression.Scalar(object[j.on])
		if err != nil {
			return err
		}
		m := byKey[key]
		byKey[key] = matches{append(m.exact, part.Exact), append(m.normalised, part.Normalised)}
	}
	total := 0
	for i, line := range lines {
		exact, normalised := line.Exact.(map[string]any), line.Normalised.(map[string]any)
		key, err := expression.Scalar(exact[j.is])
		if err != nil {
			return err
		}
		var found matches
		if key != "" {
			found = byKey[key]
		}
		if total += len(found.exact); total > maxJoined {
			return fmt.Errorf("too many %s belong to lines of the order with the same %s", j.name, j.is)
		}
		lines[i] = expression.Tree{Exact: with(exact, j.name, found.exact), Normalised: with(normalised, j.name, found.normalised)}
	}
	return nil
}

// quantityOf returns how many licenses a line is for; 0 where that is not known.
func (l *lines) quantityOf(line expression.Tree) int {
	if l.quantity == nil {
		return 0
	}
	text, err := l.quantity.Text(line)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxLineQuantity {
		return 0
	}
	return n
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
