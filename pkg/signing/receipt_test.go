package signing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

// TestAReceiptIsThePublishedOne: values, key and the text that is signed are those of the documentation's example, which
// gives the HMAC-MD5 7bf97ed39681027d0c45aa45e3ea98f0 for it. The SHA-256 of the same text is OpenSSL's:
//
//	printf '1116Software program14200503031234341420050303123434' | openssl dgst -sha256 -hmac AABBCCDDEEFF
func TestAReceiptIsThePublishedOne(t *testing.T) {
	t.Parallel()
	scheme := mustScheme(t, twoCheckout())
	key := mustKey(t, scheme, "AABBCCDDEEFF")
	at := time.Date(2005, time.March, 3, 12, 34, 34, 0, time.UTC)
	const want = `<sig algo="sha256" date="20050303123434">ea6f44c39b3d204b59500998fcb9221c92744d9721a94b45fc6d5cda99980176</sig>`
	for name, body := range map[string]string{
		"in the sender's order": "IPN_PID%5B%5D=1&IPN_PID%5B%5D=2&IPN_PNAME%5B%5D=Software+program&IPN_PNAME%5B%5D=Other&IPN_DATE=20050303123434",
		"in another order":      "IPN_DATE=20050303123434&REFNO=7&IPN_PNAME[]=Software%20program&IPN_PID[]=1",
		"with indexes":          "IPN_PID[0]=1&IPN_PID[1]=2&IPN_PNAME[0]=Software+program&IPN_DATE=20050303123434",
	} {
		if got, err := signing.TwoCheckoutReceipt([]byte(body), at, key); got != want || err != nil {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, want)
		}
	}
	// The date is in UTC whatever the clock's zone is.
	if got, err := signing.TwoCheckoutReceipt([]byte("IPN_PID[]=1&IPN_PNAME[]=Software+program&IPN_DATE=20050303123434"), at.In(time.FixedZone("", 3*3600)), key); got != want || err != nil {
		t.Errorf("in another zone: %s, %v\nwant %s", got, err, want)
	}
}

// The MACs are OpenSSL's: printf '…' | openssl dgst -sha256 -hmac ipn-secret.
func TestAReceiptCountsBytesAndTakesAbsentValuesAsEmpty(t *testing.T) {
	t.Parallel()
	key := mustKey(t, mustScheme(t, twoCheckout()), "ipn-secret")
	at := time.Date(2026, time.November, 29, 8, 0, 0, 0, time.UTC)
	for body, mac := range map[string]string{
		"IPN_PID[]=22&IPN_PNAME[]=Zo%C3%AB&IPN_DATE=20261129075959": "f72ffb3293526c8633e296ebfe60caf302eb635f379c3fcd9f5e0ea4d257e354", // 2224Zoë14202611290759591420261129080000
		"IPN_PID[]=22&IPN_PNAME[]=Zo%EB&IPN_DATE=20261129075959":    "7eda3c67458eab2057459faa85dcc20a5f3fb552f5fd0ce473c6e41949955d58", // 2223Zo\xeb1420261129075959…
		"REFNO=1": "4e84691ec0d85c9177e026202da14632244ff9633f4be1e659fa34fcf1911834", // 0001420261129080000
	} {
		got, err := signing.TwoCheckoutReceipt([]byte(body), at, key)
		if want := `<sig algo="sha256" date="20261129080000">` + mac + "</sig>"; got != want || err != nil {
			t.Errorf("%s: %s, %v\nwant %s", body, got, err, want)
		}
	}
}

func TestAReceiptNeedsAFormAndASecret(t *testing.T) {
	t.Parallel()
	key := mustKey(t, mustScheme(t, twoCheckout()), "ipn-secret")
	if got, err := signing.TwoCheckoutReceipt([]byte("IPN_PID[]=%zz-canary"), noon(), key); !errors.Is(err, signing.ErrMalformed) || got != "" || strings.Contains(err.Error(), "canary") {
		t.Errorf("of no form: %s, %v", got, err)
	}
	if got, err := signing.TwoCheckoutReceipt([]byte("IPN_PID[]=1"), noon(), signing.Key{}); !errors.Is(err, signing.ErrNoKey) || got != "" {
		t.Errorf("without a key: %s, %v", got, err)
	}
}
