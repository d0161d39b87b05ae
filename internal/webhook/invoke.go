package webhook

import (
	"context"
	"encoding/json"
	"errors"

	"license-deactivator/internal/source"
)

// errUnknownPayload: neither an HTTP event (payload format 2.0) nor a direct invocation.
var errUnknownPayload = errors.New(`webhook: the payload is neither an HTTP event (payload format 2.0) nor {"source": …, "requests": […]}`)

// Invoke implements lambda.Handler for API Gateway's payload 2.0, function URLs and direct invocations. Only a payload
// that is none of them is an error; everything else gets an answer.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	defer h.Recorder.Flush()
	var event struct {
		httpEvent
		Requests json.RawMessage `json:"requests"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, errUnknownPayload
	}
	switch {
	case event.RequestContext.HTTP.Method != "":
		return json.Marshal(h.deliver(ctx, event.httpEvent))
	case event.Requests != nil:
		return h.invokeDirectly(ctx, payload)
	}
	return nil, errUnknownPayload
}

// deliver answers one delivery.
func (h *Handler) deliver(ctx context.Context, e httpEvent) response {
	src, d, refused := h.receive(ctx, e)
	if refused != nil {
		return h.refuse(ctx, src, refused)
	}
	now := h.Now()
	verified, err := h.verify(ctx, src, d)
	if errors.Is(err, source.ErrPing) {
		return h.answerPing(ctx, src)
	}
	if err != nil {
		return h.refuse(ctx, src, refusalFor(err))
	}
	verified.ReceivedAt = now
	mappings, err := src.Map(verified, source.Options{AcceptTests: h.AcceptTestEvents, LookUp: h.LookUp})
	if err != nil {
		return h.refuse(ctx, src, refusalFor(err))
	}
	for i, m := range mappings {
		mappings[i] = checkAge(m, h.MaxEventAge)
	}
	return h.answer(ctx, src, verified, h.enqueue(ctx, src, verified, mappings))
}
