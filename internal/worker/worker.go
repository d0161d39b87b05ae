// Package worker takes one SQS batch at a time: it parses each message, calls the License API once per license
// and device, and deletes, defers or dead-letters the message according to the response.
//
//	parse ─► group by license ─► guard (guard.go) ─► limiter ─► sign, call ─► treatment (treatment.go) ─► finalize (finalize.go)
//	                          └► saga (saga.go), for a message whose licenses or devices have to be found
//
// It guarantees: a message leaves the queue only when its license is inactive, or when the dead-letter queue has
// accepted it with a reason. Every other message stays, for a growing time (backoff.go). A message may be processed
// twice, which does no harm: the second call finds the device inactive. Within an invocation there is one call for a
// license at a time; two environments may call for one license at the same time, which does no harm either. A fault of
// the deployment (a wrong key, a wrong address) never counts as the message's fault: no message of the batch is
// deleted, and ConfigurationFaults is emitted once.
//
// Start with New and give Handle to lambda.Start. The event source mapping must have
// FunctionResponseTypes [ReportBatchItemFailures], or retained messages are deleted.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/licenseapi"
)

// maxVisibility is the longest visibility timeout of SQS:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
const maxVisibility = 12 * time.Hour

// Times of the limiter and the breaker, as fractions of Backoff.First.
const (
	// pausesPerFirst makes the pause after a 429 without Retry-After: a second with production's First of 30 s. That is
	// the shortest of the API's windows, in which all calls have one Authorization value; if another window was full, the
	// lower rate empties it.
	pausesPerFirst = 30

	// recoveryFirsts is how long half of the rate takes to come back, linearly: a minute with production's First, the
	// company's window, after which no call that caused the 429 counts any more.
	recoveryFirsts = 2

	// probesPerFirst is how many probes the breaker may send while the first deferred message waits: one a second with
	// production's First of 30 s. That is little compared with the rate, and soon enough for a store's refund; an API
	// that hangs has one call of ours at any time.
	probesPerFirst = 30
)

// Secrets provides the License API's credentials; *secrets.Cache is one.
type Secrets interface {
	// Get returns the held secret. An error means that there is none, so nothing can be signed.
	Get(ctx context.Context) (secrets.Held[secrets.License], error)
	// Refresh is Get for a caller whose version used was refused; the same version again means that there is
	// no other one.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.License], error)
}

// Queue is the queue of the batches. The worker changes the visibility of retained messages.
type Queue interface {
	// Defer returns what failed, by index; such a message becomes visible after the queue's own visibility timeout.
	Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure
}

// DeadLetters is the dead-letter queue.
type DeadLetters interface {
	// Send returns what was not accepted, by index; such a message must be retained.
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}

// Config is the configuration of a Handler. Every field without a default is required.
type Config struct {
	API         *licenseapi.Client // its own credentials are not used: each version of the secret makes others
	Secrets     Secrets
	Queue       Queue
	DeadLetters DeadLetters
	Recorder    *telemetry.Recorder

	// CallsInFlight is how many calls may run at the same time, at least 1.
	CallsInFlight int
	// CallsPerSecond is this instance's part of the stack's rate, above 0 (Stack.PerInstance). Repeated calls count too.
	// After a gap in which no call could start, an instance makes up for half a second, one call after another
	// (throttle.Limiter).
	CallsPerSecond float64
	// Limits are this instance's parts of the API's limits (Stack.Limits). Without any, only CallsPerSecond is kept.
	Limits []throttle.Limit
	// SurgeLimit is this instance's part of the stack's limit (Stack.SurgePart): how many licenses of a source and hour
	// it acts on for events. More are held in the dead-letter queue. 0: no brake.
	SurgeLimit int
	// Watch is watch mode: every message is decided, none is acted on, and each is dead-lettered with the call that
	// would have been made. No call is made.
	Watch bool
	// LookUp finds the licenses and devices of messages with the Management API. nil: off; a request for one license on no
	// device is then dead-lettered, and only the device that a request names is deactivated.
	LookUp *LookUp
	// Backoff is how long a deferred message waits; production has 30 s and 15 min. The times of the breaker, of the pause
	// after a 429 and of the look-up are in proportion to it.
	Backoff Backoff
	// Now stamps dead letters and ages the brake's windows; nil means time.Now. Deadlines and latencies always use the real
	// clock.
	Now func() time.Time
	// OnOutcome gets the content of a message's log line, at the same time: for a rejected message after the
	// dead-letter queue has accepted it. nil disables it. It must be safe for concurrent use.
	OnOutcome func(telemetry.Message)
}

