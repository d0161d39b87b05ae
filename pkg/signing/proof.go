package signing

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"hash"
)

// signedText is what is signed, in parts, so that the body is not copied. Where the scheme has {secret}, its part is the
// key's.
type signedText [][]byte

// proof is the value that only the holder of the key can send: the MAC of parts, or the secret itself.
func (s *Scheme) proof(key Key, parts signedText) []byte {
	var mac hash.Hash
	switch s.spec.MAC {
	case macNone:
		return key.bytes()
	case macSHA256:
		mac = sha256.New()
	case macHMACSHA3:
		mac = hmac.New(func() hash.Hash { return sha3.New256() }, key.bytes())
	default:
		mac = hmac.New(sha256.New, key.bytes())
	}
	for i, part := range parts {
		if i < len(s.signed) && s.signed[i].kind == pieceSecret {
			part = key.bytes()
		}
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// message is what a public key's signature is made of: the text itself (ed25519), or its SHA-256.
func (s *Scheme) message(parts signedText) []byte {
	if s.spec.MAC == macEd25519 {
		return bytes.Join(parts, nil)
	}
	digest := sha256.New()
	for _, part := range parts {
		digest.Write(part)
	}
	return digest.Sum(nil)
}

// isSignature reports whether signature is the public key's of a message.
func isSignature(public crypto.PublicKey, message, signature []byte) bool {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, message, signature) == nil
	}
	return false
}

// sign makes the signature of a private key.
func (s *Scheme) sign(private crypto.Signer, parts signedText) ([]byte, error) {
	hashed := crypto.SHA256
	if s.spec.MAC == macEd25519 {
		hashed = crypto.Hash(0)
	}
	return private.Sign(rand.Reader, s.message(parts), hashed)
}

// encode is the inverse of decode.
func (s *Scheme) encode(proof []byte) string {
	switch s.spec.Encoding {
	case encodingHex:
		return hex.EncodeToString(proof)
	case encodingBase64:
		return base64.StdEncoding.EncodeToString(proof)
	}
	return string(proof)
}

// decode reads a proof in its one canonical form. It refuses a text that does not encode to the same text again: Go's
// decoders accept upper-case hexadecimal, line breaks and stray bits.
func (s *Scheme) decode(text string) (proof []byte, canonical bool) {
	var err error
	switch s.spec.Encoding {
	case encodingHex:
		proof, err = hex.DecodeString(text)
	case encodingBase64:
		proof, err = base64.StdEncoding.DecodeString(text)
	default:
		proof = []byte(text)
	}
	if err != nil || s.encode(proof) != text || !s.hasSize(proof) {
		return nil, false
	}
	return proof, true
}

// hasSize reports whether a proof has a length that its algorithm can make.
func (s *Scheme) hasSize(proof []byte) bool {
	switch s.spec.MAC {
	case macNone:
		return true
	case macEd25519:
		return len(proof) == ed25519.SignatureSize
	case macRSA:
		return minRSABits/8 <= len(proof) && len(proof) <= maxRSABits/8
	}
	return len(proof) == sha256.Size
}
