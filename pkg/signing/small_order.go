package signing

import (
	"crypto/ed25519"
	"slices"
)

// hasSmallOrder reports whether a public key is one of the points of order 1, 2, 4 or 8, in any of their encodings. For
// such a key anybody finds a signature of any message within a few tries, and crypto/ed25519 accepts it, as RFC 8032
// says. Nobody generates one; a placeholder of zeros is one.
func hasSmallOrder(key ed25519.PublicKey) bool {
	y := slices.Clone(key)
	y[len(y)-1] &= 0x7f // without the sign of x
	return slices.ContainsFunc(smallOrderPoints(), func(point [ed25519.PublicKeySize]byte) bool { return slices.Equal(y, point[:]) })
}

// smallOrderPoints lists the y coordinates, little-endian: 0, 1, the two of order 8, p-1, and 0 and 1 as p and p+1. The
// same list is in libsodium, ge25519_has_small_order.
func smallOrderPoints() [][ed25519.PublicKeySize]byte {
	last := func(first byte) (y [ed25519.PublicKeySize]byte) { // p = 2^255 - 19 ends in 0xed
		for i := range y {
			y[i] = 0xff
		}
		y[0], y[len(y)-1] = first, 0x7f
		return y
	}
	return [][ed25519.PublicKeySize]byte{
		{},
		{1},
		{
			0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
			0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
		},
		{
			0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
			0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
		},
		last(0xec), last(0xed), last(0xee),
	}
}
