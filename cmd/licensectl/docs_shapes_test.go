package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// TestEveryShapeOfASignatureIsSignedAndVerified makes a file of each row of the table in your-own.md. What it signs it
// verifies, and nothing else.
func TestEveryShapeOfASignatureIsSignedAndVerified(t *testing.T) {
	t.Parallel()
	tables := readPage(t, "senders/your-own.md").of("shape of the signature")
	if len(tables) != 1 || len(tables[0].rows) < 14 {
		t.Fatalf("%d tables of shapes, want one of 14 rows", len(tables))
	}
	for _, row := range tables[0].rows {
		lines := code(row[1])
		file := "verify:\n  " + strings.Join(lines, "\n  ") + "\nevent: {id: ORDER_ID, type: TYPE}\nlookup: {order: ORDER_ID}\nrules: [{name: r, type: refund, cause: refund}]\n"
		body := `{"ORDER_ID": "1000234", "TYPE": "refund"}`
		if strings.Contains(file, "\n  field: ") {
			file += "body: form\n"
			body = "ORDER_ID=1000234&TYPE=refund&HASH=00"
		}
		if strings.Contains(file, "{field:order}") { // a field's name counts with its case
			file = strings.NewReplacer("ORDER_ID", "order", "TYPE", "type").Replace(file)
			body = strings.NewReplacer("ORDER_ID", "order", "TYPE", "type").Replace(body)
		}
		sources, err := source.Load(fstest.MapFS{"shape.yaml": {Data: []byte(file)}})
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		s, _ := sources.Get("shape")
		private, another := keysOf(t, file)
		d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/shape", Header: map[string]string{"x-id": "7"}, Body: []byte(body)}
		if err := s.Sign(&d, time.Now(), private); err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		if _, err := s.Verify(d, time.Now(), []string{s.VerifyingSecret(private)}); err != nil {
			t.Errorf("%s: %v", row[0], err)
		}
		if _, err := s.Verify(d, time.Now(), []string{s.VerifyingSecret(another)}); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: by another key: %v", row[0], err)
		}
		d.Body = []byte(strings.Replace(string(d.Body), "1000234", "1000235", 1))
		if _, err := s.Verify(d, time.Now(), []string{s.VerifyingSecret(private)}); !errors.Is(err, signing.ErrMismatch) && !strings.Contains(file, "mac: none") {
			t.Errorf("%s: another order: %v", row[0], err)
		}
	}
}

// keysOf makes two keys in the form that a file requires, private ones for public keys.
func keysOf(t *testing.T, file string) (one, other string) {
	t.Helper()
	asPEM := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	}
	make1 := func() string {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(file, "mac: rsa-sha256"):
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			return asPEM(key)
		case strings.Contains(file, "key_prefix: whpk_"):
			return "whsk_" + base64.StdEncoding.EncodeToString(private)
		}
		return hex.EncodeToString(private)
	}
	return make1(), make1()
}

// TestTheWorkedSendersOfThePageWork verifies deliveries that other code signed, and maps them.
func TestTheWorkedSendersOfThePageWork(t *testing.T) {
	t.Parallel()
	p := readPage(t, "senders/your-own.md")
	files, formBody := p.fenced("yaml worked"), strings.TrimSpace(p.fenced("text worked")[0])
	body, keys := []byte(p.fenced("json worked")[0]), p.fenced("json worked")[1]
	if len(files) != 3 {
		t.Fatalf("%d worked senders, want 3", len(files))
	}
	loaded, err := source.Load(fstest.MapFS{
		"osprey.yaml": {Data: []byte(files[0])}, "heron.yaml": {Data: []byte(files[1])}, "merlin.yaml": {Data: []byte(files[2])},
	})
	if err != nil {
		t.Fatal(err)
	}
	published, err := secrets.ParseWebhooks(keys)
	if err != nil {
		t.Fatal(err)
	}
	merlin, _ := loaded.Get("merlin")
	if texts, err := published.Keys("merlin"); err != nil || len(texts) != 1 || merlin.CheckKeys(texts) != nil {
		t.Errorf("the public key of the page: %v, %v", err, merlin.CheckKeys(texts))
	}

	const secret = "a-long-random-secret"
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	hash := sha256.Sum256([]byte("1000234" + "Refunded" + secret + "refund"))
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	for name, test := range map[string]struct {
		key, order, license string
		d                   signing.Delivery
		unsigned            string // of the body: it may change; "" for none
	}{
		"osprey": {
			key: secret, license: "AAAA-BBBB-CCCC-DDDD",
			d: signing.Delivery{Header: map[string]string{"x-osprey-signature": "sha256=" + hex.EncodeToString(mac.Sum(nil))}, Body: body},
		},
		"heron": {
			key: secret, order: "1000234", unsigned: "AAAA-BBBB",
			d: signing.Delivery{Header: map[string]string{}, Body: []byte(formBody + "&SIGNATURE=" + hex.EncodeToString(hash[:]))},
		},
		"merlin": {
			key: strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), license: "AAAA-BBBB-CCCC-DDDD",
			d: signing.Delivery{Header: map[string]string{
				"x-merlin-time": stamp, "x-merlin-signature": base64.StdEncoding.EncodeToString(ed25519.Sign(private, append([]byte(stamp+"."), body...))),
			}, Body: body},
		},
	} {
		s, _ := loaded.Get(name)
		check := func(d signing.Delivery) {
			verified, err := s.Verify(d, time.Now(), []string{test.key})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			mappings, err := s.Map(verified, source.Options{LookUp: true})
			if err != nil || len(mappings) != 1 || mappings[0].Answer != deactivation.Accepted || len(mappings[0].Requests) != 1 {
				t.Errorf("%s becomes %+v (%v)", name, mappings, err)
				return
			}
			request := mappings[0].Requests[0]
			if request.LicenseKey != test.license || test.order != "" && request.Lookup.Order[0].ID != test.order {
				t.Errorf("%s: the request is %q, order %v", name, request.LicenseKey, request.Lookup.Order)
			}
		}
		check(test.d)
		changed := test.d
		if test.unsigned != "" {
			changed.Body = []byte(strings.Replace(string(test.d.Body), test.unsigned, "XXXX-XXXX", 1))
			check(changed)
		}
		changed.Body = append([]byte(nil), test.d.Body...)
		changed.Body = []byte(strings.NewReplacer("evt-7", "evt-8", "1000234", "1000235").Replace(string(changed.Body)))
		if _, err := s.Verify(changed, time.Now(), []string{test.key}); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: another event: %v", name, err)
		}
		if dangers := s.Dangers(); len(dangers) > 0 {
			t.Errorf("%s: %+v", name, dangers)
		}
	}
	if !json.Valid(body) {
		t.Error("the body of the page is no JSON")
	}
}
