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

	slots      chan struct{} // one for each call of the License API that may run at the same time
	management stopper       // of the calls to the Management API

	mu        sync.Mutex
	fault     *fault // the invocation's one configuration fault; nil while there is none
	secretErr error  // the temporary reason for which there is no secret; nil while there is one

	starts atomic.Int64 // calls of either API that its limiter let start

	warnRefresh sync.Once // warns once of a secret that stays in use because a newer one cannot be read
}

func newBatch(ctx context.Context, h *Handler, records []events.SQSMessage) *batch {
	b := &batch{h: h, messages: make([]*message, len(records)), slots: make(chan struct{}, h.cfg.CallsInFlight)}
	b.calls, b.endCalls = deadline.Before(ctx, callReserve)
	b.mayCall, b.stopCalls = deadline.Before(b.calls, leastCall)
	for i, record := range records {
		b.messages[i] = parse(record, h.lookUp != nil)
	}
	return b
}

// process decides every message that is not decided yet. It processes CallsInFlight groups at a time and the messages of one
// group one after another, so that an invocation never has two calls for one license at the same time (Handler.calling holds
// that for look-ups, too). Look-ups run beside them, a few at a time: a message that needs none waits for none.
func (b *batch) process(ctx context.Context) {
	groups, sagas := b.split()
	waiting := make(chan []*message, len(groups))
	for _, group := range groups {
		waiting <- group
	}
	close(waiting)
	lookUps := make(chan *message, len(b.messages)) // room for all, so that no call waits for a look-up
	for _, m := range sagas {
		lookUps <- m
	}

	var calling, lookingUp sync.WaitGroup
	for range min(b.h.cfg.CallsInFlight, len(groups)) {
		calling.Go(func() {
			for group := range waiting {
				for _, m := range group {
					if !m.looksUp {
						b.decide(ctx, m, b.actAlone)
					} else if !b.decide(ctx, m, b.freeNamed) {
						lookUps <- m
					}
				}
			}
		})
	}
	if b.h.lookUp != nil {
		for range min(b.h.lookUp.atOnce, len(b.messages)) {
			lookingUp.Go(func() {
				for m := range lookUps {
					b.decide(ctx, m, b.runSaga)
				}
			})
		}
	}
	calling.Wait()
	close(lookUps)
	lookingUp.Wait()
}

// split returns the messages that are not decided yet: those that begin with a call, grouped by license, and those that
// begin with a look-up, each in the order of the batch.
func (b *batch) split() (groups [][]*message, sagas []*message) {
	index := make(map[string]int)
	for _, m := range b.messages {
		switch {
		case m.decided:
			continue
		case m.looksUp && (b.h.cfg.Watch || !m.namesDevice()):
			sagas = append(sagas, m)
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
	return groups, sagas
}

// actAlone decides a message that needs no look-up.
func (b *batch) actAlone(m *message) (result, bool) {
	if guarded, ok := b.guard(m); ok {
		return guarded, true
	}
	return b.call(m, m.request), true
}

// decide decides a message by how, which reports whether it has. A panic affects only this message. The outcome is logged at
// once, that of a rejected message when the dead-letter queue has accepted it.
func (b *batch) decide(ctx context.Context, m *message, how func(*message) (result, bool)) (decided bool) {
	func() {
		defer func() {
			if cause := recover(); cause != nil {
				m.result, decided = b.crashed(ctx, m, cause), true
			}
		}()
		var r result
		if r, decided = how(m); decided {
			m.result = r
		}
	}()
	if !decided {
		return false
	}
	if m.result.outcome == deactivation.Deferred && m.receives >= exhaustedReceives {
		m.result.outcome, m.result.reason, m.result.retryIn = deactivation.Rejected, deactivation.ReasonExhausted, 0
	}
	if m.result.outcome != deactivation.Rejected {
		b.log(ctx, m)
	}
	return true
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
