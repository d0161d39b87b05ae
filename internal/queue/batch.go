package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"license-deactivator/internal/deadline"
)

const (
	// maxConcurrentBatches is how many batches are sent at the same time. Eight carry the largest direct invocation
	// (6 MB, about 20,000 messages) in seconds at 10 ms a call, hold at most 8 MiB of bodies, and need no more than
	// the ten idle connections that the SDK keeps for a host.
	maxConcurrentBatches = 8

	// maxAttempts is how often one batch is sent, each time without the entries that succeeded. The waits between the
	// attempts are at most
	//
	//	attempt   2     3     4     sum
	//	wait ≤    0.1   0.2   0.4   0.7 s
	//
	// A throttled or restarted partition of SQS recovers well within a second. A longer outage is handled by the
	// caller, which knows how long the sender of a webhook waits.
	maxAttempts = 4
	firstWait   = 100 * time.Millisecond
)

// attemptFailure is one element that failed in one attempt.
type attemptFailure struct {
	index     int // in the caller's slice
	err       error
	retryable bool
}

// split makes batches of at most ten indexes with at most 1 MiB in sum, in the given order.
func split(indexes []int, size func(index int) int) [][]int {
	var batches [][]int
	start, sum := 0, 0
	for i, index := range indexes {
		n := size(index)
		if i > start && (i-start == maxBatch || sum+n > maxBytes) {
			batches = append(batches, indexes[start:i])
			start, sum = i, 0
		}
		sum += n
	}
	if start < len(indexes) {
		batches = append(batches, indexes[start:])
	}
	return batches
}

// splitByCount makes batches of n elements whose size does not matter: the receipts of Defer and Delete.
func splitByCount(n int) [][]int {
	return slices.Collect(slices.Chunk(indexesOf(n), maxBatch))
}

// indexesOf lists the indexes of a slice of n elements.
func indexesOf(n int) []int {
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

// runBatches calls call for every batch, several at the same time, and retries what call reports as retryable.
func runBatches(ctx context.Context, batches [][]int, call func(ctx context.Context, batch []int) []attemptFailure) []Failure {
	failures := make([][]Failure, len(batches))
	var group errgroup.Group
	group.SetLimit(maxConcurrentBatches)
	for i, batch := range batches {
		group.Go(func() error {
			failures[i] = runBatch(ctx, batch, call)
			return nil
		})
	}
	_ = group.Wait() // no batch returns an error

	return slices.Concat(failures...)
}

func runBatch(ctx context.Context, batch []int, call func(ctx context.Context, batch []int) []attemptFailure) []Failure {
	var failures []Failure
	var retry []attemptFailure
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return append(failures, contextFailures(ctx, batch, retry)...)
		}

		failed := call(ctx, batch)
		batch, retry = nil, nil
		for _, f := range failed {
			if !f.retryable || attempt == maxAttempts {
				failures = append(failures, Failure{f.index, f.err})
				continue
			}
			batch, retry = append(batch, f.index), append(retry, f)
		}
		if len(batch) == 0 {
			return failures
		}

		backOff(ctx, attempt)
	}
}

// contextFailures reports a batch that was not sent because ctx ended. last holds the failures of the attempt before;
// nil means that there was no attempt.
func contextFailures(ctx context.Context, batch []int, last []attemptFailure) []Failure {
	failures := make([]Failure, len(batch))
	for i, index := range batch {
		err := fmt.Errorf("queue: stopped: %w", ctx.Err())
		if last != nil {
			err = fmt.Errorf("queue: stopped: %w (last error: %w)", ctx.Err(), last[i].err)
		}
		failures[i] = Failure{index, err}
	}
	return failures
}

// backOff waits between half and all of the wait after that attempt, or until ctx ends. Without the jitter, batches
// that were throttled together would be retried together.
func backOff(ctx context.Context, attempt int) {
	wait := firstWait << (attempt - 1)
	_ = deadline.Sleep(ctx, wait/2+rand.N(wait/2)) // runBatch checks ctx before the next attempt
}
