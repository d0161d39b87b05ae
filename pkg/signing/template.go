package signing

import (
	"slices"
	"strings"
)

// maxTemplateBytes bounds a form and a template of the signed text; the longest known one has 40 bytes.
const maxTemplateBytes = 256

// Placeholders. A name after "field:" names a field of the form, every other name in braces a header.
const (
	holdsTimestamp = "timestamp"
	holdsSignature = "signature"
	holdsSecret    = "secret"
	holdsBody      = "body"
	holdsMethod    = "method"
	holdsURL       = "url"
	holdsField     = "field:"
)

// piece is one segment of the signed text.
type piece struct {
	kind pieceKind
	text string // the literal, the header's name in lower case, or the field's name
}

type pieceKind int

const (
	pieceText pieceKind = iota
	pieceBody
	pieceTimestamp
	pieceMethod
	pieceURL
	pieceHeader
	pieceField
	pieceSecret
)

// compileSigned parses the template of the signed text. It runs after checkTimestamp.
func (s *Scheme) compileSigned() error {
	if s.spec.MAC == macNone {
		if s.spec.Signed != "" || s.spec.Canonical != "" {
			return bad("signed", "nothing is signed without a mac")
		}
		return nil
	}
	if s.spec.Canonical != "" {
		return s.checkCanonical()
	}
	if len(s.spec.Signed) > maxTemplateBytes {
		return bad("signed", "longer than %d bytes", maxTemplateBytes)
	}
	if strings.ContainsRune(s.spec.Signed, 0) {
		return bad("signed", "holds a zero byte")
	}
	for rest := s.spec.Signed; rest != ""; {
		text, after, braced := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return bad("signed", "a } without its {")
		}
		if text != "" {
			s.signed = append(s.signed, piece{kind: pieceText, text: text})
		}
		if !braced {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return bad("signed", "a { without its }")
		}
		p, err := s.placeholder(name)
		if err != nil {
			return err
		}
		s.signed = append(s.signed, p)
		rest = after
	}
	if !s.holds(pieceBody) && !s.holds(pieceField) {
		return bad("signed", "does not hold {body}: anybody could change it")
	}
	if s.stamped && !s.holds(pieceTimestamp) {
		return bad("signed", "does not hold {timestamp}: anybody could renew it")
	}
	return nil
}

func (s *Scheme) placeholder(name string) (piece, error) {
	if field, ok := strings.CutPrefix(name, holdsField); ok {
		return s.fieldPlaceholder(field)
	}
	name = strings.ToLower(name)
	switch {
	case name == holdsBody && len(s.spec.Field) > 0:
		return piece{}, bad("signed", "{body} holds the signature itself; name the signed fields, as in {field:ORDER_ID}")
	case name == holdsBody:
		return piece{kind: pieceBody}, nil
	case name == holdsSecret:
		return piece{kind: pieceSecret}, nil // checkMAC says with which mac
	case name == holdsMethod:
		return piece{kind: pieceMethod}, nil
	case name == holdsURL && s.spec.Query != "":
		return piece{}, bad("signed", "{url} holds the signature itself")
	case name == holdsURL:
		return piece{kind: pieceURL}, nil
	case name == holdsTimestamp && !s.stamped:
		return piece{}, bad("signed", "{timestamp} stands nowhere else")
	case name == holdsTimestamp, s.spec.Timestamp != "" && name == s.spec.Timestamp:
		return piece{kind: pieceTimestamp}, nil
	case name == holdsSignature, slices.Contains(s.spec.Header, name):
		return piece{}, bad("signed", "{%s} cannot sign itself", name)
	case !isToken(name):
		return piece{}, bad("signed", "{%s} is no name of a header", name)
	}
	return piece{kind: pieceHeader, text: name}, nil
}

func (s *Scheme) holds(kind pieceKind) bool {
	return slices.ContainsFunc(s.signed, func(p piece) bool { return p.kind == kind })
}

// inValue reports whether a timestamp, hexadecimal text or base64 text may hold r.
func inValue(r rune) bool {
	return isAlphanumeric(r) || strings.ContainsRune("+/=", r)
}

// isToken reports whether name is a header's name: RFC 9110, section 5.6.2.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }
