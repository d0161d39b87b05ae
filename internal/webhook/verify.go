package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// verify reads the source's secrets and verifies the delivery with them. A signature that no secret verifies, and a
// source without a secret, may mean that a new secret has just been stored: then the secrets are read again and tried
// once more. The errors are those of source.Verify, errNoSecret, errNoAccess and
// errNoCertificate.
func (h *Handler) verify(ctx context.Context, src *source.Source, d signing.Delivery) (source.Verified, error) {
	ctx, cancel := deadline.Before(ctx, answerReserve+deadLetterReserve)
	defer cancel()
	held, err := h.Secrets.Get(ctx)
	if err != nil {
		h.reportSecrets(ctx, "webhook secrets", err)
		return source.Verified{}, errNoAccess
	}
	if held.RefreshErr != nil { // nothing else shows a broken new secret while the cached one is used
		h.reportSecrets(ctx, "webhook secrets: refresh failed; using the cached value", held.RefreshErr)
	}
	keys := held.Value
	verified, err := verifyWith(ctx, h.Certificates, keys, src, d, h.Now())
	if errors.Is(err, signing.ErrMismatch) || errors.Is(err, errNoSecret) || errors.Is(err, source.ErrSecret) {
		fresh, freshErr := h.Secrets.Refresh(ctx, held.Version)
		if freshErr == nil && fresh.Version != held.Version {
			keys = fresh.Value
			verified, err = verifyWith(ctx, h.Certificates, keys, src, d, h.Now())
		}
	}
	if own, _ := keys.Keys(src.Name); len(own) > signing.MaxKeys {
		h.Recorder.Fault(ctx, fmt.Sprintf("the webhook secrets hold %d keys of %s, and only the first %d are tried: delete those that the sender does not use any more",
			len(own), src.Name, signing.MaxKeys), nil)
	}
	switch {
	case errors.Is(err, source.ErrSecret):
		h.Recorder.Fault(ctx, "webhook secrets", err)
	case errors.Is(err, errNoCertificate): // no fault of the configuration: an unproved delivery named the address
		h.Recorder.Logger().WarnContext(ctx, "certificate unavailable", deactivation.LogSource, src.Name, deactivation.LogError, err.Error())
	}
	return verified, err
}

// reportSecrets logs that the secrets could not be read. A store that is temporarily unavailable is not a configuration
// fault: no operator can repair it.
func (h *Handler) reportSecrets(ctx context.Context, what string, err error) {
	if errors.Is(err, secrets.ErrUnavailable) {
		h.Recorder.Logger().WarnContext(ctx, "secret store unavailable", deactivation.LogWhat, what, deactivation.LogError, err.Error())
		return
	}
	h.Recorder.Fault(ctx, what, err)
}

// verifyWith verifies a delivery with the source's own secrets. If there are more keys than are tried, the first ones
// count: a delivery that one of them verifies is genuine, and to refuse it would be to lose it.
func verifyWith(
	ctx context.Context, certificates Certificates, all secrets.Webhooks, src *source.Source, d signing.Delivery, now time.Time,
) (source.Verified, error) {
	own, err := all.Keys(src.Name)
	if err != nil {
		return source.Verified{}, fmt.Errorf("%w: %w", source.ErrSecret, err)
	}
	if len(own) == 0 {
		return source.Verified{}, errNoSecret
	}
	own = own[:min(len(own), signing.MaxKeys)]
	if src.Certified() {
		return verifyCertified(ctx, certificates, own, src, d, now)
	}
	return src.Verify(d, now, own)
}
