package worker

import (
	"fmt"

	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/signing"
)

// clientFor returns the client that signs with that secret. One client is kept, for the latest version: its signer
// caches the header of a second, or its token. Every version uses the API's transport.
func (h *Handler) clientFor(held secrets.Held[secrets.License]) (*licenseapi.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil && h.version == held.Version {
		return h.client, nil
	}
	client, err := h.clientOf(held)
	if err != nil {
		return nil, err
	}
	h.version, h.client = held.Version, client
	return client, nil
}

// clientOf makes the client that signs with that secret, and logs it: once for each version that comes into use.
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

// authorizerOf chooses by the content of the secret.
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
