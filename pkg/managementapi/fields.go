package managementapi

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// fields are the fields of a record as received, by their folded names. Records are read leniently, since the
// documentation, the vendor's SDKs and the samples differ: a name may lack its underscores or have another case (the
// vendor's own SDK misspells a tag), a number may be a text, and anything may be null. Fields that are null are left
// out.
type fields map[string]json.RawMessage

// isObject reports whether a reply is a JSON object, whatever it holds.
func isObject(reply []byte) bool {
	reply = withoutMark(reply)
	return json.Valid(reply) && bytes.HasPrefix(bytes.TrimLeft(reply, " \t\r\n"), []byte("{"))
}

// parseFields reads an object. ok is false for anything else, also for null and no input, and for an object with two
// different values under one name, folded or not, which is ambiguous: encoding/json would take the last one.
func parseFields(raw json.RawMessage) (f fields, ok bool) {
	raw = withoutMark(raw)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') || !json.Valid(raw) {
		return nil, false
	}
	f = fields{}
	asReceived := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		name, isText := token.(string)
		var value json.RawMessage
		if err != nil || !isText || decoder.Decode(&value) != nil {
			return nil, false
		}
		if other, twice := asReceived[name]; twice && !bytes.Equal(other, value) {
			return nil, false
		}
		asReceived[name] = value
		if string(value) == "null" {
			continue
		}
		name = folded(name)
		if other, twice := f[name]; twice && !bytes.Equal(other, value) {
			return nil, false
		}
		f[name] = value
	}
	return f, true
}

// get returns the first of the names that the record has, or nil.
func (f fields) get(names ...string) json.RawMessage {
	for _, name := range names {
		if raw, ok := f[folded(name)]; ok {
			return raw
		}
	}
	return nil
}

// folded is a name in lower case, without underscores and hyphens.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// text returns a text, or the digits of a number; "" for anything else.
func (f fields) text(names ...string) string {
	raw := f.get(names...)
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	return ""
}

// id returns a whole number, written as a number or as a text; 0 for anything else.
func (f fields) id(names ...string) int64 {
	n, err := strconv.ParseInt(f.text(names...), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// count returns a whole number of 0 or more, or absent.
func (f fields) count(name string, absent int) int {
	n, err := strconv.ParseInt(f.text(name), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return absent
	}
	return int(n)
}

// boolean returns true or false, written as a boolean, as a text or as 1 or 0. known is false for anything else.
func (f fields) boolean(names ...string) (value, known bool) {
	raw := f.get(names...)
	if json.Unmarshal(raw, &value) == nil {
		return value, true
	}
	value, err := strconv.ParseBool(strings.ToLower(f.text(names...)))
	return value, err == nil
}

// timeForms are the forms of a time: those of the samples and of the License API, and the zones that ISO 8601 allows. A
// time without a zone is UTC.
func timeForms() []string {
	return []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05Z07",
	}
}

// time returns a time, or zero if the record has none. ok is false for a value that is no time: the record must not pass
// for one without it, since a license that was made or given back after an event would look like any other.
func (f fields) time(name string) (at time.Time, ok bool) {
	raw := f.get(name)
	if raw == nil || string(raw) == `""` {
		return time.Time{}, true
	}
	text := f.text(name)
	for _, form := range timeForms() {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}
