package simulation

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/secrets"
)

// vault is Secrets Manager with the License API's secret in it.
type vault struct {
	w *world

	mu    sync.Mutex
	keys  []string      // every version; the last is the current one
	at    string        // the API's
	since time.Duration // the last change
}

const (
	// secretLatency is Secrets Manager's.
	secretLatency = 20 * time.Millisecond

	// rereadWithin is how long after a new key a message may still be put off for the old one: a forced read every 30 s,
	// a batch of a minute whose outcome is told at its end, and some for the reads themselves.
	rereadWithin = 2 * time.Minute
)

// read is GetSecretValue, of the current version or of the one before.
func (v *vault) read(ctx context.Context, previous bool) (secrets.Value, error) {
	select {
	case <-time.After(secretLatency):
	case <-ctx.Done():
		return secrets.Value{}, ctx.Err()
	}
	now := v.w.now()
	for _, s := range v.w.plan.secretTrouble {
		if s.holds(now) && now%(2*time.Minute) < time.Minute {
			return secrets.Value{}, fmt.Errorf("InternalServiceError")
		}
		if s.holds(now) {
			return secrets.Value{Text: `{"api_key":"` + apiKey + `","shared_key":"white space "}`, Version: "bad"}, nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n := len(v.keys) - 1
	if previous {
		n--
	}
	if n < 0 {
		return secrets.Value{}, secrets.ErrEmpty
	}
	return secrets.Value{Text: v.w.plan.secret(v.keys[n]), Version: fmt.Sprintf("v%d", n+1)}, nil
}

// wrongFor says whether a message that was put off with that code should have found the right key by now.
func (v *vault) wrongFor(code string) bool {
	if code != "signature_mismatch" && code != "unauthorized_client" {
		return false
	}
	now := v.w.now()
	for _, s := range v.w.plan.secretTrouble {
		if (span{s.from, s.to + rereadWithin}).holds(now) {
			return false
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return now > v.since+rereadWithin && slices.Contains(v.keys[max(len(v.keys)-2, 0):], v.at)
}

// rotateKeys changes the shared key at the API and in the secret, in the order of each rotation.
func (w *world) rotateKeys() {
	v := w.vault
	for _, change := range w.plan.rotations {
		first := func() {
			v.at = change.key
			if w.plan.oauth {
				w.api.RotateClient(clientID, change.key)
			} else {
				w.api.Rotate(apiKey, change.key)
			}
		}
		then := func() { v.keys = append(v.keys, change.key) }
		if change.secret < change.api {
			first, then = then, first
		}
		w.until(min(change.api, change.secret))
		v.change(first)
		w.until(max(change.api, change.secret))
		v.change(then)
	}
}

func (v *vault) change(half func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	half()
	v.since = v.w.now()
}
