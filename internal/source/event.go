package source

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"license-deactivator/internal/expression"
)

// maxRecords bounds the events of one delivery. The largest number that a sender documents is 100 (HubSpot, Salesforce).
const maxRecords = 500

// errNoObject: an event is null, a text, a number or a list.
var errNoObject = errors.New("an event in the body is not an object")

// Formats of a body, as in the file.
const (
	formatJSON = "json" // also when the file says none
	formatXML  = "xml"
	formatForm = "form"
)

// eventFields is where the events of a body are, and where their id, type and time are.
type eventFields struct {
	format  string                 // of the body
	records *expression.Expression // nil: the body is the one event
	id      value
	kind    value // the event's type
	at      value
	test    condition // the event is of the sender's test mode

	testLine int // of the file
}

// read decodes a verified body into its events; whole is the body itself. An event may be a value other than an object. Of
// a form, only the fields that the signature covers are read: anybody who has seen a delivery could change the others.
// An error means that the whole body is unreadable.
func (e eventFields) read(v Verified) (whole expression.Tree, events []expression.Tree, err error) {
	switch e.format {
	case formatXML:
		whole, err = expression.ReadXML(v.Body)
	case formatForm:
		whole, err = expression.ReadForm(v.coveredBody(), v.Header["content-type"])
	default:
		whole, err = expression.ReadJSON(v.Body)
	}
	if err != nil {
		return expression.Tree{}, nil, fmt.Errorf("the body cannot be read: %w", err)
	}
	if e.records == nil {
		if _, ok := whole.Exact.(map[string]any); !ok {
			return expression.Tree{}, nil, errors.New("the body cannot be read: it is not an object")
		}
		return whole, []expression.Tree{whole}, nil
	}
	events, err = e.records.Parts(whole)
	switch {
	case err != nil:
		return expression.Tree{}, nil, fmt.Errorf("the body cannot be read: %w", err)
	case events == nil:
		return expression.Tree{}, nil, fmt.Errorf("the body cannot be read: it has no %s", e.records)
	case len(events) > maxRecords:
		return expression.Tree{}, nil, fmt.Errorf("the body cannot be read: it holds more than %d events", maxRecords)
	}
	return whole, events, nil
}

// idOf returns the sender's own event id, or hashID without one. It returns hashID also with an error of the id.
func (e eventFields) idOf(f facts, index int, bodyHash func() string) (string, error) {
	id, err := e.id.find(f)
	if err == nil && id != "" {
		return id, nil
	}
	return e.hashID(index, bodyHash), err
}

// hashID is the SHA-256 of the body, with the event's index if a body may hold several.
func (e eventFields) hashID(index int, bodyHash func() string) string {
	if e.records != nil {
		return bodyHash() + "-" + strconv.Itoa(index)
	}
	return bodyHash()
}

// occurredAt reads the event's time: seconds, milliseconds or RFC 3339; without a zone it is UTC. It returns the zero
// time if there is none: the event is then never too old.
func (e eventFields) occurredAt(f facts) time.Time {
	at, err := e.at.find(f)
	if err != nil || at == "" {
		return time.Time{}
	}
	if number, err := strconv.ParseInt(at, 10, 64); err == nil {
		return unixTime(number)
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, at); err == nil && marshalable(t) {
			return t.UTC()
		}
	}
	return time.Time{}
}

// millisecondsFrom separates milliseconds from seconds: as seconds it is the year 5138, as milliseconds 1973.
const millisecondsFrom = 100_000_000_000

func unixTime(number int64) time.Time {
	t := time.Unix(number, 0)
	if number >= millisecondsFrom {
		t = time.UnixMilli(number)
	}
	if number < 0 || !marshalable(t) {
		return time.Time{}
	}
	return t.UTC()
}

// marshalable reports whether encoding/json can write the time: it refuses years beyond 9999.
func marshalable(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

// explain lists the event's id, type and time, if it has them.
func (e eventFields) explain(eventID string, f facts) []Fact {
	id := e.id.explain("id", f)
	if len(id) == 0 {
		id = []Fact{{"id", "", "the body's SHA-256"}}
	}
	id[0].Text = eventID
	about := append(id[:1:1], e.kind.explain("type", f)...)
	about = append(about, e.at.explain("time", f)...)
	if at := e.occurredAt(f); !at.IsZero() {
		about[len(about)-1].Text = at.Format(time.DateTime) + " UTC"
	}
	return about
}
