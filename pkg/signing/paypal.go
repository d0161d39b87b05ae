package signing

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"time"
)

// This file and paypal_certificate.go are the scheme of PayPal, which no Spec can describe: PayPal signs with a
// certificate, and a delivery names the address of the certificate.
//
//	transmission id | transmission time | webhook id | CRC-32 of the body in decimal
//
// The signature covers the body by its CRC-32 alone. Who has a whole delivery, headers and body, can make another body for
// it as long as its time is in the window; the headers are therefore never stored.

// schemePayPal is the value of Spec.Scheme.
const schemePayPal = "paypal"

// The headers of a delivery.
const (
	payPalID        = "paypal-transmission-id"
	payPalTime      = "paypal-transmission-time"
	payPalSignature = "paypal-transmission-sig"
	payPalAddress   = "paypal-cert-url"
	payPalAlgorithm = "paypal-auth-algo"
)

// payPalSHA256 is the one algorithm that is accepted. PayPal's old libraries also took SHA1withRSA.
const payPalSHA256 = "SHA256withRSA"

// Times of a delivery. PayPal repeats a delivery up to 25 times in three days; whether it signs each one afresh is not
// known. A replay within the window does no harm: an event has the same effect twice.
const (
	payPalMaxAge    = 4 * 24 * time.Hour
	payPalClockSkew = 5 * time.Minute
)

const (
	maxPayPalID     = 64 // bytes of a transmission or webhook id; they have 36 and 17
	payPalSandbox   = "sandbox:"
	payPalSimulator = "WEBHOOK_ID"
)

// The errors of PayPal's scheme, in addition to those of Verify.
var (
	// ErrCertificate is wrapped with the reason why the certificate cannot be PayPal's.
	ErrCertificate = errors.New("signing: certificate not accepted")
	// ErrOnlySender: the sender alone has the private key, so that nobody else can sign.
	ErrOnlySender = errors.New("signing: only the sender can sign, it alone has the private key")
)

// A CertificateNeededError is returned by Verify for a delivery that has passed every check for which no certificate is
// needed, and that no certificate among the keys verifies. The caller fetches Address, and calls Verify again with it in
// Delivery.Certificate.
type CertificateNeededError struct {
	Address string // one of PayPal's own, as CheckPayPalAddress requires
	Stored  error  // why the certificates among the keys do not verify the delivery; nil without one
}

func (e *CertificateNeededError) Error() string {
	if e.Stored != nil {
		return "signing: the sender's certificate is needed, since the stored one does not verify the delivery: " + e.Stored.Error()
	}
	return "signing: the sender's certificate is needed"
}

// Certificate is what PayPal's scheme verifies with. It never comes from the delivery itself.
type Certificate struct {
	PEM   []byte         // what stands at the address that the delivery names; nil: it was not fetched
	Roots *x509.CertPool // the roots to which a certificate must lead, also one among the keys
}

// Certified reports whether the sender signs with a certificate, so that Verify needs Delivery.Certificate.
func (s *Scheme) Certified() bool { return s.spec.Scheme == schemePayPal }

// newPayPal makes PayPal's scheme. It has no further fields.
func newPayPal(spec Spec) (*Scheme, error) {
	scheme := spec.Scheme
	if scheme != schemePayPal {
		return nil, bad("scheme", "%q is not paypal", scheme)
	}
	if spec.Scheme, spec.Unit = "", 0; !reflect.DeepEqual(spec, Spec{}) {
		return nil, bad("scheme", "stands alone: paypal has no other field")
	}
	return &Scheme{spec: Spec{Scheme: schemePayPal, Header: []string{payPalSignature}}}, nil
}

// newPayPalKey reads a webhook id, "sandbox:" and the id of a webhook in PayPal's sandbox, or a certificate chain in PEM.
func newPayPalKey(text string) (Key, error) {
	if isPEM(text) {
		_, err := readChain([]byte(text))
		return newKey([]byte(text)), err
	}
	if err := checkSecret("key", text); err != nil {
		return Key{}, err
	}
	switch id := strings.TrimPrefix(text, payPalSandbox); {
	case id == payPalSimulator:
		return Key{}, errors.New("signing: key: WEBHOOK_ID is the id of PayPal's simulator, with which anybody can have events signed")
	case !isPayPalID(id):
		return Key{}, fmt.Errorf("signing: key: not a webhook id of PayPal (letters, digits, - and _, at most %d), perhaps with %q before it, nor a certificate in PEM", maxPayPalID, payPalSandbox)
	}
	return newKey([]byte(text)), nil
}

// transmission is what the headers of a delivery say.
type transmission struct {
	id, time  string
	signature []byte
	address   string // of the certificate, checked
	sandbox   bool   // the address is the sandbox's
}

