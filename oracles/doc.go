// Package oracles holds other people's libraries against pkg/signing: what they sign we verify, and what we sign they
// verify. It is a module of its own, so that the product's go.mod names none of them. Run it with
//
//	cd oracles && go test ./...
//
// The libraries read the clock and allow five minutes, so these tests sign for now.
package oracles
