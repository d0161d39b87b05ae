package oracles_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

const payPalFiles = "../pkg/signing/testdata/paypal/"

// TestOpenSSLVerifiesPayPalsOwnDelivery: signature and chain of the delivery of 2017 are good, and the chain is not any more.
// The CRC-32 of the body is the one in the facts.
func TestOpenSSLVerifiesPayPalsOwnDelivery(t *testing.T) {
	t.Parallel()
	var vector struct {
		Headers  map[string]string `json:"headers"`
		VerifyAt time.Time         `json:"verify_at"`
	}
	if err := json.Unmarshal(readFile(t, payPalFiles+"vector.json"), &vector); err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(vector.Headers["paypal-transmission-sig"])
	if err != nil {
		t.Fatal(err)
	}
	public := writeFile(t, "public.pem", []byte(openssl(t, "x509", "-in", payPalFiles+"chain.pem", "-pubkey", "-noout")))
	line := writeFile(t, "line", []byte("071f7d20-1584-11e7-abf0-6b62a8a99ac4|2017-03-30T20:04:05Z|96605875FF6516633|3494065244"))
	openssl(t, "dgst", "-sha256", "-verify", public, "-signature", writeFile(t, "signature", signature), line)

	chain := func(at time.Time) []string {
		return []string{
			"verify", "-attime", strconv.FormatInt(at.Unix(), 10), "-CAfile", payPalFiles + "root.pem", "-untrusted", payPalFiles + "intermediate.pem",
			"-verify_hostname", "messageverificationcerts.sandbox.paypal.com", payPalFiles + "chain.pem",
		}
	}
	openssl(t, chain(vector.VerifyAt)...)
	if opensslAccepts(t, chain(time.Now())...) {
		t.Error("the certificate of 2017 has not expired")
	}
}

// TestOpenSSLMakesACertificateAndSignsAsPayPal: we verify what it makes, and refuse its certificate of another name.
func TestOpenSSLMakesACertificateAndSignsAsPayPal(t *testing.T) {
	t.Parallel()
	scheme := newScheme(t, signing.Spec{Scheme: "paypal"})
	const id, webhook = "69cd13f0-d67a-11e5-baa3-778b53f4ae55", "0EH40505U7160970P"
	body, stamp := []byte(`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.REFUNDED"}`), time.Now().UTC().Format(time.RFC3339)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", in("root.key"), "-out", in("root.pem"), "-subj", "/CN=root", "-days", "2")
	for name, want := range map[string]error{"messageverificationcerts.paypal.com": nil, "messageverificationcerts.sandbox.paypal.com": signing.ErrCertificate, "paypal.com": signing.ErrCertificate} {
		openssl(t, "req", "-newkey", "rsa:3072", "-nodes", "-keyout", in("leaf.key"), "-out", in("leaf.csr"), "-subj", "/CN="+name)
		extensions := writeFile(t, "extensions", []byte("subjectAltName=DNS:"+name+"\nkeyUsage=digitalSignature\n"))
		openssl(t, "x509", "-req", "-in", in("leaf.csr"), "-CA", in("root.pem"), "-CAkey", in("root.key"), "-CAcreateserial", "-days", "1", "-extfile", extensions, "-out", in("leaf.pem"))
		line := writeFile(t, "line", []byte(strings.Join([]string{id, stamp, webhook, "4065701323"}, "|")))
		openssl(t, "dgst", "-sha256", "-sign", in("leaf.key"), "-out", in("signature"), line)

		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(readFile(t, in("root.pem")))
		d := signing.Delivery{
			Header: map[string]string{
				"paypal-transmission-id": id, "paypal-transmission-time": stamp, "paypal-auth-algo": "SHA256withRSA",
				"paypal-transmission-sig": base64.StdEncoding.EncodeToString(readFile(t, in("signature"))),
				"paypal-cert-url":         "https://api.paypal.com/v1/notifications/certs/CERT-1",
			},
			Body: body, Certificate: &signing.Certificate{PEM: readFile(t, in("leaf.pem")), Roots: roots},
		}
		if err := scheme.Verify(d, time.Now(), newKey(t, scheme, webhook)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

// TestOpenSSLVerifiesTheKeyOfTheSamples: its certificate leads to its root, and to no root of the system.
func TestOpenSSLVerifiesTheKeyOfTheSamples(t *testing.T) {
	t.Parallel()
	d := signing.Delivery{Header: map[string]string{"paypal-transmission-id": "1"}, Body: []byte(`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.REFUNDED"}`)}
	if err := signingtest.SignPayPal(&d, time.Now(), "0EH40505U7160970P"); err != nil {
		t.Fatal(err)
	}
	chain := writeFile(t, "chain.pem", signingtest.PayPalChain())
	public := writeFile(t, "public.pem", []byte(openssl(t, "x509", "-in", chain, "-pubkey", "-noout")))
	signature, err := base64.StdEncoding.DecodeString(d.Header["paypal-transmission-sig"])
	if err != nil {
		t.Fatal(err)
	}
	line := writeFile(t, "line", []byte("1|"+d.Header["paypal-transmission-time"]+"|0EH40505U7160970P|4065701323"))
	openssl(t, "dgst", "-sha256", "-verify", public, "-signature", writeFile(t, "signature", signature), line)
	openssl(t, "verify", "-CAfile", "../pkg/signing/signingtest/root.pem", "-untrusted", chain, chain)
	if opensslAccepts(t, "verify", "-untrusted", chain, chain) {
		t.Error("a root of the system leads to the samples' certificate")
	}
}
