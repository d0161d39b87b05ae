package deactivation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Row is one request as a person or a script writes it, in a direct invocation or in a file: the License API's fields,
// and the reason. Read it with ReadRow.
type Row struct {
	ID         string    `json:"id"`     // "": made from the content
	Action     string    `json:"action"` // "": ActionDeactivateLicense
	Cause      string    `json:"cause"`  // "": CauseManual
	Event      string    `json:"event"`
	Order      OrderIDs  `json:"order"`
	OccurredAt time.Time `json:"occurred_at"`
	Disable    bool      `json:"disable"` // with look-up: disable the license, too. Never unless the row says so

	RequestFile string `json:"request_file"` // the text of a .req file, with an offline action
	License

	letter *Request // of a row that is the body of a dead letter; then the fields above are empty
}

// ReadRow reads a row from a JSON object. Every error is a *FieldError that holds no value. An unknown field is an
// error, also when only its capitals differ from a known one: a mistyped license_id must not widen what is deactivated.
//
// The body of a dead letter, a request in its wire form, is a row too: an object with the field "v".
func ReadRow(raw []byte) (Row, error) {
	isLetter, err := checkRowFields(raw)
	if err != nil {
		return Row{}, err
	}
	if isLetter {
		return readLetter(raw)
	}
	return ReadKnownFields(raw)
}

// ReadKnownFields is ReadRow for an object that the caller has made itself: each of its fields is a row's, and there once. It
// does not check that.
func ReadKnownFields(raw []byte) (Row, error) {
	var r Row
	if err := json.Unmarshal(raw, &r); err != nil {
		return Row{}, rowError(err)
	}
	return r, nil
}

// readLetter reads a row that is the body of a dead letter.
func readLetter(raw []byte) (Row, error) {
	request, event, err := Parse(string(raw))
	switch field, ok := errors.AsType[*FieldError](err); {
	case ok:
		return Row{}, field
	case err != nil:
		return Row{}, &FieldError{CodeInvalidField, "v", strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": ")}
	case event != nil:
		return Row{}, &FieldError{CodeInvalidField, "kind", "is an event that names no license; ask for its license by product, license_key and hardware_id"}
	}
	return Row{letter: &request}, nil
}

// IsLetter reports whether the row is the body of a dead letter.
func (r Row) IsLetter() bool { return r.letter != nil }

// Request returns the row as a request of a source, received at the given time. It sets the origin, the cause and the
// id, and checks nothing: see Request.Validate. The body of a dead letter keeps everything but its origin: its id and
// source too, so that the log shows one request.
func (r Row) Request(source string, receivedAt time.Time) Request {
	if r.letter != nil {
		request := *r.letter
		request.Origin = OriginDirect
		return request
	}
	request := Request{
		ID: r.ID, Action: r.Action, Source: source, Origin: OriginDirect, Cause: r.Cause, Event: r.Event, Order: r.Order,
		OccurredAt: r.OccurredAt, ReceivedAt: receivedAt, Disable: r.Disable, RequestFile: r.RequestFile, License: r.License,
	}
	if request.Cause == "" {
		request.Cause = CauseManual
	}
	if request.ID == "" {
		request.ID = contentID(request)
	}
	return request
}

// contentIDLength is how much of the SHA-256 an id from the content keeps: 128 bits, in hexadecimal digits.
const contentIDLength = 32

// contentID is the id of a row without one: the same for the same content, at any time.
func contentID(r Request) string {
	r.ID, r.ReceivedAt = "", time.Time{}
	r.Password, r.IDToken, r.Code = "", "", "" // an id is logged, and a hash of a password could be guessed
	wire := r.wire()
	wire.Origin, wire.Run, wire.By, wire.Comment = "", "", "", "" // the same row has the same id in every run, whoever asks, and in releases without an origin
	content, _ := marshal(wire)                                   // a row that cannot be written is refused later, with any id
	sum := sha256.Sum256([]byte(content))
	return r.Source + "." + hex.EncodeToString(sum[:])[:contentIDLength]
}

// rowError describes why a row cannot be read. The texts of encoding/json quote values, so rowError uses only the
// field's name from them.
func rowError(err error) *FieldError {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && kind.Field != "" {
		field := kind.Field[strings.LastIndex(kind.Field, ".")+1:]
		return &FieldError{CodeInvalidField, field, "has the wrong type; keys and ids are texts"}
	}
	return &FieldError{CodeInvalidField, "request", "is not an object of the License API's fields"}
}

// isRowField reports whether a row has the field. encoding/json alone would accept "LICENSE_KEY" for license_key.
func isRowField(name string) bool {
	switch name {
	case "id", "action", "cause", "event", "order", "occurred_at", "disable", "request_file",
		"product", "license_key", "username", "password", "id_token", "code", "customer_account_code", "license_id",
		"bundle_code", "hardware_id", "sdk_ver", "consumptions", "variables", "is_vm", "vm_info", "os_ver", "hostname",
		"os_hostname", "ip", "ip_local", "app_ver", "mac_address":
		return true
	}
	return false
}

// plainName returns a field's name if an error may quote it.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// isLetterField reports whether the body of a dead letter has the field beside those of a row.
func isLetterField(name string) bool {
	switch name {
	case "v", "kind", "source", "origin", "run", "by", "comment", "rule", "received_at", "lookup", "scope", "products", "buyer", "released",
		"headers", "body", "scheme", "missing": // the last four of an event
		return true
	}
	return false
}

// checkRowFields refuses unknown and repeated fields, and reports whether the row is the body of a dead letter.
func checkRowFields(raw []byte) (isLetter bool, err error) {
	fields, err := ReadFields(raw, func(name string) bool { return isRowField(name) || isLetterField(name) })
	if errors.Is(err, errNotObject) {
		return false, nil // it has no fields; reading it into a Row reports that
	}
	if _, isLetter = fields["v"]; isLetter || err != nil {
		return isLetter, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !isRowField(name) {
			return false, unknownField(name)
		}
	}
	return false, nil
}

func unknownField(name string) *FieldError {
	return &FieldError{CodeInvalidField, name, "is not a known field"}
}

var errNotObject = errors.New("deactivation: not a JSON object")

// ReadFields reads a JSON object's fields. It returns a *FieldError for a field that isField does not know, and for one
// that appears twice: JSON parsers differ in which of the two counts. Any other error means that raw is not a JSON
// object.
func ReadFields(raw []byte, isField func(name string) bool) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotObject
	}
	fields := make(map[string]json.RawMessage)
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return nil, errNotObject
		}
		name, _ := key.(string) // every key of an object is a text
		why := ""
		if _, twice := fields[name]; twice {
			why = "appears twice"
		}
		if !isField(name) {
			why = "is not a known field"
		}
		if why != "" {
			if !plainName.MatchString(name) {
				name = "request"
			}
			return nil, &FieldError{CodeInvalidField, name, why}
		}
		fields[name] = value
	}
	return fields, nil
}

// OrderIDs are the ids of an order. In JSON they are a text, a whole number, or a list of both; null and empty texts
// are left out.
type OrderIDs []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *OrderIDs) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return err
	}
	items, isList := value.([]any)
	if !isList {
		items = []any{value}
	}
	*o = nil
	for _, item := range items {
		id, ok := orderID(item)
		if !ok {
			return &json.UnmarshalTypeError{Field: "order"}
		}
		if id != "" {
			*o = append(*o, id)
		}
	}
	return nil
}

func orderID(value any) (id string, ok bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), !strings.ContainsAny(v.String(), ".eE")
	}
	return "", false
}
