package secrets

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// lifetime is how long a value is used before it is read again. A new version comes into use within it, at the cost of
	// twelve reads an hour for each environment.
	lifetime = 5 * time.Minute

	// forcedPause is the shortest time between a read and a forced one, and, while there is an old value, between a
	// failed read and the next. With a wrong key every message of a batch fails and forces a read.
	forcedPause = 30 * time.Second

	// readLimit is the time-out of a read. No caller's context ends a read, since its callers have different ones.
	readLimit = 5 * time.Second
)

// Keys of Cache.reads.
const (
	currentRead  = "current"
	previousRead = "previous"
)

// Held is a parsed secret and the version that it was read with.
type Held[T any] struct {
	Value   T
	Version string

	// Previous reports that this is the version before the current one, since the other side refused the current one
	// (NewCacheWithPrevious).
	Previous bool

	// RefreshErr is why the value may be an old one: the latest read failed, or its text could not be parsed. It is nil
	// when the value is the one read last. Report it: nothing else shows that a new value cannot be parsed.
	RefreshErr error
}

// Cache keeps a parsed secret for five minutes. Concurrent callers share one read; the end of one caller's context does
// not end it for the others. When a read fails, the old value stays in use. The zero Cache cannot be used: NewCache makes
// one. It is safe for concurrent use.
type Cache[T any] struct {
	reader Reader
	parse  func(text string) (T, error)

	mu      sync.Mutex
	held    Held[T]
	has     bool
	expires time.Time
	reread  time.Time // of the last read or failed read; the first read does not count

	// reads are the reads in flight. DoChan is called with mu held, so that checking the value's age and joining the
	// read in flight are one step: no caller starts a second read after the first has ended.
	reads singleflight.Group

	previous *previous[T] // nil: the current version alone is used
}

// NewCache returns a cache that has read nothing. The error of parse must not hold the text.
func NewCache[T any](r Reader, parse func(text string) (T, error)) *Cache[T] {
	return &Cache[T]{reader: r, parse: parse}
}

// Get returns the held value. It reads the value when there is none or it is older than five minutes. It fails only
// when there is no value at all: the read failed, the value cannot be parsed, or ctx ended first (ErrUnavailable).
func (c *Cache[T]) Get(ctx context.Context) (Held[T], error) {
	c.mu.Lock()
	if c.usesPrevious() || c.has && time.Now().Before(c.expires) {
		defer c.mu.Unlock()
		return c.inUse(), nil
	}
	return c.readAndUnlock(ctx)
}

// Refresh is for a caller whose version used was refused by the other side. If the held version is already another one,
// Refresh returns it without a read. Otherwise it reads the secret again, at most every 30 seconds; within them it
// returns the held value unchanged. A caller that gets back the version it used waits and tries later. If there is no
// other current version, a cache of NewCacheWithPrevious falls back to the one before it. Refresh fails when Get would.
func (c *Cache[T]) Refresh(ctx context.Context, used string) (Held[T], error) {
	c.mu.Lock()
	c.markRejected(used)
	held := c.inUse()
	if c.has && (held.Version != used || time.Since(c.reread) < forcedPause) {
		c.mu.Unlock()
		return c.fallback(ctx, held, used), nil
	}
	held, err := c.readAndUnlock(ctx)
	if err != nil {
		return held, err
	}
	return c.fallback(ctx, held, used), nil
}

// Format implements fmt.Formatter for every verb, so that printing a value that contains a cache shows no secret.
func (c *Cache[T]) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret cache]") }

// LogValue implements slog.LogValuer.
func (c *Cache[T]) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// readAndUnlock joins the read in flight, or starts one, and unlocks c.mu, which the caller holds.
func (c *Cache[T]) readAndUnlock(ctx context.Context) (Held[T], error) {
	read := c.reads.DoChan(currentRead, func() (any, error) { return c.read(context.WithoutCancel(ctx)) })
	held, has := c.held, c.has
	c.mu.Unlock()

	select {
	case done := <-read:
		held, _ := done.Val.(Held[T])
		return held, done.Err
	case <-ctx.Done():
		if has {
			held.RefreshErr = fmt.Errorf("%w: read again: %w", ErrUnavailable, ctx.Err())
			return held, nil
		}
		return Held[T]{}, fmt.Errorf("%w: read: %w", ErrUnavailable, ctx.Err())
	}
}

// read reads and parses the current version once, and keeps it.
func (c *Cache[T]) read(ctx context.Context) (Held[T], error) {
	parsed, version, err := readVersion(ctx, c.reader, c.parse)

	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.has {
		c.reread = now
	}
	switch {
	case err == nil:
		c.held, c.has, c.expires = Held[T]{Value: parsed, Version: version}, true, now.Add(lifetime)
	case c.has:
		c.held.RefreshErr, c.expires = err, now.Add(forcedPause)
		err = nil
	}
	return c.held, err
}

// readVersion reads and parses one version, within readLimit.
func readVersion[T any](ctx context.Context, r Reader, parse func(text string) (T, error)) (parsed T, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	value, err := r.Read(ctx)
	if err != nil {
		return parsed, value.Version, err
	}
	parsed, err = parse(value.Text)
	return parsed, value.Version, err
}