// Handler processes batches. It is safe for concurrent use; concurrent invocations share the limiter. Limiter, breaker,
// evidence and brake keep their state from one invocation to the next.
type Handler struct {
	cfg      Config
	limiter  *throttle.Limiter
	breaker  *throttle.Breaker
	evidence *evidence
	brake    *brake
	calling  throttle.Locks[string] // identities of the licenses for which the License API is called now
	lookUp   *lookUp                // nil: off

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
	if cfg.Watch {
		cfg.Recorder.Logger().Warn("watch mode: no license is deactivated, every message goes to the dead-letter queue with what would have been done")
	}
	var together *throttle.Shared
	if cfg.LookUp != nil && cfg.LookUp.Together != (throttle.Limit{}) {
		together = throttle.NewShared(cfg.LookUp.Together)
	}
	found, err := newLookUp(cfg, together)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return &Handler{
		cfg:      cfg,
		lookUp:   found,
		limiter:  newLimiter(cfg.CallsPerSecond, cfg.Limits, together, cfg.Backoff),
		breaker:  newBreaker(cfg.CallsInFlight, cfg.Backoff, cfg.Recorder.Logger()),
		evidence: newEvidence(),
		brake:    newBrake(cfg.SurgeLimit, cfg.Now),
	}, nil
}

func newLimiter(callsPerSecond float64, limits []throttle.Limit, together *throttle.Shared, b Backoff) *throttle.Limiter {
	return throttle.NewLimiter(throttle.LimiterConfig{
		CallsPerSecond: callsPerSecond, Limits: limits, Shared: together, Pause: b.First / pausesPerFirst,
		LongestPause: b.Cap, Recovery: recoveryFirsts * b.First,
	})
}

// newBreaker returns the circuit breaker of the License API. A refusal is an answer, and so is a 429: the API is up.
func newBreaker(callsInFlight int, b Backoff, logger *slog.Logger) *throttle.Breaker {
	return throttle.NewBreaker(throttle.BreakerConfig{
		CallsInFlight: callsInFlight, ProbeEvery: b.First / probesPerFirst, Logger: logger,
		Unavailable: func(err error) bool { return licenseapi.KindOf(err) == licenseapi.KindUnavailable },
		Code:        licenseapi.CodeOf,
	})
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
	if !(c.CallsPerSecond > 0) || math.IsInf(c.CallsPerSecond, 0) { // also refuses NaN
		problems = append(problems, fmt.Errorf("worker: CallsPerSecond is %v, must be above 0", c.CallsPerSecond))
	}
	problems = append(problems, checkLimits("Limits", c.Limits)...)
	problems = append(problems, c.LookUp.validate())
	if c.SurgeLimit < 0 {
		problems = append(problems, fmt.Errorf("worker: SurgeLimit is %d, must be at least 1, or 0 for no brake", c.SurgeLimit))
	}
	if c.Backoff.First <= 0 || c.Backoff.Cap < c.Backoff.First || c.Backoff.Cap > maxVisibility {
		problems = append(problems, fmt.Errorf("worker: Backoff is %v to %v, must be above 0, rising and at most %v",
			c.Backoff.First, c.Backoff.Cap, maxVisibility))
	}
	return errors.Join(problems...)
}

func checkLimits(name string, limits []throttle.Limit) (problems []error) {
	for i, l := range limits {
		problems = append(problems, checkLimit(fmt.Sprintf("%s[%d]", name, i), l))
	}
	return problems
}

func checkLimit(name string, l throttle.Limit) error {
	if l.Calls >= 1 && l.In > 0 {
		return nil
	}
	return fmt.Errorf("worker: %s is %d in %v, must be at least 1 in more than 0", name, l.Calls, l.In)
}

// Handle processes one batch and lists the messages that stay in the queue. A batch that could not be processed at all
// is listed whole. It fails only for a record without a message id that would have to stay: such a record cannot be
// listed, and leaving it out would delete it.
func (h *Handler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	defer h.cfg.Recorder.Flush()

	b := newBatch(ctx, h, e.Records)
	defer b.endCalls() // ends mayCall, too
	b.process(ctx)
	retained := b.finalize(ctx)
	b.logRest(ctx)
	return batchItemFailures(retained)
}
