package expression

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxXMLDepth bounds the nesting of elements; a Salesforce notification needs eight levels.
const maxXMLDepth = 64

// ReadXML reads a body that is one XML document: elements by their local names, with any prefix; xsi:type as _type;
// xsi:nil and empty elements as null; repeated elements as a list; an element without children as its text. It has only
// texts, so both forms are the same. encoding/xml expands no entity but the five predefined ones. A document type is an
// error, as are an empty body and invalid UTF-8. A byte order mark in front is skipped.
func ReadXML(body []byte) (Tree, error) {
	body, err := textOf(body)
	if err != nil {
		return Tree{}, err
	}
	tree, err := decodeXML(body)
	return both(tree), err
}

func decodeXML(body []byte) (any, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Entity = map[string]string{}
	var root any
	var name string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("it is not XML")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("it holds a document type")
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("it is not XML")
			}
		case xml.StartElement:
			if name != "" {
				return nil, errors.New("it has two roots")
			}
			name = t.Name.Local
			if root, err = element(dec, t, 1); err != nil {
				return nil, err
			}
		}
	}
	if name == "" {
		return nil, errors.New("it is not XML")
	}
	return map[string]any{name: root}, nil
}

func element(dec *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth > maxXMLDepth {
		return nil, errors.New("its elements lie too deep")
	}
	children := map[string]any{}
	for _, attr := range start.Attr {
		if attr.Name.Local == "type" && attr.Name.Space != "" {
			children["_type"] = attr.Value
		}
	}
	var content strings.Builder
	for {
		token, err := dec.Token()
		if err != nil {
			return nil, errors.New("it is not XML")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("it holds a document type")
		case xml.CharData:
			content.Write(t)
		case xml.StartElement:
			child, err := element(dec, t, depth+1)
			if err != nil {
				return nil, err
			}
			addChild(children, t.Name.Local, child)
		case xml.EndElement:
			return elementValue(start, children, content.String()), nil
		}
	}
}

func addChild(children map[string]any, name string, child any) {
	before, repeated := children[name]
	switch many, isList := before.([]any); {
	case !repeated:
		children[name] = child
	case isList:
		children[name] = append(many, child)
	default:
		children[name] = []any{before, child}
	}
}

func elementValue(start xml.StartElement, children map[string]any, content string) any {
	switch {
	case start.Name.Local == sessionElement:
		return nil
	case len(children) > 0:
		return children
	case content == "":
		return nil
	}
	return content
}
