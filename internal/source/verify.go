package source

import (
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

// verification is the part of a file that says how the sender signs.
type verification struct {
	schemes []*scheme      // at least one
	ping    *regexp.Regexp // of the whole body; nil: none
	require condition      // on the whole verified body; empty: none

	pingLine, requireLine int // of the file
}

// scheme is one way in which a sender signs.
type scheme struct {
	*signing.Scheme
	spec signing.Spec // as in the file
	name string       // among the file's schemes, stable as long as the sender signs in this way
	line int          // of the file
}

// nameSchemes gives each scheme its name: the header that carries the signature, in lower case, or "?" and the query
// parameter. A second scheme in the same place gets "#2" appended.
func (v *verification) nameSchemes() {
	seen := map[string]int{}
	for _, s := range v.schemes {
		s.name = "?" + s.spec.Query
		if len(s.spec.Header) > 0 {
			s.name = strings.ToLower(s.spec.Header[0])
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
		keys, err := s.keys(source, secrets)
		if err != nil {
			return nil, err
		}
		err = s.Verify(d, now, keys...)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, signing.ErrMissing):
			missing = append(missing, strings.TrimPrefix(err.Error(), signing.ErrMissing.Error()+": "))
		default:
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

func (v verification) isPing(body []byte) bool { return v.ping != nil && v.ping.Match(body) }

// guess returns the scheme by which a delivery seems to be signed: the first scheme of which it has a header with the
// signature or a signed header, else the first.
func (v verification) guess(headers map[string]string) *scheme {
	for _, s := range v.schemes {
		for name := range headers {
			if s.Signs(name) || slices.Contains(s.SecretHeaders(), name) {
				return s
			}
		}
	}
	return v.schemes[0]
}

func (s *scheme) keys(source string, secrets []string) ([]signing.Key, error) {
	keys := make([]signing.Key, len(secrets))
	for i, text := range secrets {
		key, err := s.NewKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: number %d of %q in the webhook secrets: %w", ErrSecret, i+1, source, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// describe describes the signature: "HMAC-SHA256 of {timestamp}.{body}, hex, in Stripe-Signature, at most 5m old".
func (s *scheme) describe() string {
	where := "in " + strings.Join(s.spec.Header, " or ")
	if s.spec.Query != "" {
		where = "in the address, as ?" + s.spec.Query + "=…"
	}
	if s.spec.MAC == "none" {
		if form := strings.ReplaceAll(s.spec.Form, "{secret}", "…"); form != "…" {
			where += ": " + form
		}
		return "the secret itself, " + where
	}
	description := fmt.Sprintf("HMAC-SHA256 of %s, %s, %s", s.spec.Signed, s.spec.Encoding, where)
	if s.spec.Tolerance > 0 {
		description += fmt.Sprintf(", at most %s old", strings.TrimSuffix(s.spec.Tolerance.String(), "0s"))
	}
	return description
}
