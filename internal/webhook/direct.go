package webhook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/telemetry"
)

// Limits of a direct invocation. Lambda bounds the payload and the answer at 6 MB each.
const (
	maxRows        = 100_000      // more would not fit into the answer, one line each
	maxAnswerBytes = 6<<20 - 4096 // Lambda's limit, with room for its envelope
)

const codeNotEnqueued = "not_enqueued"

// directAnswer is the answer to a direct invocation. Rejected rows are named by their index in the request.
type directAnswer struct {
	Accepted int           `json:"accepted"`
	IDs      []string      `json:"ids"`
	Rejected []rejectedRow `json:"rejected"`
}

type rejectedRow struct {
	Index   int    `json:"index"`
	Code    string `json:"code"` // missing_field, invalid_field, conflicting_identity, not_enqueued
	Message string `json:"message"`
}

// row is one request of a direct invocation: the License API's fields, and what is known about why.
type row struct {
	ID         string     `json:"id"`
	Action     string     `json:"action"`
	Cause      string     `json:"cause"` // "": manual
	Event      string     `json:"event"`
	Order      textOrList `json:"order"`
	OccurredAt time.Time  `json:"occurred_at"`
	deactivation.License
}

// invokeDirectly takes requests from people and scripts that may invoke the function. A bad row never stops the
// others; an error means that nothing was enqueued.
func (h *Handler) invokeDirectly(ctx context.Context, source string, requests json.RawMessage) ([]byte, error) {
	if !sourceName.MatchString(source) {
		return nil, errors.New(`webhook: "source" is missing or no name (small letters, digits and hyphens, at most 32); say who asks, "ops" for example`)
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(requests, &rows); err != nil || rows == nil {
		return nil, errors.New(`webhook: "requests" must be a list of objects`)
	}
	if len(rows) > maxRows {
		return nil, fmt.Errorf("webhook: %d requests in one invocation; send at most %d, nothing was enqueued", len(rows), maxRows)
	}
	answer := directAnswer{IDs: []string{}, Rejected: []rejectedRow{}}
	var entries []queue.Entry
	var ids []string
	var index []int // of each entry: the row's
	now, known := h.Now(), rowNames()
	for i, raw := range rows {
		e, id, err := readRow(raw, source, now, known)
		if err != nil {
			answer.Rejected = append(answer.Rejected, rejectedRow{i, err.Code, err.Error()})
			continue
		}
		entries, ids, index = append(entries, e), append(ids, id), append(index, i)
	}
	sendCtx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	failed := map[int]bool{}
	for _, f := range h.Queue.Send(sendCtx, entries) {
		failed[f.Index] = true
		answer.Rejected = append(answer.Rejected, rejectedRow{index[f.Index], codeNotEnqueued, "the queue did not take it; send it again"})
	}
	for i, id := range ids {
		if !failed[i] {
			answer.IDs = append(answer.IDs, id)
		}
	}
	answer.Accepted = len(answer.IDs)
	slices.SortFunc(answer.Rejected, func(a, b rejectedRow) int { return a.Index - b.Index })
	h.record(ctx, answer.line(source))
	return answer.marshal()
}

// line is the invocation's log line.
func (a directAnswer) line(source string) telemetry.Delivery {
	line := telemetry.Delivery{Source: source, Answer: deactivation.Accepted, Requests: a.IDs}
	if len(a.Rejected) > 0 {
		line.Problem = fmt.Sprintf("%d of the requests were rejected, the first with %s", len(a.Rejected), a.Rejected[0].Code)
		if len(a.IDs) == 0 {
			line.Answer = deactivation.Refused
		}
	}
	return line
}

// marshal leaves the messages out where the answer would be larger than Lambda passes on; the codes stay.
func (a directAnswer) marshal() ([]byte, error) {
	out, err := json.Marshal(a)
	if err != nil || len(out) <= maxAnswerBytes {
		return out, err
	}
	for i := range a.Rejected {
		a.Rejected[i].Message = ""
	}
	return json.Marshal(a)
}

// readRow makes a message of a row.
func readRow(raw json.RawMessage, source string, now time.Time, known map[string]bool) (queue.Entry, string, *deactivation.FieldError) {
	var r row
	if problem := checkNames(raw, known); problem != nil {
		return queue.Entry{}, "", problem
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return queue.Entry{}, "", rowProblem(err)
	}
	request := deactivation.Request{
		ID: r.ID, Action: r.Action, Source: source, Cause: r.Cause, Event: r.Event, Order: r.Order,
		OccurredAt: r.OccurredAt, ReceivedAt: now, License: r.License,
	}
	if request.Cause == "" {
		request.Cause = deactivation.CauseManual
	}
	if request.ID == "" {
		request.ID = contentID(request)
	}
	var problem *deactivation.FieldError
	if err := cmp.Or(request.Validate(), request.CheckSendable()); errors.As(err, &problem) {
		return queue.Entry{}, "", problem
	}
	e, err := entry(request)
	if err != nil {
		return queue.Entry{}, "", &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request", Why: "cannot be written as JSON"}
	}
	return e, request.ID, nil
}

// rowProblem says what is wrong with a row that cannot be read. encoding/json's own words quote values, so only the
// field's name is taken from them.
func rowProblem(err error) *deactivation.FieldError {
	var kind *json.UnmarshalTypeError
	field, why := "request", "is not an object of the License API's fields"
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		field, why = kind.Field[strings.LastIndex(kind.Field, ".")+1:], "has the wrong type; keys and ids are texts"
	}
	return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: field, Why: why}
}

// rowNames are the fields that a row may have, as they are written: encoding/json would take "LICENSE_KEY" for
// license_key.
func rowNames() map[string]bool {
	names := map[string]bool{}
	for _, kind := range []reflect.Type{reflect.TypeFor[row](), reflect.TypeFor[deactivation.License]()} {
		for i := range kind.NumField() {
			if name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ","); name != "" {
				names[name] = true
			}
		}
	}
	return names
}

// plainName is a field's name that may be repeated in an answer.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// checkNames refuses a field that a request does not have: a mistyped license_id must not widen what is deactivated.
func checkNames(raw json.RawMessage, known map[string]bool) *deactivation.FieldError {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields) // a row that is no object has no fields, and reading it says so
	for name := range fields {
		if known[name] {
			continue
		}
		if !plainName.MatchString(name) {
			name = "request"
		}
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: name, Why: "is not a field that a request has"}
	}
	return nil
}

// contentIDLength is how much of the SHA-256 an id made from the content keeps: 128 bits, in hexadecimal digits.
const contentIDLength = 32

// contentID is the id of a row that has none: the same for the same content, whenever it is sent.
func contentID(r deactivation.Request) string {
	r.ID, r.ReceivedAt = "", time.Time{}
	r.Password, r.IDToken, r.Code = "", "", "" // an id is logged, and a hash of a password could be guessed
	content, _ := r.Wire()                     // what cannot be written is refused later, whatever its id
	sum := sha256.Sum256([]byte(content))
	return r.Source + "." + hex.EncodeToString(sum[:])[:contentIDLength]
}

// textOrList reads a text, a whole number, or a list of them.
type textOrList []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *textOrList) UnmarshalJSON(raw []byte) error {
	tree, err := decodeJSON(raw)
	if err != nil {
		return err
	}
	*t = nil
	for _, item := range list(tree.exact) {
		one, err := scalar(item)
		if err != nil {
			return &json.UnmarshalTypeError{Field: "order"}
		}
		if one != "" {
			*t = append(*t, one)
		}
	}
	return nil
}
