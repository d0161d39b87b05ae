package secrets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// store is a Reader that holds one value and counts its reads.
type store struct {
	mu      sync.Mutex
	text    string
	version int
	err     error
	takes   time.Duration
	reads   int
}

func (v *store) Read(ctx context.Context) (Value, error) {
	v.mu.Lock()
	v.reads++
	value, err, takes := Value{v.text, fmt.Sprint(v.version)}, v.err, v.takes
	v.mu.Unlock()

	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return Value{}, ctx.Err()
		}
	}
	return value, err
}

func (v *store) readCount() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reads
}

// put stores a new version.
func (v *store) put(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = text
	v.version++
}

func (v *store) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

var errDown, errUnreadable = errors.New("down"), errors.New("unreadable")

// parse accepts any text but "bad".
func parse(text string) (string, error) {
	if text == "bad" {
		return "", errUnreadable
	}
	return "parsed " + text, nil
}

// harness is a cache over a store that holds version 1 of "a".
type harness struct {
	*testing.T
	*store
	cache *Cache[string]
}

func bubble(t *testing.T, run func(b *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &store{}
		v.put("a")
		run(&harness{t, v, NewCache(v, parse)})
	})
}

func (b *harness) want(what string, value, version string, reads int) func(Held[string], error) {
	b.Helper()
	return func(got Held[string], err error) {
		b.Helper()
		if err != nil {
			b.Errorf("%s: %v", what, err)
		}
		if got.Value != value || got.Version != version {
			b.Errorf("%s: %q, version %q; want %q, %q", what, got.Value, got.Version, value, version)
		}
		if n := b.readCount(); n != reads {
			b.Errorf("%s: %d reads, want %d", what, n, reads)
		}
	}
}

func TestGetReadsOnceWithinTheLifetime(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.put("b")
		time.Sleep(lifetime - time.Nanosecond)
		b.want("at the end of the lifetime", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		time.Sleep(time.Nanosecond)
		b.want("after it", "parsed b", "2", 2)(b.cache.Get(b.Context()))
	})
}

func TestGetReadsOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.takes = time.Second
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { b.want("one of fifty", "parsed a", "1", 1)(b.cache.Get(b.Context())) })
		}
		group.Wait()
	})
}

func TestGetFailsWithoutAValueAndReadsAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.fail(errDown)
		for n := 1; n <= 2; n++ {
			if _, err := b.cache.Get(b.Context()); !errors.Is(err, errDown) {
				b.Errorf("Get %d: %v, want %v", n, err, errDown)
			}
		}
		b.fail(nil)
		b.want("when it is up again", "parsed a", "1", 3)(b.cache.Get(b.Context()))
	})
}

func TestGetGoesOnWithTheOldValueWhenAReadFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*harness){
		"out of reach": func(b *harness) { b.fail(errDown) },
		"unreadable":   func(b *harness) { b.put("bad") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(b *harness) {
				b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
				broken(b)
				time.Sleep(lifetime)
				held, err := b.cache.Get(b.Context())
				b.want("the failed read", "parsed a", "1", 2)(held, err)
				if !errors.Is(held.RefreshErr, errDown) && !errors.Is(held.RefreshErr, errUnreadable) {
					b.Errorf("refresh error is %v, want the reason", held.RefreshErr)
				}

				// During an outage not every message causes a read.
				time.Sleep(forcedPause - time.Nanosecond)
				b.want("within the pause", "parsed a", "1", 2)(b.cache.Get(b.Context()))
				b.fail(nil)
				b.put("b")
				time.Sleep(time.Nanosecond)
				held, err = b.cache.Get(b.Context())
				b.want("after it", "parsed b", fmt.Sprint(b.version), 3)(held, err)
				if held.RefreshErr != nil {
					b.Errorf("refresh error is %v, want nil: the value was just read", held.RefreshErr)
				}
			})
		})
	}
}

func TestTheEndOfOneContextIsNotThatOfTheRead(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.takes = 2 * time.Second
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := b.cache.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
				b.Errorf("a caller with one second: %v, want context.DeadlineExceeded", err)
			}
		})
		synctest.Wait() // the read has started
		group.Go(func() { b.want("who has time", "parsed a", "1", 1)(b.cache.Get(b.Context())) })
		group.Wait()
	})
}

func TestTheEndOfAContextGivesTheOldValueWhenThereIsOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.put("b")
		b.takes = 2 * time.Second
		time.Sleep(lifetime)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		held, err := b.cache.Get(ctx)
		b.want("who has one second", "parsed a", "1", 2)(held, err)
		if !errors.Is(held.RefreshErr, context.DeadlineExceeded) {
			b.Errorf("refresh error is %v, want context.DeadlineExceeded", held.RefreshErr)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		b.want("later", "parsed b", "2", 2)(b.cache.Get(b.Context()))
	})
}

func TestAReadThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.takes = time.Hour
		began := time.Now()
		if _, err := b.cache.Get(b.Context()); !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("Get: %v, want context.DeadlineExceeded", err)
		}
		if took := time.Since(began); took != readLimit {
			b.Errorf("took %v, want %v", took, readLimit)
		}
	})
}

func TestRefreshReadsAtOnceAndThenEveryHalfMinute(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		time.Sleep(time.Second)
		b.want("unchanged", "parsed a", "1", 2)(b.cache.Refresh(b.Context(), "1"))
		b.put("b")
		time.Sleep(forcedPause - time.Nanosecond)
		b.want("within the pause", "parsed a", "1", 2)(b.cache.Refresh(b.Context(), "1"))
		time.Sleep(time.Nanosecond)
		b.want("after it", "parsed b", "2", 3)(b.cache.Refresh(b.Context(), "1"))
	})
}

func TestRefreshDoesNotReadWhenTheHeldVersionIsAlreadyAnother(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.put("b")
		b.want("the first of a batch", "parsed b", "2", 2)(b.cache.Refresh(b.Context(), "1"))
		time.Sleep(forcedPause)
		b.want("another of the batch", "parsed b", "2", 2)(b.cache.Refresh(b.Context(), "1"))
	})
}

func TestRefreshReadsOnceForAWholeBatch(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.put("b")
		b.takes = time.Second
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond) // some during the read, some after it
				b.want("one of fifty", "parsed b", "2", 2)(b.cache.Refresh(b.Context(), "1"))
			})
		}
		group.Wait()
	})
}

func TestRefreshWithinThePauseOfARead(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		time.Sleep(lifetime)
		b.want("at the end of the lifetime", "parsed a", "1", 2)(b.cache.Get(b.Context()))
		b.want("forced just after", "parsed a", "1", 2)(b.cache.Refresh(b.Context(), "1"))
	})
}

func TestRefreshGoesOnWithTheOldValueAndPausesWhenTheReadFails(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.fail(errDown)
		held, err := b.cache.Refresh(b.Context(), "1")
		b.want("the failed read", "parsed a", "1", 2)(held, err)
		if !errors.Is(held.RefreshErr, errDown) {
			b.Errorf("refresh error is %v, want %v", held.RefreshErr, errDown)
		}
		b.want("within the pause", "parsed a", "1", 2)(b.cache.Refresh(b.Context(), "1"))
	})
}

func TestRefreshWithoutAValueReads(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Refresh(b.Context(), ""))
	})
}
