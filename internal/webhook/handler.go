// Package webhook is the function behind POST /webhooks/{source}. It receives a sender's delivery, has it verified and
// mapped by the sender's file (internal/source), puts the requests on the queue and answers in the sender's own dialect.
// It also takes requests by direct invocation, from people and scripts that may invoke the function.
//
// The way of a delivery is receive → verify → source.Map → enqueue → answer. Nothing is parsed before it is verified,
// and nothing verified is dropped: an event that matters but cannot be mapped goes whole to the dead-letter queue, and
// the sender gets a success answer only after a queue has taken everything. An event that comes twice makes the same
// requests with the same ids.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
)

// Secrets gives the webhook secrets. After an error of either method the sender gets 503 and tries again.
type Secrets interface {
	Get(ctx context.Context) (secrets.Held[secrets.Webhooks], error)
	// Refresh reads them anew, unless the held ones are already newer than the used ones or were read a moment ago.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.Webhooks], error)
}

// Sender is a queue. It returns a failure for each message that it did not take; none means that it took all.
type Sender interface {
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}

// Config is what a Handler needs. The first five fields are required.
type Config struct {
	Sources     *source.Sources
	Secrets     Secrets
	Queue       Sender
	DeadLetters Sender
	Recorder    *telemetry.Recorder
	// PublicURL is what senders call, up to "/webhooks/"; some of them sign the address. A scheme alone, "http://", is
	// completed by the host that the request names. "" means "https://".
	PublicURL string
	// AcceptTestEvents takes events of the senders' test modes as real ones: for trial deployments alone.
	AcceptTestEvents bool
	// OnDelivery, if set, is called with what became of each event; licensectl local prints from it.
	OnDelivery func(telemetry.Delivery)
	Now        func() time.Time // nil: time.Now
}

// Handler is the webhook function. It is safe for concurrent use.
type Handler struct{ Config }

// New checks that nothing required is missing.
func New(c Config) (*Handler, error) {
	var problems []error
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Sources", c.Sources == nil},
		{"Secrets", c.Secrets == nil},
		{"Queue", c.Queue == nil},
		{"DeadLetters", c.DeadLetters == nil},
		{"Recorder", c.Recorder == nil},
	} {
		if f.missing {
			problems = append(problems, fmt.Errorf("webhook: Config.%s is missing", f.name))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if c.PublicURL == "" {
		c.PublicURL = "https://"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Handler{c}, nil
}

// errUnknownPayload: neither an HTTP event (payload format 2.0) nor a direct invocation.
var errUnknownPayload = errors.New(`webhook: the payload is neither an HTTP event (payload format 2.0) nor {"source": …, "requests": […]}`)

// Invoke implements lambda.Handler for API Gateway's payload 2.0, function URLs and direct invocations. Only a payload
// that is none of them is an error; everything else is an answer.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	defer h.Recorder.Flush()
	var event struct {
		httpEvent
		Source   string          `json:"source"`
		Requests json.RawMessage `json:"requests"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, errUnknownPayload
	}
	switch {
	case event.RequestContext.HTTP.Method != "":
		return json.Marshal(h.deliver(ctx, event.httpEvent))
	case event.Requests != nil:
		return h.invokeDirectly(ctx, event.Source, event.Requests)
	}
	return nil, errUnknownPayload
}

// deliver answers one delivery.
func (h *Handler) deliver(ctx context.Context, e httpEvent) response {
	src, d, refused := h.receive(e)
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
	mappings, err := src.Map(verified, h.AcceptTestEvents)
	if err != nil {
		return h.refuse(ctx, src, refusalFor(err))
	}
	return h.answer(ctx, src, h.enqueue(ctx, src, verified, mappings))
}
