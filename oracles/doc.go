// Package oracles compares pkg/signing with other people's libraries: we verify what they sign, and they verify what we
// sign. It is a module of its own, so that the product's go.mod names none of them. Run it with
//
//	cd oracles && go test ./...
//
// Public keys and SHA-3 are judged by Node's crypto and by OpenSSL, 2Checkout's canonical form by a second implementation
// in testdata, which Node runs, PayPal's certificates and signature by OpenSSL. A test without node (20 or newer) or openssl (3) fails and says how to install it.
//
// The libraries read the clock and allow five minutes, so these tests sign with the present time.
package oracles
