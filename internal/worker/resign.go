package worker

import (
	"errors"
	"slices"

	"license-deactivator/pkg/licenseapi"
)

// maxCalls is the most calls to the License API for one message in one receive: signed with the held version of the
// secret, with the version after a refresh, and with the one before the current one.
const maxCalls = 3

// signatures are those of the calls for one message so far.
type signatures struct {
	calls   int
	refused []string // versions of the secret that were refused, in order
	renewed bool     // one call differed only by a fresh date or a new token
}

// shouldResign reports whether a fresh signature could change the answer: once with a fresh date or a new token, and
// with each version of the secret that is offered and was not refused yet. An expired token is no refusal of its version.
// It records in resp why there is no other version.
func (b *batch) shouldResign(resp *response, s *signatures) bool {
	s.calls++
	switch {
	case resp.kind == licenseapi.KindStaleDate, resp.kind == licenseapi.KindUnauthorized, licenseapi.TokenRefused(resp.err):
		again := !s.renewed && s.calls < maxCalls
		s.renewed = true
		return again
	case resp.kind == licenseapi.KindBadCredentials:
		s.refused = append(s.refused, resp.version)
		// After the last call, too: the cache must know that a version before the current one was refused.
		other, err := b.h.cfg.Secrets.Refresh(b.mayCall, resp.version)
		if b.mayCall.Err() != nil {
			return true // no time to read it; the next attempt does not start, and the message is returned to the queue
		}
		resp.refreshErr = errors.Join(err, other.RefreshErr)
		return err == nil && s.calls < maxCalls && !slices.Contains(s.refused, other.Version)
	}
	return false
}
