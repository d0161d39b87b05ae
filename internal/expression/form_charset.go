package expression

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// formType is the media type of a form.
const formType = "application/x-www-form-urlencoded"

// errNotInCharset: the sender's charset is not the one that it names, or it names none.
var errNotInCharset = errors.New("a text of the form is not UTF-8, and its Content-Type names no other charset")

var errNotUTF8 = errors.New("not UTF-8")

// formCharset returns how the texts of a form are decoded, by its Content-Type: UTF-8 where it names no charset. A form
// without a Content-Type is read, too. A Content-Type of another format is an error: a text in a JSON body may hold &.
func formCharset(contentType string) (func(text string) (string, error), error) {
	if contentType == "" {
		return fromUTF8, nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil { // of a parameter; then the charset is not known
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	if media != formType {
		return nil, fmt.Errorf("it is not a form (%s) by its Content-Type, which says another format; set the sender to a form", formType)
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
		return fromUTF8, nil
	case "iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252":
		return fromWindows1252, nil
	}
	return nil, errors.New("its charset, by its Content-Type, is not known; UTF-8, ISO-8859-1 and Windows-1252 are")
}

func fromUTF8(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errNotUTF8
	}
	return text, nil
}

// fromWindows1252 decodes a text of ISO-8859-1 or Windows-1252. As in browsers, ISO-8859-1 is Windows-1252: the two
// differ only in characters that ISO-8859-1 uses for control. Bytes that stand for no character become U+FFFD, which no
// key may hold.
func fromWindows1252(text string) (string, error) {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return charmap.Windows1252.NewDecoder().String(text)
		}
	}
	return text, nil
}
