package worker

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// deploymentLicenses is how many different licenses in a row must get the same refusal, without a success between
	// them, before it counts as the deployment's. One or two may be broken licenses that happen to be next to each
	// other.
	deploymentLicenses = 3

	// localReceives is the receive from which on a refusal that only this message gets dead-letters it: about four
	// minutes after the first.
	localReceives = 5

	// localRefusals is how many refusals of a message an environment must have seen before it dead-letters it. The earlier
	// receives of a message may have ended in an outage, and two refusals in a row are not rare when something in front of the
	// API refuses half of the calls. With two workers one of them sees three of the first five.
	localRefusals = 3

	// maxRefusals and maxRefused bound the memory of an environment. When one is reached, that memory is emptied:
	// messages then stay deferred longer, and none is rejected sooner.
	maxRefusals = 64
	maxRefused  = 4096
)

// evidence distinguishes a refusal of one license from one of the deployment. A 403, a 404 or an unknown code may mean
// either, and one answer does not show which: a message of a broken license must not stop the others, and a suspended
// account must not move the whole queue to the dead-letter queue. It belongs to an environment and outlives an
// invocation. Its zero value is not ready: use newEvidence.
type evidence struct {
	mu sync.Mutex
	// rows has, for each refusal, the licenses that got it since the last success; at most deploymentLicenses of each.
	rows map[string]map[license]bool
	// refused is what a message was refused in this environment, by request id.
	refused map[string]refused
	// success is when the latest call that succeeded started.
	success time.Time
}

// refused is how often a message was refused, and when first.
type refused struct {
	first time.Time
	times int
}

// license is the hash of a license's identity: memory that may be dumped holds no keys.
type license [sha256.Size]byte

func newEvidence() *evidence {
	return &evidence{rows: make(map[string]map[license]bool), refused: make(map[string]refused)}
}

// succeeded records a call that deactivated a license or found it inactive.
func (e *evidence) succeeded(started time.Time, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.rows)
	delete(e.refused, id)
	if started.After(e.success) {
		e.success = started
	}
}

// scope is what the refusals of an environment show about the latest one.
type scope struct {
	deployment bool // several licenses in a row got it
	repeated   bool // it is not the first since the last success
	succeeded  bool // a call that started after this message's first refusal succeeded
	local      bool // succeeded, no other license got it, and the message was refused localRefusals times
}

// refusal records that a message got that refusal, and returns the present evidence.
func (e *evidence) refusal(refusal, id, identity string) scope {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rows) >= maxRefusals {
		clear(e.rows)
	}
	row := e.rows[refusal]
	repeated := len(row) > 0
	if row == nil {
		row = make(map[license]bool)
		e.rows[refusal] = row
	}
	if len(row) < deploymentLicenses {
		row[sha256.Sum256([]byte(identity))] = true
	}
	if len(e.refused) >= maxRefused {
		clear(e.refused)
	}
	seen, known := e.refused[id]
	if !known {
		seen.first = time.Now()
	}
	seen.times++
	e.refused[id] = seen
	succeeded := known && e.success.After(seen.first)
	return scope{
		deployment: len(row) >= deploymentLicenses, repeated: repeated, succeeded: succeeded,
		local: succeeded && len(row) == 1 && seen.times >= localRefusals,
	}
}
