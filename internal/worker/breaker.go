package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/sony/gobreaker/v2"

	"license-deactivator/pkg/licenseapi"
)

const (
	// leastTrip is the fewest calls in a row without an answer that open the breaker. With more than four calls in
	// flight it takes one more than these: what they share, a connection or a bad second, may fail each of them once.
	leastTrip = 5

	// probesPerFirst is how many probes there may be while the first kept message is away: one a second with
	// production's First of 30 s. That is little beside the pace, and soon enough for a store's refund; an API that
	// hangs has one call of ours at any time.
	probesPerFirst = 30
)

// errSpared says that a message was not called because the calls before it found nobody.
var errSpared = errors.New("worker: spared, the API does not answer")

// errOurs is a call that ended because this invocation does: it says nothing of the API.
var errOurs = errors.New("worker: the invocation ended the call")

// breaker spares an API that is down the calls, and a batch the time, that would be in vain. After so many calls
// in a row without an answer that says something (licenseapi.KindUnavailable), none is made for a while; then one,
// and when that is answered all are made again. A refusal is an answer, and so is a 429: the API is up.
//
// It outlives the invocation, so that the next batch does not find out anew.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[struct{}]

	mu   sync.Mutex
	code string // of the last call that found nobody
}

// newBreaker returns a closed one for so many calls in flight.
func newBreaker(inFlight int, b Backoff, logger *slog.Logger) *breaker {
	trip := max(leastTrip, inFlight+1)
	return &breaker{circuit: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Timeout:      max(b.First/probesPerFirst, 1), // 0 would be gobreaker's minute
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= trip },
		IsSuccessful: func(err error) bool { return licenseapi.KindOf(err) != licenseapi.KindUnavailable },
		IsExcluded:   func(err error) bool { return errors.Is(err, errOurs) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			logger.Warn("breaker", "from", from.String(), "to", to.String())
		},
	})}
}

// open returns errSpared while no call is made.
func (b *breaker) open() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return errSpared
	}
	return nil
}

// call makes the call, or returns errSpared. The error is the call's own otherwise.
func (b *breaker) call(ctx context.Context, send func(context.Context) error) error {
	var answer error
	_, err := b.circuit.Execute(func() (struct{}, error) {
		answer = send(ctx)
		if answer != nil && ctx.Err() != nil {
			return struct{}{}, errOurs
		}
		if licenseapi.KindOf(answer) == licenseapi.KindUnavailable {
			b.note(licenseapi.CodeOf(answer))
		}
		return struct{}{}, answer
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return errSpared
	}
	return answer
}

func (b *breaker) note(code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.code = code
}

// lastCode is the code of the last call that found nobody.
func (b *breaker) lastCode() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.code
}
