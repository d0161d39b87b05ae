package historytest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// query is a parsed query: its commands in their order.
type query struct{ commands []command }

// command is one command with what it needs.
type command struct {
	name   string // fields, filter, sort, limit, stats
	fields []string
	filter expression
	desc   bool
	limit  int
	stats  []aggregate
}

// aggregate is one function of stats, with the name of its result.
type aggregate struct {
	function, field, as string
	number              float64 // the percentile of pct
}

// expression is a condition.
type expression interface{ holds(row) bool }

// parser reads a query token by token.
type parser struct {
	text  string
	at    int
	known func(field string) bool
	named map[string]bool // results of stats
}

// syntaxError is what the real service calls a MalformedQueryException.
type syntaxError struct{ why string }

func (e syntaxError) Error() string { return e.why }

// parse reads a query in the subset of the language that this project uses: fields, filter, sort, limit and stats. Another
// command is an error, as in the service. A field that no line of ours has is an error too: the service returns nothing
// for it, which would hide a mistyped name.
func parse(text string, known func(field string) bool) (q query, err error) {
	p := &parser{text: text, known: known, named: map[string]bool{}}
	defer func() {
		if cause := recover(); cause != nil {
			failed, ok := cause.(syntaxError)
			if !ok {
				panic(cause)
			}
			err = failed
		}
	}()
	for {
		q.commands = append(q.commands, p.command())
		p.space()
		if p.at == len(p.text) {
			return q, nil
		}
		p.expect("|")
	}
}

func (p *parser) fail(format string, args ...any) {
	panic(syntaxError{fmt.Sprintf(format, args...) + fmt.Sprintf(" (at character %d)", p.at)})
}

// space steps over white space and comments.
func (p *parser) space() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				end = len(p.text) - p.at
			}
			p.at += end
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			p.at++
		default:
			return
		}
	}
}

// take steps over a token, if it comes next.
func (p *parser) take(token string) bool {
	p.space()
	rest := p.text[p.at:]
	if len(rest) < len(token) || !strings.EqualFold(rest[:len(token)], token) {
		return false
	}
	if unicode.IsLetter(rune(token[0])) && len(rest) > len(token) && isName(rest[len(token)]) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *parser) expect(token string) {
	if !p.take(token) {
		p.fail("%q is missing", token)
	}
}

