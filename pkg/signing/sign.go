package signing

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Sign signs d with key as the sender does: it sets the header that carries the form (the first of Spec.Header) and the
// timestamp's header, or the query parameter in d.URL, or the field in d.Body, and makes d.Header if it is nil. Other
// signed headers and fields must be present, or it fails with ErrMissing. A zero Key and a public key give ErrNoKey; an
// invalid address, a body that is no form where one is needed, and a time before 1970 give ErrMalformed. On an error d
// is unchanged.
func (s *Scheme) Sign(d *Delivery, now time.Time, key Key) error {
	if s.Certified() {
		return ErrOnlySender
	}
	if err := s.checkKeys([]Key{key}); err != nil {
		return err
	}
	if s.PublicKey() && key.private == nil {
		return fmt.Errorf("%w: a public key only verifies; the sender's private key signs", ErrNoKey)
	}
	stamp := s.stamp(now)
	if s.stamped && !isTimestamp(stamp) {
		return fmt.Errorf("%w: timestamp", ErrMalformed)
	}
	fields, err := s.fieldsOf(*d)
	if err != nil {
		return err
	}
	parts, err := s.parts(*d, fields, stamp)
	if err != nil {
		return err
	}
	signature, err := s.prove(key, parts)
	if err != nil {
		return err
	}
	proof := s.encode(signature)
	value := strings.NewReplacer("{timestamp}", stamp, "{signature}", proof, "{secret}", proof).Replace(s.spec.Form)

	if s.spec.Query != "" {
		if d.URL, err = withQuery(d.URL, s.spec.Query, value); err != nil {
			return err
		}
	}
	if len(s.spec.Field) > 0 {
		d.Body = withField(d.Body, s.spec.Field, value)
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

// prove makes the proof of a key that may sign.
func (s *Scheme) prove(key Key, parts signedText) ([]byte, error) {
	if !s.PublicKey() {
		return s.proof(key, parts), nil
	}
	signature, err := s.sign(key.private(), parts)
	if err != nil { // err may show the key
		return nil, fmt.Errorf("%w: the private key cannot sign", ErrNoKey)
	}
	return signature, nil
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
