package oracles_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

func twoCheckout(t *testing.T, field, mac string, skip ...string) *signing.Scheme {
	t.Helper()
	return newScheme(t, signing.Spec{
		Field: []string{field}, Skip: skip, Form: "{signature}", Canonical: "length-prefixed-values", MAC: mac, Encoding: "hex",
	})
}

// TestTheCanonicalFormIsThatOfASecondImplementation compares 2Checkout's signature with testdata/two_checkout.mjs, on forms
// of every kind: repeated names, brackets, empty values, every escape, UTF-8 and bytes that are none.
func TestTheCanonicalFormIsThatOfASecondImplementation(t *testing.T) {
	t.Parallel()
	const secret = "ipn-secret"
	forms := []string{
		"REFNO=1234567&MESSAGE_TYPE=REFUND&IPN_PID%5B%5D=1&IPN_PID[]=22&NAME=Zo%C3%AB&EMPTY=&HASH=00",
		"A&B=&&C", "a=b=c&d=%3D%26%25%2B+", "x=1&x=1&x=11", "SIGN%41TURE_SHA3_256=x&hash=y&HASH=z&SIGNATURE_SHA2_256=w", "n=%E9&m=\xE9%C3\xA9",
	}
	random := rand.New(rand.NewPCG(2026, 15)) //nolint:gosec // the same forms each time
	for range 2000 {
		forms = append(forms, randomForm(random))
	}
	encoded := make([]string, len(forms))
	for i, form := range forms {
		encoded[i] = base64.StdEncoding.EncodeToString([]byte(form))
	}
	var macs []map[string]string
	node(t, "two_checkout.mjs", map[string]any{"key": base64.StdEncoding.EncodeToString([]byte(secret)), "forms": encoded}, &macs)
	if len(macs) != len(forms) {
		t.Fatalf("%d answers of %d forms", len(macs), len(forms))
	}
	schemes := map[string]*signing.Scheme{
		"sha3-256": twoCheckout(t, "SIGNATURE_SHA3_256", "hmac-sha3-256", "SIGNATURE_SHA2_256", "HASH"),
		"sha256":   twoCheckout(t, "SIGNATURE_SHA2_256", "hmac-sha256", "SIGNATURE_SHA3_256", "HASH"),
	}
	fields := map[string]string{"sha3-256": "SIGNATURE_SHA3_256", "sha256": "SIGNATURE_SHA2_256"}
	for hash, scheme := range schemes {
		key := newKey(t, scheme, secret)
		for i, form := range forms {
			unsigned := string(signing.WithoutValues([]byte(form), []string{fields[hash]})) // random forms may hold one
			d := signing.Delivery{Body: []byte(unsigned)}
			if err := scheme.Sign(&d, time.Time{}, key); err != nil {
				t.Fatalf("%s: %q: %v", hash, form, err)
			}
			if !strings.Contains(string(d.Body), fields[hash]+"="+macs[i][hash]) {
				t.Fatalf("%s: %q is signed as %q, and by the second implementation %s", hash, form, d.Body, macs[i][hash])
			}
			other := newKey(t, scheme, secret+"x")
			if err := scheme.Verify(d, time.Time{}, other); !errors.Is(err, signing.ErrMismatch) && !errors.Is(err, signing.ErrMalformed) {
				t.Fatalf("%s: %q by another key: %v", hash, form, err)
			}
		}
	}
}

// randomForm is a form of up to 12 fields.
func randomForm(random *rand.Rand) string {
	names := []string{"REFNO", "IPN_PID[]", "IPN_PNAME[0]", "a[b][c]", "HASH", "SIGNATURE_SHA2_256", "SIGNATURE_SHA3_256", "hash", "Ünïcode", "x y"}
	var parts []string
	for range random.IntN(12) {
		name := escaped(random, names[random.IntN(len(names))])
		value := make([]byte, random.IntN(30))
		for i := range value {
			value[i] = byte(random.IntN(256))
			if random.IntN(2) == 0 {
				value[i] = '0' + byte(random.IntN(10)) // digits, which could be taken for a length
			}
		}
		parts = append(parts, name+"="+escaped(random, string(value)))
	}
	return strings.Join(parts, "&")
}

// escaped writes a text as url.QueryEscape does, or byte by byte, with digits of either case.
func escaped(random *rand.Rand, text string) string {
	if random.IntN(2) == 0 {
		return url.QueryEscape(text)
	}
	format := []string{"%%%02x", "%%%02X"}[random.IntN(2)]
	var out strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&out, format, text[i])
	}
	return out.String()
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
