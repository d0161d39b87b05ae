package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/signing"
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

// invokeDirectly takes requests from people and scripts that may invoke the function. A bad row never stops the
// others; an error means that nothing was enqueued.
func (h *Handler) invokeDirectly(ctx context.Context, source string, requests json.RawMessage) ([]byte, error) {
	if !deactivation.IsSourceName(source) {
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
	var messages []message
	now := h.Now()
	for i, raw := range rows {
		m, err := readRow(raw, source, now, i)
		if err != nil {
			answer.Rejected = append(answer.Rejected, rejectedRow{i, err.Code, err.Error()})
			continue
		}
		messages = append(messages, m)
	}
	sendCtx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	failed := map[int]bool{}
	for _, m := range send(sendCtx, h.Queue, messages) {
		failed[m.of] = true
		answer.Rejected = append(answer.Rejected, rejectedRow{m.of, codeNotEnqueued, "the queue did not take it; send it again"})
	}
	for _, m := range messages {
		if !failed[m.of] {
			answer.IDs = append(answer.IDs, m.requestID)
		}
	}
	answer.Accepted = len(answer.IDs)
	slices.SortFunc(answer.Rejected, func(a, b rejectedRow) int { return a.Index - b.Index })
	h.log(ctx, answer.line(source))
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

// readRow makes a message of the row with the given index.
func readRow(raw json.RawMessage, source string, now time.Time, index int) (message, *deactivation.FieldError) {
	row, err := deactivation.ReadRow(raw)
	if err != nil {
		return message{}, fieldError(err)
	}
	if row.RequestFile != "" {
		file, err := signing.ReadRequestFile(row.RequestFile)
		if err != nil {
			why := strings.TrimPrefix(err.Error(), signing.ErrRequestFile.Error()+": ")
			return message{}, &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request_file", Why: why}
		}
		row.RequestFile = file.Text // trimmed, so that the same file has the same id
	}
	request := row.Request(source, now)
	if err := cmp.Or(request.Validate(), request.CheckSendable()); err != nil {
		return message{}, fieldError(err)
	}
	m, err := newMessage(request, index)
	if err != nil {
		return message{}, &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request", Why: "cannot be written as JSON"}
	}
	return m, nil
}

// fieldError is an error of internal/deactivation about a row: always a *FieldError.
func fieldError(err error) *deactivation.FieldError {
	problem, ok := errors.AsType[*deactivation.FieldError](err)
	if !ok {
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request", Why: err.Error()}
	}
	return problem
}
