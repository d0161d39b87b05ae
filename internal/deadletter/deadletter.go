// Package deadletter works on the dead-letter queue: it looks at the letters, chooses some of them, says what each reason
// means, and redrives or purges the chosen ones. `licensectl dlq` stands on it.
//
//	look, err := deadletter.Open(ctx, deadLetters, deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonHeld}})
//	defer look.Close()
//	result := look.Run(ctx, moves, queue, 10, nil)
//
// SQS has no way to read a queue without receiving its messages. A look therefore receives every letter, hides it for 30
// seconds, and extends that while the look is open, so that the letters of a killed process are visible again after 30
// seconds. Close makes the letters that are left visible at once. A look adds 1 to the receive count of each letter. The
// dead-letter queue has no redrive policy of its own, so no receive count moves or deletes a letter. Its one effect is that
// CloudWatch leaves a message that was received more than three times out of ApproximateAgeOfOldestMessage.
//
// A letter is sent first and deleted after the queue has accepted it. A process that is killed in between leaves the
// letters of one batch in both queues. That does no harm: their requests keep their ids, and a second deactivation finds
// the device inactive.
package deadletter

import (
	"context"
	"time"

	"license-deactivator/internal/queue"
)

// Queue is the dead-letter queue. *queue.SQS and *queue.Memory implement it.
type Queue interface {
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]queue.Received, error)
	Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure
	Delete(ctx context.Context, receipts []string) []queue.Failure
}

// Sender is the queue to which letters are redriven.
type Sender interface {
	Send(ctx context.Context, entries []queue.Entry) []queue.Failure
}
