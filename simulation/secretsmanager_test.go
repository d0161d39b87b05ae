package simulation

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/secrets"
)

// secretsManager is Secrets Manager with the License API's secret in it.
type secretsManager struct {
	h *harness

	mu      sync.Mutex
	keys    []string      // of every version; the last is AWSCURRENT
	apiKey  string        // the key that the API accepts
	changed time.Duration // when one of them changed last
}

const (
	// secretLatency is the time of one read.
	secretLatency = 20 * time.Millisecond

	// rereadLimit is how long after a rotation a message may still be deferred for the old key: a forced read happens
	// every 30 s, a batch takes up to a minute and reports its outcomes at its end, and the reads take time.
	rereadLimit = 2 * time.Minute
)

// read is GetSecretValue, of AWSCURRENT or AWSPREVIOUS.
func (m *secretsManager) read(ctx context.Context, previous bool) (secrets.Value, error) {
	select {
	case <-time.After(secretLatency):
	case <-ctx.Done():
		return secrets.Value{}, ctx.Err()
	}
	now := m.h.now()
	for _, s := range m.h.scenario.secretFailpoints {
		if s.contains(now) && now%(2*time.Minute) < time.Minute {
			return secrets.Value{}, fmt.Errorf("InternalServiceError")
		}
		if s.contains(now) {
			return secrets.Value{Text: `{"api_key":"` + apiKey + `","shared_key":"white space "}`, Version: "bad"}, nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.keys) - 1
	if previous {
		n--
	}
	if n < 0 {
		return secrets.Value{}, secrets.ErrEmpty
	}
	return secrets.Value{Text: m.h.scenario.secretText(m.keys[n]), Version: fmt.Sprintf("v%d", n+1)}, nil
}

// shouldBeFound reports whether a worker that defers a message with this code should have found the API's key by now:
// the key is AWSCURRENT or AWSPREVIOUS, nothing changed for rereadLimit, and reads succeeded.
func (m *secretsManager) shouldBeFound(code string) bool {
	if code != "signature_mismatch" && code != "unauthorized_client" {
		return false
	}
	now := m.h.now()
	for _, s := range m.h.scenario.secretFailpoints {
		if (span{s.from, s.to + rereadLimit}).contains(now) {
			return false
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return now > m.changed+rereadLimit && slices.Contains(m.keys[max(len(m.keys)-2, 0):], m.apiKey)
}

// rotateKeys changes the shared key at the API and in the secret, in the order that each rotation gives.
func (h *harness) rotateKeys() {
	m := h.secretsManager
	for _, change := range h.scenario.rotations {
		first := func() {
			m.apiKey = change.key
			if h.scenario.oauth {
				h.api.RotateClient(clientID, change.key)
			} else {
				h.api.Rotate(apiKey, change.key)
			}
		}
		then := func() { m.keys = append(m.keys, change.key) }
		if change.secret < change.api {
			first, then = then, first
		}
		h.sleepUntil(min(change.api, change.secret))
		m.change(first)
		h.sleepUntil(max(change.api, change.secret))
		m.change(then)
	}
}

func (m *secretsManager) change(half func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	half()
	m.changed = m.h.now()
}
