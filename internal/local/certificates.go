package local

import (
	"context"
	"crypto/x509"
	"strings"
	"sync"

	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing/signingtest"
)

// SampleCertificates are the certificates of other, and beside them the one with which samples are signed, which is never
// fetched. Its private key is public: trusted is for a process without effect on real licenses, and for explaining samples.
// Elsewhere a sample is refused.
func SampleCertificates(other webhook.Certificates, trusted bool) webhook.Certificates {
	if !trusted {
		return sampleCertificates{other, other.Roots}
	}
	return sampleCertificates{other, sync.OnceValue(func() *x509.CertPool {
		roots := other.Roots().Clone()
		signingtest.AddRoot(roots)
		return roots
	})}
}

type sampleCertificates struct {
	other webhook.Certificates
	roots func() *x509.CertPool
}

// Get implements webhook.Certificates.
func (c sampleCertificates) Get(ctx context.Context, address string) ([]byte, error) {
	if strings.HasSuffix(address, "/"+signingtest.Name) {
		return signingtest.PayPalChain(), nil
	}
	return c.other.Get(ctx, address)
}

// Roots implements webhook.Certificates.
func (c sampleCertificates) Roots() *x509.CertPool { return c.roots() }
