package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the algorithm that must be refused
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

// testdata/paypal is a delivery of PayPal's sandbox of 2017, with PayPal's certificate and the two that signed it. Where they
// come from is in vector.json; OpenSSL verifies the signature and the chain (oracles/).
const (
	sandboxAddress = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
	liveAddress    = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
	liveName       = "messageverificationcerts.paypal.com"
	sandboxName    = "messageverificationcerts.sandbox.paypal.com"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/paypal/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// payPalCase is a delivery with everything that it is verified with.
type payPalCase struct {
	d    signing.Delivery
	at   time.Time
	keys []string
}

// realPayPal is PayPal's delivery. The address of the certificate is none of its parts that are signed; the vector has none.
func realPayPal(t testing.TB) *payPalCase {
	t.Helper()
	var vector struct {
		Headers   map[string]string `json:"headers"`
		WebhookID string            `json:"webhook_id"`
		VerifyAt  time.Time         `json:"verify_at"`
	}
	if err := json.Unmarshal(file(t, "vector.json"), &vector); err != nil {
		t.Fatal(err)
	}
	vector.Headers["paypal-cert-url"] = sandboxAddress
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(file(t, "root.pem"))
	return &payPalCase{
		signing.Delivery{
			Method: "POST", Header: vector.Headers, Body: file(t, "body.json"),
			Certificate: &signing.Certificate{PEM: slices.Concat(file(t, "chain.pem"), file(t, "intermediate.pem")), Roots: roots},
		},
		vector.VerifyAt, []string{"sandbox:" + vector.WebhookID},
	}
}

func payPalScheme(t testing.TB) *signing.Scheme {
	t.Helper()
	return mustScheme(t, signing.Spec{Scheme: "paypal"})
}

func (c *payPalCase) verify(t testing.TB) error {
	t.Helper()
	scheme := payPalScheme(t)
	keys := make([]signing.Key, len(c.keys))
	for i, text := range c.keys {
		keys[i] = mustKey(t, scheme, text)
	}
	return scheme.Verify(c.d, c.at, keys...)
}

func TestPayPalsOwnDeliveryVerifiesAtItsTime(t *testing.T) {
	t.Parallel()
	if err := realPayPal(t).verify(t); err != nil {
		t.Error(err)
	}
}

// An authority signs certificates of a test.
type authority struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
	roots       *x509.CertPool
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) }) //nolint:gochecknoglobals // made once: it takes a tenth of a second

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func newAuthority(t testing.TB, key *rsa.PrivateKey) authority {
	t.Helper()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: noon().AddDate(-1, 0, 0), NotAfter: noon().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return authority{key, parsed, pool}
}

// leaf is PayPal's live certificate, changed.
func (a authority) leaf(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: liveName}, DNSNames: []string{liveName}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: noon().AddDate(0, -1, 0), NotAfter: noon().AddDate(0, 1, 0),
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// made is a delivery of the live system, signed in the test.
func made(t testing.TB) (*payPalCase, authority) {
	t.Helper()
	a := newAuthority(t, testKey())
	c := &payPalCase{
		signing.Delivery{Method: "POST", Body: []byte(`{"id":"WH-1"}`), Header: map[string]string{
			"paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55", "paypal-transmission-time": noon().Format(time.RFC3339),
			"paypal-cert-url": liveAddress, "paypal-auth-algo": "SHA256withRSA",
		}}, noon(), []string{"0EH40505U7160970P"},
	}
	c.d.Certificate = &signing.Certificate{PEM: a.leaf(t, testKey(), func(*x509.Certificate) {}), Roots: a.roots}
	c.sign(t, testKey())
	return c, a
}

func (c *payPalCase) line() string {
	return fmt.Sprintf("%s|%s|%s|%d", c.d.Header["paypal-transmission-id"], c.d.Header["paypal-transmission-time"],
		strings.TrimPrefix(c.keys[0], "sandbox:"), crc32.ChecksumIEEE(c.d.Body))
}

