package worker

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
)

// The deadline rule. A worker that Lambda stops during a call gets its whole batch again, including the finished
// messages. Calls therefore end early enough to finalize what they decided. One call takes five seconds at most, which
// the client ensures.
const (
	callReserve = 3 * time.Second // calls end this long before the deadline: two seconds are left to finalize
	idleReserve = time.Second     // in this time before the deadline nothing is started: the response is returned
	leastCall   = time.Second     // a call with less time is not started: it would likely be cut off, its outcome unknown
)

// maxPanics is the receive from which on a message that makes the worker panic is dead-lettered: late enough to survive
// a temporary fault, early enough that the message is not tried for three days.
const maxPanics = 5

// exhaustedReceives is the receive from which on a message that is still deferred is dead-lettered, with the last code
// and detail. SQS itself moves a message, without a reason, after maxReceiveCount (300) receives; the ten receives
// between are for a dead-letter queue that does not accept it at once. The waits of 289 receives last 250,953 s at
// least, which is 69 h 42 min; at a configuration fault, where every wait is the Cap, 72 h 15 min.
const exhaustedReceives = 290

// maxStackBytes bounds the stack of a panic in the log: the first frames show where it was.
const maxStackBytes = 4 << 10

// batch is one invocation.
type batch struct {
	h        *Handler
	messages []*message

	// calls is the context of every call. mayCall ends when no further call may start: too close to the deadline, or
	// after a configuration fault of every message (stopCalls); calls in flight then finish.
	calls, mayCall      context.Context
	endCalls, stopCalls context.CancelFunc

	mu        sync.Mutex
	fault     *fault // the invocation's one configuration fault; nil while there is none
	secretErr error  // the temporary reason for which there is no secret; nil while there is one

	starts atomic.Int64 // calls that the limiter let start

	warnRefresh sync.Once // warns once of a secret that stays in use because a newer one cannot be read
}

func newBatch(ctx context.Context, h *Handler, records []events.SQSMessage) *batch {
	b := &batch{h: h, messages: make([]*message, len(records))}
	b.calls, b.endCalls = deadline.Before(ctx, callReserve)
	b.mayCall, b.stopCalls = deadline.Before(b.calls, leastCall)
	for i, record := range records {
		b.messages[i] = parse(record)
	}
	return b
}

// process decides every message that is not decided yet, by a guard or by a call. It processes CallsInFlight groups at
// a time and the messages of one group one after another, so that an invocation never has two calls for one license at
// the same time.
func (b *batch) process(ctx context.Context) {
	groups := b.byLicense()
	waiting := make(chan []*message, len(groups))
	for _, group := range groups {
		waiting <- group
	}
	close(waiting)

	var calls sync.WaitGroup
	for range min(b.h.cfg.CallsInFlight, len(groups)) {
		calls.Go(func() {
			for group := range waiting {
				for _, m := range group {
					b.processOne(ctx, m)
					if m.result.outcome != deactivation.Rejected { // logged when the dead-letter queue has accepted it
						b.log(ctx, m)
					}
				}
			}
		})
	}
	calls.Wait()
}

// byLicense groups the messages that are not decided yet by their license, in the order of the batch.
func (b *batch) byLicense() [][]*message {
	var groups [][]*message
	index := make(map[string]int)
	for _, m := range b.messages {
		if m.decided {
			continue
		}
		license := m.request.Identity()
		i, known := index[license]
		if !known {
			i = len(groups)
			index[license] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], m)
	}
	return groups
}

// processOne decides one message. A panic affects only this message.
func (b *batch) processOne(ctx context.Context, m *message) {
	defer func() {
		if cause := recover(); cause != nil {
			m.result = b.crashed(ctx, m, cause)
		}
		if m.result.outcome == deactivation.Deferred && m.receives >= exhaustedReceives {
			m.result.outcome, m.result.reason, m.result.retryIn = deactivation.Rejected, deactivation.ReasonExhausted, 0
		}
	}()
	guarded, ok := b.guard(m)
	if !ok {
		guarded = b.call(m)
	}
	m.result = guarded
}

// crashed decides a message whose processing panicked. The text of the cause is kept only if the runtime wrote it: any
// other text may hold the values that the code was processing.
func (b *batch) crashed(ctx context.Context, m *message, cause any) result {
	detail := fmt.Sprintf("a panic (%T)", cause)
	if err, ok := cause.(runtime.Error); ok {
		detail = "a panic: " + err.Error()
	}
	stack := debug.Stack()
	b.h.cfg.Recorder.Logger().ErrorContext(ctx, "panic", "id", m.id(), "detail", deactivation.CleanText(detail),
		"stack", string(stack[:min(len(stack), maxStackBytes)]))

	r := result{outcome: deactivation.Deferred, detail: deactivation.CleanText(detail), retryIn: b.h.cfg.Backoff.wait(m.receives)}
	if m.receives >= maxPanics {
		r.outcome, r.reason, r.retryIn = deactivation.Rejected, deactivation.ReasonCrashed, 0
	}
	return r
}
