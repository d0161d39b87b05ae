package expression

import "strings"

// Equality is one comparison `left == right` of an expression. Both sides are null on an event that has neither, and
// null == null is true.
type Equality struct {
	Left, Right *Expression
	// In is the condition that the comparison is part of: the expression itself, or that of the innermost filter
	// `[? … ]` around it. All three read the same value, an event or an item of the filtered list.
	In *Expression
}

// Equalities lists the comparisons with == of an expression. Like Paths it scans the text, and leaves out what it cannot
// delimit.
func (e *Expression) Equalities() []Equality {
	var found []Equality
	equalities(e.text, e.text, func(left, right, in string) {
		l, err := Compile(left)
		r, rightErr := Compile(right)
		i, inErr := Compile(in)
		if err == nil && rightErr == nil && inErr == nil {
			found = append(found, Equality{l, r, i})
		}
	})
	return found
}

// equalities calls add for the comparisons in a text, which is the condition `in` or a bracket of it.
func equalities(text, in string, add func(left, right, in string)) {
	s := scanner{text: text}
	operand := 0 // where the operand under way begins
	for s.at < len(text) {
		from := s.at
		switch {
		case s.isComparison():
			s.at += 2
			right := scanner{text: text, at: s.at}
			right.operand()
			add(strings.TrimSpace(text[operand:from]), strings.TrimSpace(text[s.at:right.at]), in)
			operand = s.at
		case s.endsOperand():
			s.at++
			operand = s.at
		case strings.IndexByte("([{", text[from]) >= 0:
			s.brackets()
			switch inner := text[from+1 : max(s.at-1, from+1)]; {
			case text[from] == '[' && strings.HasPrefix(inner, "?"):
				equalities(inner[1:], inner[1:], add)
			default:
				equalities(inner, in, add)
			}
		default:
			s.step()
		}
	}
}

func (s *scanner) isComparison() bool { return strings.HasPrefix(s.text[s.at:], "==") }

// endsOperand reports whether an operand of a comparison cannot go on here.
func (s *scanner) endsOperand() bool { return strings.IndexByte(",&|!<>=", s.text[s.at]) >= 0 }

// operand steps to the end of an operand.
func (s *scanner) operand() {
	for s.at < len(s.text) && !s.endsOperand() {
		s.step()
	}
}

// step steps over a quoted text, a bracket with what it encloses, or one character.
func (s *scanner) step() {
	switch c := s.text[s.at]; c {
	case '\'', '`', '"':
		s.quoted(c)
	case '(', '[', '{':
		s.brackets()
	default:
		s.at++
	}
}

// Literals lists the texts in quotes of an expression: 'raw' ones, and `JSON` ones as they are written.
func (e *Expression) Literals() (texts, jsons []string) {
	s := scanner{text: e.text}
	for s.at < len(e.text) {
		from := s.at
		c := e.text[from]
		if c != '\'' && c != '`' && c != '"' {
			s.at++
			continue
		}
		s.quoted(c)
		inner := e.text[from+1 : max(s.at-1, from+1)]
		switch c {
		case '\'':
			texts = append(texts, strings.ReplaceAll(inner, `\'`, "'"))
		case '`':
			jsons = append(jsons, strings.ReplaceAll(inner, "\\`", "`"))
		}
	}
	return texts, jsons
}
