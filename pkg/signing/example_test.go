package signing_test

import (
	"errors"
	"fmt"
	"time"

	"license-deactivator/pkg/signing"
)

func ExampleSigner() {
	signer, err := signing.NewSigner("apikey", "sharedkey")
	if err != nil {
		fmt.Println(err)
		return
	}
	// For each attempt: the date of this attempt, and the header for the date's text.
	date := signing.Date(time.Date(2025, time.August, 29, 7, 22, 37, 0, time.UTC))
	fmt.Println("Date:", date)
	fmt.Println("Authorization:", signer.Authorize(date))
	// Output:
	// Date: Fri, 29 Aug 2025 07:22:37 GMT
	// Authorization: algorithm="hmac-sha256",headers="date",signature="7rEAFa85/z6E4rDYJuz2Zh9mV22RCESxbkKWfoC7MX8=",apikey="apikey"
}

func ExampleOnlineSignature() {
	fmt.Println(signing.OnlineSignature("kw4qSnpSwXzgiv5yxYpZZmFEd9QAeiKTQ6OuyMja", "Tue, 07 Jun 2011 20:51:35 GMT"))
	// Output: UDysfR6MndUZReo07Y9r+vErn8vSxrnQ5ulit18iJ/Q=
}

func ExampleOfflineSigner() {
	signer, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := signer.FileV1(signing.OfflineRequest{
		RequestID:  "00000000-0000-4000-8000-000000000001",
		Date:       signing.Date(time.Date(2025, time.August, 29, 7, 22, 37, 0, time.UTC)),
		Product:    "fooapp",
		LicenseKey: "BSK8-CLCY-PB5E-BXFO",
		HardwareID: "8b06c6053b7a2040f07c60b62f17f378ccc5030e21676f8a100a97ab36303ad0",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	file, err := signing.ReadRequestFile(text + "\n") // the vendor's Python SDK ends its files in a newline
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict := signer.Check(file)
	fmt.Println(file.Request, "of", file.Product, "- signature", verdict.V1)

	_, err = signing.ReadRequestFile(text[:100])
	fmt.Println(err)
	// Output:
	// deactivation of fooapp - signature matches, in the documented form
	// signing: not a request file: it is Base64, but not of a JSON object (at byte 75)
}

func ExampleScheme_Verify() {
	scheme, err := signing.NewScheme(signing.Spec{
		Header:    []string{"webhook-signature"},
		Separator: " ",
		Form:      "v1,{signature}",
		Timestamp: "webhook-timestamp",
		Signed:    "{webhook-id}.{timestamp}.{body}",
		MAC:       "hmac-sha256",
		Encoding:  "base64",
		Key:       "base64",
		KeyPrefix: "whsec_",
		Tolerance: 5 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := scheme.NewKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	delivery := signing.Delivery{
		Header: map[string]string{
			"webhook-id":        "msg_p5jXN8AQM9LWM0D4loKWxJek",
			"webhook-timestamp": "1614265330",
			"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		Body: []byte(`{"test": 2432232314}`),
	}
	sent := time.Unix(1614265330, 0)
	fmt.Println("at once:", scheme.Verify(delivery, sent, key))

	err = scheme.Verify(delivery, sent.Add(time.Hour), key)
	fmt.Println("an hour later:", err, errors.Is(err, signing.ErrStale))

	delivery.Body = []byte(`{"test": 2432232315}`)
	fmt.Println("changed:", scheme.Verify(delivery, sent, key))
	// Output:
	// at once: <nil>
	// an hour later: signing: stale: older than 5m0s true
	// changed: signing: signature does not match
}

func ExampleScheme_Sign() {
	scheme, err := signing.NewScheme(signing.Spec{
		Header:    []string{"Stripe-Signature"},
		Separator: ",",
		Form:      "t={timestamp},v1={signature}",
		Signed:    "{timestamp}.{body}",
		MAC:       "hmac-sha256",
		Encoding:  "hex",
		Tolerance: 5 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := scheme.NewKey("whsec_test_secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	delivery := signing.Delivery{Body: []byte(`{"id":"evt_test_webhook","object":"event"}`)}
	if err := scheme.Sign(&delivery, time.Unix(1492774577, 0), key); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(delivery.Header["stripe-signature"])
	// Output: t=1492774577,v1=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a
}
