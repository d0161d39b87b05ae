package source

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"license-deactivator/pkg/signing"
)

// Errors of Verify in addition to those of pkg/signing, which mean that the delivery is not the sender's.
var (
	// ErrPing: the delivery is the unsigned ping by which the sender tests the address. The sender needs a success
	// answer, and there is no other effect.
	ErrPing = errors.New("the delivery is the sender's ping")
	// ErrSecret: a secret of the source cannot be used as a key. The deployment is at fault, not the sender.
	ErrSecret = errors.New("a secret of this source cannot be used")
)

// Verified is a delivery that one of its source's schemes has verified.
type Verified struct {
	signing.Delivery
	ReceivedAt time.Time // of its requests; the caller sets it
	scheme     *scheme
	key        signing.Key // that verified it, where the answer is signed with it
}

// Scheme describes the scheme that verified the delivery.
func (v Verified) Scheme() string {
	if v.scheme == nil {
		return ""
	}
	return v.scheme.describe()
}

// signing is nil for a delivery without a scheme.
func (v Verified) signing() *signing.Scheme {
	if v.scheme == nil {
		return nil
	}
	return v.scheme.Scheme
}

// coveredBody is what the signature covers of a form: everything, or some fields; nothing for a delivery without a scheme.
func (v Verified) coveredBody() []byte {
	if v.scheme == nil {
		return nil
	}
	return v.scheme.CoveredBody(v.Body)
}

// verification is the part of a file that says how the sender signs.
type verification struct {
	schemes []*scheme      // at least one
	ping    *regexp.Regexp // of the whole body; nil: none
	require condition      // on the whole verified body; empty: none
	mixed   bool           // some schemes verify with a secret, others with a public key

	pingLine, requireLine int // of the file
}

// complete fills in what follows from all schemes together. Each gets its name: "paypal", the header that carries the
// signature, in lower case, or "?" and the query parameter, or "field:" and the form's field. A second scheme in the same
// place gets "#2" appended.
func (v *verification) complete() {
	seen := map[string]int{}
	for _, s := range v.schemes {
		v.mixed = v.mixed || s.PublicKey() != v.schemes[0].PublicKey()
		s.name = cmp.Or(s.spec.Scheme, "?"+s.spec.Query)
		if len(s.spec.Header) > 0 {
			s.name = strings.ToLower(s.spec.Header[0])
		}
		if len(s.spec.Field) > 0 {
			s.name = "field:" + s.spec.Field[0]
		}
		if seen[s.name]++; seen[s.name] > 1 {
			s.name += "#" + strconv.Itoa(seen[s.name])
		}
	}
}

// verify tries the schemes in order with every secret; the first that verifies counts. If none does, the error is that
// of the scheme that got furthest. A delivery of which every scheme misses a part gets an error that names these parts.
func (v verification) verify(source string, d signing.Delivery, now time.Time, secrets []string) (*scheme, error) {
	var furthest error
	var missing []string
	for _, s := range v.schemes {
		keys, err := v.keys(s, source, secrets)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 && len(secrets) > 0 {
			continue // they are all for schemes of the other kind
		}
		err = s.Verify(d, now, keys...)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, signing.ErrMissing):
			what := strings.TrimPrefix(err.Error(), signing.ErrMissing.Error()+": ")
			if !slices.Contains(missing, what) { // two schemes may differ in the key alone
				missing = append(missing, what)
			}
		case furthest == nil || howFar(err) > howFar(furthest):
			furthest = err
		}
	}
	switch {
	case furthest != nil:
		return nil, furthest
	case v.isPing(d.Body):
		return nil, ErrPing
	}
	return nil, fmt.Errorf("%w: %s", signing.ErrMissing, strings.Join(missing, ", or "))
}

// howFar orders the errors of a scheme by how far it came. The time is checked last, after the signature. Of two that came
// equally far the first counts: where they differ in the unit of the timestamp alone, it is the sender's usual one.
func howFar(err error) int {
	switch {
	case errors.Is(err, signing.ErrStale), errors.Is(err, signing.ErrFuture):
		return 2
	case errors.Is(err, signing.ErrMismatch):
		return 1
	}
	return 0
}

func (v verification) isPing(body []byte) bool { return v.ping != nil && v.ping.Match(body) }

// guess returns the scheme by which a delivery seems to be signed: the first scheme of which it has a header or a field
// with the signature, or a signed header, else the first.
func (v verification) guess(d signing.Delivery) *scheme {
	for _, s := range v.schemes {
		for name := range d.Header {
			if s.Signs(name) || slices.Contains(s.SecretHeaders(), name) {
				return s
			}
		}
		if s.signsInForm(d.Body) {
			return s
		}
	}
	return v.schemes[0]
}

// keys returns the keys of a scheme. Where the file has schemes of both kinds, a secret belongs to those with a public
// key if it says that it is one (PEM, whpk_), else to the others. In every other file each secret is for each scheme. A
// secret that is no key of this scheme, but one of a scheme with another form of key, is for that one alone (Polar).
func (v verification) keys(s *scheme, source string, secrets []string) ([]signing.Key, error) {
	keys := make([]signing.Key, 0, len(secrets))
	for i, text := range secrets {
		if v.mixed && s.PublicKey() != signing.IsPublicKey(text) {
			continue
		}
		key, err := s.NewKey(text)
		switch {
		case err == nil:
			keys = append(keys, key)
		case !v.otherFormTakes(s, text):
			return nil, fmt.Errorf("%w: number %d of %q in the webhook secrets: %w", ErrSecret, i+1, source, err)
		}
	}
	return keys, nil
}

// otherFormTakes reports whether a scheme of the same kind, with another form of key than s, can use the secret.
func (v verification) otherFormTakes(s *scheme, secret string) bool {
	return slices.ContainsFunc(v.schemes, func(other *scheme) bool {
		if other.spec.Key == s.spec.Key || other.PublicKey() != s.PublicKey() {
			return false
		}
		_, err := other.NewKey(secret)
		return err == nil
	})
}
