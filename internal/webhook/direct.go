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
	"license-deactivator/pkg/managementapi"
	"license-deactivator/pkg/signing"
)

// maxRows are enqueued in 6 s at 256 MB when SQS takes 20 ms a batch (BenchmarkBulk in integration). The function has
// 10 s, one of them for the answer. Lambda limits payload and answer to 6 MB; the answer is smaller than its payload.
const maxRows = 10_000

const codeNotEnqueued = "not_enqueued"

// directAnswer is the answer to a direct invocation. It names rejected rows by their index in the request.
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

// An invocation is a direct invocation: its requests, and what its caller says about it.
type invocation struct {
	source           string
	dryRun           bool // answer what would be enqueued, and enqueue nothing
	run, by, comment string
	rows             []json.RawMessage
}

// isInvocationField reports whether a direct invocation has the field. An invocation with a mistyped dry_run must not
// run.
func isInvocationField(name string) bool {
	switch name {
	case "source", "dry_run", "run", "by", "comment", "requests":
		return true
	}
	return false
}

// readInvocation reads a direct invocation. After an error nothing is enqueued.
func readInvocation(payload []byte) (invocation, error) {
	var in invocation
	fields, err := deactivation.ReadFields(payload, isInvocationField)
	if err != nil {
		return in, fmt.Errorf("webhook: %w; a direct invocation has source, dry_run, run, by, comment and requests, each once; nothing was enqueued", err)
	}
	for _, f := range []struct {
		name string
		text *string
	}{{"source", &in.source}, {"run", &in.run}, {"by", &in.by}, {"comment", &in.comment}} {
		err := unmarshalField(fields[f.name], f.text)
		if err == nil {
			err = deactivation.CheckText(f.name, *f.text)
		}
		if err != nil {
			return in, fmt.Errorf("webhook: %q must be a text of at most %d characters without line breaks; nothing was enqueued", f.name, deactivation.MaxFieldRunes)
		}
	}
	if !deactivation.IsSourceName(in.source) {
		return in, errors.New(`webhook: "source" is missing or not a name (lower-case letters, digits and hyphens, at most 32); name the caller, for example "ops"`)
	}
	if err := unmarshalField(fields["dry_run"], &in.dryRun); err != nil {
		return in, errors.New(`webhook: "dry_run" must be true or false; nothing was enqueued`)
	}
	if err := json.Unmarshal(fields["requests"], &in.rows); err != nil || in.rows == nil {
		return in, errors.New(`webhook: "requests" must be a list of objects`)
	}
	if len(in.rows) > maxRows {
		return in, fmt.Errorf("webhook: %d requests in one invocation; send at most %d, nothing was enqueued", len(in.rows), maxRows)
	}
	return in, nil
}

// unmarshalField reads a field that may be absent. null counts as absent.
func unmarshalField(raw json.RawMessage, value any) error {
	switch {
	case raw == nil:
		return nil
	case string(raw) == "null":
		return errors.New("null")
	}
	return json.Unmarshal(raw, value)
}

// invokeDirectly accepts requests from people and scripts that may invoke the function. A bad row never stops the
// others; an error means that nothing was enqueued.
func (h *Handler) invokeDirectly(ctx context.Context, payload []byte) ([]byte, error) {
	in, err := readInvocation(payload)
	if err != nil {
		return nil, err
	}
	answer := directAnswer{IDs: []string{}, Rejected: []rejectedRow{}}
	var messages []message
	now := h.Now()
	for i, raw := range in.rows {
		m, err := in.readRow(raw, now, i, h.LookUp)
		if err != nil {
			answer.Rejected = append(answer.Rejected, rejectedRow{i, err.Code, err.Error()})
			continue
		}
		messages = append(messages, m)
	}
	failed := map[int]bool{}
	if !in.dryRun {
		sendCtx, cancel := deadline.Before(ctx, answerReserve)
		defer cancel()
		for _, m := range send(sendCtx, h.Queue, messages) {
			failed[m.of] = true
			answer.Rejected = append(answer.Rejected, rejectedRow{m.of, codeNotEnqueued, "the queue did not accept it; send it again"})
		}
	}
	for _, m := range messages {
		if !failed[m.of] {
			answer.IDs = append(answer.IDs, m.requestID)
		}
	}
	answer.Accepted = len(answer.IDs)
	slices.SortFunc(answer.Rejected, func(a, b rejectedRow) int { return a.Index - b.Index })
	line := answer.line(in)
	line.ReceivedAt = now
	h.log(ctx, line)
	return json.Marshal(answer)
}

