package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlineRuleLeavesTimeToFinalize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(time.Minute)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		b := newBatch(ctx, &Handler{}, nil)
		defer b.endCalls()

		if got, ok := b.calls.Deadline(); !ok || deadline.Sub(got) != 3*time.Second {
			t.Errorf("calls end %v before the deadline, want 3 s", deadline.Sub(got))
		}
		if got, ok := b.mayCall.Deadline(); !ok || deadline.Sub(got) != 4*time.Second {
			t.Errorf("the last call begins %v before the deadline, want 4 s", deadline.Sub(got))
		}
		b.stopCalls()
		if b.mayCall.Err() == nil || b.calls.Err() != nil {
			t.Error("a fault has to end mayCall, and no call under way")
		}
	})
}

func TestWithoutADeadlineThereIsNoLimit(t *testing.T) {
	t.Parallel()
	b := newBatch(t.Context(), &Handler{}, nil)
	defer b.endCalls()
	if _, limited := b.calls.Deadline(); limited {
		t.Error("calls have a deadline")
	}
	if _, limited := b.mayCall.Deadline(); limited {
		t.Error("beginning a call has a deadline")
	}
}
