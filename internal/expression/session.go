package expression

import (
	"bytes"
	"encoding/xml"
	"regexp"
)

// sessionElement holds a live Salesforce session when the admin has ticked "Send Session ID". ReadXML drops its text,
// so that it cannot be mapped or logged.
const sessionElement = "SessionId"

// openSession finds a start tag of sessionElement with the text up to the next tag. It does not match an empty element.
var openSession = regexp.MustCompile(`(<(?:[^<>/:\s]+:)?` + sessionElement + `(?:\s(?:[^<>]*[^<>/])?)?>)[^<]+`)

// WithoutSession returns an XML body without the content of its SessionId elements. All other bytes stay, also the
// elements' own tags, so ReadXML reads the same. It is for a body that is kept: a session is a credential. Where the
// body stops being XML, the text after each further start tag of the element is removed.
func WithoutSession(body []byte) []byte {
	if !bytes.Contains(body, []byte(sessionElement)) {
		return body
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Entity = map[string]string{}
	var out []byte
	copied := 0            // how much of the body is in out, or was removed
	depth := 0             // nesting within a session's element; 0: outside
	var tagFrom, tagTo int // the session's start tag
	for {
		from := int(dec.InputOffset())
		token, err := dec.Token()
		if err != nil { // also at the end
			if depth > 0 {
				from = tagFrom
			}
			out = append(out, body[copied:from]...)
			return append(out, openSession.ReplaceAll(body[from:], []byte("$1"))...)
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch {
			case depth > 0:
				depth++
			case t.Name.Local == sessionElement:
				depth, tagFrom, tagTo = 1, from, int(dec.InputOffset())
			}
		case xml.EndElement:
			if depth--; depth == 0 {
				out, copied = append(out, body[copied:tagTo]...), from
			}
			depth = max(depth, 0)
		}
	}
}
