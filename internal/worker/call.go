package worker

import (
	"context"
	"errors"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
)

// The deadline rule. A worker that Lambda stops in the middle of a call gets its whole batch again, the finished
// messages included; so calls end early enough to settle what they decided. One call takes five seconds at most,
// to which the client sees.
const (
	callReserve = 3 * time.Second // calls end this long before the deadline: two seconds are left to settle in
	idleReserve = time.Second     // from here to the deadline nothing is begun: the answer goes back
	leastCall   = time.Second     // less than this is no call: it would likely be cut off, its outcome unknown
)

// answer is what one call heard.
type answer struct {
	err     error // nil for status 200
	kind    licenseapi.Kind
	latency time.Duration
	version string // of the secret that signed the call
	stale   error  // why the secret may be an old one: it could not be read or parsed again; nil where it could
	skipped error  // why there was no call
}

// call asks the License API to deactivate m's license, and again where another signature may mend the answer. The last
// answer decides.
func (b *batch) call(m *message) result {
	var signed signatures
	for {
		a, started := b.attempt(m)
		if !started {
			return b.notStarted(m, a.skipped)
		}
		if !b.mayMend(&a, &signed) {
			return b.resultOf(m, a)
		}
	}
}

// attempt waits for a turn, then signs with the secret and the date of this very moment and calls. started is
// false when no turn came in time, when the API is spared, or when the configuration is at fault.
func (b *batch) attempt(m *message) (a answer, started bool) {
	if err := b.h.breaker.open(); err != nil { // nobody waits for a turn that is not used
		return answer{skipped: err}, false
	}
	turn, err := b.h.pace.turn(b.mayCall)
	if err != nil {
		return answer{skipped: err}, false
	}
	held, err := b.h.cfg.Secrets.Get(b.mayCall)
	if b.mayCall.Err() != nil {
		return answer{}, false
	}
	if err != nil {
		b.note(fault{what: secretUnreadable, evidence: err, stops: true})
		return answer{}, false
	}
	if held.Stale != nil {
		b.warnStale.Do(func() {
			b.h.cfg.Recorder.Logger().WarnContext(b.calls, "the License API's secret cannot be read again, the old value is used on",
				"secret_version", held.Version, "error", deactivation.CleanText(held.Stale.Error()))
		})
	}
	client, err := b.h.clientFor(held)
	if err != nil {
		b.note(fault{what: secretUnusable, evidence: err, stops: true})
		return answer{}, false
	}

	begin := time.Now()
	err = b.h.breaker.call(b.calls, func(ctx context.Context) error { return send(ctx, client, m.request) })
	if errors.Is(err, errSpared) {
		return answer{skipped: err}, false
	}
	a = answer{err: err, kind: licenseapi.KindOf(err), latency: time.Since(begin), version: held.Version}
	if a.kind == licenseapi.KindRateLimited {
		b.slowDown(turn, err)
	}
	return a, true
}

// send makes the call that the request asks for.
func send(ctx context.Context, client *licenseapi.Client, r deactivation.Request) error {
	ctx = licenseapi.WithRequestID(ctx, r.ID) // so that both logs can be laid side by side
	if r.Action == deactivation.ActionDeactivateBundle {
		return client.DeactivateBundle(ctx, licenseapi.Deactivation(r.License))
	}
	return client.Deactivate(ctx, licenseapi.Deactivation(r.License))
}

// clientFor returns the client that signs with that secret. One is kept, for the latest version: its signer
// caches the header of a second, or its token, and its transport is the API's, whatever the version.
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
