// Package certificate fetches the certificates with which senders sign (PayPal), and holds the roots that vouch for them.
// pkg/signing verifies a delivery with the bytes that it returns.
//
//	store := certificate.New(certificate.Config{})
//	chain, err := store.Get(ctx, address)
//	delivery.Certificate = &signing.Certificate{PEM: chain, Roots: store.Roots()}
//
// The address comes from a header of a delivery that nothing has proved yet, so it is bounded in every way: it must be one
// of PayPal's, its connection must lead to a public address, no redirect is followed, no proxy is asked, at most 64 KiB
// are read within three seconds, and a process makes at most 20 requests a minute for addresses at which it has found no
// certificate yet. An accepted certificate is kept for a day, anything else for 30 seconds, in eight entries of which a
// failure never takes an accepted one's place.
package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"license-deactivator/pkg/signing"
)

// Limits. The webhook function has ten seconds, and PayPal's own patience is not published.
const (
	fetchTimeout = 3 * time.Second
	keepAccepted = 24 * time.Hour // PayPal can withdraw a certificate by no other way than its address
	keepFailure  = 30 * time.Second
	maxEntries   = 8 // PayPal uses one certificate at a time
	maxFetches   = 20
	fetchWindow  = time.Minute
)

// Config is the configuration of a Store. The zero value is the one for production.
type Config struct {
	Transport http.RoundTripper // nil: one that connects to public addresses alone
	Roots     *x509.CertPool    // nil: the system's
	Now       func() time.Time  // nil: time.Now
}

// Store fetches and caches certificates. It is safe for concurrent use.
type Store struct {
	client *http.Client
	roots  func() *x509.CertPool
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	entries map[string]entry
	fetches []time.Time // of the last window
}

// entry is what a fetch gave: a chain, or an error.
type entry struct {
	chain    []byte
	err      error
	accepted bool // now, or earlier at the same address
	until    time.Time
}

// New returns an empty Store.
func New(c Config) *Store {
	if c.Transport == nil {
		c.Transport = publicTransport()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	roots := sync.OnceValue(systemRoots)
	if c.Roots != nil {
		roots = func() *x509.CertPool { return c.Roots }
	}
	return &Store{
		client: &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		roots:  roots, now: c.Now, entries: map[string]entry{},
	}
}

// systemRoots are the system's roots. A system without any trusts nothing.
func systemRoots() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool()
	}
	return pool
}

// Roots are the roots to which a certificate must lead. They are read at the first call.
func (s *Store) Roots() *x509.CertPool { return s.roots() }

// Get returns what stands at an address, in PEM. It is not proved to be a certificate of PayPal's: pkg/signing does that. The
// error wraps signing.ErrCertificate for an address that is not PayPal's; after every other error a later call may succeed.
func (s *Store) Get(ctx context.Context, address string) ([]byte, error) {
	sandbox, err := signing.CheckPayPalAddress(address)
	if err != nil {
		return nil, err
	}
	if e, ok := s.cached(address); ok {
		return e.chain, e.err
	}
	// One fetch of an address at a time. It does not end with the first caller: others wait for it, too.
	fetched := s.flight.DoChan(address, func() (any, error) {
		if e, ok := s.cached(address); ok {
			return e, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		e := s.fetch(ctx, address, sandbox)
		s.keep(address, e)
		return e, nil
	})
	select {
	case result := <-fetched:
		e, _ := result.Val.(entry)
		return e.chain, e.err
	case <-ctx.Done():
		return nil, fmt.Errorf("certificate: %s: not fetched in time: %w", address, ctx.Err())
	}
}

// fetch makes the request.
func (s *Store) fetch(ctx context.Context, address string, sandbox bool) entry {
	failed := func(format string, args ...any) entry {
		return entry{err: fmt.Errorf("certificate: %s: "+format, append([]any{address}, args...)...), until: s.now().Add(keepFailure)}
	}
	if !s.mayFetch(address) {
		e := failed("not fetched: more than %d certificates were asked for within %v", maxFetches, fetchWindow)
		e.until = time.Time{} // nobody was asked, so nothing is known about this address
		return e
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return failed("%w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var reason interface{ Unwrap() error }
		if errors.As(err, &reason) { // without the address, which *url.Error repeats
			err = reason.Unwrap()
		}
		return failed("%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return failed("HTTP %d in place of a certificate", resp.StatusCode)
	}
	chain, err := io.ReadAll(io.LimitReader(resp.Body, signing.MaxCertificateBytes+1))
	switch {
	case err != nil:
		return failed("%w", err)
	case len(chain) > signing.MaxCertificateBytes:
		return failed("larger than %d bytes", signing.MaxCertificateBytes)
	}
	e := entry{chain: chain, until: s.now().Add(keepFailure)}
	if signing.CheckPayPalCertificate(chain, s.Roots(), s.now(), sandbox) == nil {
		e.accepted, e.until = true, s.now().Add(keepAccepted)
	}
	return e
}

// mayFetch counts a request, unless there were too many in the last window. A certificate that was accepted and is to be
// read again is not counted: unproved deliveries, which can name any number of addresses, must not use up its request.
func (s *Store) mayFetch(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[address].accepted {
		return true
	}
	now, recent := s.now(), s.fetches[:0]
	for _, at := range s.fetches {
		if now.Sub(at) < fetchWindow {
			recent = append(recent, at)
		}
	}
	s.fetches = recent
	if len(recent) >= maxFetches {
		return false
	}
	s.fetches = append(s.fetches, now)
	return true
}

func (s *Store) cached(address string) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[address]
	return e, ok && s.now().Before(e.until)
}

// keep stores an entry that is of use later. In a full store it takes the place of a failure before that of an accepted
// certificate, also of one that is to be read again, and of the entry that ends first among these. A failure is not stored
// where all others are accepted.
func (s *Store) keep(address string, e entry) {
	if e.until.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.entries[address]; !known && len(s.entries) >= maxEntries {
		first := ""
		for other, held := range s.entries {
			if first == "" || held.endsBefore(s.entries[first]) {
				first = other
			}
		}
		if s.entries[first].accepted && !e.accepted {
			return
		}
		delete(s.entries, first)
	}
	e.accepted = e.accepted || s.entries[address].accepted
	s.entries[address] = e
}

// endsBefore orders entries by what a full store gives up first.
func (e entry) endsBefore(other entry) bool {
	if e.accepted != other.accepted {
		return other.accepted
	}
	return e.until.Before(other.until)
}
