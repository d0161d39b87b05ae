package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"license-deactivator/internal/deadline"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

// probeFirsts is how long the look-up stops before it probes the Management API's filters again, in units of
// Backoff.First: five minutes with the production First of 30 s.
const probeFirsts = 10

// ManagementKeys provides the Management API's key; *secrets.Cache is one. It is a cache of its own: with one for both
// APIs, a refused Management key would look like a refused version of the License API's credentials.
type ManagementKeys interface {
	// Get returns the held key. An error means that there is none.
	Get(ctx context.Context) (secrets.Held[secrets.Management], error)
	// Refresh is Get for a caller whose key of the version used was refused.
	Refresh(ctx context.Context, used string) (secrets.Held[secrets.Management], error)
}

// LookUp is the configuration of the look-up. Stack.LookUpPart makes one. A field is required unless its comment says
// otherwise.
type LookUp struct {
	// API is that of the Management API's client. Key, CallsInFlight and Through are the worker's.
	API  managementapi.Config
	Keys ManagementKeys

	// CallsPerSecond and Limits (optional) are this instance's parts of the Management API's rate, as those of Config.
	CallsPerSecond float64
	Limits         []throttle.Limit
	// Together is this instance's part of the limit on one address, for the calls of both APIs together. Zero: none.
	Together throttle.Limit
	// MaxReleased is the most licenses of a message that a person has released. 0: lookup.DefaultMaxReleased.
	MaxReleased int
	// AtOnce is how many messages are looked up at the same time, at most CallsInFlight.
	AtOnce int
}

func (l *LookUp) validate() error {
	if l == nil {
		return nil
	}
	var problems []error
	if l.Keys == nil {
		problems = append(problems, errors.New("worker: LookUp.Keys is missing"))
	}
	if !(l.CallsPerSecond > 0) || math.IsInf(l.CallsPerSecond, 0) { // also refuses NaN
		problems = append(problems, fmt.Errorf("worker: LookUp.CallsPerSecond is %v, must be above 0", l.CallsPerSecond))
	}
	if l.AtOnce < 1 {
		problems = append(problems, fmt.Errorf("worker: LookUp.AtOnce is %d, must be at least 1", l.AtOnce))
	}
	problems = append(problems, checkLimits("LookUp.Limits", l.Limits)...)
	if l.Together != (throttle.Limit{}) {
		problems = append(problems, checkLimit("LookUp.Together", l.Together))
	}
	return errors.Join(problems...)
}

// lookUp is the look-up of a Handler: the saga, and the Management API with a limiter and a breaker of its own. It keeps
// its state from one invocation to the next.
type lookUp struct {
	saga    *lookup.Lookup
	client  *managementapi.Client // without a key
	limiter *throttle.Limiter
	breaker *throttle.Breaker
	atOnce  int
}

func newLookUp(cfg Config, together *throttle.Shared) (*lookUp, error) {
	if cfg.LookUp == nil {
		return nil, nil
	}
	logger := cfg.Recorder.Logger()
	l := &lookUp{
		limiter: newLimiter(cfg.LookUp.CallsPerSecond, cfg.LookUp.Limits, together, cfg.Backoff),
		atOnce:  min(cfg.LookUp.AtOnce, cfg.CallsInFlight),
	}
	l.breaker = throttle.NewBreaker(throttle.BreakerConfig{
		CallsInFlight: 1, // opens after the fewest answers: other messages wait for the end of an invocation, which a saga may prolong
		ProbeEvery:    cfg.Backoff.First / probesPerFirst, Logger: logger.With("api", "management"),
		Unavailable: func(err error) bool { return managementapi.KindOf(err) == managementapi.KindUnavailable },
		Code:        managementapi.CodeOf,
	})
	var badSaga, badAPI error
	l.saga, badSaga = lookup.New(lookup.Config{
		NotFound: notFoundAges(cfg.Backoff), ProbeEvery: probeFirsts * cfg.Backoff.First, MaxReleased: cfg.LookUp.MaxReleased,
		Now: cfg.Now, Logger: logger,
	})
	api := cfg.LookUp.API
	api.Key, api.CallsInFlight = "", l.atOnce
	api.Through = func(ctx context.Context, request func(context.Context) error) error {
		return l.call(ctx, cfg, request)
	}
	l.client, badAPI = managementapi.New(api)
	return l, errors.Join(badSaga, badAPI)
}

// notFoundAges are lookup.DefaultNotFound, in proportion to the back-off.
func notFoundAges(b Backoff) []time.Duration {
	ages := lookup.DefaultNotFound()
	for i := range ages {
		ages[i] = scaled(ages[i], float64(b.First)/float64(ProductionBackoff().First))
	}
	return ages
}

// call makes one HTTP request of the Management API: it waits for the limiter, at most until ctx leaves no time for the
// request, and goes through the breaker. Without a request the error is throttle.ErrOpen or the limiter's.
func (l *lookUp) call(ctx context.Context, cfg Config, request func(context.Context) error) error {
	if err := l.breaker.Allow(); err != nil { // before the limiter: an unused wait would cost a call of the rate
		return err
	}
	mayStart, cancel := deadline.Before(ctx, leastCall)
	defer cancel()
	started, err := l.limiter.Wait(mayStart)
	if err != nil {
		return err
	}
	begin := time.Now()
	err = l.breaker.Call(ctx, request)
	if errors.Is(err, throttle.ErrOpen) {
		return err
	}
	kind := managementapi.KindOf(err)
	cfg.Recorder.ManagementAnswer(answerOf(kind), time.Since(begin))
	if refused, ok := errors.AsType[*managementapi.Error](err); ok && kind == managementapi.KindRateLimited {
		if pause := l.limiter.On429(started, refused.RetryAfter, managementapi.CodeOf(err)); pause > 0 {
			cfg.Recorder.Logger().WarnContext(ctx, "rate limited, the pace is lowered", "api", "management",
				"pause_ms", pause.Milliseconds(), "calls_per_second", l.limiter.Rate())
		}
	}
	return err
}

// answerOf is how the metrics name an answer of that kind.
func answerOf(kind managementapi.Kind) string {
	if kind == managementapi.KindNone {
		return "ok"
	}
	return kind.String()
}
