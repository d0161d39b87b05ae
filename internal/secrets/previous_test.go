package secrets

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rotation is a cache over a store with two stages. The store holds the versions 1 of "a" (before) and 2 of "b".
type rotation struct {
	*harness
	before *store
}

func rotating(t *testing.T, run func(r *rotation)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		current, before := &store{}, &store{}
		current.put("a")
		before.put("a")
		current.put("b")
		run(&rotation{&harness{t, current, NewCacheWithPrevious(current, before, parse)}, before})
	})
}

// put stores the next version; the current one becomes the previous one.
func (r *rotation) put(text string) {
	r.before.mu.Lock()
	r.before.text, r.before.version, r.before.err = r.text, r.version, nil
	r.before.mu.Unlock()
	r.store.put(text)
}

// wants is harness.want with the number of reads of the version before the current one, and whether the value is that
// version.
func (r *rotation) wants(what, value, version string, previous bool, reads, readsBefore int) func(Held[string], error) {
	r.Helper()
	check := r.want(what, value, version, reads)
	return func(got Held[string], err error) {
		r.Helper()
		check(got, err)
		if n := r.before.readCount(); got.Previous != previous || n != readsBefore {
			r.Errorf("%s: previous %t with %d reads of it, want %t with %d", what, got.Previous, n, previous, readsBefore)
		}
	}
}

func TestTheVersionBeforeIsOfferedWhenTheCurrentOneIsRefused(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.wants("refused", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
		r.wants("another call that was under way", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
		time.Sleep(previousUse - time.Nanosecond)
		r.wants("as long as it is accepted", "parsed a", "1", true, 2, 1)(r.cache.Get(r.Context()))
		time.Sleep(time.Nanosecond)
		r.wants("the current one is tried again", "parsed b", "2", false, 3, 1)(r.cache.Get(r.Context()))
		r.wants("and refused still", "parsed a", "1", true, 3, 2)(r.cache.Refresh(r.Context(), "2"))
	})
}

func TestTheCurrentVersionComesBackWhenTheOneBeforeIsRefused(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.wants("refused", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
		time.Sleep(time.Minute) // the other side changes its key, too
		r.wants("refused too", "parsed b", "2", false, 2, 1)(r.cache.Refresh(r.Context(), "1"))
		r.wants("from now on", "parsed b", "2", false, 2, 1)(r.cache.Get(r.Context()))
	})
}

func TestBothVersionsRefusedAreAskedForEveryHalfMinute(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.wants("refused", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
		r.wants("refused too", "parsed b", "2", false, 2, 1)(r.cache.Refresh(r.Context(), "1"))
		time.Sleep(forcedPause - time.Nanosecond)
		r.wants("within the pause", "parsed b", "2", false, 2, 1)(r.cache.Refresh(r.Context(), "2"))
		time.Sleep(time.Nanosecond)
		r.wants("after it", "parsed a", "1", true, 3, 2)(r.cache.Refresh(r.Context(), "2"))
	})
}

func TestAVersionThatWasRefusedAsTheCurrentOneIsNotOfferedAsTheOneBefore(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.put("c")
		r.wants("a newer one", "parsed c", "3", false, 2, 0)(r.cache.Refresh(r.Context(), "2"))
		r.wants("refused as well", "parsed c", "3", false, 2, 1)(r.cache.Refresh(r.Context(), "3"))
	})
}

func TestThereMayBeNoVersionBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		text       string
		refreshErr error
	}{
		"none":         {ErrEmpty, "a", nil},
		"out of reach": {errDown, "a", errDown},
		"unreadable":   {nil, "bad", errUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rotating(t, func(r *rotation) {
				r.before.err, r.before.text = c.err, c.text
				r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
				held, err := r.cache.Refresh(r.Context(), "2")
				r.wants("refused", "parsed b", "2", false, 2, 1)(held, err)
				if !errors.Is(held.RefreshErr, c.refreshErr) || c.refreshErr == nil && held.RefreshErr != nil {
					r.Errorf("refresh error is %v, want %v", held.RefreshErr, c.refreshErr)
				}
				time.Sleep(forcedPause - time.Nanosecond)
				r.wants("within the pause", "parsed b", "2", false, 2, 1)(r.cache.Refresh(r.Context(), "2"))
				if held, _ := r.cache.Get(r.Context()); held.RefreshErr != nil {
					r.Errorf("refresh error is %v for a current version that was read", held.RefreshErr)
				}
			})
		})
	}
}

func TestTheVersionBeforeIsReadOnceForAWholeBatch(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.before.takes = time.Second
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond) // some during the read, some after it
				r.wants("one of fifty", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
			})
		}
		group.Wait()
	})
}

func TestTheEndOfAContextIsNotThatOfTheReadOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	rotating(t, func(r *rotation) {
		r.wants("first", "parsed b", "2", false, 1, 0)(r.cache.Get(r.Context()))
		r.before.takes = 2 * time.Second
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		held, err := r.cache.Refresh(ctx, "2")
		r.wants("who has one second", "parsed b", "2", false, 2, 1)(held, err)
		if !errors.Is(held.RefreshErr, context.DeadlineExceeded) {
			r.Errorf("refresh error is %v, want context.DeadlineExceeded", held.RefreshErr)
		}
		r.wants("who has time", "parsed a", "1", true, 2, 1)(r.cache.Refresh(r.Context(), "2"))
	})
}

func TestASecretThatWeCheckIsNeverAnOldOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *harness) {
		b.want("first", "parsed a", "1", 1)(b.cache.Get(b.Context()))
		b.put("b")
		held, err := b.cache.Refresh(b.Context(), "1")
		b.want("rotated", "parsed b", "2", 2)(held, err)
		if held, err = b.cache.Refresh(b.Context(), "2"); held.Previous || held.Version != "2" {
			b.Errorf("version %s, error %v; want the current one and no other", held.Version, err)
		}
	})
}

func TestNothingPrintsTheVersionBefore(t *testing.T) {
	t.Parallel()
	before := &store{text: canary}
	cache := NewCacheWithPrevious(&store{text: "x", version: 1}, before, func(text string) (string, error) { return text, nil })
	if _, err := cache.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held, err := cache.Refresh(t.Context(), "1"); err != nil || !held.Previous {
		t.Fatal("the version before is not in use", err)
	}
	if printed := printedInEveryWay(cache); strings.Contains(printed, canary) {
		t.Error("a cache is printed with its secret")
	}
}
