package signing

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// receiptDate is the date of a receipt in Go's notation: YmdHis in PHP's.
const receiptDate = "20060102150405"

// TwoCheckoutReceipt returns the text by which 2Checkout takes a notification (IPN) as delivered; without it, it sends the
// notification again. It is signed with the key that verified the notification, over four values, each after its length in
// bytes: the first IPN_PID[], the first IPN_PNAME[] and IPN_DATE of the notification, and the date of the receipt, in
// UTC. A value that the notification does not have counts as empty.
//
// The error wraps ErrMalformed for a body that is no form, and ErrNoKey for a key that is not the secret of a MAC.
//
// Source: https://verifone.cloud/docs/2checkout/API-Integration/Webhooks/06Instant_Payment_Notification_IPN/IPN-read-receipt-response-2Checkout
func TwoCheckoutReceipt(body []byte, at time.Time, key Key) (string, error) {
	if key.bytes == nil {
		return "", fmt.Errorf("%w: a receipt is signed with a secret", ErrNoKey)
	}
	fields, err := ReadFields(body)
	if err != nil {
		return "", err
	}
	date := at.UTC().Format(receiptDate)
	var text bytes.Buffer
	for _, value := range []string{
		firstOf(fields, "IPN_PID[]", "IPN_PID[0]"), firstOf(fields, "IPN_PNAME[]", "IPN_PNAME[0]"), firstOf(fields, "IPN_DATE"), date,
	} {
		text.WriteString(strconv.Itoa(len(value)))
		text.WriteString(value)
	}
	mac := hmac.New(sha256.New, key.bytes())
	mac.Write(text.Bytes())
	return `<sig algo="sha256" date="` + date + `">` + hex.EncodeToString(mac.Sum(nil)) + `</sig>`, nil
}

// firstOf returns the value of the first field that has one of the names.
func firstOf(fields []Field, names ...string) string {
	for _, f := range fields {
		for _, name := range names {
			if f.Name == name {
				return f.Value
			}
		}
	}
	return ""
}
