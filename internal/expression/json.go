package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ReadJSON reads a body that is one JSON text. A byte order mark in front is skipped. An empty body and invalid UTF-8
// are errors.
func ReadJSON(body []byte) (Tree, error) {
	body, err := textOf(body)
	if err != nil {
		return Tree{}, err
	}
	return decodeJSON(body)
}

// textOf returns the text of a body, without its byte order mark.
func textOf(body []byte) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))
	switch {
	case len(body) == 0:
		return nil, errors.New("it is empty")
	case !utf8.Valid(body):
		return nil, errors.New("it is not UTF-8")
	}
	return body, nil
}

// decodeJSON reads both forms in one pass. encoding/json first checks that the text is JSON with at most 10,000 levels,
// so the reader below makes no checks of its own. This takes half the time of a json.Decoder with UseNumber and a copy
// of its tree: most parts of an event hold no number, and the two forms share them.
func decodeJSON(body []byte) (Tree, error) {
	if !json.Valid(body) {
		return Tree{}, notJSON(body)
	}
	r := jsonReader{text: string(body)}
	whole, _ := r.value()
	return whole, nil
}

// jsonReader reads a text that is JSON. Texts of the tree are slices of it, not copies.
type jsonReader struct {
	text string
	at   int
	read []part // parts of the open objects and lists; each is allocated in its final size at its end
}

type part struct {
	name string // in an object
	Tree
}

// next skips white space and returns the byte after it.
func (r *jsonReader) next() byte {
	for r.text[r.at] <= ' ' {
		r.at++
	}
	return r.text[r.at]
}

// value reads one value. shared reports that both forms are the same.
func (r *jsonReader) value() (v Tree, shared bool) {
	switch r.next() {
	case '{':
		return r.object()
	case '[':
		return r.list()
	case '"':
		text := r.string()
		normalised := normaliseText(text)
		return Tree{text, normalised}, len(normalised) == len(text)
	case 't':
		r.at += len("true")
		return both(true), true
	case 'f':
		r.at += len("false")
		return both(false), true
	case 'n':
		r.at += len("null")
		return Tree{}, true
	}
	return r.number(), false
}

func both(v any) Tree { return Tree{Exact: v, Normalised: v} }

// object reads an object. If a name occurs twice, the last value counts.
func (r *jsonReader) object() (Tree, bool) {
	before, shared := len(r.read), true
	for r.at++; r.next() != '}'; {
		if r.text[r.at] == ',' {
			r.at++
			r.next()
		}
		name := r.string()
		r.next()
		r.at++ // the colon
		v, same := r.value()
		r.read, shared = append(r.read, part{name, v}), shared && same
	}
	r.at++
	parts := r.read[before:]
	exact := make(map[string]any, len(parts))
	for _, p := range parts {
		exact[p.name] = p.Exact
	}
	normalised := exact
	if !shared {
		normalised = make(map[string]any, len(parts))
		for _, p := range parts {
			normalised[p.name] = p.Normalised
		}
	}
	r.read = r.read[:before]
	return Tree{exact, normalised}, shared
}

func (r *jsonReader) list() (Tree, bool) {
	before, shared := len(r.read), true
	for r.at++; r.next() != ']'; {
		if r.text[r.at] == ',' {
			r.at++
		}
		v, same := r.value()
		r.read, shared = append(r.read, part{"", v}), shared && same
	}
	r.at++
	parts := r.read[before:]
	exact := make([]any, len(parts))
	for i, p := range parts {
		exact[i] = p.Exact
	}
	r.read = r.read[:before]
	if shared {
		return both(exact), true
	}
	normalised := make([]any, len(parts))
	for i, p := range parts {
		normalised[i] = p.Normalised
	}
	return Tree{exact, normalised}, false
}

func (r *jsonReader) number() Tree {
	from := r.at
	for r.at < len(r.text) && r.text[r.at] > ' ' && r.text[r.at] != ',' && r.text[r.at] != ']' && r.text[r.at] != '}' {
		r.at++
	}
	digits := r.text[from:r.at]
	return Tree{json.Number(digits), normaliseNumber(digits)}
}

func (r *jsonReader) string() string {
	from := r.at + 1
	r.at = from + strings.IndexByte(r.text[from:], '"')
	if strings.IndexByte(r.text[from:r.at], '\\') < 0 {
		r.at++
		return r.text[from : r.at-1]
	}
	for r.at = from; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			r.at++
		}
	}
	r.at++
	return unescape(r.text[from : r.at-1])
}

// unescape decodes escapes as encoding/json does: an unpaired surrogate becomes U+FFFD, which no key may hold.
func unescape(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for {
		mark := strings.IndexByte(text, '\\')
		if mark < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:mark])
		escape := text[mark:]
		text = escape[2:]
		switch escape[1] {
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case 'u':
			one := codeUnit(escape)
			text = escape[6:]
			if pair := utf16.DecodeRune(one, codeUnit(text)); pair != unicode.ReplacementChar {
				one, text = pair, text[6:]
			}
			out.WriteRune(one) // an unpaired surrogate is written as U+FFFD
		default: // " \ and /
			out.WriteByte(escape[1])
		}
	}
}

// codeUnit reads \u1234; it returns -1 for any other text.
func codeUnit(text string) rune {
	if len(text) < 6 || text[:2] != `\u` {
		return -1
	}
	unit, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}

// normaliseText returns a text for conditions: unchanged, but with a blank behind NaN and the names of infinity.
// to_number takes these for numbers, and every comparison with NaN is false: `to_number(refunded) < to_number(total)`
// would not hold for a refund of NaN, which then counts as full. With the blank they are no numbers.
func normaliseText(text string) string {
	if len(text) > len("+infinity") {
		return text
	}
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case "nan", "inf", "infinity":
		return text + " "
	}
	return text
}

// exactFloat is the largest magnitude up to which every whole number has its own float64.
const exactFloat = 1 << 53

// normaliseNumber returns a number for conditions: a float64, which JMESPath can compare. Whole numbers beyond 2^53 are
// texts, so that no two ids are equal.
func normaliseNumber(digits string) any {
	if !strings.ContainsAny(digits, ".eE") {
		whole, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || whole > exactFloat || whole < -exactFloat {
			return digits
		}
		return float64(whole)
	}
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return digits
	}
	return number
}