func (c *payPalCase) sign(t testing.TB, key crypto.Signer) {
	t.Helper()
	digest := sha256.Sum256([]byte(c.line()))
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	c.d.Header["paypal-transmission-sig"] = base64.StdEncoding.EncodeToString(signature)
}

func TestPayPalIsVerifiedByItsLine(t *testing.T) {
	t.Parallel()
	c, _ := made(t)
	if err := c.verify(t); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*payPalCase){
		"with several ids":                   func(c *payPalCase) { c.keys = []string{"other", "sandbox:0EH40505U7160970P", c.keys[0]} },
		"four days later":                    func(c *payPalCase) { c.at = noon().Add(4 * 24 * time.Hour) },
		"with a clock that is behind":        func(c *payPalCase) { c.at = noon().Add(-5 * time.Minute) },
		"from the other host":                func(c *payPalCase) { c.d.Header["paypal-cert-url"] = strings.Replace(liveAddress, "api.", "api-m.", 1) },
		"with a root behind its certificate": func(c *payPalCase) { c.d.Certificate.PEM = append(c.d.Certificate.PEM, file(t, "root.pem")...) },
	} {
		c, _ := made(t)
		change(c)
		if err := c.verify(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The signed line of facts/senders.md, section 5.12, with its CRC-32.
func TestPayPalsLineHasTheCRCOfTheBodyInDecimal(t *testing.T) {
	t.Parallel()
	c, _ := made(t)
	c.d.Body = []byte(`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.REFUNDED"}`)
	c.d.Header["paypal-transmission-time"] = "2016-02-18T20:01:35Z"
	if got, want := c.line(), "69cd13f0-d67a-11e5-baa3-778b53f4ae55|2016-02-18T20:01:35Z|0EH40505U7160970P|4065701323"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// Each delivery differs in one point from PayPal's real one, and is refused for that reason.
func TestPayPalsOwnDeliveryIsRefusedWithAnyChange(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*payPalCase) {
		return func(c *payPalCase) { c.d.Header["paypal-"+name] = value }
	}
	for name, test := range map[string]struct {
		change func(*payPalCase)
		want   error
		says   string
	}{
		"another body":                      {func(c *payPalCase) { c.d.Body = append(c.d.Body, ' ') }, signing.ErrMismatch, ""},
		"no body":                           {func(c *payPalCase) { c.d.Body = nil }, signing.ErrMismatch, ""},
		"one digit of the body":             {func(c *payPalCase) { c.d.Body[len(c.d.Body)-3] ^= 1 }, signing.ErrMismatch, ""},
		"another id":                        {header("transmission-id", "071f7d20-1584-11e7-abf0-6b62a8a99ac5"), signing.ErrMismatch, ""},
		"another time":                      {header("transmission-time", "2017-03-30T20:04:06Z"), signing.ErrMismatch, ""},
		"the same time, written otherwise":  {header("transmission-time", "2017-03-30T20:04:05+00:00"), signing.ErrMismatch, ""},
		"another webhook id":                {func(c *payPalCase) { c.keys[0] = "sandbox:96605875FF6516634" }, signing.ErrMismatch, ""},
		"a webhook id in lower case":        {func(c *payPalCase) { c.keys[0] = strings.ToLower(c.keys[0]) }, signing.ErrMismatch, ""},
		"the live system's webhook id":      {func(c *payPalCase) { c.keys[0] = "96605875FF6516633" }, signing.ErrMismatch, "no webhook id is stored as sandbox:ID"},
		"the certificate as the live one's": {header("cert-url", liveAddress), signing.ErrMismatch, "every stored webhook id is the sandbox's"},
		"the sandbox's for the live system": {func(c *payPalCase) {
			c.keys[0], c.d.Header["paypal-cert-url"] = "96605875FF6516633", liveAddress
		}, signing.ErrCertificate, "not that of " + liveName},
		"another signature":          {header("transmission-sig", base64.StdEncoding.EncodeToString(make([]byte, 256))), signing.ErrMismatch, ""},
		"a short signature":          {header("transmission-sig", "AAAA"), signing.ErrMismatch, ""},
		"a signature with a newline": {func(c *payPalCase) { c.d.Header["paypal-transmission-sig"] += "\n" }, signing.ErrMalformed, ""},
		"a signature in other base64": {func(c *payPalCase) {
			c.d.Header["paypal-transmission-sig"] = strings.NewReplacer("+", "-", "/", "_").Replace(c.d.Header["paypal-transmission-sig"])
		}, signing.ErrMalformed, "base64"},
		"no signature":                    {header("transmission-sig", ""), signing.ErrMissing, "transmission-sig"},
		"no id":                           {header("transmission-id", ""), signing.ErrMissing, "transmission-id"},
		"no time":                         {header("transmission-time", ""), signing.ErrMissing, "transmission-time"},
		"no address":                      {header("cert-url", ""), signing.ErrMissing, "cert-url"},
		"no algorithm":                    {header("auth-algo", ""), signing.ErrMissing, "auth-algo"},
		"SHA1withRSA":                     {header("auth-algo", "SHA1withRSA"), signing.ErrMalformed, "is not SHA256withRSA"},
		"SHA512withRSA":                   {header("auth-algo", "SHA512withRSA"), signing.ErrMalformed, "is not SHA256withRSA"},
		"the algorithm in lower case":     {header("auth-algo", "sha256withrsa"), signing.ErrMalformed, "is not SHA256withRSA"},
		"a separator in the id":           {header("transmission-id", "071f7d20-1584-11e7-abf0-6b62a8a99ac4|x"), signing.ErrMalformed, "transmission-id"},
		"an id of 65 bytes":               {header("transmission-id", strings.Repeat("0", 65)), signing.ErrMalformed, "transmission-id"},
		"a time that is none":             {header("transmission-time", "yesterday"), signing.ErrMalformed, "transmission-time"},
		"a time as a number":              {header("transmission-time", "1490904245"), signing.ErrMalformed, "transmission-time"},
		"an address of 9 KiB":             {header("cert-url", sandboxAddress+strings.Repeat("a", 9<<10)), signing.ErrMalformed, "longer than"},
		"more than four days later":       {func(c *payPalCase) { c.at = c.at.Add(4*24*time.Hour + time.Second) }, signing.ErrStale, ""},
		"today":                           {func(c *payPalCase) { c.at = noon() }, signing.ErrStale, ""},
		"more than five minutes too soon": {func(c *payPalCase) { c.at = c.at.Add(-5*time.Minute - time.Second) }, signing.ErrFuture, ""},
		"without the intermediate":        {func(c *payPalCase) { c.d.Certificate.PEM = file(t, "chain.pem") }, signing.ErrCertificate, "trusted root"},
		"the intermediate alone":          {func(c *payPalCase) { c.d.Certificate.PEM = file(t, "intermediate.pem") }, signing.ErrCertificate, "not that of " + sandboxName},
		"the intermediate in front": {func(c *payPalCase) {
			c.d.Certificate.PEM = slices.Concat(file(t, "intermediate.pem"), file(t, "chain.pem"))
		}, signing.ErrCertificate, "not that of " + sandboxName},
		"other roots":         {func(c *payPalCase) { c.d.Certificate.Roots = signingtest.Roots() }, signing.ErrCertificate, "trusted root"},
		"no roots":            {func(c *payPalCase) { c.d.Certificate.Roots = nil }, signing.ErrNoKey, "no roots"},
		"no certificate port": {func(c *payPalCase) { c.d.Certificate = nil }, signing.ErrNoKey, "no roots"},
		"no key":              {func(c *payPalCase) { c.keys = nil }, signing.ErrNoKey, ""},
		"the samples' certificate": {func(c *payPalCase) { c.d.Certificate.PEM = signingtest.PayPalChain() }, signing.ErrCertificate,
			"trusted root"},
		"a page in place of a certificate": {func(c *payPalCase) { c.d.Certificate.PEM = []byte("<html>not found</html>") }, signing.ErrCertificate, "not a certificate in PEM"},
		"an empty certificate":             {func(c *payPalCase) { c.d.Certificate.PEM = []byte{} }, signing.ErrCertificate, "not a certificate in PEM"},
		"64 KiB and one byte": {func(c *payPalCase) {
			c.d.Certificate.PEM = append(c.d.Certificate.PEM, make([]byte, signing.MaxCertificateBytes)...)
		}, signing.ErrCertificate, "larger than"},
		"nine certificates": {func(c *payPalCase) {
			c.d.Certificate.PEM = []byte(strings.Repeat(string(file(t, "chain.pem")), 9))
		}, signing.ErrCertificate, "more than 8"},
		"a public key in place of a certificate": {func(c *payPalCase) {
			c.d.Certificate.PEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{0}})
		}, signing.ErrCertificate, "something else"},
		"a certificate cut off": {func(c *payPalCase) {
			block, _ := pem.Decode(file(t, "chain.pem"))
			c.d.Certificate.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes[:100]})
		}, signing.ErrCertificate, "cannot be read"},
	} {
		c := realPayPal(t)
		test.change(c)
		err := c.verify(t)
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: got %v, want %v %s", name, err, test.want, test.says)
		}
		for header, value := range c.d.Header {
			if len(value) > 3 && value != "SHA256withRSA" && strings.Contains(fmt.Sprint(err), value) {
				t.Errorf("%s: the error holds the header %s: %v", name, header, err)
			}
		}
	}
}

