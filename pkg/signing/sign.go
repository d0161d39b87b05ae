package signing

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Sign signs d with key as the sender does: it sets the header that carries the form (the first of Spec.Header) and the
// timestamp's header, or the query parameter in d.URL, and makes d.Header if it is nil. Other signed headers must be
// present, or it fails with ErrMissing. A zero Key gives ErrNoKey; an invalid address and a time before 1970 give
// ErrMalformed. On an error d is unchanged.
func (s *Scheme) Sign(d *Delivery, now time.Time, key Key) error {
	if err := checkKeys([]Key{key}); err != nil {
		return err
	}
	stamp := s.stamp(now)
	if s.stamped && !isTimestamp(stamp) {
		return fmt.Errorf("%w: timestamp", ErrMalformed)
	}
	parts, err := s.parts(*d, stamp)
	if err != nil {
		return err
	}
	proof := s.encode(s.proof(key, parts))
	value := strings.NewReplacer("{timestamp}", stamp, "{signature}", proof, "{secret}", proof).Replace(s.spec.Form)

	if s.spec.Query != "" {
		if d.URL, err = withQuery(d.URL, s.spec.Query, value); err != nil {
			return err
		}
	}
	if d.Header == nil {
		d.Header = map[string]string{}
	}
	if len(s.spec.Header) > 0 {
		d.Header[s.spec.Header[0]] = value
	}
	if s.spec.Timestamp != "" {
		d.Header[s.spec.Timestamp] = stamp
	}
	return nil
}

// stamp is now in the scheme's unit; "" where the scheme has no timestamp.
func (s *Scheme) stamp(now time.Time) string {
	if !s.stamped {
		return ""
	}
	if s.spec.Unit == time.Millisecond {
		return strconv.FormatInt(now.UnixMilli(), 10)
	}
	return strconv.FormatInt(now.Unix(), 10)
}

// withQuery returns address with one parameter set; the others stay, in the order of their names.
func withQuery(address, name, value string) (string, error) {
	u, err := url.Parse(address)
	if err != nil { // err quotes the address
		return address, fmt.Errorf("%w: address", ErrMalformed)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String(), nil
}
