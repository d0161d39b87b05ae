package signing

import (
	"slices"
	"strings"
)

// fieldPlaceholder is a {field:NAME} of the signed text. A field's name counts with its case.
func (s *Scheme) fieldPlaceholder(name string) (piece, error) {
	switch {
	case !isFieldName(name):
		return piece{}, bad("signed", "{field:%s} is no name of a field", name)
	case slices.Contains(s.spec.Field, name):
		return piece{}, bad("signed", "{field:%s} cannot sign itself", name)
	case s.holds(pieceField) && slices.ContainsFunc(s.signed, func(p piece) bool { return p.kind == pieceField && p.text == name }):
		return piece{}, bad("signed", "{field:%s} occurs twice", name)
	}
	return piece{kind: pieceField, text: name}, nil
}

// checkCanonical checks the fields that go with Canonical.
func (s *Scheme) checkCanonical() error {
	switch {
	case !slices.Contains(Canonicals(), s.spec.Canonical):
		return bad("canonical", "%q is not one of %s", s.spec.Canonical, strings.Join(Canonicals(), ", "))
	case s.spec.Signed != "":
		return bad("canonical", "stands beside signed; one of them says what is signed")
	case s.stamped:
		return bad("canonical", "signs no timestamp: anybody could renew it")
	}
	for _, name := range s.spec.Skip {
		if !isFieldName(name) {
			return bad("skip", "%q is no name of a field", name)
		}
	}
	return nil
}

// checkCovers compares Covers with what Signed covers, so that the author of a file states what is not signed. It runs
// after compileSigned.
func (s *Scheme) checkCovers() error {
	var signed []string
	for _, p := range s.signed {
		if p.kind == pieceField {
			signed = append(signed, p.text)
		}
	}
	if len(s.spec.Skip) > 0 && s.spec.Canonical == "" {
		return bad("skip", "goes with canonical; signed names its fields itself")
	}
	switch partly := s.CoversPart(); {
	case !partly && len(s.spec.Covers) > 0 && s.spec.Canonical != "":
		return bad("covers", "has no place beside canonical, which signs every value")
	case !partly && len(s.spec.Covers) > 0:
		return bad("covers", "has no place where signed holds no {field:…} or holds {body}, which signs every field")
	case partly && len(s.spec.Covers) == 0:
		return bad("covers", "is missing: signed does not hold {body}, so list the fields that it covers: [%s]", strings.Join(signed, ", "))
	case partly && !equalNames(s.spec.Covers, signed):
		return bad("covers", "[%s] is not what signed covers: [%s]", strings.Join(s.spec.Covers, ", "), strings.Join(signed, ", "))
	}
	return nil
}

// ReadsForm reports whether the scheme reads the body as a form.
func (s *Scheme) ReadsForm() bool {
	return len(s.spec.Field) > 0 || s.spec.Canonical != "" || s.holds(pieceField)
}

// CoversPart reports whether the signature covers only some fields of the form, which are then Spec.Covers.
func (s *Scheme) CoversPart() bool { return s.holds(pieceField) && !s.holds(pieceBody) }

// Neighbours returns the pairs of fields that Signed joins without a text between them. Characters that move from the end of
// the one to the beginning of the other leave the signature as it is.
func (s *Scheme) Neighbours() (pairs [][2]string) {
	for i := 1; i < len(s.signed); i++ {
		if a, b := s.signed[i-1], s.signed[i]; a.kind == pieceField && b.kind == pieceField {
			pairs = append(pairs, [2]string{a.text, b.text})
		}
	}
	return pairs
}

// SignatureFields returns the names of the fields that the signature cannot cover: those that carry it, and those that
// the canonical form leaves out.
func (s *Scheme) SignatureFields() []string { return slices.Concat(s.spec.Field, s.spec.Skip) }

// CoveredBody returns a form with those of its fields alone that the signature covers, each byte for byte, in their
// order. Anybody who has seen a delivery could change the others and send it again. A body that is signed as a whole
// stays as it is.
func (s *Scheme) CoveredBody(body []byte) []byte {
	if !s.CoversPart() && len(s.SignatureFields()) == 0 {
		return body
	}
	var covered []string
	for part := range strings.SplitSeq(string(body), "&") {
		if name, ok := nameOf(part); ok && s.covers(name) {
			covered = append(covered, part)
		}
	}
	return []byte(strings.Join(covered, "&"))
}

func (s *Scheme) covers(name string) bool {
	if s.CoversPart() {
		return slices.Contains(s.spec.Covers, name)
	}
	return !slices.Contains(s.spec.Field, name) && !slices.Contains(s.spec.Skip, name)
}

// equalNames reports whether two lists hold the same names, in any order.
func equalNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// isFieldName reports whether name can stand in a file as the name of a field: printable ASCII without braces.
func isFieldName(name string) bool {
	return name != "" && len(name) <= maxTemplateBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return notPrintable(r) || r == '{' || r == '}'
	})
}