// Tricks with addresses: each is refused before anything is fetched, although a certificate is there.
func TestNoAddressButPayPalsIsFetched(t *testing.T) {
	t.Parallel()
	path := "/v1/notifications/certs/CERT-1"
	for _, address := range []string{
		"http://api.paypal.com" + path,
		"HTTPS://api.paypal.com" + path,
		"ftp://api.paypal.com" + path,
		"//api.paypal.com" + path,
		"api.paypal.com" + path,
		" https://api.paypal.com" + path,
		"https://api.paypal.com" + path + " ",
		"https://api.paypal.com" + path + "\n",
		"https://api.paypal.com" + path + "\x00",
		"https://api.paypal.com:443" + path,
		"https://api.paypal.com:8443" + path,
		"https://user@api.paypal.com" + path,
		"https://api.paypal.com@evil.example" + path,
		"https://user:pass@api.paypal.com" + path,
		"https://api.paypal.com.evil.example" + path,
		"https://evil.example" + path,
		"https://evil.example/https://api.paypal.com" + path,
		"https://evilpaypal.com" + path,
		"https://evil.paypal.com" + path,
		"https://www.paypal.com" + path,
		"https://paypal.com" + path,
		"https://api.paypal.com." + path,
		"https://api.PayPal.com" + path,
		"https://api.sandbox.sandbox.paypal.com" + path,
		"https://api%2epaypal.com" + path,
		"https://аpi.paypal.com" + path, // a Cyrillic letter
		"https://127.0.0.1" + path,
		"https://[::1]" + path,
		"https://169.254.169.254/latest/meta-data/",
		"https://localhost" + path,
		"https://api.paypal.com" + path + "?x=1",
		"https://api.paypal.com" + path + "?",
		"https://api.paypal.com" + path + "#x",
		"https://api.paypal.com" + path + "/",
		"https://api.paypal.com" + path + "/../x",
		"https://api.paypal.com" + path + ";x=1",
		"https://api.paypal.com/v1/notifications/certs/",
		"https://api.paypal.com/v1/notifications/certs",
		"https://api.paypal.com/v1/notifications/certs/..",
		"https://api.paypal.com/v1/notifications/certs/.",
		"https://api.paypal.com/v1/notifications/certs/../../oauth2/token",
		"https://api.paypal.com/v1/notifications/certs/%2e%2e",
		"https://api.paypal.com/v1/notifications/certs/%2e%2e%2fwebhooks",
		"https://api.paypal.com/v1/notifications/certs/CERT%2F1",
		"https://api.paypal.com/v1/notifications/certs/CERT\\1",
		"https://api.paypal.com/v1/notifications/certs//CERT-1",
		"https://api.paypal.com//v1/notifications/certs/CERT-1",
		"https://api.paypal.com/V1/notifications/certs/CERT-1",
		"https://api.paypal.com/x/v1/notifications/certs/CERT-1",
		"https://api.paypal.com/v1/notifications/certs/" + strings.Repeat("A", 129),
		"https:/api.paypal.com" + path,
		"https:\\\\api.paypal.com" + path,
		"https://api.paypal.com\\@evil.example" + path,
		"https://evil.example\\.api.paypal.com" + path,
	} {
		c, _ := made(t)
		c.d.Header["paypal-cert-url"] = address
		err := c.verify(t)
		var needed *signing.CertificateNeededError
		if !errors.Is(err, signing.ErrCertificate) || errors.As(err, &needed) {
			t.Errorf("%q: got %v, want %v", address, err, signing.ErrCertificate)
		}
		if _, err := signing.CheckPayPalAddress(address); !errors.Is(err, signing.ErrCertificate) {
			t.Errorf("%q: got %v, want %v", address, err, signing.ErrCertificate)
		}
	}
	for address, sandbox := range map[string]bool{
		liveAddress: false, sandboxAddress: true, "https://api-m.paypal.com" + path: false, "https://api-m.sandbox.paypal.com" + path: true,
	} {
		if got, err := signing.CheckPayPalAddress(address); err != nil || got != sandbox {
			t.Errorf("%s: got %v, %v", address, got, err)
		}
	}
}

