package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

// refusing is a queue that accepts nothing.
type refusing struct{}

func (refusing) Receive(context.Context, int, time.Duration, time.Duration) ([]queue.Received, error) {
	return nil, errKilled
}
func (refusing) Defer(_ context.Context, d []queue.Deferral) []queue.Failure { return failAll(len(d)) }
func (refusing) Delete(_ context.Context, r []string) []queue.Failure        { return failAll(len(r)) }
func (refusing) Send(_ context.Context, e []queue.Entry) []queue.Failure     { return failAll(len(e)) }

const perReason = 35 // letters: four batches, the last one not full

// TestARedriveOfOneReasonLeavesTheOthersAlone kills the process after each of its calls in turn, and lets a second one
// finish: no letter is lost, at most the ten of one batch are in the queue twice, and no letter of another reason is sent.
func TestARedriveOfOneReasonLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	filter := deadletter.Options{Filter: deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonHeld}}, Bodies: true}
	whole := 0 // calls of a run that is not killed
	for calls := -1; calls <= whole; calls++ {
		synctest.Test(t, func(t *testing.T) {
			dead, jobs := fill(t, perReason), queue.NewMemory(queue.MemoryConfig{})
			process := &mortal{dead: dead, jobs: jobs, calls: calls}
			look, err := deadletter.Open(t.Context(), process, filter)
			if err != nil {
				t.Fatal(err)
			}
			result, err := look.Run(t.Context(), moves(t, look), process, 1e6, nil)
			if calls >= 0 {
				process.calls = 0 // it could not close the look either
			}
			look.Close()
			if calls < 0 {
				whole = len(process.log)
				if err != nil || result.Done != perReason || firstOf(process.log, "send") > firstOf(process.log, "delete") {
					t.Fatalf("%+v, %v, %v", result, err, process.log)
				}
			}
			if result.Sum() != perReason {
				t.Errorf("killed after %d calls: %+v does not count %d letters", calls, result, perReason)
			}

			time.Sleep(31 * time.Second) // all that the first process held is visible again
			if n := dead.InFlight(); n != 0 {
				t.Errorf("killed after %d calls: %d letters are still hidden after 31 s", calls, n)
			}
			second := open(t, dead, filter)
			if _, err := second.Run(t.Context(), moves(t, second), jobs, 1e6, nil); err != nil {
				t.Fatal(err)
			}
			second.Close()
			check(t, calls, ids(t, jobs), ids(t, dead))
		})
	}
	if whole < 3*4 {
		t.Errorf("a whole run makes %d calls: the test killed nothing", whole)
	}
}

// check requires that each held letter is in the queue, and nothing else.
func check(t *testing.T, calls int, sent, left map[string]int) {
	t.Helper()
	twice := 0
	for i := range perReason {
		switch n := sent[fmt.Sprintf("%s-%04d", deactivation.ReasonHeld, i)]; n {
		case 0:
			t.Errorf("killed after %d calls: letter %d is lost", calls, i)
		case 1:
		case 2:
			twice++
		default:
			t.Errorf("killed after %d calls: letter %d was sent %d times", calls, i, n)
		}
	}
	if twice > 10 || len(sent) != perReason {
		t.Errorf("killed after %d calls: %d of %d were sent twice", calls, twice, len(sent))
	}
	if len(left) != 6*perReason {
		t.Errorf("killed after %d calls: %d letters of other reasons are left, want %d", calls, len(left), 6*perReason)
	}
	for id, n := range left {
		if n != 1 || strings.HasPrefix(id, string(deactivation.ReasonHeld)) {
			t.Errorf("killed after %d calls: %s is left %d times", calls, id, n)
		}
	}
}

func TestAQueueThatRefusesStopsTheRunAndKeepsTheLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead := fill(t, 5)
		look := open(t, dead, deadletter.Options{Bodies: true})
		result, err := look.Run(t.Context(), moves(t, look), refusing{}, 1e6, nil)
		if !errors.Is(err, errKilled) || result.Kept != 35 || dead.Len() != 35 {
			t.Errorf("%+v, %v, %d left", result, err, dead.Len())
		}
	})
}

// TestALetterThatIsNotAcceptedIsVisibleAtOnce: SQS accepts the rest of the batch.
func TestALetterThatIsNotAcceptedIsVisibleAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, jobs := fill(t, 1), queue.NewMemory(queue.MemoryConfig{})
		look := open(t, dead, deadletter.Options{Bodies: true})
		all := moves(t, look)
		all[2].Entries[0].Body = "\uFFFE"
		result, err := look.Run(t.Context(), all, jobs, 1e6, nil)
		if err != nil || result != (deadletter.Result{Done: 6, Kept: 1}) {
			t.Errorf("%+v, %v", result, err)
		}
		if dead.Len() != 1 || dead.InFlight() != 0 || jobs.Len() != 6 {
			t.Errorf("%d letters left, %d hidden, %d sent", dead.Len(), dead.InFlight(), jobs.Len())
		}
	})
}

