// Package queue is the queue between the two functions: [SQS] is Amazon's, [Memory] keeps SQS's rules inside one
// process. Both have the same four methods, so that the choice is made in main and nowhere else:
//
//	failed := q.Send(ctx, []queue.Entry{{Body: wire, Group: "stripe"}})
//	received, err := q.Receive(ctx, 10, 20*time.Second, 0)
//	failed = q.Defer(ctx, []queue.Deferral{{Receipt: received[0].Receipt, After: time.Minute}})
//	failed = q.Delete(ctx, []string{received[1].Receipt})
//
// Send, Defer and Delete take any number and report what was not done by its index in the slice they were given,
// in rising order; nil means that all of it is done. One that fails never stops the others. What SQS refuses in
// part, and calls that did not reach it, are tried again a few times inside the context; when the context ends,
// everything that is not known to be done is reported with an error that wraps the context's. Delivery is at
// least once: whatever is sent again after an answer was lost is in the queue twice.
//
// An entry is checked before it is sent, because one character that SQS does not take would otherwise come back
// as a fault of the whole call, or never.
//
// Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
package queue

import (
	"errors"
	"fmt"
	"time"
)

const (
	// maxBatch is how many entries SQS takes in one call.
	maxBatch = 10

	// maxBytes is how large a message may be, attributes included, and so may the sum of a batch: 1 MiB.
	maxBytes = 1 << 20

	// maxWait is SQS's longest long poll.
	maxWait = 20 * time.Second

	// maxVisibility is how long a message can be hidden, counted from its receive.
	maxVisibility = 12 * time.Hour
)

// ErrRefused is wrapped by the error of an entry that the queue cannot take as it is: sending it again is of no
// use. Every other failure may pass when it is tried again.
var ErrRefused = errors.New("queue: refused")

// Entry is a message to send.
type Entry struct {
	Body       string            // 1 byte to 1 MiB together with the attributes, in the characters that SQS takes
	Group      string            // the tenant of a fair queue, up to 128 characters; "" is a tenant of its own
	Attributes map[string]string // up to 10, sent as type String; an empty value is refused: leave it out
}

// Failure says which element of the slice that was given is not done, and why.
type Failure struct {
	Index int
	Err   error
}

// Deferral hides a received message until After has passed, counted from the call. It is rounded up to whole
// seconds and held between 0 (handed out again at once) and 12 hours; SQS refuses what would end more than
// 12 hours after the receive.
type Deferral struct {
	Receipt string
	After   time.Duration
}

// Received is a message that was handed out. It comes again when its visibility ends, unless it is deleted.
type Received struct {
	ID           string // the queue's own; a message that is redriven by hand has another
	Receipt      string // for Defer and Delete; each receive gives a new one
	Body         string
	Group        string
	Attributes   map[string]string // nil without attributes
	ReceiveCount int               // 1 at the first receive
	SentAt       time.Time         // to the millisecond
}

// checkReceive refuses what SQS refuses.
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

// wholeSeconds rounds up, since SQS counts in whole seconds and "sooner than asked" is the wrong side.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// hidden is how long a deferral hides its message, in whole seconds and within SQS's range.
func hidden(after time.Duration) time.Duration {
	return wholeSeconds(min(max(after, 0), maxVisibility))
}