// Certificates that a certificate authority could have made, each with one fault.
func TestOnlyPayPalsCertificateIsAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		says   string
	}{
		"expired":                   {func(c *x509.Certificate) { c.NotAfter = noon().Add(-time.Second) }, "has expired or is not valid yet"},
		"not valid yet":             {func(c *x509.Certificate) { c.NotBefore = noon().Add(time.Second) }, "has expired or is not valid yet"},
		"another name":              {func(c *x509.Certificate) { c.DNSNames = []string{"www.paypal.com"} }, "not that of"},
		"the sandbox's name":        {func(c *x509.Certificate) { c.DNSNames = []string{sandboxName} }, "not that of"},
		"a wildcard":                {func(c *x509.Certificate) { c.DNSNames = []string{"*.paypal.com"} }, "not that of"},
		"the name as a common name": {func(c *x509.Certificate) { c.DNSNames = nil }, "not that of"},
		"the name as a part":        {func(c *x509.Certificate) { c.DNSNames = []string{liveName + ".evil.example"} }, "not that of"},
		"the name as an address":    {func(c *x509.Certificate) { c.DNSNames, c.EmailAddresses = nil, []string{liveName} }, "not that of"},
		"a key that encrypts only":  {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, "not for signatures"},
		"a key without any use":     {func(c *x509.Certificate) { c.KeyUsage = 0 }, "not for signatures"},
		"a critical unknown property": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, "chain is not valid"},
	} {
		c, a := made(t)
		c.d.Certificate.PEM = a.leaf(t, testKey(), test.change)
		if err := c.verify(t); !errors.Is(err, signing.ErrCertificate) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", name, err, test.says)
		}
	}
}

