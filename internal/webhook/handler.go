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

// Times. The function has ten seconds, and every sender that we know waits five or more.
const (
	answerReserve     = time.Second             // left for the answer itself and its log line
	deadLetterReserve = 2 * time.Second         // left for the dead-letter queue when the queue takes nothing
	defaultEnqueueFor = 3500 * time.Millisecond // Shopify, Paddle, HubSpot and Recurly hang up after five seconds
	enqueuePause      = 250 * time.Millisecond  // between the tries of a sender's enqueue_for
)
