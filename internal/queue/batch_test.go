package queue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errThrottled, errInvalid = errors.New("slow down"), errors.New("wrong")

// script answers the calls of one batch, one answer per call; the last answer is repeated.
type script struct {
	mu      sync.Mutex
	answers []func(batch []int) []attemptFailure
	calls   [][]int
	times   []time.Time
}

func (s *script) call(_ context.Context, batch []int) []attemptFailure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.times = append(s.calls, slices.Clone(batch)), append(s.times, time.Now())
	answer := s.answers[min(len(s.calls), len(s.answers))-1]
	return answer(batch)
}

func allSucceed([]int) []attemptFailure { return nil }

func allFail(batch []int) []attemptFailure {
	var failures []attemptFailure
	for _, index := range batch {
		failures = append(failures, attemptFailure{index, errThrottled, true})
	}
	return failures
}

func TestAPartialFailureIsRetriedWithoutTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func([]int) []attemptFailure{
			func([]int) []attemptFailure {
				return []attemptFailure{{1, errThrottled, true}, {2, errInvalid, false}, {3, errThrottled, true}}
			},
			func([]int) []attemptFailure { return []attemptFailure{{3, errThrottled, true}} },
			allSucceed,
		}}
		got := runBatches(t.Context(), [][]int{{0, 1, 2, 3}}, nil, s.call)

		if diff := cmp.Diff([][]int{{0, 1, 2, 3}, {1, 3}, {3}}, s.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if len(got) != 1 || got[0].Index != 2 || !errors.Is(got[0].Err, errInvalid) {
			t.Errorf("failures are %v, want that of 2 alone: it is not retryable", got)
		}
	})
}

func TestAttemptsAreLimitedAndTheirWaitsShortAndJittered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func([]int) []attemptFailure{allFail}}
		got := runBatches(t.Context(), [][]int{{0, 1}}, nil, s.call)

		if len(s.calls) != 4 {
			t.Fatalf("%d calls, want 4", len(s.calls))
		}
		for i, most := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
			if wait := s.times[i+1].Sub(s.times[i]); wait < most/2 || wait >= most {
				t.Errorf("wait %d is %v, want %v to %v", i+1, wait, most/2, most)
			}
		}
		want := []Failure{{0, errThrottled}, {1, errThrottled}}
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("failures are %v, want %v", got, want)
		}
	})
}

func TestTheEndOfTheContextReportsWhatWasNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const given = 500 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), given)
		defer cancel()
		// Every call takes 300 ms: two rounds of eight batches begin, the second is under way when the time is up.
		var mu sync.Mutex
		done := map[int]bool{}
		call := func(ctx context.Context, batch []int) []attemptFailure {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return []attemptFailure{{batch[0], ctx.Err(), true}}
			}
			mu.Lock()
			defer mu.Unlock()
			done[batch[0]] = true
			return nil
		}
		began := time.Now()
		got := runBatches(ctx, slices.Collect(slices.Chunk(indexesOf(3*maxConcurrentBatches), 1)), nil, call)

		if took := time.Since(began); took != given {
			t.Errorf("took %v, want the %v that there were", took, given)
		}
		if len(done) != maxConcurrentBatches {
			t.Errorf("%d batches done, want %d: so many at a time", len(done), maxConcurrentBatches)
		}
		for i, f := range sortByIndex(got) {
			if f.Index != maxConcurrentBatches+i {
				t.Errorf("failure %d has index %d, want %d", i, f.Index, maxConcurrentBatches+i)
			}
			if !errors.Is(f.Err, context.DeadlineExceeded) {
				t.Errorf("failure of %d: %v, want context.DeadlineExceeded", f.Index, f.Err)
			}
		}
		if len(got) != 2*maxConcurrentBatches {
			t.Errorf("%d failures, want %d", len(got), 2*maxConcurrentBatches)
		}
	})
}

func TestTheEndOfTheContextEndsAWaitAndKeepsTheReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		s := &script{answers: []func([]int) []attemptFailure{allFail}}
		began := time.Now()
		got := runBatches(ctx, [][]int{{7}}, nil, s.call)

		if took := time.Since(began); took != time.Millisecond {
			t.Errorf("took %v, want the millisecond that there was", took)
		}
		if len(got) != 1 || got[0].Index != 7 || !errors.Is(got[0].Err, context.DeadlineExceeded) || !errors.Is(got[0].Err, errThrottled) {
			t.Errorf("failures are %v, want one of 7 with the end of the context and the last answer", got)
		}
	})
}
