// Package signingtest signs deliveries in the place of a sender that signs with a private key of its own. It is for tests,
// and for `licensectl local` with the samples of events/.
//
// The private key is public, as the fixed secrets of `licensectl local` are. Its certificate leads to a root of this
// package: whoever does not add Roots to the roots that it trusts, as the deployed functions do not, refuses everything
// that is signed here. The private keys of the root and of the intermediate certificate were not kept, so that no other
// certificate can be made. All of them were made with OpenSSL and are valid from 1990 to 2200.
package signingtest

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed" // the certificates
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"license-deactivator/pkg/signing"
)

//go:embed key.pem
var keyPEM []byte

//go:embed chain.pem
var chainPEM []byte

//go:embed root.pem
var rootPEM []byte

// Name is the last part of the address of the certificate in the deliveries that SignPayPal signs. PayPal has none of this
// name.
const Name = "CERT-samples-of-licensectl-local"

// PayPalChain returns the certificate for PayPal's live system and its sandbox, with the one that signed it.
func PayPalChain() []byte { return chainPEM }

// AddRoot adds the root of the certificate to the trusted ones.
func AddRoot(pool *x509.CertPool) { pool.AppendCertsFromPEM(rootPEM) }

// Roots are the root of the certificate alone.
func Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	AddRoot(pool)
	return pool
}

// Certificate is what a receiver that trusts Roots verifies a delivery of SignPayPal with.
func Certificate() *signing.Certificate {
	return &signing.Certificate{PEM: PayPalChain(), Roots: Roots()}
}

// Certificates gives the certificate for every address, and trusts its root alone. It implements webhook.Certificates.
type Certificates struct{}

// Get returns the certificate.
func (Certificates) Get(context.Context, string) ([]byte, error) { return PayPalChain(), nil }

// Roots are the trusted roots.
func (Certificates) Roots() *x509.CertPool { return Roots() }

// SignPayPal signs a delivery as PayPal does for a webhook id, with "sandbox:" before it as the sandbox does, and sets what
// the receiver verifies it with. d needs the header paypal-transmission-id.
func SignPayPal(d *signing.Delivery, now time.Time, webhookID string) error {
	id, sandbox := strings.CutPrefix(webhookID, "sandbox:")
	transmission := d.Header["paypal-transmission-id"]
	switch {
	case transmission == "":
		return fmt.Errorf("%w: header paypal-transmission-id", signing.ErrMissing)
	case strings.Contains(id, "-----BEGIN"):
		return errors.New("signingtest: a webhook id is needed to sign as PayPal, and the first secret is a certificate; put the id first")
	}
	block, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("signingtest: %w", err)
	}
	stamp := now.UTC().Format(time.RFC3339)
	digest := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", transmission, stamp, id, crc32.ChecksumIEEE(d.Body)))
	signature, err := rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), crypto.SHA256, digest[:])
	if err != nil {
		return fmt.Errorf("signingtest: %w", err)
	}
	host := "api.paypal.com"
	if sandbox {
		host = "api.sandbox.paypal.com"
	}
	d.Header["paypal-transmission-time"] = stamp
	d.Header["paypal-transmission-sig"] = base64.StdEncoding.EncodeToString(signature)
	d.Header["paypal-auth-algo"] = "SHA256withRSA"
	d.Header["paypal-cert-url"] = "https://" + host + "/v1/notifications/certs/" + Name
	d.Certificate = Certificate()
	return nil
}
