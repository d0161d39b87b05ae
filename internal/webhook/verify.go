package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"license-deactivator/internal/deadline"
	"license-deactivator/pkg/signing"
)

// errSecret: the secrets cannot be used, and the sender is not to blame.
var errSecret = errors.New("a secret of this source cannot be used")

// Verify tries the source's schemes in order with every secret; the first that passes is kept. The error of the scheme
// that came furthest is returned.
func (s *Source) Verify(d signing.Delivery, now time.Time, texts []string) (Verified, error) {
	furthest := signing.ErrMissing
	for _, scheme := range s.schemes {
		keys := make([]signing.Key, len(texts))
		for i, text := range texts {
			key, err := scheme.NewKey(text)
			if err != nil {
				return Verified{}, fmt.Errorf("%w: number %d of %q in the webhook secrets: %w", errSecret, i+1, s.Name, err)
			}
			keys[i] = key
		}
		err := scheme.Verify(d, now, keys...)
		if err == nil {
			return Verified{Delivery: d, scheme: scheme}, nil
		}
		if !errors.Is(err, signing.ErrMissing) {
			furthest = err
		}
	}
	return Verified{}, furthest
}

// verify finds the source's secrets and tries them. A signature that no secret explains, and a source without one, may
// mean that a new secret has just been stored: then the secrets are read again and tried once more. nil and no refusal
// is a sender's ping.
func (h *Handler) verify(ctx context.Context, source *Source, d signing.Delivery) (*Verified, *refusal) {
	ctx, cancel := deadline.Before(ctx, answerReserve+deadLetterReserve)
	defer cancel()
	held, err := h.Secrets.Get(ctx)
	if err != nil {
		h.Recorder.Fault(ctx, "webhook secrets", err)
		return nil, unavailable()
	}
	if held.RefreshErr != nil { // a broken new secret shows nowhere else, as long as the old one serves
		h.Recorder.Fault(ctx, "the webhook secrets cannot be read again; the old ones are used on", held.RefreshErr)
	}
	verified, err := source.verifyWith(held.Value, d, h.Now())
	if errors.Is(err, signing.ErrMismatch) || errors.Is(err, errUnknown) || errors.Is(err, errSecret) {
		fresh, freshErr := h.Secrets.Refresh(ctx, held.Version)
		if freshErr == nil && fresh.Version != held.Version {
			verified, err = source.verifyWith(fresh.Value, d, h.Now())
		}
	}
	if errors.Is(err, errSecret) {
		h.Recorder.Fault(ctx, "webhook secrets", err)
	}
	return source.believe(verified, d, err)
}

// believe makes of the verdict on a delivery what its sender hears. nil and no refusal is a sender's ping.
func (s *Source) believe(verified Verified, d signing.Delivery, err error) (*Verified, *refusal) {
	switch {
	case err == nil:
		return &verified, nil
	case errors.Is(err, errUnknown):
		return nil, &refusal{http.StatusNotFound, "no such source"}
	case errors.Is(err, errSecret):
		return nil, unavailable()
	case errors.Is(err, signing.ErrMissing) && s.ping != nil && s.ping.Match(d.Body):
		return nil, nil
	}
	return nil, &refusal{http.StatusUnauthorized, err.Error()}
}

// errUnknown: there is no secret for the source, so it is as unknown as one without a file.
var errUnknown = errors.New("no secret for this source")

// secretTexts is the part of secrets.Webhooks that verifying needs.
type secretTexts interface {
	Keys(source string) ([]string, error)
}

func (s *Source) verifyWith(from secretTexts, d signing.Delivery, now time.Time) (Verified, error) {
	texts, err := from.Keys(s.Name)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %w", errSecret, err)
	}
	if len(texts) == 0 {
		return Verified{}, errUnknown
	}
	return s.Verify(d, now, texts)
}

// Sign signs a delivery as the sender would, by the first of the source's schemes for which the delivery has every
// header that is signed.
func (s *Source) Sign(d *signing.Delivery, now time.Time, text string) error {
	var faults []error
	for _, scheme := range s.schemes {
		key, err := scheme.NewKey(text)
		if err == nil {
			err = scheme.Sign(d, now, key)
		}
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	return fmt.Errorf("webhook: the delivery cannot be signed as %s does: %w", s.Name, errors.Join(faults...))
}
