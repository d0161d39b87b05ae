package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Limits of input from outside, checked before reading.
const (
	maxValueBytes = 8 << 10 // one header, or the address; API Gateway takes 10,240 bytes of headers in all
	maxParts      = 64      // of one value; a sender in rotation sends three
	maxPublic     = 8       // signatures of public keys in one value: each costs a pass over the body
	maxDigits     = 18      // of a timestamp: any such number fits an int64
)

// MaxKeys is the most keys that Verify tries: each costs one pass over the body.
const MaxKeys = 16

// The errors of Verify. Each is wrapped with the part that it concerns, by the name in the Spec.
var (
	ErrMissing   = errors.New("signing: missing")                  // no signature, or a part of the signed text is missing
	ErrMalformed = errors.New("signing: malformed")                // not in the scheme's form
	ErrStale     = errors.New("signing: stale")                    // genuine, but older than the tolerance
	ErrFuture    = errors.New("signing: in the future")            // genuine, but further ahead than the tolerance
	ErrMismatch  = errors.New("signing: signature does not match") // of other bytes, or made with another key
	ErrNoKey     = errors.New("signing: no usable key")            // caller's error: no key, a zero Key or too many
)

// Delivery is one HTTP request of a sender: the parts that may be signed.
type Delivery struct {
	Method string
	URL    string            // as the sender called it, where the scheme signs it or reads its query
	Header map[string]string // by lower-case name
	Body   []byte            // the raw bytes, capped by the caller

	// Certificate is what a scheme that is Certified verifies with. The receiver sets it; nil for every other scheme.
	Certificate *Certificate
}

// Verify returns nil when one of the signatures (or the secret) in d is valid for one of the keys and, if the scheme
// has a timestamp, now is within the tolerance of it; exactly at the tolerance still passes. Otherwise the error wraps
// one of ErrMissing, ErrMalformed, ErrMismatch, ErrStale, ErrFuture and ErrNoKey. The time is checked last: ErrStale
// and ErrFuture are returned only for genuine deliveries, and mean a wrong clock or a replay.
func (s *Scheme) Verify(d Delivery, now time.Time, keys ...Key) error {
	if s.Certified() {
		return s.verifyPayPal(d, now, keys)
	}
	if err := s.checkKeys(keys); err != nil {
		return err
	}
	fields, err := s.fieldsOf(d)
	if err != nil {
		return err
	}
	value, err := s.carried(d, fields)
	if err != nil {
		return err
	}
	stamp, proofs, err := s.read(value)
	if err != nil {
		return err
	}
	if s.spec.Timestamp != "" {
		if stamp, err = header(d, s.spec.Timestamp); err != nil {
			return err
		}
	}
	if s.stamped && !isTimestamp(stamp) {
		return fmt.Errorf("%w: timestamp", ErrMalformed)
	}
	parts, err := s.parts(d, fields, stamp)
	if err != nil {
		return err
	}
	if !s.proves(keys, parts, proofs) && !s.provesAsPHP(keys, fields, proofs) {
		return ErrMismatch
	}
	return s.checkTime(stamp, now)
}

// proves reports whether one of the proofs is valid for one of the keys.
func (s *Scheme) proves(keys []Key, parts signedText, proofs [][]byte) bool {
	var message []byte
	if s.PublicKey() {
		message = s.message(parts)
	}
	for _, key := range keys {
		var want []byte
		if !s.PublicKey() {
			want = s.proof(key, parts)
		}
		for _, got := range proofs {
			if s.PublicKey() && isSignature(key.public(), message, got) || !s.PublicKey() && s.equal(got, want) {
				return true
			}
		}
	}
	return false
}

// equal compares in constant time. Secrets are hashed first, so that their length does not leak.
func (s *Scheme) equal(got, want []byte) bool {
	if s.spec.MAC == macNone {
		g, w := sha256.Sum256(got), sha256.Sum256(want)
		return hmac.Equal(g[:], w[:])
	}
	return hmac.Equal(got, want)
}

// checkTime checks a stamp of up to 18 digits, which the key has signed.
func (s *Scheme) checkTime(stamp string, now time.Time) error {
	if !s.stamped {
		return nil
	}
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: timestamp", ErrMalformed)
	}
	at := time.Unix(n, 0)
	if s.spec.Unit == time.Millisecond {
		at = time.UnixMilli(n)
	}
	age := now.Sub(at) // saturates, does not overflow
	switch {
	case age > s.spec.Tolerance:
		return fmt.Errorf("%w: older than %v", ErrStale, s.spec.Tolerance)
	case age < -s.spec.Tolerance:
		return fmt.Errorf("%w: by more than %v", ErrFuture, s.spec.Tolerance)
	}
	return nil
}
