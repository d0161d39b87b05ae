package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"license-deactivator/pkg/signing"
)

// v1a is the scheme of Standard Webhooks with a public key, https://github.com/standard-webhooks/standard-webhooks, spec, 1.0.0.
func v1a() signing.Spec {
	spec := specs()["standard-webhooks"]
	spec.Form, spec.MAC, spec.KeyPrefix = "v1a,{signature}", "ed25519", "whpk_"
	return spec
}

// byPublicKey signs the body alone.
func byPublicKey(mac, encoding, key string) signing.Spec {
	return signing.Spec{Header: []string{"X"}, Form: "{signature}", Signed: "{body}", MAC: mac, Encoding: encoding, Key: key}
}

// Test 3 of RFC 8032, section 7.1.
const (
	rfcSeed      = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
	rfcPublic    = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
	rfcMessage   = "af82"
	rfcSignature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asPEM(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func publicPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	return asPEM(t, "PUBLIC KEY", der, err)
}

func privatePEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return asPEM(t, "PRIVATE KEY", der, err)
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	if bits < 1024 {
		t.Fatal("crypto/rsa makes no such key")
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustSigningKey(t *testing.T, scheme *signing.Scheme, text string) signing.Key {
	t.Helper()
	key, err := scheme.NewSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEd25519VerifiesTheSignatureOfTheRFC(t *testing.T) {
	t.Parallel()
	public := unhex(t, rfcPublic)
	prefixed := byPublicKey("ed25519", "hex", "base64")
	prefixed.KeyPrefix = "whpk_"
	for name, test := range map[string]struct {
		spec signing.Spec
		key  string
	}{
		"hex":    {byPublicKey("ed25519", "hex", "hex"), rfcPublic},
		"base64": {byPublicKey("ed25519", "hex", "base64"), base64.StdEncoding.EncodeToString(public)},
		"whpk_":  {prefixed, "whpk_" + base64.StdEncoding.EncodeToString(public)},
		"pem":    {byPublicKey("ed25519", "hex", "pem"), publicPEM(t, ed25519.PublicKey(public))},
	} {
		scheme := mustScheme(t, test.spec)
		key := mustKey(t, scheme, test.key)
		d := signing.Delivery{Header: map[string]string{"x": rfcSignature}, Body: unhex(t, rfcMessage)}
		if err := scheme.Verify(d, noon(), key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		d.Body = append(d.Body, 0)
		if err := scheme.Verify(d, noon(), key); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: a longer body: %v", name, err)
		}
		again := signing.Delivery{Body: unhex(t, rfcMessage)}
		if err := scheme.Sign(&again, noon(), key); !errors.Is(err, signing.ErrNoKey) || again.Header != nil {
			t.Errorf("%s: a public key signs: %v", name, err)
		}
		if _, err := scheme.NewSigningKey(test.key); err == nil {
			t.Errorf("%s: a public key is a signing key", name)
		}
		if got := scheme.VerifyingText(test.key); got != test.key {
			t.Errorf("%s: %s verifies in place of the key itself", name, got)
		}
	}
}

// The private key signs as in the RFC, and stands for its public one in the same form. It is no key of a receiver.
func TestAPrivateKeySignsAndIsNotStored(t *testing.T) {
	t.Parallel()
	prefixed := byPublicKey("ed25519", "hex", "base64")
	prefixed.KeyPrefix = "whpk_"
	whpk := "whpk_" + base64.StdEncoding.EncodeToString(unhex(t, rfcPublic))
	inRSA := rsaKey(t, 2048)
	for name, test := range map[string]struct {
		spec         signing.Spec
		text, public string
	}{
		"whsk_, a seed":    {prefixed, "whsk_" + base64.StdEncoding.EncodeToString(unhex(t, rfcSeed)), whpk},
		"whsk_, whole":     {prefixed, "whsk_" + base64.StdEncoding.EncodeToString(unhex(t, rfcSeed+rfcPublic)), whpk},
		"hexadecimal":      {byPublicKey("ed25519", "hex", "hex"), rfcSeed + rfcPublic, rfcPublic},
		"PEM":              {byPublicKey("ed25519", "hex", "pem"), privatePEM(t, ed25519.NewKeyFromSeed(unhex(t, rfcSeed))), publicPEM(t, ed25519.PublicKey(unhex(t, rfcPublic)))},
		"RSA, PEM, PKCS#8": {byPublicKey("rsa-sha256", "hex", "pem"), privatePEM(t, inRSA), publicPEM(t, &inRSA.PublicKey)},
		"RSA, PEM, PKCS#1": {byPublicKey("rsa-sha256", "hex", "pem"), asPEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(inRSA), nil), publicPEM(t, &inRSA.PublicKey)},
	} {
		scheme := mustScheme(t, test.spec)
		if _, err := scheme.NewKey(test.text); err == nil || !strings.Contains(err.Error(), "a private key; store its public key alone") {
			t.Errorf("%s: as a receiver's key: %v", name, err)
		}
		signer, err := scheme.NewSigningKey(test.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d := signing.Delivery{Body: unhex(t, rfcMessage)}
		if err := scheme.Sign(&d, noon(), signer); err != nil || test.spec.MAC == "ed25519" && d.Header["x"] != rfcSignature {
			t.Errorf("%s: signs %v, %v", name, d.Header, err)
		}
		public := scheme.VerifyingText(test.text)
		if public != test.public {
			t.Errorf("%s: its public key is %s, want %s", name, public, test.public)
		}
		if err := scheme.Verify(d, noon(), mustKey(t, scheme, public)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "canary", "whsk_canary", "whsk_", "whsk_AAAA", rfcPublic} {
		if _, err := mustScheme(t, prefixed).NewSigningKey(text); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q signs, or %v shows it", text, err)
		}
	}
	pair := rfcSeed + strings.Repeat("ab", 32)
	if _, err := mustScheme(t, byPublicKey("ed25519", "hex", "hex")).NewSigningKey(pair); err == nil || !strings.Contains(err.Error(), "whose public half is another one's") {
		t.Errorf("a pair of two keys: %v", err)
	}
	if key, err := mustScheme(t, byPublicKey("rsa-sha256", "hex", "pem")).NewSigningKey(privatePEM(t, rsaKey(t, 1024))); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a short key signs: %v, %v", key, err)
	}
	if text := mustScheme(t, specs()["stripe"]).VerifyingText("whsk_x"); text != "whsk_x" {
		t.Errorf("a secret became %s", text)
	}
}

func TestRSAVerifiesWhatAPrivateKeySigned(t *testing.T) {
	t.Parallel()
	private := rsaKey(t, 2048)
	scheme := mustScheme(t, byPublicKey("rsa-sha256", "base64", "pem"))
	d := signing.Delivery{Body: []byte(`{"id":1}`)}
	pkcs1 := asPEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private), nil)
	if err := scheme.Sign(&d, noon(), mustSigningKey(t, scheme, pkcs1)); err != nil {
		t.Fatal(err)
	}
	right := d.Header["x"]
	for name, text := range map[string]string{
		"PKIX":   publicPEM(t, &private.PublicKey),
		"PKCS#1": asPEM(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey), nil),
	} {
		if err := scheme.Verify(d, noon(), mustKey(t, scheme, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	key := mustKey(t, scheme, publicPEM(t, &private.PublicKey))
	raw, err := base64.StdEncoding.DecodeString(right)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(raw)
	changed[len(changed)-1] ^= 1
	for name, test := range map[string]struct {
		value string
		want  error
	}{
		"another signature":    {base64.StdEncoding.EncodeToString(changed), signing.ErrMismatch},
		"a zero before it":     {base64.StdEncoding.EncodeToString(append([]byte{0}, raw...)), signing.ErrMismatch},
		"a signature of zeros": {base64.StdEncoding.EncodeToString(make([]byte, 256)), signing.ErrMismatch},
		"a cut signature":      {base64.StdEncoding.EncodeToString(raw[:255]), signing.ErrMalformed},
		"of 8 KiB":             {base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 1025)), signing.ErrMalformed},
		"none":                 {"", signing.ErrMissing},
	} {
		d.Header["x"] = test.value
		if err := scheme.Verify(d, noon(), key); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestNewKeyRefusesAKeyWithWhichOthersCouldSign(t *testing.T) {
	t.Parallel()
	weak, strong := rsaKey(t, 1024), rsaKey(t, 2048)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := ed25519.NewKeyFromSeed(unhex(t, rfcSeed))
	whpk := "whpk_" + base64.StdEncoding.EncodeToString(unhex(t, rfcPublic))
	inHex, inPEM, rsaPEM := byPublicKey("ed25519", "hex", "hex"), byPublicKey("ed25519", "hex", "pem"), byPublicKey("rsa-sha256", "base64", "pem")
	basic := signing.Spec{Header: []string{"X"}, Form: "{secret}", MAC: "none"}
	for name, test := range map[string]struct {
		spec       signing.Spec
		text, want string
	}{
		"RSA of 1024 bits":               {rsaPEM, publicPEM(t, &weak.PublicKey), "an RSA key of 1024 bits; it must have 2048 to 8192"},
		"a private key of RSA":           {rsaPEM, privatePEM(t, strong), "a private key; store its public key alone"},
		"an ed25519 key for RSA":         {rsaPEM, publicPEM(t, ed.Public()), "of another algorithm than rsa-sha256"},
		"an elliptic curve for RSA":      {rsaPEM, publicPEM(t, &ec.PublicKey), "of another algorithm than rsa-sha256"},
		"an RSA key for ed25519":         {inPEM, publicPEM(t, &strong.PublicKey), "of another algorithm than ed25519"},
		"a certificate":                  {rsaPEM, asPEM(t, "CERTIFICATE", []byte("canary"), nil), "a certificate; store its public key"},
		"PEM of another kind":            {rsaPEM, asPEM(t, "CANARY", []byte("canary"), nil), "a PEM block that is no public key"},
		"PEM of nothing":                 {rsaPEM, asPEM(t, "PUBLIC KEY", []byte("canary"), nil), "a PEM block whose content is no key"},
		"two PEM blocks":                 {rsaPEM, publicPEM(t, &strong.PublicKey) + "\n" + publicPEM(t, &strong.PublicKey), "not one PEM block"},
		"text before a PEM block":        {rsaPEM, "canary\n" + publicPEM(t, &strong.PublicKey), "not one PEM block"},
		"no PEM":                         {rsaPEM, "canary", "not one PEM block"},
		"an empty PEM":                   {rsaPEM, "", "not one PEM block"},
		"a huge PEM":                     {rsaPEM, publicPEM(t, &strong.PublicKey) + strings.Repeat("\n", 9000), "longer than 8192 bytes"},
		"31 bytes":                       {inHex, rfcPublic[2:], "an ed25519 public key has 32 bytes, not 31"},
		"no bytes":                       {inHex, "", "empty"},
		"no hexadecimal":                 {inHex, "canary", "not hexadecimal"},
		"a private key of ed25519":       {inHex, rfcSeed + rfcPublic, "a private key; store its public key alone"},
		"no prefix":                      {v1a(), strings.TrimPrefix(whpk, "whpk_"), "a public key without its prefix whpk_"},
		"another prefix":                 {v1a(), "whsec_" + strings.TrimPrefix(whpk, "whpk_"), "a public key without its prefix whpk_"},
		"a prefix and no base64":         {v1a(), "whpk_canary!", "not standard base64"},
		"a seed as a public key":         {v1a(), "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 33)), "not 33"},
		"a public key as a secret":       {specs()["stripe"], whpk, "a public key (PEM, whpk_) is no secret"},
		"one in base64":                  {specs()["standard-webhooks"], whpk, "a public key (PEM, whpk_) is no secret"},
		"one that is compared":           {basic, whpk, "a public key (PEM, whpk_) is no secret"},
		"a private key as a secret":      {specs()["stripe"], "whsk_" + strings.TrimPrefix(whpk, "whpk_"), "is no secret"},
		"a PEM as a secret":              {specs()["stripe"], publicPEM(t, &strong.PublicKey), "is no secret"},
		"a PEM behind a byte order mark": {specs()["stripe"], "\ufeff" + publicPEM(t, &strong.PublicKey), "is no secret"},
		"a PEM without its first line":   {specs()["stripe"], bare(publicPEM(t, &strong.PublicKey)), "is no secret"},
		"a bare key as a base64 secret":  {specs()["standard-webhooks"], bare(publicPEM(t, ed.Public())), "is no secret"},
		"a bare key that is compared":    {basic, bare(publicPEM(t, ed.Public())), "is no secret"},
		"RSA with the exponent 1":        {rsaPEM, publicPEM(t, &rsa.PublicKey{N: strong.N, E: 1}), "an RSA key with the exponent 1"},
		"RSA with an even exponent":      {rsaPEM, publicPEM(t, &rsa.PublicKey{N: strong.N, E: 65536}), "an RSA key with the exponent 65536"},
		"a PEM as a hexadecimal text":    {signing.Spec{Header: []string{"X"}, Form: "{signature}", Signed: "{body}", MAC: "hmac-sha3-256", Encoding: "hex", Key: "hex"}, publicPEM(t, &strong.PublicKey), "is no secret"},
	} {
		key, err := mustScheme(t, test.spec).NewKey(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		if err := mustScheme(t, test.spec).Verify(signing.Delivery{}, noon(), key); !errors.Is(err, signing.ErrNoKey) {
			t.Errorf("%s: the key can be used: %v", name, err)
		}
	}
}

// bare is a PEM's content in one line, as dashboards show it.
func bare(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

// smallOrder are encodings of points of small order: https://github.com/jedisct1/libsodium, ge25519_has_small_order.
func smallOrder() []string {
	return []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	}
}

// TestAKeyOfSmallOrderIsRefused: without a private key a signature is found for each of these keys with S = 0, for at least
// one of a few messages, and crypto/ed25519 accepts it.
func TestAKeyOfSmallOrderIsRefused(t *testing.T) {
	t.Parallel()
	scheme := mustScheme(t, byPublicKey("ed25519", "hex", "hex"))
	forged := 0
	for _, text := range smallOrder() {
		for _, sign := range []byte{0, 0x80} {
			public := unhex(t, text)
			public[31] |= sign
			if _, err := scheme.NewKey(hex.EncodeToString(public)); err == nil || !strings.Contains(err.Error(), "small order") {
				t.Errorf("%x: %v", public, err)
			}
			forged += forge(t, public)
		}
	}
	if forged < 8 {
		t.Errorf("crypto/ed25519 accepts forged signatures of %d keys; if it refuses them now, hasSmallOrder is not needed", forged)
	}
}

// forge returns 1 if a signature for the key is found without its private key.
func forge(t *testing.T, public []byte) int {
	t.Helper()
	for n := range 64 {
		message := fmt.Appendf(nil, "refund %d", n)
		for _, r := range smallOrder() {
			for _, sign := range []byte{0, 0x80} {
				signature := append(unhex(t, r), make([]byte, 32)...)
				signature[31] |= sign
				if ed25519.Verify(public, message, signature) {
					return 1
				}
			}
		}
	}
	return 0
}

func TestAKeyIsOnlyForTheSchemesOfItsKind(t *testing.T) {
	t.Parallel()
	ed, rsaScheme, mac := mustScheme(t, byPublicKey("ed25519", "hex", "pem")), mustScheme(t, byPublicKey("rsa-sha256", "base64", "pem")), mustScheme(t, specs()["generic"])
	keys := map[*signing.Scheme]signing.Key{
		ed:        mustSigningKey(t, ed, privatePEM(t, ed25519.NewKeyFromSeed(unhex(t, rfcSeed)))),
		rsaScheme: mustSigningKey(t, rsaScheme, privatePEM(t, rsaKey(t, 2048))),
		mac:       mustKey(t, mac, "secret"),
	}
	for scheme := range keys {
		for of, key := range keys {
			d := signing.Delivery{Body: []byte("{}")}
			signErr, verifyErr := scheme.Sign(&d, noon(), key), scheme.Verify(d, noon(), key)
			if own := scheme == of; errors.Is(signErr, signing.ErrNoKey) == own || errors.Is(verifyErr, signing.ErrNoKey) == own {
				t.Errorf("own key %v: signs %v, verifies %v", own, signErr, verifyErr)
			}
			if shown := fmt.Sprintf("%v %+v %#v %s %d", key, key, &key, key, key); strings.Contains(shown, "0x") || !strings.Contains(shown, "[key]") {
				t.Errorf("prints as %s", shown)
			}
		}
	}
}

func TestV1aIsVerifiedPartByPart(t *testing.T) {
	t.Parallel()
	scheme := mustScheme(t, v1a())
	key := mustSigningKey(t, scheme, "whsk_"+base64.StdEncoding.EncodeToString(unhex(t, rfcSeed)))
	other := mustSigningKey(t, scheme, "whsk_"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	d := signed(t, scheme, key, `{"type":"order.refunded"}`)
	right := d.Header["webhook-signature"]
	wrong := signed(t, scheme, other, `{"type":"order.refunded"}`).Header["webhook-signature"]
	for name, test := range map[string]struct {
		value string
		keys  []signing.Key
		want  error
	}{
		"as it was signed":         {right, []signing.Key{key}, nil},
		"in rotation":              {wrong + " v1,bm90IG91cnM= " + right, []signing.Key{key}, nil},
		"by one of two keys":       {right, []signing.Key{other, key}, nil},
		"by another key":           {wrong, []signing.Key{key}, signing.ErrMismatch},
		"as v1":                    {strings.Replace(right, "v1a,", "v1,", 1), []signing.Key{key}, signing.ErrMalformed},
		"of another size":          {"v1a," + base64.StdEncoding.EncodeToString(make([]byte, 32)), []signing.Key{key}, signing.ErrMalformed},
		"8 signatures":             {strings.Repeat(wrong+" ", 7) + right, []signing.Key{key}, nil},
		"9 signatures":             {strings.Repeat(wrong+" ", 8) + right, []signing.Key{key}, signing.ErrMalformed},
		"9 parts, 8 of them signs": {"v1,x " + strings.Repeat(wrong+" ", 7) + right, []signing.Key{key}, nil},
	} {
		d.Header["webhook-signature"] = test.value
		if err := scheme.Verify(d, noon(), test.keys...); !is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}
