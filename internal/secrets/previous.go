package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// previousUse is how long the version before the current one is used on the other side's word, before the current
// one is tried again: one refused call each five minutes while a rotation waits for the other side to follow.
const previousUse = 5 * time.Minute

// previous is the version before the current one. While a rotation is under way the store has the new version, and
// the other side may still want this one. c.mu guards it.
type previous[T any] struct {
	reader Reader
	held   Held[T] // what was read last
	err    error   // why there is none: ErrEmpty where the store has none
	read   time.Time
	flight chan struct{} // closed when the read that is under way has landed; nil: there is none

	until   time.Time            // Get returns held until then
	refused map[string]time.Time // versions that the other side refused, and when; those of the last forcedPause
}

// NewCacheWithPrevious is NewCache for credentials that the other side checks, while both sides change them one after
// the other: when the other side refuses the current version (Refresh), the one before it is offered, read at most
// every 30 seconds. Get then returns that one for five minutes, or until it is refused too.
//
// It is for credentials that we show, never for those that we check: a version that was replaced because it leaked
// would be believed again.
func NewCacheWithPrevious[T any](current, before Reader, parse func(text string) (T, error)) *Cache[T] {
	c := NewCache(current, parse)
	c.previous = &previous[T]{reader: before, refused: make(map[string]time.Time)}
	return c
}

// inUse returns the version that Get returns, as long as it is not too old. c.mu is held.
func (c *Cache[T]) inUse() Held[T] {
	if c.usesPrevious() {
		return c.previous.held
	}
	return c.held
}

// usesPrevious says whether the version before the current one is in use. c.mu is held.
func (c *Cache[T]) usesPrevious() bool {
	return c.previous != nil && time.Now().Before(c.previous.until)
}

// refuse notes that the other side refused a version, and ends the use of the previous one if it is that. c.mu is held.
func (c *Cache[T]) refuse(version string) {
	p := c.previous
	if p == nil {
		return
	}
	for old, at := range p.refused {
		if time.Since(at) >= forcedPause {
			delete(p.refused, old)
		}
	}
	p.refused[version] = time.Now()
	if p.held.Version == version {
		p.until = time.Time{}
	}
}

// orPrevious returns held if it is another version than the one that was refused, else the version before it if
// there is one that was not refused just now. When that cannot be found out, held says why.
func (c *Cache[T]) orPrevious(ctx context.Context, held Held[T], refused string) Held[T] {
	if held.Version != refused || c.previous == nil {
		return held
	}
	c.mu.Lock()
	if c.previous.flight == nil && time.Since(c.previous.read) >= forcedPause {
		c.previous.flight = make(chan struct{})
		go c.readPrevious(context.WithoutCancel(ctx), c.previous.flight)
	}
	flight := c.previous.flight
	c.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			held.Stale = fmt.Errorf("secrets: read the previous version: %w", ctx.Err())
			return held
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.inUse(); now.Version != refused {
		return now // somebody else was here first
	}
	p := c.previous
	_, alsoRefused := p.refused[p.held.Version]
	switch {
	case p.err != nil && !errors.Is(p.err, ErrEmpty):
		held.Stale = errors.Join(held.Stale, fmt.Errorf("secrets: the previous version: %w", p.err))
	case p.err == nil && !alsoRefused:
		p.until = time.Now().Add(previousUse)
		return p.held
	}
	return held
}

// readPrevious reads and parses the previous version once, and lands the flight.
func (c *Cache[T]) readPrevious(ctx context.Context, flight chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	value, err := c.previous.reader.Read(ctx)
	var parsed T
	if err == nil {
		parsed, err = c.parse(value.Text)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.previous
	p.held, p.err, p.read, p.flight = Held[T]{Value: parsed, Version: value.Version, Previous: true}, err, time.Now(), nil
	close(flight)
}
