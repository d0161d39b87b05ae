// Package webhook is the function behind POST /webhooks/{source}. It receives a sender's delivery, lets the sender's
// file (internal/source) verify and map it, puts the requests on the queue and answers in the sender's own dialect. It
// also accepts requests by direct invocation, from people and scripts that may invoke the function.
//
// The way of a delivery is receive → verify → source.Map → enqueue → answer. Nothing is parsed before it is verified,
// and nothing verified is dropped: an event that matters but cannot be mapped goes whole to the dead-letter queue, and
// the sender gets a success answer only after a queue has accepted everything. An event that arrives twice makes the
// same requests with the same ids.
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

// Secrets gives the webhook secrets. After an error of either method the sender gets 503 and retries.
type Secrets interface {
	Get(ctx context.Context) (secrets.Held[secrets.Webhooks], error)
	// Refresh reads them again, unless the held ones are newer than the used ones or were read a moment ago.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.Webhooks], error)
}

// Sender is a queue. It returns a failure for each message that it did not accept; none means that it accepted all.
type Sender interface {
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}

// Config is the configuration of a Handler. The first five fields are required.
type Config struct {
	Sources     *source.Sources
	Secrets     Secrets
	Queue       Sender
	DeadLetters Sender
	Recorder    *telemetry.Recorder
	// Certificates are those of senders that sign with one. nil: their deliveries are answered with 503.
	Certificates Certificates
	// PublicURL is the URL that senders call, up to "/webhooks/"; some of them sign the address. A scheme without a
	// host, "http://", is completed by the host that the request names. "" means "https://".
	PublicURL string
	// AcceptTestEvents treats events of the senders' test modes as real ones. It is only for trial deployments.
	AcceptTestEvents bool
	// MaxEventAge is the age, by the event's own time, above which an event is not acted on when it is received: its
	// requests go to the dead-letter queue. 0: no limit.
	MaxEventAge time.Duration
	// LookUp sends an event that does not name its license or its device to the worker, which looks them up, and accepts a
	// row of a direct invocation with only an order or a license key. false: such events go to the dead-letter queue, and
	// such rows are rejected.
	LookUp bool
	// OnDelivery, if set, is called with the outcome of each event; licensectl local prints from it.
	OnDelivery func(telemetry.Delivery)
	Now        func() time.Time // nil: time.Now
}

// Handler is the webhook function. It is safe for concurrent use.
type Handler struct{ Config }

// New checks that no required field is missing.
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

// Warm reads the secrets and compiles the files of the senders that have one, so that no delivery waits for it. It is
// optional: the first delivery does what is missing. The error is that of the secrets; a file with an error is a
// configuration fault.
func (h *Handler) Warm(ctx context.Context) error {
	defer h.Recorder.Flush()
	held, err := h.Secrets.Get(ctx)
	if err != nil {
		return err
	}
	for _, name := range held.Value.Sources() {
		_, _ = h.source(ctx, name) // a secret without a file is none of the function's faults
	}
	return nil
}

// source returns a sender by its name. The first call compiles its file. An error in the file is reported at each call,
// since the sender's deliveries wait for its correction.
func (h *Handler) source(ctx context.Context, name string) (*source.Source, error) {
	src, err := h.Sources.Compile(name)
	if err != nil && !errors.Is(err, source.ErrUnknown) {
		h.Recorder.Fault(ctx, "the sender's file", err)
	}
	return src, err
}

// Times. The function has ten seconds, and every known sender waits five or more.
const (
	answerReserve     = time.Second             // reserved for the answer itself and its log line
	deadLetterReserve = 2 * time.Second         // reserved for the dead-letter queue when the queue accepts nothing
	defaultEnqueueFor = 3500 * time.Millisecond // Shopify, Paddle, HubSpot and Recurly disconnect after five seconds
	enqueuePause      = 250 * time.Millisecond  // between the attempts within a sender's enqueue_for
)
