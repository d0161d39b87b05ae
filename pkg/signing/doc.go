// Package signing makes and checks signatures over bytes. It holds three things.
//
// The License API's online signature: a [Signer] makes the Authorization header of one Date.
//
//	signer, err := signing.NewSigner(apiKey, sharedKey)
//	date := signing.Date(time.Now())
//	req.Header.Set("Date", date)
//	req.Header.Set("Authorization", signer.Authorize(date))
//
// The License API's offline request files, schema v1 and v2: an [OfflineSigner] writes one, [ReadRequestFile] reads one
// from any writer, and [OfflineSigner.Check] compares its signatures with those of an account. A file is a text; a
// customer's own file is sent unchanged.
//
//	signer, err := signing.NewOfflineSigner(apiKey, sharedKey)
//	text, err := signer.FileV1(signing.OfflineRequest{
//		RequestID: id, Date: signing.Date(time.Now()), Product: "XY", LicenseKey: key, HardwareID: device,
//	})
//
// The schemes by which stores and CRMs sign their webhooks, as data: a [Spec] is one scheme, [NewScheme] compiles it,
// [Scheme.Verify] checks a [Delivery] with any of several keys, and [Scheme.Sign] signs one as the sender does.
//
//	scheme, err := signing.NewScheme(signing.Spec{
//		Header: []string{"Stripe-Signature"}, Separator: ",", Form: "t={timestamp},v1={signature}",
//		Signed: "{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "hex", Tolerance: 5 * time.Minute,
//	})
//	key, err := scheme.NewKey(secret)
//	err = scheme.Verify(delivery, time.Now(), key)
//
// A signature may also be in a field of a form. Then it covers the fields that Spec.Signed names, as in {field:ORDER_ID},
// or every value ([Spec.Canonical]); [Scheme.CoveredBody] leaves these alone, which a caller may rely on. It may be made by
// a MAC, by a plain hash with the secret inside, or by the sender's private key, of which the receiver has the public one.
// The key is never taken from the request.
//
// PayPal's scheme is none that a Spec describes but by its name. A delivery names the address of the certificate that signed
// it: Verify returns a [CertificateNeededError] with the address once every other check has passed, the caller fetches the
// certificate and verifies again with it in [Delivery.Certificate], beside the roots that the caller trusts.
//
// # What Verify guarantees
//
// The body is not parsed, except for the fields of a form that are signed or carry the signature. A field that was sent
// twice is refused, since the sender may have signed the one and a reader use the other. MACs are compared as raw bytes and in constant time. Hexadecimal and base64 text passes only
// in its one canonical form, and a timestamp is signed as its text, so any change is refused. Unknown parts of a header
// are ignored: senders add new ones. A timestamp outside the tolerance is refused, in the past and in the future.
// Several keys and several signatures may be present, because senders rotate their secrets. No error holds a key, a MAC
// or the value of a header, and no input causes a panic.
//
// # Limits
//
// A request file is read up to 64 KiB, a header, an address and a field with a signature up to 8 KiB, a header up to 64
// parts, a form up to 10,000 fields, a secret up to 1 KiB, a PEM up to 8 KiB. Up to 16 keys are tried, and up to 8 signatures
// of a public key. An RSA key has 2048 to 8192 bits. A certificate chain has up to 64 KiB and 8 certificates. The whole body is hashed: the caller limits it first. MD5 and SHA-1 are
// refused.
//
// The package reads no clock, no environment and no network. All of it is safe for concurrent use.
package signing
