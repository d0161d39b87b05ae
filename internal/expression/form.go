package expression

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"license-deactivator/pkg/signing"
)

// maxFormDepth bounds the brackets of a name. A subscription of Maxio needs four; PHP reads 64.
const maxFormDepth = 16

// maxFormBrackets bounds the brackets of all names together: each may become a map of its own. 10,000 fields with 16
// brackets would take 170 MB, of the 256 that the webhook function has.
const maxFormBrackets = 4 * signing.MaxFields

// ReadForm reads a body of the type application/x-www-form-urlencoded, in the charset of its Content-Type, as an object.
// Brackets in a name make objects and lists, as PHP reads them:
//
//	a=1             {"a": "1"}
//	a=1&a=2         {"a": ["1", "2"]}           PHP keeps the last; here none is lost
//	a[]=1&a[]=2     {"a": ["1", "2"]}           also with one: a list
//	a[b]=1&a[c]=2   {"a": {"b": "1", "c": "2"}}
//	a[0][c]=1       {"a": [{"c": "1"}]}         where the indexes are 0 to n-1, in any order; else an object
//	a[][c]=1        {"a": [{"c": "1"}]}         each field is an item of its own
//
// A name whose brackets do not close, or with text behind them, is a plain name as it was written. Names that contradict
// each other are an error: a=1&a[b]=2, a[]=1&a[b]=2, a[]=1&a[0]=2. So are a body that is no form, a Content-Type of
// another format, a charset that is not known, and more than 10,000 fields, 16 brackets in a name or
// 40,000 in all names.
//
// Every value is a text in both trees: a form has no numbers. A condition compares with a text (`count == '0'`), or
// converts (`to_number(total)`).
func ReadForm(body []byte, contentType string) (Tree, error) {
	charset, err := formCharset(contentType)
	if err != nil {
		return Tree{}, err
	}
	switch {
	case len(body) == 0:
		return Tree{}, errors.New("it is empty")
	case strings.IndexByte("{[<", body[0]) >= 0:
		return Tree{}, errors.New("it is not a form (application/x-www-form-urlencoded) but JSON or XML; set the sender to a form, or write body: json or xml")
	}
	fields, err := signing.ReadFields(body)
	if err != nil {
		return Tree{}, fmt.Errorf("it is not a form: %s", strings.TrimPrefix(err.Error(), signing.ErrMalformed.Error()+": "))
	}
	root, brackets := &formNode{}, 0
	for _, field := range fields {
		name, nameErr := charset(field.Name)
		value, valueErr := charset(field.Value)
		if err := errors.Join(nameErr, valueErr); err != nil {
			return Tree{}, errNotInCharset
		}
		path := formPath(name)
		if brackets += len(path) - 1; brackets > maxFormBrackets {
			return Tree{}, fmt.Errorf("it is not a form: it has more than %d brackets in all names", maxFormBrackets)
		}
		if err := root.add(path, value); err != nil {
			return Tree{}, fmt.Errorf("a field of the form %w", err)
		}
	}
	tree, _ := root.object()
	return tree, nil
}

// formPath splits a name into its parts: a[b][] is a, b and an empty part.
func formPath(name string) []string {
	open := strings.IndexByte(name, '[')
	if open <= 0 {
		return []string{name}
	}
	path := []string{name[:open]}
	for rest := name[open:]; rest != ""; {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 {
			return []string{name}
		}
		path = append(path, rest[1:end])
		rest = rest[end+1:]
	}
	return path
}

// formNode is what a name, or a part of one, stands for. Exactly one of the fields is set.
type formNode struct {
	texts []string             // values: more than one where the name was repeated
	named map[string]*formNode // a[b]
	items []*formNode          // a[]
}

var (
	errFormCollision = errors.New("contradicts an earlier field: a name holds either texts, or named parts, or a list")
	errFormDepth     = fmt.Errorf("has more than %d brackets in its name", maxFormDepth)
)

// add adds a value at a path below n.
func (n *formNode) add(path []string, value string) error {
	if len(path) > maxFormDepth+1 {
		return errFormDepth
	}
	for _, name := range path {
		switch {
		case n.texts != nil, name == "" && n.named != nil, name != "" && n.items != nil:
			return errFormCollision
		case name == "":
			item := &formNode{}
			n.items = append(n.items, item)
			n = item
			continue
		case n.named == nil:
			n.named = map[string]*formNode{}
		}
		next, ok := n.named[name]
		if !ok {
			next = &formNode{}
			n.named[name] = next
		}
		n = next
	}
	if n.named != nil || n.items != nil {
		return errFormCollision
	}
	n.texts = append(n.texts, value)
	return nil
}

// tree returns the node's value. shared reports that both forms are the same.
func (n *formNode) tree() (v Tree, shared bool) {
	switch {
	case n.items != nil:
		return formList(n.items)
	case n.named != nil:
		if items := n.indexed(); items != nil {
			return formList(items)
		}
		return n.object()
	case len(n.texts) == 1:
		return formText(n.texts[0])
	}
	exact, normalised, shared := make([]any, len(n.texts)), make([]any, len(n.texts)), true
	for i, text := range n.texts {
		v, same := formText(text)
		exact[i], normalised[i], shared = v.Exact, v.Normalised, shared && same
	}
	return Tree{exact, normalised}, shared
}

func formText(text string) (Tree, bool) {
	normalised := normaliseText(text)
	return Tree{text, normalised}, len(normalised) == len(text)
}

func formList(items []*formNode) (Tree, bool) {
	exact, normalised, shared := make([]any, len(items)), make([]any, len(items)), true
	for i, item := range items {
		v, same := item.tree()
		exact[i], normalised[i], shared = v.Exact, v.Normalised, shared && same
	}
	if shared {
		return both(exact), true
	}
	return Tree{exact, normalised}, false
}

func (n *formNode) object() (Tree, bool) {
	exact, normalised, shared := make(map[string]any, len(n.named)), make(map[string]any, len(n.named)), true
	for name, part := range n.named {
		v, same := part.tree()
		exact[name], normalised[name], shared = v.Exact, v.Normalised, shared && same
	}
	if shared {
		return both(exact), true
	}
	return Tree{exact, normalised}, false
}

// indexed returns the parts in the order of their indexes where their names are 0 to n-1; else nil.
func (n *formNode) indexed() []*formNode {
	items := make([]*formNode, len(n.named))
	for i := range items {
		item, ok := n.named[strconv.Itoa(i)]
		if !ok {
			return nil
		}
		items[i] = item
	}
	return items
}
