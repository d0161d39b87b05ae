package signing_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

// FuzzVerify gives every scheme arbitrary deliveries. It requires that nothing panics, that an error wraps exactly one
// of the errors of Verify, and that a delivery that passes does not pass with another body.
func FuzzVerify(f *testing.F) {
	all := specs()
	names := slices.Sorted(maps.Keys(all))
	const keyText = "c2VjcmV0"
	for i, name := range names {
		scheme := mustScheme(f, all[name])
		d := signed(f, scheme, mustKey(f, scheme, keyText), `{"id":1}`)
		f.Add(uint8(i), d.Header[first(scheme.SecretHeaders())], d.Header[strings.ToLower(all[name].Timestamp)], "msg_1", d.Method, d.URL, d.Body)
	}
	for _, v := range senderVectors(f) {
		var at uint8
		for names[at] != v.Sender {
			at++
		}
		d := v.delivery()
		f.Add(at, d.Header[strings.ToLower(all[v.Sender].Header[0])], v.Timestamp, "msg_p5jXN8AQM9LWM0D4loKWxJek", v.Method, v.URL, d.Body)
	}
	f.Add(uint8(0), "t=,,,v1==,t=99999999999999999999", "1e9", "", "", "%zz?token=%&sig=%", []byte(nil))

	f.Fuzz(func(t *testing.T, kind uint8, value, stamp, id, method, url string, body []byte) {
		spec := all[names[int(kind)%len(names)]]
		scheme := mustScheme(t, spec)
		key := mustKey(t, scheme, keyText)
		d := signing.Delivery{Method: method, URL: url, Body: body, Header: map[string]string{
			"webhook-id": id, "svix-id": id, strings.ToLower(spec.Timestamp): stamp,
		}}
		for _, name := range scheme.SecretHeaders() {
			d.Header[name] = value
		}
		err := scheme.Verify(d, noon(), key)
		if err != nil {
			wrapped := 0
			for _, verdict := range verdicts() {
				if errors.Is(err, verdict) {
					wrapped++
				}
			}
			if wrapped != 1 {
				t.Fatalf("%v wraps %d verdicts, want 1", err, wrapped)
			}
			return
		}
		if spec.MAC == "none" {
			return
		}
		d.Body = append(slices.Clone(body), 0)
		if err := scheme.Verify(d, noon(), key); !errors.Is(err, signing.ErrMismatch) {
			t.Fatalf("passes with a longer body: %v", err)
		}
	})
}

// FuzzNewScheme gives NewScheme arbitrary specs. It requires that nothing panics, and that a scheme that is accepted
// verifies what it signs.
func FuzzNewScheme(f *testing.F) {
	for _, spec := range specs() {
		f.Add(first(spec.Header), spec.Query, spec.Form, spec.Separator, spec.Timestamp, spec.Signed, spec.MAC, spec.Encoding, spec.Key,
			spec.KeyPrefix, int64(spec.Unit), int64(spec.Tolerance), "c2VjcmV0")
	}
	f.Add("X", "", "a{timestamp},ab={signature}", ",", "", "{timestamp}{body}{{}}", "hmac-sha256", "hex", "", "", int64(0), int64(1), "k")
	f.Add("X", "", "{timestamp}a{signature}", "a", "", "{timestamp}{body}", "hmac-sha256", "hex", "", "", int64(0), int64(1), "k")
	f.Add("X", "", "=={timestamp};={signature}", ";", "", "{timestamp}{body}", "hmac-sha256", "base64", "", "", int64(0), int64(1), "k")

	f.Fuzz(func(t *testing.T, header, query, form, separator, stamp, template, mac, encoding, keyForm, prefix string, unit, tolerance int64, secret string) {
		spec := signing.Spec{
			Query: query, Form: form, Separator: separator, Timestamp: stamp, Unit: time.Duration(unit), Signed: template,
			MAC: mac, Encoding: encoding, Key: keyForm, KeyPrefix: prefix, Tolerance: time.Duration(tolerance),
		}
		if header != "" {
			spec.Header = []string{header}
		}
		scheme, err := signing.NewScheme(spec)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "signing: ") {
				t.Fatalf("%v is not an error of this package", err)
			}
			return
		}
		key, err := scheme.NewKey(secret)
		if err != nil {
			return
		}
		d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/x?a=1", Header: map[string]string{}, Body: []byte("{}")}
		for _, name := range strings.FieldsFunc(strings.ToLower(template), func(r rune) bool { return r == '{' || r == '}' }) {
			d.Header[name] = "x"
		}
		if err := scheme.Sign(&d, noon(), key); err != nil {
			t.Fatalf("accepted, but does not sign: %v", err)
		}
		if err := scheme.Verify(d, noon(), key); err != nil {
			t.Fatalf("does not verify what it signed: %v: %q", err, d.Header)
		}
	})
}
