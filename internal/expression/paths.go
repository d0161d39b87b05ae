package expression

import (
	"slices"
	"strings"
)

// Paths lists the paths that an expression reads, such as `quantity` and `refunds[].quantity` of
// `sum(refunds[].quantity) >= quantity`, so that a person sees the values on which a condition was decided. It is only
// for display: go-jmespath does not export its syntax tree, so Paths scans the text, and leaves out a path that it
// cannot delimit. Paths to the right of a pipe or behind & are not read from the event, so it leaves them out, too.
func (e *Expression) Paths() []*Expression { return pathsOf(e.text) }

func pathsOf(text string) []*Expression {
	var paths []*Expression
	s := scanner{text: text}
	for s.at < len(text) {
		from, isPath := s.next()
		if !isPath {
			continue
		}
		path := text[from:s.at]
		if slices.ContainsFunc(paths, func(p *Expression) bool { return p.text == path }) {
			continue
		}
		if compiled, err := Compile(path); err == nil {
			paths = append(paths, compiled)
		}
	}
	return paths
}

// scanner scans an expression that compiles.
type scanner struct {
	text string
	at   int
}

// next steps over one part of the expression, and reports whether it is a path.
func (s *scanner) next() (from int, isPath bool) {
	from = s.at
	switch c := s.text[s.at]; {
	case c == '\'' || c == '`':
		s.quoted(c)
	case c == '@' || c == '*':
		s.at++
		s.chain()
		return from, true
	case c == '"' || isNameStart(c):
		s.name()
		if after := s.peek(); after == '(' || after == ':' { // a function, or a key of {…}
			return from, false
		}
		s.chain()
		return from, true
	case c == '[':
		if s.at++; strings.IndexByte("?*]-:0123456789", s.peek()) < 0 {
			return from, false // a list of expressions
		}
		s.at = from
		s.chain()
		return from, true
	case c == ')' || c == ']' || c == '}':
		s.at++
		s.chain() // on the result of a function
	case c == '|' || c == '&':
		s.at++
		if s.at < len(s.text) && s.text[s.at] == c {
			s.at++
			break
		}
		s.toEnd()
	default:
		s.at++
	}
	return from, false
}

// chain steps over what follows the start of a path: .name, .*, .[…], .{…}, .function(…) and […].
func (s *scanner) chain() {
	for {
		back := s.at
		switch s.peek() {
		case '[':
			s.skipSpace()
			s.brackets()
		case '.':
			s.skipSpace()
			s.at++
			s.skipSpace()
			switch c := s.peek(); {
			case c == '[' || c == '{':
				s.brackets()
			case c == '*':
				s.at++
			case c == '"' || isNameStart(c):
				s.name()
				if s.peek() == '(' {
					s.skipSpace()
					s.brackets()
				}
			}
		default:
			s.at = back
			return
		}
	}
}

// brackets steps over a bracket and what it encloses.
func (s *scanner) brackets() {
	depth := 0
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '\'', '`', '"':
			s.quoted(c)
			continue
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// toEnd steps to the comma or bracket that ends the enclosing expression.
func (s *scanner) toEnd() {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '\'', '`', '"':
			s.quoted(c)
		case '(', '[', '{':
			s.brackets()
		case ')', ']', '}', ',':
			return
		default:
			s.at++
		}
	}
}

// quoted steps over a quoted text, in which a backslash escapes the next character.
func (s *scanner) quoted(quote byte) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case quote:
			s.at++
			return
		}
	}
	s.at = len(s.text)
}

func (s *scanner) name() {
	if s.text[s.at] == '"' {
		s.quoted('"')
		return
	}
	for s.at < len(s.text) && (isNameStart(s.text[s.at]) || s.text[s.at] >= '0' && s.text[s.at] <= '9') {
		s.at++
	}
}

// peek is the next character that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for _, c := range []byte(s.text[min(s.at, len(s.text)):]) {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

func isNameStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
