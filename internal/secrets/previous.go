package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

// previousUse is how long the version before the current one is used after the other side refused the current one. Then
// the current one is tried again: one refused call in five minutes while the other side has not changed its key yet.
const previousUse = 5 * time.Minute

// previous is the version before the current one. During a rotation the store has the new version, and the other side may
// still want this one. Cache.mu guards it.
type previous[T any] struct {
	reader Reader
	held   Held[T] // the value that was read last
	err    error   // why there is no value: ErrEmpty where the store has none
	read   time.Time

	inUseUntil time.Time            // Get returns held before that time
	rejected   map[string]time.Time // versions that the other side refused within the last forcedPause, and when
}

// NewCacheWithPrevious is NewCache for credentials that the other side checks and that both sides change one after the
// other. When the other side refuses the current version (Refresh), the cache falls back to the version before it, read at
// most every 30 seconds. Get then returns that version for five minutes, or until it is refused too.
//
// It is for credentials that we present, never for keys by which we verify others: a leaked key that was replaced would
// be accepted again.
func NewCacheWithPrevious[T any](current, before Reader, parse func(text string) (T, error)) *Cache[T] {
	c := NewCache(current, parse)
	c.previous = &previous[T]{reader: before, rejected: make(map[string]time.Time)}
	return c
}

// inUse returns the version that Get returns, unless it is too old. c.mu is held.
func (c *Cache[T]) inUse() Held[T] {
	if c.usesPrevious() {
		return c.previous.held
	}
	return c.held
}

// usesPrevious reports whether the version before the current one is in use. c.mu is held.
func (c *Cache[T]) usesPrevious() bool {
	return c.previous != nil && time.Now().Before(c.previous.inUseUntil)
}

// markRejected records that the other side refused a version, and ends the use of the previous one if it is that
// version. c.mu is held.
func (c *Cache[T]) markRejected(version string) {
	p := c.previous
	if p == nil {
		return
	}
	for old, at := range p.rejected {
		if time.Since(at) >= forcedPause {
			delete(p.rejected, old)
		}
	}
	p.rejected[version] = time.Now()
	if p.held.Version == version {
		p.inUseUntil = time.Time{}
	}
}

// fallback returns held if its version is not the rejected one, else the version before it if there is one that was not
// rejected within forcedPause. If that cannot be read, held.RefreshErr says why.
func (c *Cache[T]) fallback(ctx context.Context, held Held[T], rejected string) Held[T] {
	if held.Version != rejected || c.previous == nil {
		return held
	}
	c.mu.Lock()
	var read <-chan singleflight.Result             // nil: read within forcedPause
	if time.Since(c.previous.read) >= forcedPause { // true as long as a read is in flight
		read = c.reads.DoChan(previousRead, func() (any, error) { c.readPrevious(context.WithoutCancel(ctx)); return nil, nil })
	}
	c.mu.Unlock()
	if read != nil {
		select {
		case <-read:
		case <-ctx.Done():
			held.RefreshErr = fmt.Errorf("secrets: read the previous version: %w", ctx.Err())
			return held
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.inUse(); now.Version != rejected {
		return now // another caller has changed it
	}
	p := c.previous
	_, alsoRejected := p.rejected[p.held.Version]
	switch {
	case p.err != nil && !errors.Is(p.err, ErrEmpty):
		held.RefreshErr = errors.Join(held.RefreshErr, fmt.Errorf("secrets: the previous version: %w", p.err))
	case p.err == nil && !alsoRejected:
		p.inUseUntil = time.Now().Add(previousUse)
		return p.held
	}
	return held
}

// readPrevious reads and parses the previous version once, and keeps it or the error.
func (c *Cache[T]) readPrevious(ctx context.Context) {
	parsed, version, err := readVersion(ctx, c.previous.reader, c.parse)

	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.previous
	p.held, p.err, p.read = Held[T]{Value: parsed, Version: version, Previous: true}, err, time.Now()
}
