package secrets

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// lifetime is how long a value is used before it is read again. A new version is taken up within it, at twelve
	// reads an hour for each environment.
	lifetime = 5 * time.Minute

	// forcedPause is the shortest time between a read and a forced one, and between a failed read and the next
	// while there is an old value: a wrong key fails every message of a batch, and each of them asks.
	forcedPause = 30 * time.Second

	// readLimit ends a read that nobody's context ends, because those who wait for it have different ones.
	readLimit = 5 * time.Second
)

// Held is a parsed secret and the version that it was read with.
type Held[T any] struct {
	Value   T
	Version string

	// Previous says that this is not the current version but the one before it, since the other side refused the
	// current one: NewCacheWithPrevious.
	Previous bool

	// Stale says why the value may be an old one: the latest read failed, or could not be parsed. It is nil when
	// the value is what was read last. A new value that cannot be parsed shows nowhere else, so report it.
	Stale error
}

// Cache keeps a parsed secret for five minutes. Whoever asks at the same time waits for one read; the end of one
// caller's context does not end it for the others. When a read fails, the old value is used on. The zero Cache is
// of no use: NewCache makes one. It is safe for concurrent use.
type Cache[T any] struct {
	reader Reader
	parse  func(text string) (T, error)

	mu      sync.Mutex
	held    Held[T]
	has     bool
	expires time.Time
	reread  time.Time // when the value was last read again, or that was tried; the first read does not count
	flight  *flight[T]

	previous *previous[T] // nil: the current version alone is used
}

// flight is a read that is under way; held and err are set when done is closed.
type flight[T any] struct {
	done chan struct{}
	held Held[T]
	err  error
}

// NewCache makes a cache that has read nothing. parse must not keep the text in its error.
func NewCache[T any](r Reader, parse func(text string) (T, error)) *Cache[T] {
	return &Cache[T]{reader: r, parse: parse}
}

// Get returns the held value, or reads it when there is none or it is older than five minutes. It fails only when
// there is no value at all: the read failed, it cannot be parsed, or ctx ended before.
func (c *Cache[T]) Get(ctx context.Context) (Held[T], error) {
	c.mu.Lock()
	if c.usesPrevious() || c.has && time.Now().Before(c.expires) {
		defer c.mu.Unlock()
		return c.inUse(), nil
	}
	return c.readAndUnlock(ctx)
}

// Refresh is for a caller to whom the other side said that the version it used is wrong. When the held one is
// already another, that is returned without a read. Otherwise the secret is read again, at most every 30 seconds;
// within them the held value is returned as it is, so a caller that gets back the version it used waits and tries
// later. When there is no other current version, one of NewCacheWithPrevious offers the one before it. It fails when
// Get would.
func (c *Cache[T]) Refresh(ctx context.Context, used string) (Held[T], error) {
	c.mu.Lock()
	c.refuse(used)
	held := c.inUse()
	if c.has && (held.Version != used || time.Since(c.reread) < forcedPause) {
		c.mu.Unlock()
		return c.orPrevious(ctx, held, used), nil
	}
	held, err := c.readAndUnlock(ctx)
	if err != nil {
		return held, err
	}
	return c.orPrevious(ctx, held, used), nil
}

// Format implements fmt.Formatter for every verb: a cache inside something that is printed shows no secret.
func (c *Cache[T]) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[secret cache]") }

// LogValue implements slog.LogValuer.
func (c *Cache[T]) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// readAndUnlock waits for the read that is under way, or begins one. c.mu is held when it is called.
func (c *Cache[T]) readAndUnlock(ctx context.Context) (Held[T], error) {
	current := c.flight
	if current == nil {
		current = &flight[T]{done: make(chan struct{})}
		c.flight = current
		go c.read(context.WithoutCancel(ctx), current)
	}
	held, has := c.held, c.has
	c.mu.Unlock()

	select {
	case <-current.done:
		return current.held, current.err
	case <-ctx.Done():
		if has {
			held.Stale = fmt.Errorf("secrets: read again: %w", ctx.Err())
			return held, nil
		}
		return Held[T]{}, fmt.Errorf("secrets: read: %w", ctx.Err())
	}
}

// read reads and parses once, and lands the flight.
func (c *Cache[T]) read(ctx context.Context, f *flight[T]) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	value, err := c.reader.Read(ctx)
	var parsed T
	if err == nil {
		parsed, err = c.parse(value.Text)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.has {
		c.reread = now
	}
	switch {
	case err == nil:
		c.held, c.has, c.expires = Held[T]{Value: parsed, Version: value.Version}, true, now.Add(lifetime)
	case c.has:
		c.held.Stale, c.expires = err, now.Add(forcedPause)
		err = nil
	}
	f.held, f.err = c.held, err
	c.flight = nil
	close(f.done)
}