func TestOnlyAnRSAKeyOfFullSizeIsAccepted(t *testing.T) {
	t.Parallel()
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"1024 bits": newRSA(1024), "an elliptic curve": elliptic} {
		c, a := made(t)
		c.d.Certificate.PEM = a.leaf(t, key, func(*x509.Certificate) {})
		c.sign(t, key)
		if err := c.verify(t); !errors.Is(err, signing.ErrCertificate) || !strings.Contains(err.Error(), "not RSA of") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestASelfSignedCertificateIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := made(t)
	own := newAuthority(t, newRSA(2048))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: liveName}, DNSNames: []string{liveName}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: noon().Add(-time.Hour), NotAfter: noon().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, testKey().Public(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	c.d.Certificate.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := c.verify(t); !errors.Is(err, signing.ErrCertificate) || !strings.Contains(err.Error(), "trusted root") {
		t.Error(err)
	}
	// Its own root in the text trusts nobody either.
	c.d.Certificate.PEM = slices.Concat(own.leaf(t, testKey(), func(*x509.Certificate) {}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.certificate.Raw}))
	if err := c.verify(t); !errors.Is(err, signing.ErrCertificate) {
		t.Error(err)
	}
}

func TestASignatureOfSHA1IsRefusedUnderAnyName(t *testing.T) {
	t.Parallel()
	c, _ := made(t)
	digest := sha1.Sum([]byte(c.line())) //nolint:gosec // as above
	signature, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	c.d.Header["paypal-transmission-sig"] = base64.StdEncoding.EncodeToString(signature)
	if err := c.verify(t); !errors.Is(err, signing.ErrMismatch) {
		t.Error(err)
	}
	c.d.Header["paypal-auth-algo"] = "SHA1withRSA"
	if err := c.verify(t); !errors.Is(err, signing.ErrMalformed) {
		t.Error(err)
	}
}

