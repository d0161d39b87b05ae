package signing

import "strings"

// formPart is one part of a form: text, then {timestamp} or the proof, which is {signature} or {secret}.
type formPart struct {
	prefix string
	stamp  bool
}

// compileForm splits the form into its parts, in the order in which a part of a value is matched: those with a text,
// then a bare {timestamp}, then a bare proof.
func (s *Scheme) compileForm() error {
	if s.spec.Form == "" || len(s.spec.Form) > maxTemplateBytes || strings.ContainsFunc(s.spec.Form, notPrintable) {
		return bad("form", "empty, longer than %d bytes or not printable ASCII", maxTemplateBytes)
	}
	s.stamped = strings.Contains(s.spec.Form, "{"+holdsTimestamp+"}")
	proof := holdsSignature
	if s.spec.MAC == macNone {
		proof = holdsSecret
	}

	parts := []string{s.spec.Form}
	if s.spec.Separator != "" {
		parts = strings.Split(s.spec.Form, s.spec.Separator)
	}
	stamps, proofs := 0, 0
	for _, part := range parts {
		prefix, name, ok := cutPlaceholder(part)
		switch {
		case !ok:
			return bad("form", "each part is text and then one placeholder at its end")
		case name == proof:
			proofs++
		case name == holdsTimestamp:
			stamps++
		default:
			return bad("form", "{%s} has no place in it with mac %q", name, s.spec.MAC)
		}
		s.form = append(s.form, formPart{prefix: prefix, stamp: name == holdsTimestamp})
	}
	if proofs != 1 || stamps > 1 {
		return bad("form", "must hold {%s} once, and {timestamp} once at most", proof)
	}

	if len(s.form) == 2 && s.form[1].rank() < s.form[0].rank() {
		s.form[0], s.form[1] = s.form[1], s.form[0]
	}
	return s.checkParts()
}

// checkParts refuses what is ambiguous: a separator that a value may hold, a text that may be the start of a value, and
// a text with which the other text starts.
func (s *Scheme) checkParts() error {
	if s.spec.Separator == "" {
		return nil
	}
	if s.spec.MAC == macNone {
		return bad("separator", "a secret is never split")
	}
	if strings.ContainsFunc(s.spec.Separator, inValue) || strings.ContainsFunc(s.spec.Separator, notPrintable) {
		return bad("separator", "%q may stand within a signature", s.spec.Separator)
	}
	for _, part := range s.form {
		if part.prefix != "" && inValue(rune(part.prefix[len(part.prefix)-1])) && !strings.HasSuffix(part.prefix, "=") {
			return bad("form", "the text %q before a placeholder must end in a mark such as =", part.prefix)
		}
	}
	if len(s.form) == 2 && s.form[1].prefix != "" && (strings.HasPrefix(s.form[0].prefix, s.form[1].prefix) ||
		strings.HasPrefix(s.form[1].prefix, s.form[0].prefix)) {
		return bad("form", "the text of one part begins that of the other")
	}
	return nil
}

func (p formPart) rank() int {
	switch {
	case p.prefix != "":
		return 0
	case p.stamp:
		return 1
	}
	return 2
}

// cutPlaceholder splits "text{name}".
func cutPlaceholder(part string) (text, name string, ok bool) {
	text, name, _ = strings.Cut(part, "{")
	name, ok = strings.CutSuffix(name, "}")
	return text, name, ok && !strings.ContainsAny(text+name, "{}")
}
