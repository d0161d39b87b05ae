// Package deadline has what every wait inside an invocation needs: a context that ends some time before the
// invocation's deadline, and a sleep that ends with its context.
package deadline

import (
	"context"
	"time"
)

// Before returns a context that ends reserve before ctx's deadline, so that the reserve is left for what follows. With
// a reserve longer than the time left, the context has already ended. Without a deadline it ends when ctx does. The
// cancel function must be called, as with context.WithDeadline.
func Before(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-reserve))
	}
	return context.WithCancel(ctx)
}

// Sleep waits for d. It returns nil after d, or ctx's error when ctx ends first. With d of 0 or less it returns without
// a wait.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
