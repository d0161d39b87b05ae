// Package oracles compares pkg/signing with other people's libraries: we verify what they sign, and they verify what we
// sign. It is a module of its own, so that the product's go.mod names none of them. Run it with
//
//	cd oracles && go test ./...
//
// The libraries read the clock and allow five minutes, so these tests sign with the present time.
package oracles
