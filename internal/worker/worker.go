// Package worker takes one SQS batch at a time: it parses each message, calls the License API once per license
// and device, and deletes, defers or dead-letters the message by what it heard.
//
//	parse ─► group by license ─► pace (pace.go) ─► sign, call ─► outcome (outcome.go) ─► settle (settle.go)
//
// What it promises: a message leaves the queue only when its license is inactive, or when the dead-letter queue
// has taken it with a reason. Everything else stays, for a growing time (backoff.go). A message may be worked
// twice, which does no harm: the second call finds the device inactive. A fault of the deployment (a wrong key, a
// wrong address) is never taken for a message's fault: the batch is kept whole and one alarm speaks.
//
// Begin with New and give Handle to lambda.Start; the event source mapping must have
// FunctionResponseTypes [ReportBatchItemFailures], or kept messages are deleted.
package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi"
)

// maxVisibility is the longest that SQS hides a message:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
const maxVisibility = 12 * time.Hour

// Secrets is where the License API's credentials come from; *secrets.Cache is one.
type Secrets interface {
	// Get returns the held secret. An error means that there is none: nothing can be signed.
	Get(ctx context.Context) (secrets.Held[secrets.License], error)
	// Refresh is Get for a caller whose version used was refused; the same version again means that there is
	// no other one.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.License], error)
}

// Queue is the queue that the batches come from. Its part here is the time until a kept message comes back.
type Queue interface {
	// Defer returns what failed, by index; such a message comes back after the queue's own visibility timeout.
	Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure
}

// DeadLetters is the dead-letter queue.
type DeadLetters interface {
	// Send returns what was not taken, by index; such a message must be kept.
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}

// Config is what a Handler is made of. Every field without a default is required.
type Config struct {
	API         *licenseapi.Client // its own credentials are not used: each version of the secret makes others
	Secrets     Secrets
	Queue       Queue
	DeadLetters DeadLetters
	Recorder    *telemetry.Recorder

	// CallsInFlight is how many calls may be under way at the same time, at least 1.
	CallsInFlight int
	// CallsPerSecond is this instance's share of the stack's rate, above 0. Repeats count too. Over half a second an
	// instance may make up for time in which it could not call, one call after another (pace.go).
	CallsPerSecond float64
	// Limits are this instance's parts of the API's limits (Stack.Limits). None: CallsPerSecond alone is kept.
	Limits []Limit
	// Backoff is how long a kept message stays away; production has 30 s and 15 min. The times of the
	// breaker and of the pause after a 429 are parts of it.
	Backoff Backoff
	// Now stamps dead letters; nil means time.Now. Deadlines and latencies always go by the real clock.
	Now func() time.Time
	// OnOutcome hears of every message what its log line says, as it happens: of a rejected one when the dead-letter
	// queue has taken it. nil for nobody. It must be safe for concurrent use.
	OnOutcome func(telemetry.Message)
}

// Handler works batches. It is safe for concurrent use; concurrent invocations share the pace. Pace and breaker go on
// from one invocation to the next.
type Handler struct {
	cfg     Config
	pace    *pace
	breaker *breaker

	mu      sync.Mutex // guards version and client
	version string
	client  *licenseapi.Client // signs with the secret of that version; nil before the first call
}

// New checks every field and names each bad one.
func New(cfg Config) (*Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Handler{
		cfg:     cfg,
		pace:    newPace(cfg.CallsPerSecond, cfg.Limits, cfg.Backoff),
		breaker: newBreaker(cfg.CallsInFlight, cfg.Backoff, cfg.Recorder.Logger()),
	}, nil
}

func (c Config) validate() error {
	var problems []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"API", c.API == nil}, {"Secrets", c.Secrets == nil}, {"Queue", c.Queue == nil},
		{"DeadLetters", c.DeadLetters == nil}, {"Recorder", c.Recorder == nil},
	} {
		if field.missing {
			problems = append(problems, fmt.Errorf("worker: %s is missing", field.name))
		}
	}
	if c.CallsInFlight < 1 {
		problems = append(problems, fmt.Errorf("worker: CallsInFlight is %d, must be at least 1", c.CallsInFlight))
	}
	if !(c.CallsPerSecond > 0) || math.IsInf(c.CallsPerSecond, 0) { // NaN is not above 0 either
		problems = append(problems, fmt.Errorf("worker: CallsPerSecond is %v, must be above 0", c.CallsPerSecond))
	}
	for i, l := range c.Limits {
		if l.Calls < 1 || l.In <= 0 {
			problems = append(problems, fmt.Errorf("worker: Limits[%d] is %d in %v, must be at least 1 in more than 0", i, l.Calls, l.In))
		}
	}
	if c.Backoff.First <= 0 || c.Backoff.Cap < c.Backoff.First || c.Backoff.Cap > maxVisibility {
		problems = append(problems, fmt.Errorf("worker: Backoff is %v to %v, must be above 0, rising and at most %v",
			c.Backoff.First, c.Backoff.Cap, maxVisibility))
	}
	return errors.Join(problems...)
}

// Handle works one batch and lists the messages that stay in the queue. A batch that could not be worked at all
// is listed whole; the one error is a record without a message id that would have to stay: it cannot be listed,
// and leaving it out would delete it.
func (h *Handler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	defer h.cfg.Recorder.Flush()

	b := newBatch(ctx, h, e.Records)
	defer b.endCalls() // and with it mayCall
	b.work(ctx)
	kept := b.settle(ctx)
	b.tell(ctx)
	return kept.response()
}
