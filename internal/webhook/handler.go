// Package webhook is the front door: it verifies a sender's delivery, maps its events to deactivation requests by the
// sender's file, puts them on the queue and answers in the sender's own dialect. It also takes requests by direct
// invocation, from people and scripts that may invoke the function.
//
// Nothing is parsed before it is verified, and nothing verified is dropped: an event that matters but cannot be
// mapped is kept whole in the dead-letter queue, and a sender is told of success only after a queue has taken
// everything. An event that comes twice makes the same requests with the same ids.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
)

// Secrets gives the webhook secrets. An error of either means: the sender must come again (503).
type Secrets interface {
	Get(ctx context.Context) (secrets.Held[secrets.Webhooks], error)
	// Refresh reads them anew, unless the held ones are already newer than the used ones or were read a moment ago.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.Webhooks], error)
}

// Sender is a queue. It returns an entry for each message that it did not take; none means that all are safe.
type Sender interface {
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}

// Config is what a Handler needs. The first five fields are required.
type Config struct {
	Sources     *Sources
	Secrets     Secrets
	Queue       Sender
	DeadLetters Sender
	Recorder    *telemetry.Recorder
	// PublicURL is what senders call, up to "/webhooks/"; some of them sign the address. A scheme alone, "http://", is
	// completed by the host that the request names. "" means "https://".
	PublicURL string
	// AcceptTestEvents takes events of the senders' test modes as real ones: for trial deployments alone.
	AcceptTestEvents bool
	// OnDelivery, where it is set, is told what became of each event; licensectl local prints from it.
	OnDelivery func(telemetry.Delivery)
	Now        func() time.Time // nil: time.Now
}

// Handler is the webhook function. It is safe for concurrent use.
type Handler struct{ Config }

// New checks that nothing required is missing.
func New(c Config) (*Handler, error) {
	var faults []error
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
			faults = append(faults, fmt.Errorf("webhook: Config.%s is missing", f.name))
		}
	}
	if err := errors.Join(faults...); err != nil {
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

// record writes what became of an event.
func (h *Handler) record(ctx context.Context, d telemetry.Delivery) {
	h.Recorder.Delivery(ctx, d)
	if h.OnDelivery != nil {
		h.OnDelivery(d)
	}
}

// errNoEvent is what a caller hears whose payload is none of the three that the function takes.
var errNoEvent = errors.New(`webhook: the payload is neither an HTTP event (payload format 2.0) nor {"source": …, "requests": […]}`)

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
		return nil, errNoEvent
	}
	switch {
	case event.RequestContext.HTTP.Method != "":
		return json.Marshal(h.deliver(ctx, event.httpEvent))
	case event.Requests != nil:
		return h.invokeDirectly(ctx, event.Source, event.Requests)
	}
	return nil, errNoEvent
}

// Times. The function has ten seconds, and every sender that we know waits five or more.
const (
	answerReserve     = time.Second             // kept for the answer itself and its log line
	deadLetterReserve = 2 * time.Second         // kept for the dead-letter queue when the queue takes nothing
	defaultEnqueueFor = 3500 * time.Millisecond // Shopify, Paddle, HubSpot and Recurly hang up after five seconds
	enqueuePause      = 250 * time.Millisecond  // between the tries of a sender's enqueue_for
)

// entry makes a request a message.
func entry(r deactivation.Request) (queue.Entry, error) {
	body, err := r.Wire()
	return queue.Entry{Body: body, Group: r.Source}, err
}
