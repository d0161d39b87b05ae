package signing_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/signing"
)

// payPro is the scheme of PayPro Global's IPN, https://developers.payproglobal.com: SHA-256 of six fields and the key, in a
// field.
func payPro() signing.Spec {
	return signing.Spec{
		Field: []string{"SIGNATURE"}, Form: "{signature}", MAC: "sha256", Encoding: "hex",
		Signed: "{field:ORDER_ID}{field:ORDER_STATUS}{field:ORDER_TOTAL_AMOUNT}{field:CUSTOMER_EMAIL}{secret}{field:TEST_MODE}{field:IPN_TYPE_NAME}",
		Covers: []string{"ORDER_ID", "ORDER_STATUS", "ORDER_TOTAL_AMOUNT", "CUSTOMER_EMAIL", "TEST_MODE", "IPN_TYPE_NAME"},
	}
}

// twoCheckout is the scheme of 2Checkout's IPN, https://github.com/2Checkout/2checkout-php-sdk, Tokens.php: every value after
// its length in bytes, in the order received, without the three fields of signatures.
func twoCheckout() signing.Spec {
	return signing.Spec{
		Field: []string{"SIGNATURE_SHA3_256"}, Skip: []string{"SIGNATURE_SHA2_256", "HASH"}, Form: "{signature}",
		Canonical: "length-prefixed-values", MAC: "hmac-sha3-256", Encoding: "hex",
	}
}

// The signatures are sha256sum's of the joined values, and OpenSSL's HMACs of 712345676REFUND112224Zoë0.
const (
	payProBody = "ORDER_ID=1234&ORDER_STATUS=Processed&ORDER_TOTAL_AMOUNT=49.90&CUSTOMER_EMAIL=jo%40example.com&TEST_MODE=0" +
		"&IPN_TYPE_NAME=OrderRefunded&LICENSE_KEY=AAAA"
	payProSignature = "e93cae07e117963a0e4c38371ff905950cf3f7c763b5a5f7b4b14230aaab416f"

	twoCheckoutBody = "REFNO=1234567&MESSAGE_TYPE=REFUND&IPN_PID%5B%5D=1&IPN_PID[]=22&NAME=Zo%C3%AB&EMPTY=&HASH=00&SIGNATURE_SHA2_256=00"
	twoCheckoutSHA3 = "0a72eb83ce504e8a8695fe34fe467773cd3d911344d6a212dba290810cd6b5db"
	twoCheckoutSHA2 = "6a31f2dfde44e534b39939cf4b9ebf0ff2a1a3660995ada196d9630f7c836ef5"
)

