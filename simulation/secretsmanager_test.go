package simulation

import (
	"cmp"
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

	mu       sync.Mutex
	versions []keys        // the last is AWSCURRENT
	accepted keys          // by the APIs
	changed  time.Duration // when one of them changed last
}

// keys are what the secret holds, and what rotates.
type keys struct{ shared, management string }

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
	n := len(m.versions) - 1
	if previous {
		n--
	}
	if n < 0 {
		return secrets.Value{}, secrets.ErrEmpty
	}
	return secrets.Value{Text: m.h.scenario.secretText(m.versions[n]), Version: fmt.Sprintf("v%d", n+1)}, nil
}

// shouldBeFound reports whether a worker that defers a message with this code should have found the API's key by now:
// the key is AWSCURRENT or AWSPREVIOUS, nothing changed for rereadLimit, and reads succeeded.
func (m *secretsManager) shouldBeFound(code string) bool {
	if code != "signature_mismatch" && code != "unauthorized_client" {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.readable() && slices.ContainsFunc(m.versions[max(len(m.versions)-2, 0):], func(k keys) bool { return k.shared == m.accepted.shared })
}

// managementShouldBeFound is shouldBeFound for the Management API's key, which must be in AWSCURRENT. The API refuses keys
// by itself in a failpoint, and the code is also one of the License API's.
func (m *secretsManager) managementShouldBeFound(code string) bool {
	s := &m.h.scenario
	now := m.h.now()
	refuses := func(f failpoint) bool { return (span{f.from, f.to + rereadLimit}).contains(now) }
	if code != "http_403" || slices.ContainsFunc(s.apiFailpoints, refuses) || slices.ContainsFunc(s.managementFailpoints, refuses) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.readable() && m.versions[len(m.versions)-1].management == m.accepted.management
}

// readable reports whether nothing has changed and no read has failed for rereadLimit. m.mu is held.
func (m *secretsManager) readable() bool {
	now := m.h.now()
	for _, s := range m.h.scenario.secretFailpoints {
		if (span{s.from, s.to + rereadLimit}).contains(now) {
			return false
		}
	}
	return now > m.changed+rereadLimit
}

// rotateKeys changes the shared key and the Management key at the API and in the secret, in the order that each rotation
// gives.
func (h *harness) rotateKeys() {
	m, s := h.secretsManager, &h.scenario
	rotate := func(change rotation, atAPI func(), inSecret func(*keys)) {
		first := atAPI
		then := func() {
			version := m.versions[len(m.versions)-1]
			inSecret(&version)
			m.versions = append(m.versions, version)
		}
		if change.secret < change.api {
			first, then = then, first
		}
		h.sleepUntil(change.begin())
		m.change(first)
		h.sleepUntil(change.complete())
		m.change(then)
	}
	all := slices.Concat(s.rotations, s.managementRotations) // none overlap
	slices.SortFunc(all, func(a, b rotation) int { return cmp.Compare(a.begin(), b.begin()) })
	for _, change := range all {
		if slices.Contains(s.managementRotations, change) {
			rotate(change, func() {
				m.accepted.management = change.key
				h.api.RotateManagement(change.key)
			}, func(k *keys) { k.management = change.key })
			continue
		}
		rotate(change, func() {
			m.accepted.shared = change.key
			if s.oauth {
				h.api.RotateClient(clientID, change.key)
			} else {
				h.api.Rotate(apiKey, change.key)
			}
		}, func(k *keys) { k.shared = change.key })
	}
}

func (m *secretsManager) change(half func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	half()
	m.changed = m.h.now()
}
