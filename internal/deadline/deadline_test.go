package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/deadline"
)

func TestBeforeLeavesTheReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(time.Minute)
		outer, cancel := context.WithDeadline(t.Context(), end)
		defer cancel()
		ctx, cancel := deadline.Before(outer, 3*time.Second)
		defer cancel()
		if got, ok := ctx.Deadline(); !ok || end.Sub(got) != 3*time.Second {
			t.Errorf("ends %v before the deadline, want 3 s", end.Sub(got))
		}
		if ended, cancel := deadline.Before(outer, time.Hour); !errors.Is(ended.Err(), context.DeadlineExceeded) {
			t.Errorf("%v, want a context that has ended: the reserve is longer than the time left", ended.Err())
			cancel()
		}
	})
}

func TestBeforeWithoutADeadlineEndsWithItsContext(t *testing.T) {
	t.Parallel()
	outer, end := context.WithCancel(t.Context())
	ctx, cancel := deadline.Before(outer, time.Second)
	defer cancel()
	if _, limited := ctx.Deadline(); limited || ctx.Err() != nil {
		t.Errorf("deadline %t, error %v; want neither", limited, ctx.Err())
	}
	end()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%v, want the outer context's end", ctx.Err())
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := deadline.Sleep(t.Context(), time.Hour); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %v, want nil after an hour", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := deadline.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v, want the context's error after a second", err, time.Since(start))
		}
	})
}
