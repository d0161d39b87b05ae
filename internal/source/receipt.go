package source

import (
	"time"

	"license-deactivator/pkg/signing"
)

// unsignedReceipt stands for a receipt where no key is at hand: in an explanation without the secrets.
const unsignedReceipt = `<sig algo="sha256" date="…">…</sig>`

// Receipt returns the answer of the dialect TwoCheckout, signed at the given time with the key that verified the
// delivery. Of a delivery whose signature was not checked it is without a date and a signature.
func (v Verified) Receipt(at time.Time) string {
	receipt, err := signing.TwoCheckoutReceipt(v.Body, at, v.key)
	if err != nil {
		return unsignedReceipt
	}
	return receipt
}

// keyOf returns the first key with which the scheme verifies a delivery that it has verified.
func (v verification) keyOf(s *scheme, source string, d signing.Delivery, now time.Time, secrets []string) signing.Key {
	keys, _ := v.keys(s, source, secrets)
	for _, key := range keys {
		if s.Verify(d, now, key) == nil {
			return key
		}
	}
	return signing.Key{}
}