// A certificate among the keys is used first. Without one that verifies the delivery, Verify asks for the address, once all
// else is right.
func TestACertificateIsAskedForLast(t *testing.T) {
	t.Parallel()
	c, a := made(t)
	stored := string(c.d.Certificate.PEM)
	c.d.Certificate.PEM = nil
	var needed *signing.CertificateNeededError
	if err := c.verify(t); !errors.As(err, &needed) || needed.Address != liveAddress || needed.Stored != nil {
		t.Errorf("without a certificate: %v", err)
	}
	c.keys = append(c.keys, stored)
	if err := c.verify(t); err != nil {
		t.Errorf("with the stored one: %v", err)
	}
	c.keys[1] = string(a.leaf(t, testKey(), func(c *x509.Certificate) { c.NotAfter = noon().Add(-time.Second) }))
	if err := c.verify(t); !errors.As(err, &needed) || !errors.Is(needed.Stored, signing.ErrCertificate) {
		t.Errorf("with a stored one that has expired: %v", err)
	}
	c.keys = []string{stored}
	if err := c.verify(t); !errors.Is(err, signing.ErrMismatch) || !strings.Contains(err.Error(), "no webhook id") {
		t.Errorf("with a stored one and no webhook id: %v", err)
	}
	c.keys = []string{"0EH40505U7160970P", stored}
	c.d.Body = []byte("{}")
	if err := c.verify(t); !errors.As(err, &needed) || !errors.Is(needed.Stored, signing.ErrMismatch) {
		t.Errorf("another body, so perhaps another certificate: %v", err)
	}
	for name, change := range map[string]func(*payPalCase){
		"no signature":       func(c *payPalCase) { delete(c.d.Header, "paypal-transmission-sig") },
		"too old":            func(c *payPalCase) { c.at = c.at.AddDate(0, 0, 5) },
		"another algorithm":  func(c *payPalCase) { c.d.Header["paypal-auth-algo"] = "SHA1withRSA" },
		"the sandbox":        func(c *payPalCase) { c.d.Header["paypal-cert-url"] = sandboxAddress },
		"another address":    func(c *payPalCase) { c.d.Header["paypal-cert-url"] = "https://evil.example" },
		"no webhook id":      func(c *payPalCase) { c.keys = []string{stored} },
		"no id of the event": func(c *payPalCase) { c.d.Header["paypal-transmission-id"] = "" },
	} {
		c, _ := made(t)
		c.d.Certificate.PEM = nil
		change(c)
		if err := c.verify(t); err == nil || errors.As(err, &needed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestKeysOfPayPal(t *testing.T) {
	t.Parallel()
	scheme := payPalScheme(t)
	chain := string(signingtest.PayPalChain())
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}))
	for text, says := range map[string]string{
		"8PT597110X687430LKGECATA": "", "sandbox:1JE4291016473214C": "", "local-paypal": "", chain: "", strings.TrimSpace(chain): "",
		"": "empty", "sandbox:": "not a webhook id", "a|b": "not a webhook id", "a b": "not a webhook id", "live:x": "not a webhook id", "x\n": "white space",
		"WEBHOOK_ID": "simulator", "sandbox:WEBHOOK_ID": "simulator", strings.Repeat("x", 65): "not a webhook id",
		"https://api.paypal.com/v1/notifications/webhooks/8PT597110X687430LKGECATA": "not a webhook id",
		private: "something else than certificates", chain + private: "something else than certificates", "-----BEGIN CERTIFICATE-----": "not a certificate",
	} {
		_, err := scheme.NewKey(text)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%.40q: got %v, want %q", text, err, says)
		}
	}
}

