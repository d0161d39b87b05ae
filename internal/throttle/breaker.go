package throttle

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// leastTrip is the fewest consecutive unavailable answers that open the breaker. With five or more calls in flight it
// takes one more than their number: a shared connection or a moment of trouble may fail each of them once.
const leastTrip = 5

// ErrOpen says that a call was not made because the circuit breaker is open.
var ErrOpen = errors.New("throttle: circuit breaker open")

// errCallerDone is the result of a call that ended because its context did: it says nothing about the API.
var errCallerDone = errors.New("throttle: the caller's context ended the call")

// BreakerConfig is the configuration of a Breaker. Every field is required.
type BreakerConfig struct {
	// CallsInFlight is how many calls may run at the same time.
	CallsInFlight int
	// ProbeEvery is the time from opening to the next probe.
	ProbeEvery time.Duration
	// Unavailable reports whether a call's error means that the API is down. Every other result means that it is up.
	Unavailable func(err error) bool
	// Code is the code under which an error of an unavailable API is reported (Breaker.LastCode).
	Code func(err error) string
	// Logger gets one line for each change of state.
	Logger *slog.Logger
}

// Breaker is a circuit breaker (closed, open, half-open). After max(5, CallsInFlight+1) consecutive unavailable answers
// it opens, and calls fail at once with ErrOpen. After ProbeEvery it is half-open and lets one call through, whose
// answer closes it or opens it again. It is safe for concurrent use. It outlives an invocation, so that the next batch
// does not start with failing calls.
type Breaker struct {
	circuit     *gobreaker.CircuitBreaker[struct{}]
	unavailable func(error) bool
	codeOf      func(error) string

	mu   sync.Mutex
	code string // of the last unavailable answer
}

// NewBreaker returns a closed breaker.
func NewBreaker(cfg BreakerConfig) *Breaker {
	trip := max(leastTrip, cfg.CallsInFlight+1)
	return &Breaker{unavailable: cfg.Unavailable, codeOf: cfg.Code, circuit: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Timeout:      max(cfg.ProbeEvery, 1), // gobreaker reads 0 as a minute
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= trip },
		IsSuccessful: func(err error) bool { return !cfg.Unavailable(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errCallerDone) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			cfg.Logger.Warn("breaker", "from", from.String(), "to", to.String())
		},
	})}
}

// Allow returns ErrOpen while the breaker is open, else nil. After nil, Call may still return ErrOpen.
func (b *Breaker) Allow() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return ErrOpen
	}
	return nil
}

// Call makes the call and returns its error, or returns ErrOpen without a call. An error of a call whose ctx has ended
// does not count. A panic of the call counts as unavailable and propagates.
func (b *Breaker) Call(ctx context.Context, call func(context.Context) error) error {
	var result error
	_, err := b.circuit.Execute(func() (struct{}, error) {
		result = call(ctx)
		if result != nil && ctx.Err() != nil {
			return struct{}{}, errCallerDone
		}
		if b.unavailable(result) {
			b.setCode(b.codeOf(result))
		}
		return struct{}{}, result
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrOpen
	}
	return result
}

func (b *Breaker) setCode(code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.code = code
}

// LastCode is the code of the last unavailable answer.
func (b *Breaker) LastCode() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.code
}
