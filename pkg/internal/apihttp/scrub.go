package apihttp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// removed replaces a value of the request.
const removed = "[removed]"

// MaxTextRunes is how much of a server's text is kept, in characters: a line of a log.
const MaxTextRunes = 256

// minInnerBytes is the length from which a value is removed even inside a word. A shorter one ("hw1", "7") is removed
// only as a whole word: inside a word it cannot be recognised, and without those letters the text would be unreadable.
const minInnerBytes = 4

// minUnseparated is how many letters and digits a value needs to be removed with other separators, too. A license key
// has sixteen; a shorter value is too likely to occur across two words of a sentence.
const minUnseparated = 8

// minBase64 is the length from which Base64 of a value inside longer Base64 is removed, in characters: five bytes of the
// value.
const minBase64 = 7

// Scrubber removes the values of one request from a server's texts: an API may repeat a license key in its message, and
// net/http quotes what it could not read. It does no work until there is a text to scrub. A nil Scrubber has no values.
type Scrubber struct {
	Values        []string // the values to remove; "" is not a value
	Authorization string   // the request's header, whose signature, key or token is removed, too
}

// Scrub returns text without control characters and values, with at most MaxTextRunes characters.
func (s *Scrubber) Scrub(text string) string {
	text = clean(text) // first, so that a character inside a key does not hide it
	if hidden := s.find(text); hidden != nil {
		text = blank(text, hidden)
	}
	if utf8.RuneCountInString(text) > MaxTextRunes {
		text = string([]rune(text)[:MaxTextRunes-1]) + "…"
	}
	return text
}

// Keep returns text unchanged if it is printable, at most limit characters long and holds no value; otherwise "".
func (s *Scrubber) Keep(text string, limit int) string {
	if utf8.RuneCountInString(text) > limit || clean(text) != text || s.find(text) != nil {
		return ""
	}
	return text
}

// find marks the bytes of text that belong to a value, in any case; nil if none does.
func (s *Scrubber) find(text string) []bool {
	if s == nil {
		return nil
	}
	folded := fold(text) // as many bytes as text
	var hidden []bool
	for _, v := range spellings(append(credentials(s.Authorization), s.Values...)) {
		v = fold(clean(v))
		if v == "" {
			continue
		}
		done := 0 // marked so far for v: finds overlap
		for from := 0; ; from++ {
			i := strings.Index(folded[from:], v)
			if i < 0 {
				break
			}
			from += i
			if len(v) < minInnerBytes && insideWord(folded, from, from+len(v)) {
				continue
			}
			if hidden == nil {
				hidden = make([]bool, len(text))
			}
			for done = max(done, from); done < from+len(v); done++ {
				hidden[done] = true
			}
		}
	}
	return s.findUnseparated(folded, hidden)
}

// findUnseparated adds to hidden the values that a text spells with other separators or none, "AAAABBBB" or "AAAA BBBB"
// for "AAAA-BBBB": it compares only letters and digits. Values with fewer than minUnseparated of them are left out.
func (s *Scrubber) findUnseparated(folded string, hidden []bool) []bool {
	var bare strings.Builder
	var starts []int // for each byte of bare its position in folded
	for i, r := range folded {
		if isWord(r) {
			for n := range utf8.RuneLen(r) {
				starts = append(starts, i+n)
			}
			bare.WriteRune(r)
		}
	}
	for _, v := range append(credentials(s.Authorization), s.Values...) {
		v = wordsOnly(fold(clean(v)))
		if utf8.RuneCountInString(v) < minUnseparated {
			continue
		}
		done := 0 // marked so far for v, in folded: finds overlap
		for from := 0; ; from++ {
			i := strings.Index(bare.String()[from:], v)
			if i < 0 {
				break
			}
			from += i
			if hidden == nil {
				hidden = make([]bool, len(folded))
			}
			for done = max(done, starts[from]); done <= starts[from+len(v)-1]; done++ {
				hidden[done] = true
			}
		}
	}
	return hidden
}

// wordsOnly drops all characters but letters and digits.
func wordsOnly(text string) string {
	return strings.Map(func(r rune) rune {
		if isWord(r) {
			return r
		}
		return -1
	}, text)
}

// spellings adds to each value its form inside an encoded text: JSON with and without the escapes for HTML and for all
// but ASCII, an address, HTML, and Base64 of the value or of a longer text around it. A server that repeats the
// request's body repeats these forms.
func spellings(values []string) []string {
	var all []string
	for _, v := range values {
		plain, ascii := jsonText(v)
		for _, s := range append(base64Texts(v), v, plain, ascii, strings.ReplaceAll(ascii, "/", `\/`), htmlInJSON(plain), url.QueryEscape(v), url.PathEscape(v), html.EscapeString(v)) {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// base64Texts returns the Base64 forms of v, in both alphabets: of v itself, and the characters that depend only on v
// where it starts at the first, second or third byte of a group within a longer text.
func base64Texts(v string) []string {
	if v == "" {
		return nil
	}
	var all []string
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, encoding.EncodeToString([]byte(v)))
		for before := range 3 {
			text := encoding.EncodeToString(append(make([]byte, before), v...))
			first := (before*8 + 5) / 6       // the first character without a bit of the text before
			last := (before + len(v)) * 8 / 6 // the first with a bit of the text after
			if last-first >= minBase64 {
				all = append(all, text[first:last])
			}
		}
	}
	return all
}

// jsonText is the inside of a JSON string: as Go writes it without escapes for HTML, and in pure ASCII.
func jsonText(v string) (plain, ascii string) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return v, v
	}
	plain = strings.TrimSuffix(strings.TrimSpace(out.String())[1:], `"`)
	var narrow strings.Builder
	for _, r := range plain {
		switch {
		case r < utf8.RuneSelf:
			narrow.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&narrow, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&narrow, `\u%04x`, r)
		}
	}
	return plain, narrow.String()
}

// htmlInJSON is plain with encoding/json's escapes for HTML.
func htmlInJSON(plain string) string {
	return strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(plain)
}

func blank(text string, hidden []bool) string {
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(removed)
		}
	}
	return out.String()
}

// insideWord reports whether text[from:to] touches a letter or a digit.
func insideWord(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return isWord(before) || isWord(after)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// clean drops characters that do not print and makes the text valid UTF-8. Letters and marks of every language stay.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}

// fold turns letters into lower case where that does not change their length, so that positions in both texts are the
// same.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if small := unicode.ToLower(r); utf8.RuneLen(small) == utf8.RuneLen(r) {
			return small
		}
		return r
	}, text)
}

// credentials lists the parts of an Authorization header that are removed: signature and API key, or the token.
func credentials(authorization string) []string {
	parts := strings.Split(authorization, `"`) // name=, value, ,name=, value …
	if len(parts) == 1 {
		_, token, _ := strings.Cut(authorization, " ")
		return []string{authorization, token}
	}
	values := []string{authorization}
	for i := 1; i < len(parts); i += 2 {
		if strings.HasSuffix(parts[i-1], "signature=") || strings.HasSuffix(strings.ToLower(parts[i-1]), "apikey=") {
			values = append(values, parts[i])
		}
	}
	return values
}