func isName(c byte) bool {
	return c == '_' || c == '@' || c == '.' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// word reads a name.
func (p *parser) word() string {
	p.space()
	from := p.at
	for p.at < len(p.text) && isName(p.text[p.at]) {
		p.at++
	}
	if from == p.at {
		p.fail("a name is missing")
	}
	return p.text[from:p.at]
}

// field reads the name of a field.
func (p *parser) field() string {
	name := p.word()
	if !p.named[name] && !p.known(name) {
		p.fail("the field %s is unknown", name)
	}
	return name
}

func (p *parser) command() command {
	switch name := strings.ToLower(p.word()); name {
	case "fields", "display":
		c := command{name: "fields"}
		for {
			c.fields = append(c.fields, p.field())
			if !p.take(",") {
				return c
			}
		}
	case "filter":
		return command{name: name, filter: p.or()}
	case "sort":
		c := command{name: name, fields: []string{p.field()}, desc: true} // descending is the service's default
		if p.take("asc") {
			c.desc = false
		} else {
			p.take("desc")
		}
		return c
	case "limit":
		n, err := strconv.Atoi(p.word())
		if err != nil || n < 1 || n > maxRows {
			p.fail("a limit is from 1 to %d", maxRows)
		}
		return command{name: name, limit: n}
	case "stats":
		return p.stats()
	default:
		p.fail("the command %s is unknown", name)
	}
	return command{}
}

func (p *parser) stats() command {
	c := command{name: "stats"}
	for {
		c.stats = append(c.stats, p.aggregate())
		if !p.take(",") {
			break
		}
	}
	if p.take("by") {
		for {
			c.fields = append(c.fields, p.key())
			if !p.take(",") {
				break
			}
		}
	}
	for _, a := range c.stats {
		p.named[a.as] = true
	}
	return c
}

// key reads what stats groups by: a field or bin(…).
func (p *parser) key() string {
	if p.take("bin") {
		p.expect("(")
		size := p.word()
		p.expect(")")
		key := "bin(" + size + ")"
		p.named[key] = true
		return key
	}
	return p.field()
}

func (p *parser) aggregate() aggregate {
	from := p.at
	a := aggregate{function: strings.ToLower(p.word())}
	p.expect("(")
	switch a.function {
	case "count":
		p.expect("*")
	case "sum", "min", "max", "avg", "pct", "latest":
		a.field = p.field()
	default:
		p.fail("the function %s is unknown", a.function)
	}
	if a.function == "pct" {
		p.expect(",")
		number, err := strconv.ParseFloat(p.word(), 64)
		if err != nil {
			p.fail("pct needs a number")
		}
		a.number = number
	}
	p.expect(")")
	a.as = strings.TrimSpace(p.text[from:p.at])
	if p.take("as") {
		a.as = p.word()
	}
	return a
}

func (p *parser) or() expression {
	all := anyOf{p.and()}
	for p.take("or") {
		all = append(all, p.and())
	}
	return all
}

func (p *parser) and() expression {
	all := allOf{p.not()}
	for p.take("and") {
		all = append(all, p.not())
	}
	return all
}

func (p *parser) not() expression {
	if p.take("not") {
		return negation{p.not()}
	}
	if p.take("(") {
		inner := p.or()
		p.expect(")")
		return inner
	}
	return p.comparison()
}

func (p *parser) comparison() expression {
	if p.take("ispresent") {
		p.expect("(")
		field := p.field()
		p.expect(")")
		return present{field}
	}
	field := p.field()
	if p.take("not") {
		p.expect("like")
		return negation{p.like(field)}
	}
	if p.take("like") {
		return p.like(field)
	}
	if p.take("in") {
		p.expect("[")
		var values []string
		for {
			values = append(values, p.value())
			if !p.take(",") {
				break
			}
		}
		p.expect("]")
		return equality{field, values}
	}
	for _, operator := range []string{"!=", ">=", "<=", "=", ">", "<"} {
		if p.take(operator) {
			value := p.value()
			switch operator {
			case "=":
				return equality{field, []string{value}}
			case "!=":
				return negation{equality{field, []string{value}}}
			}
			return order{field, operator, value}
		}
	}
	p.fail("a comparison is missing")
	return nil
}

// like reads a pattern, or a text that must be contained.
func (p *parser) like(field string) expression {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == '/' {
		pattern, err := regexp.Compile(p.until('/'))
		if err != nil {
			p.fail("the pattern is not valid: %v", err)
		}
		return like{field, pattern}
	}
	return like{field, regexp.MustCompile(regexp.QuoteMeta(p.value()))}
}

// until reads what is between two delimiters. A backslash takes the next character as it is.
func (p *parser) until(delimiter byte) string {
	p.at++
	from := p.at
	for ; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case delimiter:
			p.at++
			return p.text[from : p.at-1]
		}
	}
	p.fail("%c is missing", delimiter)
	return ""
}

// value reads a text between quotes, or a number. AWS does not document escapes in a text, so a backslash is refused: our
// own queries must not need one.
func (p *parser) value() string {
	p.space()
	if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
		text := p.until(p.text[p.at])
		if strings.ContainsRune(text, '\\') {
			p.fail("a text with a backslash")
		}
		return text
	}
	word := p.word()
	if _, err := strconv.ParseFloat(word, 64); err != nil && word != "true" && word != "false" {
		p.fail("%s is no value: a text has quotes", word)
	}
	return word
}