// line is the invocation's log line.
func (a directAnswer) line(in invocation) telemetry.Delivery {
	line := telemetry.Delivery{
		Source: in.source, Answer: deactivation.Accepted, Requests: a.IDs,
		Run: in.run, By: in.by, Comment: in.comment, DryRun: in.dryRun,
	}
	if len(a.IDs) == 1 {
		line.ID = a.IDs[0]
	}
	if len(a.Rejected) > 0 {
		line.Problem = fmt.Sprintf("rejected %d of %d requests, the first with %s", len(a.Rejected), len(in.rows), a.Rejected[0].Code)
		if len(a.IDs) == 0 {
			line.Answer = deactivation.Refused
		}
	}
	return line
}

// readRow makes a message from the row with the given index.
func (in invocation) readRow(raw json.RawMessage, now time.Time, index int, lookUp bool) (message, *deactivation.FieldError) {
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
	request := row.Request(in.source, now)
	request.Run, request.By, request.Comment = cmp.Or(in.run, request.Run), cmp.Or(in.by, request.By), cmp.Or(in.comment, request.Comment)
	check := checkNamed
	if lookUp {
		request, check = request.WithOrderLookup(isOrderID), checkLookedUp
	}
	if err := check(row, request); err != nil {
		return message{}, fieldError(err)
	}
	m, err := newMessage(request, index, 0)
	if err != nil {
		return message{}, &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request", Why: "cannot be written as JSON"}
	}
	return m, nil
}

// checkNamed checks a row without look-up: it names its license and its device.
func checkNamed(row deactivation.Row, r deactivation.Request) error {
	if row.Disable {
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "disable", Why: "needs look-up, which this deployment has off (LOOK_UP)"}
	}
	return cmp.Or(r.Validate(), r.CheckSendable())
}

// checkLookedUp checks a row with look-up: an order or a license key alone is enough.
func checkLookedUp(row deactivation.Row, r deactivation.Request) error {
	invalid := func(code, field, why string) error {
		return &deactivation.FieldError{Code: code, Field: field, Why: why}
	}
	err := r.Validate()
	switch {
	case err == nil && r.CanBeLookedUp() && !r.Lookup.HasCandidates() && !isLicenseKey(r.LicenseKey):
		return invalid(deactivation.CodeInvalidField, "license_key", "is too short, or a placeholder: no license is looked up by it")
	case err == nil && row.Disable && !r.Lookup.HasCandidates() && !isLicenseKey(r.LicenseKey):
		return invalid(deactivation.CodeInvalidField, "disable", "needs a license_key, or an order, by which the license is looked up")
	case err == nil && r.CanBeLookedUp():
		return nil
	case err == nil:
		return r.CheckSendable()
	case r.Identity() != "" || len(r.Order) == 0:
		return err
	case !slices.ContainsFunc(r.Order, isOrderID):
		return invalid(deactivation.CodeInvalidField, "order", "holds no id that a license is looked up by: each is too short, or a placeholder")
	case fieldError(err).Field == "license_key":
		return invalid(deactivation.CodeMissingField, "license_key", "is missing; with an order alone leave out every other field of a license, since all its licenses are meant")
	}
	return err
}

func isOrderID(id string) bool { return managementapi.ByOrder(id).Check() == nil }

func isLicenseKey(key string) bool { return managementapi.ByLicenseKey(key).Check() == nil }

// fieldError is an error of internal/deactivation about a row, which is always a *FieldError.
func fieldError(err error) *deactivation.FieldError {
	problem, ok := errors.AsType[*deactivation.FieldError](err)
	if !ok {
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: "request", Why: err.Error()}
	}
	return problem
}
