package expression

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
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

// windows1252 are the characters of Windows-1252's bytes 0x80 to 0x9F; U+FFFD where it has none. All other bytes are the
// character of the same number. https://encoding.spec.whatwg.org/index-windows-1252.txt
//
// golang.org/x/text/encoding/charmap has it, too, and with it the tables of 40 other charsets: 88 KB of the webhook
// function. form_charset_test.go holds the two equal.
const windows1252 = "\u20AC\uFFFD\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\uFFFD\u017D\uFFFD" +
	"\uFFFD\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\uFFFD\u017E\u0178"

// fromWindows1252 decodes a text of ISO-8859-1 or Windows-1252. As in browsers, ISO-8859-1 is Windows-1252: the two
// differ only in characters that ISO-8859-1 uses for control. Bytes that stand for no character become U+FFFD, which no
// key may hold.
func fromWindows1252(text string) (string, error) {
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return text, nil
	}
	high := []rune(windows1252)
	var out strings.Builder
	for i := range len(text) {
		switch b := text[i]; {
		case b >= 0x80 && b < 0xA0:
			out.WriteRune(high[b-0x80])
		default:
			out.WriteRune(rune(b))
		}
	}
	return out.String(), nil
}
