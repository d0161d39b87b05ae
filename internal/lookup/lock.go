package lookup

import (
	"context"
	"slices"
)

// lock waits until no other message of this environment writes to these licenses and locks them until unlock is called.
// Two calls for one license at the same time may miscount its activations: the License API's changelog names such a
// fault (v4.0.29).
func (l *Lookup) lock(ctx context.Context, licenses []int64) (unlock func(), err error) {
	licenses = slices.Compact(slices.Sorted(slices.Values(licenses))) // the same order for all, otherwise two messages wait for each other
	done := make(chan struct{})
	var held []int64
	unlock = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, id := range held {
			delete(l.busy, id)
		}
		close(done)
	}
	for _, id := range licenses {
		for {
			l.mu.Lock()
			other, busy := l.busy[id]
			if !busy {
				l.busy[id] = done
				held = append(held, id)
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
