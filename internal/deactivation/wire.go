package deactivation

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// wireVersion is the version of both wire forms. A message of another version is invalid, never guessed at.
const wireVersion = 1

const kindEvent = "event"

// ErrInvalid is wrapped by every error of Parse: the text is not a message in our wire form.
var ErrInvalid = errors.New("deactivation: not a message of wire form v1")

// Event is an event that matters but could not be mapped. The dead-letter queue keeps it whole until a person has
// corrected the source's file or the order; then it can be mapped again (source.Source.Restore).
type Event struct {
	Source     string
	ID         string // the sender's event id
	ReceivedAt time.Time
	// Scheme names the scheme of the source's file that verified the event: the header that carries its signature, in
	// lower case, or "?" and the query parameter. "" in an event of an older version.
	Scheme  string
	Headers map[string]string // those that the source's file reads, without credentials
	Body    []byte            // as it was verified, never cut
	Order   []string          // the ids by which its order can be found; empty in an event of an older version
	Missing []string          // fields that every license lacked
}

type wireRequest struct {
	V          int        `json:"v"`
	Kind       string     `json:"kind,omitempty"` // "" in a request; "event" is not a request
	ID         string     `json:"id"`
	Action     string     `json:"action"`
	Source     string     `json:"source"`
	Origin     string     `json:"origin,omitempty"` // "" in a message of an older version
	Run        string     `json:"run,omitempty"`
	By         string     `json:"by,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	Cause      string     `json:"cause"`
	Rule       string     `json:"rule,omitempty"`
	Event      string     `json:"event,omitempty"`
	Order      []string   `json:"order,omitempty"`
	OccurredAt *time.Time `json:"occurred_at,omitempty"`
	ReceivedAt *time.Time `json:"received_at,omitempty"`
	Lookup     wireLookup `json:"lookup,omitzero"`
	Scope      string     `json:"scope,omitempty"`
	Products   []Product  `json:"products,omitempty"`
	Disable    bool       `json:"disable,omitempty"`
	Buyer      bool       `json:"buyer,omitempty"`
	Released   Release    `json:"released,omitzero"`

	RequestFile string `json:"request_file,omitempty"`
	wireLicense
}

// wireLicense is License without its methods, which print it shortened.
type wireLicense License

// wireLookup is Lookup without its methods, which leave out the e-mail address.
type wireLookup Lookup

// IsZero lets encoding/json leave out an empty one.
func (l wireLookup) IsZero() bool { return Lookup(l).IsZero() }

type wireEvent struct {
	V          int               `json:"v"`
	Kind       string            `json:"kind"`
	Source     string            `json:"source"`
	ID         string            `json:"event,omitempty"`
	ReceivedAt *time.Time        `json:"received_at,omitempty"`
	Scheme     string            `json:"scheme,omitempty"`
	Headers    map[string]string `json:"headers"`
	Body       []byte            `json:"body"`
	Order      []string          `json:"order,omitempty"`
	Missing    []string          `json:"missing,omitempty"`
}

// Wire returns the request's wire form v1. The request must be valid (Validate).
func (r Request) Wire() (string, error) { return marshal(r.wire()) }

func (r Request) wire() wireRequest {
	return wireRequest{
		V: wireVersion, ID: r.ID, Action: cmp.Or(r.Action, ActionDeactivateLicense), Source: r.Source,
		Origin: cmp.Or(r.Origin, OriginEvent), Run: r.Run, By: r.By, Comment: r.Comment, Cause: r.Cause, Rule: r.Rule, Event: r.Event,
		Order: r.Order, OccurredAt: wireTime(r.OccurredAt), ReceivedAt: wireTime(r.ReceivedAt),
		Lookup: wireLookup(r.Lookup), Scope: r.Scope, Products: r.Products, Disable: r.Disable, Buyer: r.Buyer,
		Released: r.Released.utc(), RequestFile: r.RequestFile, wireLicense: wireLicense(r.License),
	}
}

// Wire returns the wire form of an unmappable event.
func (e Event) Wire() (string, error) {
	return marshal(wireEvent{
		V: wireVersion, Kind: kindEvent, Source: e.Source, ID: e.ID, ReceivedAt: wireTime(e.ReceivedAt),
		Scheme: e.Scheme, Headers: e.Headers, Body: e.Body, Order: e.Order, Missing: e.Missing,
	})
}

// Parse reads a message's body: a Request, or an Event that a person put back without mapping it (then event is not nil
// and the request is empty). Unknown fields are ignored. Every error wraps ErrInvalid and says what is wrong without a
// value; the request is returned as far as it could be read, for its id and source.
func Parse(body string) (req Request, event *Event, err error) {
	var w wireRequest
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return Request{}, nil, fmt.Errorf("%w: %s", ErrInvalid, jsonProblem(err))
	}
	if w.V != wireVersion {
		return Request{}, nil, fmt.Errorf("%w: version %d is not known", ErrInvalid, w.V)
	}
	if w.Kind == kindEvent {
		return parseEvent(body)
	}
	if w.Kind != "" {
		return Request{}, nil, fmt.Errorf("%w: kind is not known", ErrInvalid)
	}
	req = Request{
		ID: w.ID, Action: w.Action, Source: w.Source, Origin: cmp.Or(w.Origin, OriginEvent), Run: w.Run, By: w.By, Comment: w.Comment,
		Cause: w.Cause, Rule: w.Rule, Event: w.Event, Order: w.Order,
		OccurredAt: timeOf(w.OccurredAt), ReceivedAt: timeOf(w.ReceivedAt),
		Lookup: Lookup(w.Lookup), Scope: w.Scope, Products: w.Products, Disable: w.Disable, Buyer: w.Buyer, Released: w.Released,
		RequestFile: w.RequestFile,
		License:     License(w.wireLicense),
	}
	if err := req.Validate(); err != nil {
		return req, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return req, nil, nil
}

func parseEvent(body string) (Request, *Event, error) {
	var w wireEvent
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return Request{}, nil, fmt.Errorf("%w: %s", ErrInvalid, jsonProblem(err))
	}
	return Request{}, &Event{
		Source: w.Source, ID: w.ID, ReceivedAt: timeOf(w.ReceivedAt), Scheme: w.Scheme, Headers: w.Headers, Body: w.Body,
		Order: w.Order, Missing: w.Missing,
	}, nil
}

// marshal is json.Marshal without the escaping of & < >, so that a person can read a dead letter.
func marshal(v any) (string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("deactivation: %w", err)
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// jsonProblem says why a text is not JSON, without quoting it: encoding/json quotes values.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var date *time.ParseError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("not JSON (at byte %d)", syntax.Offset)
	case errors.As(err, &kind):
		return "the field " + kind.Field + " has the wrong type"
	case errors.As(err, &date):
		return "a time is not written as RFC 3339, 2026-11-29T12:00:00Z"
	}
	return "not JSON"
}

func wireTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
