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
	// lanes is how many batches are under way at the same time. Eight carry the largest direct invocation (6 MB,
	// some 20,000 messages) in seconds at 10 ms a call, hold at most 8 MiB of bodies, and stay within the ten
	// idle connections that the SDK keeps for a host.
	lanes = 8

	// attempts is how often one batch is handed over, each time without what is done. Between them at most
	//
	//	attempt   2     3     4     sum
	//	wait ≤    0.1   0.2   0.4   0.7 s
	//
	// A throttled or restarted partition of SQS is well within a second; a longer outage is the caller's, who
	// knows what the sender of a webhook will wait for.
	attempts  = 4
	firstWait = 100 * time.Millisecond
)

// fault is an element that one attempt did not do.
type fault struct {
	index int // in the caller's slice
	err   error
	final bool // another attempt cannot help
}

// split makes batches of up to ten indexes with up to 1 MiB in sum, in the order given.
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

// tens makes batches of elements that have no size of note: the receipts of Defer and Delete.
func tens(n int) [][]int {
	return slices.Collect(slices.Chunk(upTo(n), maxBatch))
}

// upTo lists the indexes of a slice of n elements.
func upTo(n int) []int {
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

// handOver hands every batch to call, several at a time, and again what call reports as not final.
func handOver(ctx context.Context, batches [][]int, call func(ctx context.Context, batch []int) []fault) []Failure {
	failures := make([][]Failure, len(batches))
	var group errgroup.Group
	group.SetLimit(lanes)
	for i, batch := range batches {
		group.Go(func() error {
			failures[i] = handOverOne(ctx, batch, call)
			return nil
		})
	}
	_ = group.Wait() // no lane returns an error

	return slices.Concat(failures...)
}

func handOverOne(ctx context.Context, batch []int, call func(ctx context.Context, batch []int) []fault) []Failure {
	var failures []Failure
	var again []fault
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return append(failures, stopped(ctx, batch, again)...)
		}

		faults := call(ctx, batch)
		batch, again = nil, nil
		for _, f := range faults {
			if f.final || attempt == attempts {
				failures = append(failures, Failure{f.index, f.err})
				continue
			}
			batch, again = append(batch, f.index), append(again, f)
		}
		if len(batch) == 0 {
			return failures
		}

		pause(ctx, attempt)
	}
}

// stopped reports a batch that the end of ctx left undone, with the last fault of each where there was an attempt.
func stopped(ctx context.Context, batch []int, last []fault) []Failure {
	failures := make([]Failure, len(batch))
	for i, index := range batch {
		err := fmt.Errorf("queue: stopped: %w", ctx.Err())
		if last != nil {
			err = fmt.Errorf("queue: stopped: %w (at last: %w)", ctx.Err(), last[i].err)
		}
		failures[i] = Failure{index, err}
	}
	return failures
}

// pause waits between half and all of the wait after that attempt, or until ctx ends: without the jitter, the
// lanes that were throttled together would come back together.
func pause(ctx context.Context, attempt int) {
	wait := firstWait << (attempt - 1)
	_ = deadline.Sleep(ctx, wait/2+rand.N(wait/2)) // the next attempt looks at ctx itself
}
