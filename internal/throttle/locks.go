package throttle

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Locks gives exclusive use of keys, such as the licenses of a call. The zero Locks is ready. It is safe for concurrent
// use and holds only keys that are locked.
type Locks[K cmp.Ordered] struct {
	mu   sync.Mutex
	busy map[K]chan struct{} // closed when the key is unlocked
}

// Lock waits until nobody else holds one of these keys, and holds them all until unlock is called. Each key may be given
// any number of times. When ctx ends first, it holds none and returns ctx's error.
func (l *Locks[K]) Lock(ctx context.Context, keys ...K) (unlock func(), err error) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys))) // the same order for all, otherwise two callers wait for each other
	done := make(chan struct{})
	var held []K
	unlock = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, key := range held {
			delete(l.busy, key)
		}
		close(done)
	}
	for _, key := range keys {
		for {
			l.mu.Lock()
			other, busy := l.busy[key]
			if !busy {
				if l.busy == nil {
					l.busy = make(map[K]chan struct{})
				}
				l.busy[key] = done
				held = append(held, key)
			}
			l.mu.Unlock()
			if !busy {
				break
			}
			select {
			case <-other:
			case <-ctx.Done():
				unlock()
				return nil, ctx.Err()
			}
		}
	}
	return unlock, nil
}
