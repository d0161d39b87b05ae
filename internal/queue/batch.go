package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"license-deactivator/internal/deadline"
)

const (
	// maxConcurrentBatches is how many batches are sent at the same time. Eight carry the largest direct invocation, 1,000
	// batches, in 2.5 s at 20 ms a call; at 256 MB its CPU time, 0.7 s, takes longer: 5 s (BenchmarkBulk). They hold at
	// most 8 MiB of bodies, and need no more than the ten idle connections that the SDK keeps for a host.
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

	// An attempt without a response is abandoned while there is time for the next one: after firstTimeout, and each
	// further attempt after twice as long as the one before. If no attempt of a delivery, which has 3.5 s, gets a
	// response, they take
	//
	//	attempt         1      2      3     4      sum
	//	wait before ≤          0.1    0.2   0.4
	//	time-out        0.35   0.7    1.4   rest   3.5 s
	//
	// so that one hung call delays a delivery by less than half a second. SQS responds within 10 to 50 ms. firstTimeout
	// leaves time for a new connection, whose TLS handshake takes 50 ms at 256 MB. A call that is slower is repeated,
	// which costs one duplicate. Without a deadline there is no hurry, and every attempt has maxTimeout.
	firstTimeout = 350 * time.Millisecond
	maxTimeout   = 30 * time.Second

	// minUploadRate is the slowest tolerated upload, in bytes per second: a full batch of 1 MiB gets a second more. The
	// SDK needs 14 ms of CPU for it, 0.1 s at 256 MB (0.145 of a processor), and 0.8 s for eight at once.
	minUploadRate = 1 << 20
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

// sum returns the sum of the sizes of a batch's elements.
func sum(size func(index int) int) func(batch []int) int {
	return func(batch []int) int {
		n := 0
		for _, index := range batch {
			n += size(index)
		}
		return n
	}
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

// A batchCall makes one attempt for a batch. It returns the elements that failed.
type batchCall func(ctx context.Context, batch []int) []attemptFailure

// runBatches calls call for every batch, several at the same time, and retries what call reports as retryable. bytes is
// the size of a batch's request; nil means that it is small.
func runBatches(ctx context.Context, batches [][]int, bytes func(batch []int) int, call batchCall) []Failure {
	failures := make([][]Failure, len(batches))
	var next atomic.Int64
	var senders sync.WaitGroup // a few for all batches: a new goroutine for each batch would grow its stack for each call, a sixth of the CPU time of Send
	for range min(maxConcurrentBatches, len(batches)) {
		senders.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(batches)); i = next.Add(1) - 1 {
				var upload time.Duration
				if bytes != nil {
					upload = time.Duration(bytes(batches[i])) * time.Second / minUploadRate
				}
				failures[i] = runBatch(ctx, batches[i], upload, call)
			}
		})
	}
	senders.Wait()

	return slices.Concat(failures...)
}

// runBatch is runBatches for one batch. Each attempt has extra time on top of its time-out.
func runBatch(ctx context.Context, batch []int, extra time.Duration, call batchCall) []Failure {
	timeout := maxTimeout
	if _, hasDeadline := ctx.Deadline(); hasDeadline {
		timeout = firstTimeout
	}
	var failures []Failure
	var retry []attemptFailure
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return append(failures, contextFailures(ctx, batch, retry)...)
		}

		attemptCtx, cancel := context.WithTimeout(ctx, timeout+extra)
		failed := call(attemptCtx, batch)
		cancel()
		timeout = min(2*timeout, maxTimeout)
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
