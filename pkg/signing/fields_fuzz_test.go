package signing_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/signing"
)

// FuzzSignedForm signs any form by each scheme that reads fields, and adds anything to it. It requires that the scheme
// verifies what it signed; that a form which still verifies with the addition has the same covered fields; and that the
// same fields, escaped in another way, have the same signature.
func FuzzSignedForm(f *testing.F) {
	f.Add([]byte(payProBody), []byte("ORDER_ID=9"))
	f.Add([]byte(twoCheckoutBody), []byte("HASH=9"))
	f.Add([]byte(payProBody), []byte("SIGNATURE="+payProSignature))
	f.Add([]byte(payProBody), []byte("IPN_TYPE_NAME=x&%49PN_TYPE_NAME=%80%00"))
	f.Add([]byte("A&B=&=1"), []byte("&&C"))
	f.Add([]byte(""), []byte("SIGNATURE_SHA3_256=00&%53IGNATURE_SHA3_256"))
	f.Add([]byte("a[]=%00%ff+%2B&a[]=1&HASH&SIGNATURE=1"), []byte("a%5B%5D="))
	f.Fuzz(func(t *testing.T, body, more []byte) {
		for name, spec := range map[string]signing.Spec{"some fields": payPro(), "all values": twoCheckout()} {
			scheme := mustScheme(t, spec)
			key := mustKey(t, scheme, "key")
			d := signing.Delivery{Body: slices.Clone(body)}
			if err := scheme.Sign(&d, noon(), key); err != nil {
				if !errors.Is(err, signing.ErrMalformed) && !errors.Is(err, signing.ErrMissing) || string(d.Body) != string(body) {
					t.Fatalf("%s: %v, and the body is %q", name, err, d.Body)
				}
				continue
			}
			if err := scheme.Verify(d, noon(), key); err != nil {
				t.Fatalf("%s: does not verify what it signed: %v: %q", name, err, d.Body)
			}
			want := coveredFields(t, scheme, d.Body)
			escaped := signing.Delivery{Body: []byte(escapedForm(t, d.Body))}
			if err := scheme.Verify(escaped, noon(), key); err != nil {
				t.Fatalf("%s: escaped in another way: %v: %q", name, err, escaped.Body)
			}
			if diff := cmp.Diff(want, coveredFields(t, scheme, escaped.Body)); diff != "" {
				t.Fatalf("%s: escaped in another way (-want +got)\n%s", name, diff)
			}
			for _, changed := range [][]byte{slices.Concat(d.Body, []byte("&"), more), slices.Concat(more, []byte("&"), d.Body)} {
				other := signing.Delivery{Body: changed}
				if scheme.Verify(other, noon(), key) != nil {
					continue
				}
				if diff := cmp.Diff(want, coveredFields(t, scheme, changed)); diff != "" {
					t.Fatalf("%s: %q verifies (-signed +got)\n%s", name, changed, diff)
				}
			}
		}
	})
}

// coveredFields are the fields that a file may read, in their order where the signature covers it, else by name.
func coveredFields(t *testing.T, scheme *signing.Scheme, body []byte) []signing.Field {
	t.Helper()
	fields, err := signing.ReadFields(scheme.CoveredBody(body))
	if err != nil {
		t.Fatal(err)
	}
	if scheme.CoversPart() {
		slices.SortFunc(fields, func(a, b signing.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return fields
}

// escapedForm is the form with every byte of its names and values escaped, in lower-case hexadecimal.
func escapedForm(t *testing.T, body []byte) string {
	t.Helper()
	fields, err := signing.ReadFields(body)
	if err != nil {
		t.Fatal(err)
	}
	escape := func(text string) string {
		var out strings.Builder
		for i := range len(text) {
			fmt.Fprintf(&out, "%%%02x", text[i])
		}
		return out.String()
	}
	var parts []string
	for _, field := range fields {
		parts = append(parts, escape(field.Name)+"="+escape(field.Value))
	}
	return strings.Join(parts, "&")
}

// FuzzNewFormScheme gives NewScheme arbitrary schemes of forms. It requires that nothing panics; that a scheme that is
// accepted verifies what it signs; and that no plain hash is made without the secret in it.
func FuzzNewFormScheme(f *testing.F) {
	for _, spec := range []signing.Spec{payPro(), twoCheckout()} {
		f.Add(strings.Join(spec.Field, ","), spec.Canonical, strings.Join(spec.Skip, ","), spec.Signed, strings.Join(spec.Covers, ","), spec.MAC, spec.Encoding, spec.Key, "secret")
	}
	f.Add("S,T", "", "", "{field:a b}{field:a[]}{X-Id}.", "a b,a[]", "hmac-sha256", "base64", "hex", "00ff")
	f.Add("S", "", "", "{field:A}", "A", "ed25519", "hex", "hex", rfcSeed+rfcPublic)
	f.Add("S", "", "", "{field:A}{field:B}{secret}", "B,A", "sha256", "hex", "base64", "c2VjcmV0")
	f.Add("S", "", "", "{field:A}{secret", "A", "md5", "hex", "pem", "-----BEGIN PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, field, canonical, skip, template, covers, mac, encoding, keyForm, secret string) {
		list := func(text string) []string {
			if text == "" {
				return nil
			}
			return strings.Split(text, ",")
		}
		spec := signing.Spec{
			Field: list(field), Form: "{signature}", Canonical: canonical, Skip: list(skip), Signed: template, Covers: list(covers),
			MAC: mac, Encoding: encoding, Key: keyForm,
		}
		scheme, err := signing.NewScheme(spec)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "signing: ") {
				t.Fatalf("%v is not an error of this package", err)
			}
			return
		}
		if mac == "sha256" && !strings.Contains(strings.ToLower(template), "{secret}") {
			t.Fatal("a plain hash that anybody can make")
		}
		key, err := scheme.NewSigningKey(secret)
		if err != nil {
			return
		}
		d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/x?a=1", Header: map[string]string{}, Body: []byte("x=1")}
		for _, name := range spec.Covers {
			d.Body = append(d.Body, "&"+url.QueryEscape(name)+"=v"...)
		}
		for _, name := range strings.FieldsFunc(strings.ToLower(template), func(r rune) bool { return r == '{' || r == '}' }) {
			d.Header[name] = "x"
		}
		err = scheme.Sign(&d, noon(), key)
		if errors.Is(err, signing.ErrMalformed) && slices.Contains(spec.Covers, "x") {
			return // it is sent twice
		}
		if err != nil {
			t.Fatalf("accepted, but does not sign: %v", err)
		}
		if err := scheme.Verify(d, noon(), key); err != nil {
			t.Fatalf("does not verify what it signed: %v: %q", err, d.Body)
		}
	})
}
