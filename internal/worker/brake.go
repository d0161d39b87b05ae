package worker

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

const (
	// windowIdle is how long a window is kept after its last use. A retry comes within 15 minutes and no visibility
	// timeout is longer than 12 hours, so a day later no message of that hour is in flight.
	windowIdle = 24 * time.Hour

	// maxWindows and maxCounted bound the memory of an environment for any messages: each hour of ten days, the queue's
	// retention, for 17 sources; and licenses of some 80 bytes each, 16 MB of the function's 256 MB. What does not fit
	// is held: if a window were dropped, its next licenses would pass.
	maxWindows = 4096
	maxCounted = 200_000
)

// brake holds a surge: a plugin's bug, a script or a mass refund that deactivates more licenses of a source in an hour
// than are really refunded. It counts the distinct licenses of each source and each hour of received_at. That hour is
// the webhook's: a backlog that is processed after an outage is not a surge. A retry or a redelivery is not one either,
// since its license is already counted.
//
// It belongs to an environment and is empty in a new one. An environment therefore acts on at most limit licenses of a
// source and hour, and k environments on k times as many. An hour with at most limit licenses is never held.
type brake struct {
	limit int // licenses of a source and hour in this environment; 0: no brake
	now   func() time.Time

	mu      sync.Mutex
	windows map[window]*counted
	sum     int // licenses in all windows
	swept   time.Time
}

// window is one hour of one source.
type window struct {
	source string
	hour   time.Time // its start in UTC; zero for messages without received_at, which share one window
}

// String says when the messages of a window were received.
func (w window) String() string {
	if w.hour.IsZero() {
		return "received at no known time"
	}
	return "received in the hour from " + w.hour.Format(time.RFC3339)
}

// counted is one license that a window has admitted.
type counted struct {
	licenses map[license]bool
	usedAt   time.Time
}

func newBrake(limit int, now func() time.Time) *brake {
	return &brake{limit: limit, now: now, windows: make(map[window]*counted)}
}

// admit counts those of these licenses that are not counted yet, and returns "": they may be acted on. If they do not
// all fit, it counts none and says why they are held. Call it before the first call, or the first write, for any of
// them. identities are those of deactivation.License.Identity, or one other text for each license; memory holds their
// hashes.
func (b *brake) admit(source string, receivedAt time.Time, identities ...string) (held string) {
	if b.limit == 0 {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.sweep(now)

	w := windowOf(source, receivedAt)
	have, known := b.windows[w]
	if !known {
		have = &counted{licenses: make(map[license]bool)}
	}
	have.usedAt = now // also after a refusal: otherwise a surge that lasts a day would start again
	added := make(map[license]bool)
	for _, identity := range identities {
		if l := license(sha256.Sum256([]byte(identity))); !have.licenses[l] {
			added[l] = true
		}
	}
	switch {
	case len(have.licenses)+len(added) > b.limit:
		return fmt.Sprintf("more than %d licenses of %s %s for one instance of the worker; this worker did nothing, a person decides", b.limit, source, w)
	case b.sum+len(added) > maxCounted || !known && len(b.windows) >= maxWindows:
		return fmt.Sprintf("the brake counts %d licenses in %d hours, and keeps no more; this worker did nothing, a person decides", b.sum, len(b.windows))
	}
	b.windows[w] = have
	for l := range added {
		have.licenses[l] = true
	}
	b.sum += len(added)
	return ""
}

// windowOf returns the window of a message.
func windowOf(source string, receivedAt time.Time) window {
	if receivedAt.IsZero() {
		return window{source: source}
	}
	return window{source, receivedAt.UTC().Truncate(time.Hour)}
}

// sweep drops the windows that were not used for windowIdle, at most once an hour.
func (b *brake) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Hour {
		return
	}
	b.swept = now
	for w, c := range b.windows {
		if now.Sub(c.usedAt) > windowIdle {
			b.sum -= len(c.licenses)
			delete(b.windows, w)
		}
	}
}
