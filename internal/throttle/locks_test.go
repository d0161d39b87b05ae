package throttle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/throttle"
)

// TestAKeyIsHeldByOneAtATime: also when each caller wants several keys, in different orders and twice.
func TestAKeyIsHeldByOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var locks throttle.Locks[string]
		var holders sync.WaitGroup
		var mu sync.Mutex
		inside := map[string]int{}
		begin := time.Now()
		for _, keys := range [][]string{{"a", "b"}, {"b", "a", "b"}, {"b", "c"}, {"d"}} {
			holders.Go(func() {
				unlock, err := locks.Lock(t.Context(), keys...)
				if err != nil {
					t.Error(err)
					return
				}
				keys = slices.Compact(slices.Sorted(slices.Values(keys)))
				add := func(n int) {
					mu.Lock()
					defer mu.Unlock()
					for _, key := range keys {
						if inside[key] += n; inside[key] > 1 {
							t.Errorf("%q has several holders", key)
						}
					}
				}
				add(1)
				time.Sleep(time.Second)
				add(-1)
				unlock()
			})
		}
		holders.Wait()
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want 3 s: three callers want b, and d is nobody else's", took)
		}
	})
}

func TestAWaitForAKeyEndsWithItsContextAndHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var locks throttle.Locks[int]
		unlock, err := locks.Lock(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := locks.Lock(ctx, 1, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		if again, err := locks.Lock(t.Context(), 1); err != nil {
			t.Errorf("1 is still held: %v", err)
		} else {
			again()
		}
		unlock()
	})
}
