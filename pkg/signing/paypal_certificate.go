package signing

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxCertificateBytes bounds a certificate chain in PEM. PayPal's has two certificates and 4 KiB.
const MaxCertificateBytes = 64 << 10

const (
	maxChain     = 8   // certificates in one PEM text; each may cost a signature
	maxCertName  = 128 // bytes of the last part of an address: "CERT-360caa42-fca2a594-a5cafa77"
	payPalCerts  = "/v1/notifications/certs/"
	payPalLiveCN = "messageverificationcerts.paypal.com"
	payPalTestCN = "messageverificationcerts.sandbox.paypal.com"
)

// CheckPayPalAddress refuses every address of a certificate that is not exactly PayPal's: https, one of four hosts, one
// path, one last part of plain characters. It reports whether the address is the sandbox's. The address is compared as
// text, not parsed: two parsers may read a trick in two ways. The error wraps ErrCertificate and does not quote it.
func CheckPayPalAddress(address string) (sandbox bool, err error) {
	for host, sandbox := range map[string]bool{
		"api.paypal.com": false, "api-m.paypal.com": false, "api.sandbox.paypal.com": true, "api-m.sandbox.paypal.com": true,
	} {
		if name, ok := strings.CutPrefix(address, "https://"+host+payPalCerts); ok && isCertName(name) {
			return sandbox, nil
		}
	}
	return false, fmt.Errorf("%w: header %s is not the address of a certificate at PayPal", ErrCertificate, payPalAddress)
}

// isCertName reports whether a text is one plain segment of a path: no separator, no escape, and no dots alone.
func isCertName(name string) bool {
	return name != "" && len(name) <= maxCertName && strings.Trim(name, ".") != "" &&
		!strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-_.", r) })
}

// CheckPayPalCertificate returns nil for a certificate chain of PayPal's live system or of its sandbox, as Verify accepts
// it at the time. The error wraps ErrCertificate.
func CheckPayPalCertificate(chain []byte, roots *x509.CertPool, now time.Time, sandbox bool) error {
	_, err := verifyChain(chain, roots, now, sandbox)
	return err
}

// verifyChain returns the public key of the first certificate of a PEM text, if that is PayPal's.
func verifyChain(text []byte, roots *x509.CertPool, now time.Time, sandbox bool) (*rsa.PublicKey, error) {
	certificates, err := readChain(text)
	if err != nil {
		return nil, err
	}
	leaf, name := certificates[0], payPalLiveCN
	if sandbox {
		name = payPalTestCN
	}
	public, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case !slices.Contains(leaf.DNSNames, name): // a wildcard is another name
		return nil, fmt.Errorf("%w: it is not that of %s", ErrCertificate, name)
	case !isRSA || public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits:
		return nil, fmt.Errorf("%w: its key is not RSA of %d to %d bits", ErrCertificate, minRSABits, maxRSABits)
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, fmt.Errorf("%w: its key is not for signatures", ErrCertificate)
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range certificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		DNSName: name, Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrCertificate, chainProblem(err))
	}
	return public, nil
}

// chainProblem describes an error of crypto/x509 without the names in the certificate.
func chainProblem(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it, or one that signed it, has expired or is not valid yet"
	case errors.As(err, &unknown):
		return "it does not lead to a trusted root"
	}
	return "its chain is not valid"
}

// isPEM reports whether a key is a certificate and not an id.
func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }

// readChain reads a PEM text of certificates, the sender's own first. A private key in it is an error: it must not be
// where only certificates are needed.
func readChain(text []byte) (certificates []*x509.Certificate, err error) {
	if len(text) > MaxCertificateBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrCertificate, MaxCertificateBytes)
	}
	text = bytes.ReplaceAll(text, []byte("-----BEGIN"), []byte("\n-----BEGIN")) // two files that were joined may share a line
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: the PEM text holds something else than certificates", ErrCertificate)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(certificates) == maxChain {
			return nil, fmt.Errorf("%w: the PEM text holds a certificate that cannot be read, or more than %d", ErrCertificate, maxChain)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%w: not a certificate in PEM", ErrCertificate)
	}
	return certificates, nil
}