func TestPayPalsSchemeStandsAlone(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]signing.Spec{
		"another name": {Scheme: "stripe"}, "a header": {Scheme: "paypal", Header: []string{"x"}}, "a mac": {Scheme: "paypal", MAC: "none"},
		"a tolerance": {Scheme: "paypal", Tolerance: time.Minute},
	} {
		if _, err := signing.NewScheme(spec); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	scheme := payPalScheme(t)
	if !scheme.Certified() || !scheme.Signs("PAYPAL-TRANSMISSION-ID") || !scheme.Signs("paypal-transmission-time") || scheme.Signs("paypal-cert-url") {
		t.Error("the signed headers are the transmission's id and time")
	}
	if got := scheme.SecretHeaders(); !slices.Equal(got, []string{"paypal-transmission-sig"}) {
		t.Errorf("secret headers: %v", got)
	}
	if mustScheme(t, specs()["stripe"]).Certified() {
		t.Error("Stripe has no certificate")
	}
}

// Who has no private key of PayPal's cannot sign, and the key of the samples is accepted only with its root.
func TestTheKeyOfTheSamplesIsAcceptedWithItsRootAlone(t *testing.T) {
	t.Parallel()
	scheme := payPalScheme(t)
	for _, id := range []string{"8PT597110X687430LKGECATA", "sandbox:1JE4291016473214C"} {
		d := signing.Delivery{Header: map[string]string{"paypal-transmission-id": "69cd13f0"}, Body: []byte("{}")}
		if err := scheme.Sign(&d, noon(), mustKey(t, scheme, id)); !errors.Is(err, signing.ErrOnlySender) {
			t.Fatal(err)
		}
		if err := signingtest.SignPayPal(&d, noon(), id); err != nil {
			t.Fatal(err)
		}
		if err := scheme.Verify(d, noon(), mustKey(t, scheme, id)); err != nil {
			t.Error(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(file(t, "root.pem"))
		for _, pool := range []*x509.CertPool{roots, systemRoots(t)} {
			d.Certificate = &signing.Certificate{PEM: signingtest.PayPalChain(), Roots: pool}
			if err := scheme.Verify(d, noon(), mustKey(t, scheme, id)); !errors.Is(err, signing.ErrCertificate) {
				t.Errorf("got %v, want %v", err, signing.ErrCertificate)
			}
		}
	}
}

func systemRoots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// FuzzVerifyPayPal looks for panics, for an address other than PayPal's, and for a delivery that verifies after a change.
func FuzzVerifyPayPal(f *testing.F) {
	c := realPayPal(f)
	f.Add(c.d.Header["paypal-transmission-id"], c.d.Header["paypal-transmission-time"], c.d.Header["paypal-transmission-sig"], sandboxAddress, "SHA256withRSA", []byte("{}"), c.d.Certificate.PEM)
	f.Add("", "", "", "https://api.paypal.com/v1/notifications/certs/../x", "", []byte(nil), []byte("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, id, at, signature, address, algorithm string, body, chain []byte) {
		changed := realPayPal(t)
		before := maps.Clone(changed.d.Header)
		changed.d.Header = map[string]string{
			"paypal-transmission-id": id, "paypal-transmission-time": at, "paypal-transmission-sig": signature, "paypal-cert-url": address, "paypal-auth-algo": algorithm,
		}
		changed.d.Body, changed.d.Certificate.PEM = body, chain
		err := changed.verify(t)
		var needed *signing.CertificateNeededError
		if errors.As(err, &needed) && !strings.HasPrefix(needed.Address, "https://api") {
			t.Errorf("asks for %q", needed.Address)
		}
		if err == nil && (crc32.ChecksumIEEE(body) != crc32.ChecksumIEEE(c.d.Body) || id != before["paypal-transmission-id"] || at != before["paypal-transmission-time"]) {
			t.Error("another delivery is verified")
		}
	})
}