// verifyPayPal is Verify. The checks that cost nothing come first: a delivery without proof must not cause a fetch.
func (s *Scheme) verifyPayPal(d Delivery, now time.Time, keys []Key) error {
	switch {
	case len(keys) == 0 || len(keys) > MaxKeys:
		return fmt.Errorf("%w: %d keys; 1 to %d are tried", ErrNoKey, len(keys), MaxKeys)
	case d.Certificate == nil || d.Certificate.Roots == nil:
		return fmt.Errorf("%w: no roots for the sender's certificate", ErrNoKey)
	}
	t, err := readTransmission(d, now)
	if err != nil {
		return err
	}
	ids, stored, err := payPalKeys(keys, t.sandbox)
	if err != nil {
		return err
	}
	var why error
	for _, pem := range stored {
		if why = t.verify(d.Body, ids, pem, d.Certificate.Roots, now); why == nil {
			return nil
		}
	}
	if d.Certificate.PEM == nil {
		return &CertificateNeededError{t.address, why}
	}
	return t.verify(d.Body, ids, d.Certificate.PEM, d.Certificate.Roots, now)
}

// readTransmission reads the headers and checks their form, the time and the address.
func readTransmission(d Delivery, now time.Time) (t transmission, err error) {
	values := map[string]string{}
	for _, name := range []string{payPalSignature, payPalID, payPalTime, payPalAddress, payPalAlgorithm} {
		if values[name], err = header(d, name); err != nil {
			return t, err
		}
	}
	t = transmission{id: values[payPalID], time: values[payPalTime], address: values[payPalAddress]}
	if values[payPalAlgorithm] != payPalSHA256 {
		return t, fmt.Errorf("%w: header %s is not %s", ErrMalformed, payPalAlgorithm, payPalSHA256)
	}
	if !isPayPalID(t.id) {
		return t, fmt.Errorf("%w: header %s", ErrMalformed, payPalID)
	}
	t.signature, err = base64.StdEncoding.DecodeString(values[payPalSignature])
	if err != nil || base64.StdEncoding.EncodeToString(t.signature) != values[payPalSignature] {
		return t, fmt.Errorf("%w: header %s is not base64", ErrMalformed, payPalSignature)
	}
	at, err := time.Parse(time.RFC3339, t.time)
	if err != nil || len(t.time) > maxPayPalID { // err quotes the header
		return t, fmt.Errorf("%w: header %s", ErrMalformed, payPalTime)
	}
	switch age := now.Sub(at); {
	case age > payPalMaxAge:
		return t, fmt.Errorf("%w: older than %v", ErrStale, payPalMaxAge)
	case age < -payPalClockSkew:
		return t, fmt.Errorf("%w: by more than %v", ErrFuture, payPalClockSkew)
	}
	t.sandbox, err = CheckPayPalAddress(t.address)
	return t, err
}

// payPalKeys returns the webhook ids of an environment, and the stored certificates.
func payPalKeys(keys []Key, sandbox bool) (ids []string, stored [][]byte, err error) {
	for _, key := range keys {
		if key.bytes == nil {
			return nil, nil, fmt.Errorf("%w: a key that was never made", ErrNoKey)
		}
		text := string(key.bytes())
		id, isSandbox := strings.CutPrefix(text, payPalSandbox)
		switch {
		case isPEM(text):
			stored = append(stored, key.bytes())
		case isSandbox == sandbox:
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) > 0:
		return ids, stored, nil
	case len(stored) == len(keys):
		return nil, nil, fmt.Errorf("%w: certificates are stored, and no webhook id", ErrMismatch)
	case sandbox:
		return nil, nil, fmt.Errorf("%w: it comes from PayPal's sandbox, and no webhook id is stored as %sID", ErrMismatch, payPalSandbox)
	}
	return nil, nil, fmt.Errorf("%w: it comes from PayPal's live system, and every stored webhook id is the sandbox's", ErrMismatch)
}

// verify checks the certificate, and the signature for each webhook id.
func (t transmission) verify(body []byte, ids []string, pem []byte, roots *x509.CertPool, now time.Time) error {
	public, err := verifyChain(pem, roots, now, t.sandbox)
	if err != nil {
		return err
	}
	for _, id := range ids {
		line := fmt.Sprintf("%s|%s|%s|%d", t.id, t.time, id, crc32.ChecksumIEEE(body))
		digest := sha256.Sum256([]byte(line))
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], t.signature) == nil {
			return nil
		}
	}
	return ErrMismatch
}

// isPayPalID reports whether a text can be a transmission or webhook id. It cannot hold the line's separator.
func isPayPalID(text string) bool {
	return text != "" && len(text) <= maxPayPalID && !strings.ContainsFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && r != '-' && r != '_'
	})
}
