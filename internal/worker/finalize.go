package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// maxGroup is the longest message group id of SQS:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
const maxGroup = 128

// errNoMessageID makes Lambda retain the whole batch: a record without an id cannot be listed as failed, an empty id
// also fails the batch but as a malformed response, and a record that is not listed is deleted.
var errNoMessageID = errors.New("worker: a record without a message id has to stay in the queue")

// batchItemFailures lists the retained messages, each id once: SQS may put one message into a batch twice.
func batchItemFailures(retained []*message) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	listed := make(map[string]bool)
	for _, m := range retained {
		id := m.record.MessageId
		if id == "" {
			return events.SQSEventResponse{}, errNoMessageID
		}
		if !listed[id] {
			listed[id] = true
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
		}
	}
	return response, nil
}

// finalize moves the rejected messages to the dead-letter queue, then changes the visibility of every retained one, and
// returns the retained ones. The order is always this: a message that the dead-letter queue has not accepted is
// retained.
//
// It continues when ctx is cancelled, since the decisions would be lost otherwise; it ends by the deadline rule.
func (b *batch) finalize(ctx context.Context) []*message {
	end, limited := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-idleReserve))
		defer cancel()
	}
	b.sendDeadLetters(ctx)

	var retained []*message
	for _, m := range b.messages {
		if m.result.outcome == deactivation.Deferred {
			retained = append(retained, m)
		}
	}
	b.changeVisibility(ctx, retained)
	return retained
}

// sendDeadLetters sends the rejected messages to the dead-letter queue. A message that it does not accept is deferred.
func (b *batch) sendDeadLetters(ctx context.Context) {
	var rejected []*message
	var entries []queue.Entry
	for _, m := range b.messages {
		if m.result.outcome == deactivation.Rejected {
			rejected = append(rejected, m)
			entries = append(entries, b.deadLetter(m))
		}
	}
	if len(entries) == 0 {
		return
	}
	var failures []queue.Failure
	if err := ctx.Err(); err != nil { // nothing is started any more
		for i := range entries {
			failures = append(failures, queue.Failure{Index: i, Err: err})
		}
	} else {
		failures = b.h.cfg.DeadLetters.Send(ctx, entries)
	}
	for _, f := range failures {
		m := rejected[f.Index]
		m.result.outcome, m.result.reason = deactivation.Deferred, ""
		m.result.retryIn = b.h.cfg.Backoff.wait(m.receives)
		m.result.detail = deactivation.CleanText(fmt.Sprintf("the dead-letter queue did not accept it: %v", f.Err))
	}
}

// deadLetter is the message as received, with its outcome as attributes.
func (b *batch) deadLetter(m *message) queue.Entry {
	letter := deactivation.DeadLetter{
		Reason: m.result.reason, Code: m.result.code, Detail: m.result.detail, Attempts: m.receives,
		FailedAt: b.h.cfg.Now(), Source: m.source, RequestID: m.request.ID,
	}
	return queue.Entry{Body: m.record.Body, Group: groupOf(m.source), Attributes: letter.Attributes()}
}

// groupOf is the source as a message group id; "" if SQS would refuse it, which happens only to a message that is not
// ours. A fair queue treats a message without a group as its own tenant.
func groupOf(source string) string {
	if len(source) > maxGroup {
		return ""
	}
	for _, c := range []byte(source) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return source
}

// changeVisibility sets the time after which each retained message becomes visible again. If that fails, the message
// becomes visible after the queue's own visibility timeout, so a warning is enough.
func (b *batch) changeVisibility(ctx context.Context, retained []*message) {
	var deferrals []queue.Deferral
	for _, m := range retained {
		if m.record.ReceiptHandle != "" {
			deferrals = append(deferrals, queue.Deferral{Receipt: m.record.ReceiptHandle, After: m.result.retryIn})
		}
	}
	if len(deferrals) == 0 {
		return
	}
	err, count := ctx.Err(), len(deferrals) // nothing is started any more when ctx has ended
	if err == nil {
		failures := b.h.cfg.Queue.Defer(ctx, deferrals)
		if len(failures) == 0 {
			return
		}
		err, count = failures[0].Err, len(failures)
	}
	b.h.cfg.Recorder.Logger().WarnContext(ctx, "messages come back after the queue's visibility timeout, not after their backoff",
		"count", count, "error", deactivation.CleanText(err.Error()))
}
