package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi"
)

// maxPanics is the receive from which on a message that makes the worker panic is dead-lettered: often enough to
// outlive a bad moment, seldom enough not to be tried for three days.
const maxPanics = 5

// maxStackBytes bounds the stack of a panic in the log: the first frames tell where it was.
const maxStackBytes = 4 << 10

// batch is one invocation.
type batch struct {
	h        *Handler
	messages []*message

	// calls is the context of every call. mayCall ends when no further one may begin: too near the deadline, or
	// the configuration is at fault (stopCalls); what is in flight then finishes.
	calls, mayCall      context.Context
	endCalls, stopCalls context.CancelFunc

	mu    sync.Mutex
	fault *fault // the invocation's one fault; nil while there is none

	warnStale sync.Once // of a secret that is used on because a newer one cannot be read
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

// work calls for every message that is not decided yet: CallsInFlight groups at once, the messages of one group one after
// another, so that there are never two calls for one license at the same time.
func (b *batch) work(ctx context.Context) {
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
					b.workOne(ctx, m)
					if m.result.outcome != deactivation.Rejected { // that one is true when the dead-letter queue has it
						b.tellOne(ctx, m)
					}
				}
			}
		})
	}
	calls.Wait()
}

// byLicense groups the messages that need a call by their license, in the order of the batch.
func (b *batch) byLicense() [][]*message {
	var groups [][]*message
	place := make(map[string]int)
	for _, m := range b.messages {
		if m.settled {
			continue
		}
		license := m.request.Identity()
		at, known := place[license]
		if !known {
			at = len(groups)
			place[license] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], m)
	}
	return groups
}

// workOne decides one message. A panic is this message's alone.
func (b *batch) workOne(ctx context.Context, m *message) {
	defer func() {
		if cause := recover(); cause != nil {
			m.result = b.crashed(ctx, m, cause)
		}
	}()
	m.result = b.call(m)
}

// notStarted decides a message that was not called. One that no turn came for is handed back at once for another
// invocation. One that is spared goes away for as long as if it had been called and refused likewise: handed back at
// once it would use up its receives within minutes.
func (b *batch) notStarted(m *message, why error) result {
	b.mu.Lock()
	fault := b.fault
	b.mu.Unlock()
	backoff := b.h.cfg.Backoff
	if fault != nil && fault.stops {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.Cap, code: fault.code,
			detail: deactivation.CleanText("not called, the configuration is at fault: " + fault.what),
		}
	}
	if paused, ok := errors.AsType[*pausedError](why); ok {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.RateLimited(m.receives, paused.left, random()), code: deactivation.CleanText(paused.code),
			detail: "not called, the License API asked for a pause that is longer than this invocation",
		}
	}
	if errors.Is(why, errSpared) {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.wait(m.receives), code: deactivation.CleanText(b.h.breaker.lastCode()),
			detail: "not called, the License API did not answer the calls before",
		}
	}
	return result{outcome: deactivation.Deferred, detail: "no time left for one more call"}
}

// slowDown takes a 429 to a call that began at that time.
func (b *batch) slowDown(begun time.Time, err error) {
	answered, ok := errors.AsType[*licenseapi.Error](err)
	if !ok {
		return
	}
	if pause := b.h.pace.slow.heard(begun, answered.RetryAfter, licenseapi.CodeOf(err)); pause > 0 {
		b.h.cfg.Recorder.Logger().WarnContext(b.calls, "rate limited, the pace is lowered",
			"pause_ms", pause.Milliseconds(), "calls_per_second", float64(b.h.pace.slow.of(b.h.pace.share, time.Now())))
	}
}

// crashed decides a message whose work panicked. The cause's text is kept only where the runtime wrote it: any
// other may hold what the code was working on.
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

// tell writes the invocation's fault, and the lines of the messages that were not told as they happened.
func (b *batch) tell(ctx context.Context) {
	if b.fault != nil {
		b.h.cfg.Recorder.Fault(ctx, b.fault.what, b.fault.evidence)
	}
	for _, m := range b.messages {
		b.tellOne(ctx, m)
	}
}

// tellOne writes a message's line, once. An outcome is told when it happens and not when its batch ends: an invocation
// that is killed in between would take it along.
func (b *batch) tellOne(ctx context.Context, m *message) {
	if m.told {
		return
	}
	m.told = true
	line := telemetry.Message{
		ID: deactivation.CleanText(m.id()), Source: deactivation.CleanText(m.source), Cause: deactivation.CleanText(m.request.Cause), Rule: deactivation.CleanText(m.request.Rule),
		Order: cleanAll(m.request.Order), Outcome: m.result.outcome, Reason: m.result.reason,
		Class: m.result.class, Code: m.result.code, Detail: m.result.detail,
		Attempts: m.receives, Latency: m.result.latency, RetryIn: m.result.retryIn,
		License: deactivation.Shorten(m.request.LicenseKey), Product: deactivation.CleanText(m.request.Product), KeyVersion: m.result.version,
	}
	b.h.cfg.Recorder.Message(ctx, line)
	if b.h.cfg.OnOutcome != nil {
		b.h.cfg.OnOutcome(line)
	}
}
