package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// Certificates gives the certificates with which senders sign (PayPal), and the roots to which these must lead.
type Certificates interface {
	// Get returns what stands at the address that a delivery names, in PEM. The address is one of the sender's own, and the
	// delivery is not proved yet. After an error the sender gets 503 and retries.
	Get(ctx context.Context, address string) ([]byte, error)
	Roots() *x509.CertPool
}

// verifyCertified verifies a delivery of a sender that signs with a certificate: first with the certificates among the
// secrets, then with the one at the address that the delivery names. A delivery that any other check refuses causes no
// fetch.
func verifyCertified(
	ctx context.Context, certificates Certificates, secrets []string, src *source.Source, d signing.Delivery, now time.Time,
) (source.Verified, error) {
	if certificates == nil {
		certificates = noCertificates{}
	}
	d.Certificate = &signing.Certificate{Roots: certificates.Roots()}
	verified, err := src.Verify(d, now, secrets)
	var needed *signing.CertificateNeededError
	if !errors.As(err, &needed) {
		return verified, err
	}
	chain, err := certificates.Get(ctx, needed.Address)
	switch {
	case err != nil && needed.Stored != nil:
		return source.Verified{}, fmt.Errorf("%w: %w; the stored one does not verify the delivery either: %w", errNoCertificate, err, needed.Stored)
	case err != nil:
		return source.Verified{}, fmt.Errorf("%w: %w", errNoCertificate, err)
	}
	d.Certificate = &signing.Certificate{PEM: chain, Roots: d.Certificate.Roots}
	return src.Verify(d, now, secrets)
}

// noCertificates trusts nothing and fetches nothing.
type noCertificates struct{}

func (noCertificates) Get(context.Context, string) ([]byte, error) {
	return nil, errors.New("Config.Certificates is missing")
}

func (noCertificates) Roots() *x509.CertPool { return x509.NewCertPool() }
