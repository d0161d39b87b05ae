// Package queue is the queue between the two functions: [SQS] is Amazon SQS, [Memory] keeps SQS's rules inside one
// process. Both have the same four methods, so that only main chooses between them:
//
//	failed := q.Send(ctx, []queue.Entry{{Body: wire, Group: "stripe"}})
//	received, err := q.Receive(ctx, 10, 20*time.Second, 0)
//	failed = q.Defer(ctx, []queue.Deferral{{Receipt: received[0].Receipt, After: time.Minute}})
//	failed = q.Delete(ctx, []string{received[1].Receipt})
//
// Send, Defer and Delete take any number of elements. They report each element that failed by its index in the slice
// that was given, in ascending order; nil means that all succeeded. A failure never stops the other elements.
// Retryable failures of single entries and of whole calls are retried a few times within the context. When the
// context ends, every element that is not known to have succeeded is reported with an error that wraps the context's.
// Delivery is at least once: an entry that is sent again because a response was lost is in the queue twice.
//
// An entry is checked before it is sent: one character that SQS refuses would otherwise fail the whole call, or fail
// unnoticed.
//
// Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
package queue

import (
	"errors"
	"fmt"
	"time"
)

const (
	// maxBatch is how many entries SQS accepts in one call.
	maxBatch = 10

	// maxBytes is the largest size of a message, attributes included, and of all messages of a batch together: 1 MiB.
	maxBytes = 1 << 20

	// maxWait is SQS's longest long poll.
	maxWait = 20 * time.Second

	// maxVisibility is how long a message can be hidden, counted from its receive.
	maxVisibility = 12 * time.Hour
)

// ErrRefused is wrapped by the error of an element that the queue cannot accept as it is: a retry would fail too. Every
// other failure may succeed when it is retried.
var ErrRefused = errors.New("queue: refused")

// Entry is a message to send.
type Entry struct {
	Body       string            // 1 byte to 1 MiB together with the attributes, in the characters that SQS accepts
	Group      string            // the tenant of a fair queue, up to 128 characters; "" is a tenant of its own
	Attributes map[string]string // up to 10, sent as type String; an empty value is refused: leave it out
}

// Failure is one element of the given slice that failed, and why.
type Failure struct {
	Index int
	Err   error
}

// Deferral hides a received message until After has passed, counted from the call. After is rounded up to whole
// seconds and limited to 0 (visible again at once) to 12 hours. SQS refuses a time that would end more than 12 hours
// after the receive.
type Deferral struct {
	Receipt string
	After   time.Duration
}

// Received is a message that was handed out. It is received again after its visibility timeout, unless it is deleted.
type Received struct {
	ID           string // SQS's message id; a message that is redriven by a move task gets a new one
	Receipt      string // for Defer and Delete; each receive makes a new one
	Body         string
	Group        string
	Attributes   map[string]string // nil without attributes
	ReceiveCount int               // 1 at the first receive
	SentAt       time.Time         // to the millisecond
}

// checkReceive returns an error for arguments that SQS refuses.
func checkReceive(most int, wait, visibility time.Duration) error {
	switch {
	case most < 1 || most > maxBatch:
		return fmt.Errorf("queue: receive: max must be 1 to %d, is %d", maxBatch, most)
	case wait < 0 || wait > maxWait:
		return fmt.Errorf("queue: receive: wait must be 0 to %v, is %v", maxWait, wait)
	case visibility < 0 || visibility > maxVisibility:
		return fmt.Errorf("queue: receive: visibility must be 0 to %v, is %v", maxVisibility, visibility)
	}
	return nil
}

// wholeSeconds rounds up: SQS counts in whole seconds, and a message must not become visible sooner than asked.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// visibilityTimeout is how long a deferral hides its message, in whole seconds and within SQS's range.
func visibilityTimeout(after time.Duration) time.Duration {
	return wholeSeconds(min(max(after, 0), maxVisibility))
}
