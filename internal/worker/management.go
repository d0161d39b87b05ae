package worker

import (
	"context"
	"errors"
	"sync"

	"license-deactivator/internal/secrets"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

// management makes the calls of one batch to the Management API, with the key that the secret holds. It implements
// lookup.Management.
type management struct{ b *batch }

// Licenses implements lookup.Management.
func (m management) Licenses(ctx context.Context, by managementapi.Filter, most int) (managementapi.List[managementapi.License], error) {
	return manage(ctx, m.b, func(c *managementapi.Client) (managementapi.List[managementapi.License], error) {
		return c.Licenses(ctx, by, most)
	})
}

// Devices implements lookup.Management.
func (m management) Devices(ctx context.Context, license int64, most int) (managementapi.List[managementapi.Device], error) {
	return manage(ctx, m.b, func(c *managementapi.Client) (managementapi.List[managementapi.Device], error) {
		return c.Devices(ctx, license, most)
	})
}

// Disable implements lookup.Management.
func (m management) Disable(ctx context.Context, license int64) error {
	_, err := manage(ctx, m.b, func(c *managementapi.Client) (struct{}, error) { return struct{}{}, c.Disable(ctx, license) })
	return err
}

// ResetDevice implements lookup.Management.
func (m management) ResetDevice(ctx context.Context, device int64) error {
	_, err := manage(ctx, m.b, func(c *managementapi.Client) (struct{}, error) { return struct{}{}, c.ResetDevice(ctx, device) })
	return err
}

// keyError means that there is no key for a call.
type keyError struct {
	err       error
	temporary bool // the secret can probably be read later
}

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// manage makes a call with the present key, and once more if the API refuses the key and the secret has another one by
// now. After a key that is missing or refused, or a wrong address, the batch makes no further call, and each gets that error.
func manage[T any](ctx context.Context, b *batch, call func(*managementapi.Client) (T, error)) (result T, err error) {
	if err := b.management.stoppedBy(); err != nil {
		return result, err
	}
	keys := b.h.cfg.LookUp.Keys
	held, err := keys.Get(ctx)
	if err != nil {
		return result, b.management.stop(&keyError{err: err, temporary: errors.Is(err, secrets.ErrUnavailable)})
	}
	result, err = manageWith(b, held.Value, call)
	if keyRefused(err) {
		other, unreadable := keys.Refresh(ctx, held.Version)
		if unreadable == nil && other.Value != held.Value {
			result, err = manageWith(b, other.Value, call)
		}
	}
	if keyRefused(err) || managementapi.KindOf(err) == managementapi.KindMisconfigured {
		return result, b.management.stop(err)
	}
	return result, err
}

// keyRefused reports whether the API refuses the key, or the key cannot be sent.
func keyRefused(err error) bool {
	_, unusable := errors.AsType[*keyError](err)
	return unusable || managementapi.KindOf(err) == managementapi.KindUnauthorized
}

// manageWith makes a call with that key.
func manageWith[T any](b *batch, key secrets.Management, call func(*managementapi.Client) (T, error)) (result T, err error) {
	client, err := b.h.lookUp.client.With(key.Key)
	if err != nil {
		return result, &keyError{err: err}
	}
	result, err = call(client)
	if !notStarted(err) {
		b.starts.Add(1)
	}
	return result, err
}

// notStarted reports whether the breaker or the limiter let no request of a call start.
func notStarted(err error) bool {
	_, paused := errors.AsType[*throttle.PausedError](err)
	return paused || errors.Is(err, throttle.ErrOpen) || errors.Is(err, throttle.ErrExceedsDeadline)
}

// stopper ends the calls of a batch to the Management API. Its zero value lets them go on.
type stopper struct {
	mu  sync.Mutex
	why error
}

// stop lets no further call start and returns the error of the first stop.
func (s *stopper) stop(why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = why
	}
	return s.why
}

// stoppedBy returns why no call may start, or nil.
func (s *stopper) stoppedBy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}
