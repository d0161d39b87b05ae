package worker

import (
	"errors"
	"fmt"
	"slices"

	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/signing"
)

// maxCalls is how often the License API is called for one message in one receive at most: signed with the version of
// the secret that was held, with the one that a read has brought, and with the one before the current one.
const maxCalls = 3

// signatures are those that one message was called for with so far.
type signatures struct {
	versions []string // of the secret, in order
	renewed  bool     // one had a fresh date or a new token and nothing else
}

// mayMend says whether the same call, signed again, may be answered otherwise than with a: once with a fresh date or
// a new token, and with each version of the secret that is offered and did not sign yet. It notes in a why there is
// no other version.
func (b *batch) mayMend(a *answer, s *signatures) bool {
	s.versions = append(s.versions, a.version)
	switch {
	case a.kind == licenseapi.KindStaleDate, a.kind == licenseapi.KindUnauthorized, licenseapi.TokenRefused(a.err):
		again := !s.renewed && len(s.versions) < maxCalls
		s.renewed = true
		return again
	case a.kind == licenseapi.KindBadCredentials:
		// Asked for after the last call too: a version before the current one must hear that it was refused.
		other, err := b.h.cfg.Secrets.Refresh(b.mayCall, a.version)
		if b.mayCall.Err() != nil {
			return true // no time to find out; the next attempt does not start, and the message is handed back
		}
		a.stale = errors.Join(err, other.Stale)
		return err == nil && len(s.versions) < maxCalls && !slices.Contains(s.versions, other.Version)
	}
	return false
}

// clientOf makes the client that signs with that secret, and says so: once for each version that comes into use.
func (h *Handler) clientOf(held secrets.Held[secrets.License]) (*licenseapi.Client, error) {
	authorizer, kind, err := h.authorizerOf(held.Value)
	if err != nil {
		return nil, fmt.Errorf("worker: version %q of the secret: %w", held.Version, err)
	}
	if held.Previous {
		h.cfg.Recorder.Logger().Warn("the License API refuses the current version of the secret, calls are signed with the one before",
			"secret_version", held.Version, "stage", "AWSPREVIOUS", "credentials", kind)
	} else {
		h.cfg.Recorder.Logger().Info("calls are signed with the current version of the secret",
			"secret_version", held.Version, "stage", "AWSCURRENT", "credentials", kind)
	}
	return h.cfg.API.With(authorizer), nil
}

// authorizerOf chooses by what the secret holds.
func (h *Handler) authorizerOf(l secrets.License) (a licenseapi.Authorizer, kind string, err error) {
	if l.OAuth() {
		client, err := h.cfg.API.OAuth(l.ClientID, l.ClientSecret, l.TokenURL)
		if err != nil {
			return nil, "", err
		}
		return client, "oauth", nil
	}
	signer, err := signing.NewSigner(l.APIKey, l.SharedKey)
	if err != nil {
		return nil, "", err
	}
	return licenseapi.HMAC(signer), "api_key", nil
}