// TestTheLinesOfAnOrderMayBeMixed: 2Checkout's own library reads $_POST, in which PHP has put all values of IPN_PID[] together.
// The signature of an order whose lines follow each other is therefore over the values in that order. It is OpenSSL's HMAC of
// 71234567112221a1b4last.
func TestTheLinesOfAnOrderMayBeMixed(t *testing.T) {
	t.Parallel()
	const (
		mixed  = "REFNO=1234567&IPN_PID[]=1&IPN_PNAME%5B%5D=a&HASH=00&IPN_PID%5B1%5D=22&IPN_PNAME[]=b&Z=last"
		joined = "REFNO=1234567&IPN_PID[]=1&IPN_PID%5B1%5D=22&IPN_PNAME%5B%5D=a&IPN_PNAME[]=b&HASH=00&Z=last"
		sha3   = "cb1b61f25bf79b3e7cd027979cb1ec9bf829412d9a4f8dec1bebc2babc5e7471"
	)
	scheme := mustScheme(t, twoCheckout())
	key := mustKey(t, scheme, "ipn-secret")
	for _, form := range []string{mixed, joined} {
		d := signing.Delivery{Body: []byte(form + "&SIGNATURE_SHA3_256=" + sha3)}
		if err := scheme.Verify(d, noon(), key); err != nil {
			t.Errorf("%s: %v", form, err)
		}
		if err := scheme.Verify(d, noon(), mustKey(t, scheme, "other")); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s with another key: %v", form, err)
		}
		d = signing.Delivery{Body: []byte(form)}
		if err := errors.Join(scheme.Sign(&d, noon(), key), scheme.Verify(d, noon(), key)); err != nil {
			t.Errorf("%s as it was received: %v", form, err)
		}
	}
	for _, form := range []string{
		"REFNO=1234567&IPN_PID[]=22&IPN_PNAME[]=a&IPN_PID[]=1&IPN_PNAME[]=b&Z=last", "Z=last&REFNO=1234567&IPN_PID[]=1&IPN_PNAME[]=a&IPN_PID[]=22&IPN_PNAME[]=b",
		"REFNO=1234567&IPN_PID[]=1&X=a&IPN_PID[]=22&Y=b&Z=last&IPN_PID[]=",
	} {
		d := signing.Delivery{Body: []byte(form + "&SIGNATURE_SHA3_256=" + sha3)}
		if err := scheme.Verify(d, noon(), key); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// TestABackslashMayBeSignedOrNot: 2Checkout's own library removes backslashes before it verifies, stripslashes of PHP. The
// signatures are OpenSSL's HMACs of the values as they are, and as PHP returns them.
func TestABackslashMayBeSignedOrNot(t *testing.T) {
	t.Parallel()
	const form = `REFNO=1234567&NAME=O\'Hara&A=a%5C%5C&B=b%5C0%5C&SIGNATURE_SHA3_256=`
	scheme := mustScheme(t, twoCheckout())
	key := mustKey(t, scheme, "ipn-secret")
	for of, signature := range map[string]string{
		"as it is": "fb18995d85feb30dd623bb9fdeb8e469c928efcf578378d1640c71d3e05d8521",
		"stripped": "3c25a23941d25548c15326b7dc902f8326613fd40cad83fa4f3c512f67c58427",
	} {
		if err := scheme.Verify(signing.Delivery{Body: []byte(form + signature)}, noon(), key); err != nil {
			t.Errorf("%s: %v", of, err)
		}
		changed := strings.Replace(form, "Hara", "Hare", 1)
		if err := scheme.Verify(signing.Delivery{Body: []byte(changed + signature)}, noon(), key); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s, changed: %v", of, err)
		}
	}
}