// TestALetterThatAnotherOperatorTookIsNotSent: its receipt is not the latest one.
func TestALetterThatAnotherOperatorTookIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, jobs := fill(t, 1), queue.NewMemory(queue.MemoryConfig{})
		first := open(t, dead, deadletter.Options{Bodies: true})
		all := moves(t, first)
		first.Close() // and goes on with what it knows, as a process that was suspended
		second := open(t, dead, deadletter.Options{Bodies: true})
		if err := first.Confirm(t.Context()); !errors.Is(err, deadletter.ErrLost) {
			t.Errorf("Confirm: %v", err)
		}
		result, err := first.Run(t.Context(), all, jobs, 1e6, nil)
		if !errors.Is(err, deadletter.ErrLost) || result.Lost != 7 || jobs.Len() != 0 {
			t.Errorf("%+v, %v, %d sent", result, err, jobs.Len())
		}
		if err := second.Confirm(t.Context()); err != nil {
			t.Errorf("the second operator: %v", err)
		}
	})
}

func TestARunKeepsToItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, jobs := fill(t, 30), queue.NewMemory(queue.MemoryConfig{})
		look := open(t, dead, deadletter.Options{Bodies: true})
		begin, batches := time.Now(), 0
		if _, err := look.Run(t.Context(), moves(t, look), jobs, 2, func(deadletter.Result) { batches++ }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 100*time.Second || took > 101*time.Second || batches != 21 || jobs.Len() != 210 {
			t.Errorf("210 letters at 2 a second took %v in %d batches, %d sent", took, batches, jobs.Len())
		}
	})
}

// TestAnInterruptedRunFinishesItsBatch: Ctrl-C between sending and deleting must not leave the letter in both queues.
func TestAnInterruptedRunFinishesItsBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, jobs := fill(t, 5), queue.NewMemory(queue.MemoryConfig{})
		look := open(t, dead, deadletter.Options{Bodies: true})
		ctx, cancel := context.WithCancel(t.Context())
		interrupted := sender(func(_ context.Context, entries []queue.Entry) []queue.Failure {
			cancel()
			return jobs.Send(context.WithoutCancel(ctx), entries)
		})
		result, err := look.Run(ctx, moves(t, look), interrupted, 1e6, nil)
		look.Close()
		if !errors.Is(err, context.Canceled) || result != (deadletter.Result{Done: 10, Kept: 25}) {
			t.Errorf("%+v, %v", result, err)
		}
		if jobs.Len() != 10 || dead.Len() != 25 || dead.InFlight() != 0 {
			t.Errorf("%d sent, %d left, %d hidden", jobs.Len(), dead.Len(), dead.InFlight())
		}
	})
}

type sender func(context.Context, []queue.Entry) []queue.Failure

func (s sender) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	return s(ctx, entries)
}

// TestAPurgeDeletesWhatWasChosen: a move without entries sends nothing.
func TestAPurgeDeletesWhatWasChosen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead := fill(t, 3)
		look := open(t, dead, deadletter.Options{Filter: deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonStale}}})
		var all []deadletter.Move
		for _, l := range look.Chosen {
			all = append(all, deadletter.Move{Letter: l})
		}
		result, err := look.Run(t.Context(), all, refusing{}, 1e6, nil)
		if err != nil || result.Done != 3 || dead.Len() != 18 {
			t.Errorf("%+v, %v, %d left", result, err, dead.Len())
		}
	})
}

// TestALetterWithManyRequestsIsDeletedOnlyWhenAllAreSent: a delivery can need thousands.
func TestALetterWithManyRequestsIsDeletedOnlyWhenAllAreSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, jobs := fill(t, 1), queue.NewMemory(queue.MemoryConfig{})
		look := open(t, dead, deadletter.Options{Bodies: true})
		all := moves(t, look)
		all[0].Entries = nil
		for i := range 45 {
			all[0].Entries = append(all[0].Entries, queue.Entry{Body: wire(t, request(fmt.Sprint("many-", i)))})
		}
		all[0].Entries = append(all[0].Entries, queue.Entry{Body: "\uFFFE"})
		result, err := look.Run(t.Context(), all, jobs, 1e6, nil)
		if result.Kept != 7 || !errors.Is(err, queue.ErrRefused) || dead.Len() != 7 {
			t.Errorf("%+v, %v, %d left", result, err, dead.Len())
		}
		look.Close()
		all[0].Entries = all[0].Entries[:45]
		again := open(t, dead, deadletter.Options{Bodies: true})
		if result, err := again.Run(t.Context(), all, jobs, 1e6, nil); err != nil || result.Done != 7 || dead.Len() != 0 {
			t.Errorf("%+v, %v, %d left", result, err, dead.Len())
		}
	})
}