func TestAFieldCarriesThePublishedSignature(t *testing.T) {
	t.Parallel()
	sha2 := twoCheckout()
	sha2.Field, sha2.Skip, sha2.MAC = []string{"SIGNATURE_SHA2_256"}, []string{"SIGNATURE_SHA3_256", "HASH"}, "hmac-sha256"
	for name, test := range map[string]struct {
		spec         signing.Spec
		secret, body string
	}{
		"PayPro":                  {payPro(), "validation-key", payProBody + "&SIGNATURE=" + payProSignature},
		"PayPro, signature first": {payPro(), "validation-key", "SIGNATURE=" + payProSignature + "&" + payProBody},
		"2Checkout, SHA3":         {twoCheckout(), "ipn-secret", twoCheckoutBody + "&SIGNATURE_SHA3_256=" + twoCheckoutSHA3},
		"2Checkout, SHA2":         {sha2, "ipn-secret", strings.Replace(twoCheckoutBody, "SIGNATURE_SHA2_256=00", "SIGNATURE_SHA2_256="+twoCheckoutSHA2, 1)},
	} {
		scheme := mustScheme(t, test.spec)
		key, other := mustKey(t, scheme, test.secret), mustKey(t, scheme, "another")
		d := signing.Delivery{Body: []byte(test.body)}
		if err := scheme.Verify(d, noon(), other, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := scheme.Verify(d, noon(), other); !errors.Is(err, signing.ErrMismatch) {
			t.Errorf("%s: by another key: %v", name, err)
		}
		// Signing again changes nothing: the signature is replaced in its place.
		again := d
		if err := scheme.Sign(&again, noon(), key); err != nil || !bytes.Equal(again.Body, d.Body) {
			t.Errorf("%s: signed again: %v\n%s\nwant\n%s", name, err, again.Body, d.Body)
		}
	}
}

// Each change is one that somebody who has seen a delivery could make. payPro covers six fields, twoCheckout every value.
func TestAFormIsVerifiedAsItWasSigned(t *testing.T) {
	t.Parallel()
	partly, whole := payProBody+"&SIGNATURE="+payProSignature, twoCheckoutBody+"&SIGNATURE_SHA3_256="+twoCheckoutSHA3
	for name, test := range map[string]struct {
		spec     signing.Spec
		body     string
		from, to string
		want     error
	}{
		"a signed field":                  {payPro(), partly, "ORDER_ID=1234", "ORDER_ID=1235", signing.ErrMismatch},
		"a signed field, escaped":         {payPro(), partly, "ORDER_ID=1234", "%4FRDER_ID=%31234", nil},
		"a field that is not signed":      {payPro(), partly, "LICENSE_KEY=AAAA", "LICENSE_KEY=BBBB", nil},
		"the order of the fields":         {payPro(), partly, "ORDER_ID=1234&ORDER_STATUS=Processed", "ORDER_STATUS=Processed&ORDER_ID=1234", nil},
		"a signed field twice":            {payPro(), partly, "ORDER_ID=1234", "ORDER_ID=1234&ORDER_ID=9999", signing.ErrMalformed},
		"a signed field twice, escaped":   {payPro(), partly, "LICENSE_KEY=AAAA", "ORDER%5FID=9999", signing.ErrMalformed},
		"a signed field in another case":  {payPro(), partly, "ORDER_ID=1234", "order_id=1234", signing.ErrMissing},
		"no signed field":                 {payPro(), partly, "ORDER_ID=1234&", "", signing.ErrMissing},
		"an empty signed field":           {payPro(), partly, "ORDER_ID=1234", "ORDER_ID=", signing.ErrMismatch},
		"no signature":                    {payPro(), partly, "&SIGNATURE=" + payProSignature, "", signing.ErrMissing},
		"an empty signature":              {payPro(), partly, payProSignature, "", signing.ErrMissing},
		"two signatures":                  {payPro(), partly, "SIGNATURE=", "SIGNATURE=&SIGNATURE=", signing.ErrMalformed},
		"an upper-case signature":         {payPro(), partly, payProSignature, strings.ToUpper(payProSignature), signing.ErrMalformed},
		"a lengthened text":               {payPro(), partly, "OrderRefunded", "OrderRefunded%80%00%00x", signing.ErrMalformed},
		"no form":                         {payPro(), partly, "&", "%", signing.ErrMalformed},
		"any value of 2Checkout":          {twoCheckout(), whole, "NAME=Zo", "NAME=Zu", signing.ErrMismatch},
		"an empty value of 2Checkout":     {twoCheckout(), whole, "EMPTY=&", "", signing.ErrMismatch},
		"another value of 2Checkout":      {twoCheckout(), whole, "EMPTY=&", "EMPTY=&MORE=&", signing.ErrMismatch},
		"the order of 2Checkout's values": {twoCheckout(), whole, "REFNO=1234567&MESSAGE_TYPE=REFUND", "MESSAGE_TYPE=REFUND&REFNO=1234567", signing.ErrMismatch},
		"2Checkout's values, escaped":     {twoCheckout(), whole, "REFUND", "%52EFUND", nil},
		"a value as another charset":      {twoCheckout(), whole, "Zo%C3%AB", "Zo%EB", signing.ErrMismatch},
		"a signature of another kind":     {twoCheckout(), whole, "HASH=00", "HASH=11", nil},
	} {
		scheme := mustScheme(t, test.spec)
		secret := map[string]string{"sha256": "validation-key"}[test.spec.MAC]
		if secret == "" {
			secret = "ipn-secret"
		}
		body := strings.Replace(test.body, test.from, test.to, 1)
		if body == test.body {
			t.Fatalf("%s: nothing was changed", name)
		}
		err := scheme.Verify(signing.Delivery{Body: []byte(body)}, noon(), mustKey(t, scheme, secret))
		if !is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestOnlyWhatIsCoveredIsLeftOfAForm(t *testing.T) {
	t.Parallel()
	body := signing.Spec{Header: []string{"X"}, Form: "{signature}", Signed: "{body}", MAC: "hmac-sha256", Encoding: "hex"}
	for name, test := range map[string]struct {
		spec       signing.Spec
		body, want string
	}{
		"some fields":        {payPro(), "A=1&ORDER%5FID=7&SIGNATURE=x&ORDER_ID[x]=8&&TEST_MODE&order_id=9", "ORDER%5FID=7&TEST_MODE"},
		"all values":         {twoCheckout(), "A=1&SIGNATURE_SHA3_256=x&HASH=y&A=+2&SIGNATURE_SHA2_256=z&&B[]=%2B", "A=1&A=+2&B[]=%2B"},
		"the body":           {body, `{"a":1}`, `{"a":1}`},
		"a form, as a body":  {body, "A=1&&SIGNATURE=x", "A=1&&SIGNATURE=x"},
		"nothing is covered": {payPro(), "A=1&B", ""},
	} {
		if got := mustScheme(t, test.spec).CoveredBody([]byte(test.body)); string(got) != test.want {
			t.Errorf("%s: %q is left, want %q", name, got, test.want)
		}
	}
}

func TestWithoutValuesEmptiesTheNamedFieldsAlone(t *testing.T) {
	t.Parallel()
	const body = "A=1&SIGNATURE=abc&B=SIGNATURE=x&SIGN%41TURE=d%65f&&SIGNATURE&C"
	want := "A=1&SIGNATURE=&B=SIGNATURE=x&SIGN%41TURE=&&SIGNATURE=&C"
	if got := string(signing.WithoutValues([]byte(body), []string{"SIGNATURE"})); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNewSchemeRefusesWhatAFormCannotProve(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from   func() signing.Spec
		change func(*signing.Spec)
		want   string
	}{
		"a field beside a header":       {payPro, func(s *signing.Spec) { s.Header = []string{"X"} }, "field: stands beside header"},
		"a field beside a query":        {payPro, func(s *signing.Spec) { s.Query = "x" }, "field: stands beside header"},
		"a field of no name":            {payPro, func(s *signing.Spec) { s.Field = []string{""} }, `field: "" is no name`},
		"a secret in a field":           {payPro, func(s *signing.Spec) { s.MAC, s.Form, s.Signed, s.Covers, s.Encoding = "none", "{secret}", "", nil, "" }, "field: carries a {secret}"},
		"the body, in which it stands":  {payPro, func(s *signing.Spec) { s.Signed += "{body}" }, "signed: {body} holds the signature itself"},
		"its own field":                 {payPro, func(s *signing.Spec) { s.Signed += "{field:SIGNATURE}" }, "signed: {field:SIGNATURE} cannot sign itself"},
		"a field twice":                 {payPro, func(s *signing.Spec) { s.Signed += "{field:ORDER_ID}" }, "signed: {field:ORDER_ID} occurs twice"},
		"a field without a name":        {payPro, func(s *signing.Spec) { s.Signed += "{field:}" }, "signed: {field:} is no name"},
		"no fields and no body":         {payPro, func(s *signing.Spec) { s.Signed, s.Covers = "{secret}", nil }, "signed: does not hold {body}"},
		"a plain hash without secret":   {payPro, func(s *signing.Spec) { s.Signed = strings.Replace(s.Signed, "{secret}", "", 1) }, "mac: sha256 needs {secret}"},
		"an HMAC with a secret inside":  {payPro, func(s *signing.Spec) { s.MAC = "hmac-sha256" }, `mac: "hmac-sha256" does not go with {secret}`},
		"a zero byte":                   {payPro, func(s *signing.Spec) { s.Signed += "\x00" }, "signed: holds a zero byte"},
		"no covers":                     {payPro, func(s *signing.Spec) { s.Covers = nil }, "covers: is missing: signed does not hold {body}, so list the fields that it covers: [ORDER_ID, "},
		"covers more":                   {payPro, func(s *signing.Spec) { s.Covers = append(s.Covers, "LICENSE_KEY") }, "covers: [ORDER_ID, "},
		"covers less":                   {payPro, func(s *signing.Spec) { s.Covers = s.Covers[1:] }, "is not what signed covers"},
		"covers twice":                  {payPro, func(s *signing.Spec) { s.Covers = append(s.Covers, "ORDER_ID") }, "is not what signed covers"},
		"covers beside a body":          {func() signing.Spec { return specs()["shopify"] }, func(s *signing.Spec) { s.Covers = []string{"id"} }, "covers: has no place"},
		"covers beside a canonical":     {twoCheckout, func(s *signing.Spec) { s.Covers = []string{"REFNO"} }, "covers: has no place beside canonical"},
		"an unknown canonical":          {twoCheckout, func(s *signing.Spec) { s.Canonical = "php-sorted" }, `canonical: "php-sorted" is not one of length-prefixed-values`},
		"canonical beside signed":       {twoCheckout, func(s *signing.Spec) { s.Signed = "{field:REFNO}" }, "canonical: stands beside signed"},
		"canonical without a mac":       {twoCheckout, func(s *signing.Spec) { s.MAC = "none" }, "signed: nothing is signed"},
		"a plain hash of a canonical":   {twoCheckout, func(s *signing.Spec) { s.MAC = "sha256" }, "mac: sha256 needs {secret}"},
		"canonical beside a timestamp":  {twoCheckout, func(s *signing.Spec) { s.Timestamp, s.Tolerance = "X-Time", tolerance }, "canonical: signs no timestamp"},
		"skip without canonical":        {payPro, func(s *signing.Spec) { s.Skip = []string{"HASH"} }, "skip: goes with canonical"},
		"skip of no name":               {twoCheckout, func(s *signing.Spec) { s.Skip = []string{"a\n"} }, "skip: "},
		"MD5":                           {payPro, func(s *signing.Spec) { s.MAC = "md5" }, `mac: "md5" is broken`},
		"HMAC-MD5":                      {twoCheckout, func(s *signing.Spec) { s.MAC = "hmac-md5" }, `mac: "hmac-md5" is broken`},
		"SHA-1":                         {payPro, func(s *signing.Spec) { s.MAC = "SHA-1" }, `mac: "SHA-1" is broken`},
		"HMAC-SHA1":                     {twoCheckout, func(s *signing.Spec) { s.MAC = "hmac-sha1" }, `mac: "hmac-sha1" is broken`},
		"RSA with SHA-1":                {payPro, func(s *signing.Spec) { s.MAC = "rsa-sha1" }, `mac: "rsa-sha1" is broken`},
		"another word":                  {payPro, func(s *signing.Spec) { s.MAC = "sha512" }, `mac: "sha512" is not one of hmac-sha256, hmac-sha3-256, sha256, ed25519, rsa-sha256, none`},
		"a PEM for a mac":               {twoCheckout, func(s *signing.Spec) { s.Key = "pem" }, "key: pem is a public key"},
		"a text for ed25519":            {twoCheckout, func(s *signing.Spec) { s.MAC = "ed25519" }, "key: \"text\": a public key of ed25519"},
		"base64 for RSA":                {twoCheckout, func(s *signing.Spec) { s.MAC, s.Key = "rsa-sha256", "base64" }, `key: "base64": a public key of rsa-sha256 is pem`},
		"a prefix of a hexadecimal key": {twoCheckout, func(s *signing.Spec) { s.Key, s.KeyPrefix = "hex", "x" }, "key_prefix: goes with a base64 key"},
	} {
		spec := test.from()
		test.change(&spec)
		_, err := signing.NewScheme(spec)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// HMAC-SHA3-256 of NIST's examples, https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/HMAC_SHA3-256.pdf,
// with the key in hexadecimal, in either case.
func TestHMACOfSHA3IsNISTs(t *testing.T) {
	t.Parallel()
	scheme := mustScheme(t, signing.Spec{Header: []string{"X"}, Form: "{signature}", Signed: "{body}", MAC: "hmac-sha3-256", Encoding: "hex", Key: "hex"})
	d := signing.Delivery{
		Header: map[string]string{"x": "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205"},
		Body:   []byte("Sample message for keylen<blocklen"),
	}
	for _, key := range []string{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"} {
		if err := scheme.Verify(d, noon(), mustKey(t, scheme, key)); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"0", "0g", "00 01", "canary"} {
		if _, err := scheme.NewKey(text); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, want an error without it", text, err)
		}
	}
}

// TestSignedFieldsAreListed: what the package says of a scheme is what a source's file is checked against.
func TestSignedFieldsAreListed(t *testing.T) {
	t.Parallel()
	partly, whole := mustScheme(t, payPro()), mustScheme(t, twoCheckout())
	if !partly.CoversPart() || whole.CoversPart() {
		t.Error("payPro covers some fields, twoCheckout all of them")
	}
	if diff := cmp.Diff([]string{"SIGNATURE_SHA3_256", "SIGNATURE_SHA2_256", "HASH"}, whole.SignatureFields()); diff != "" {
		t.Error(diff)
	}
}
