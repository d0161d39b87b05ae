package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// proof is the value that only the holder of the key can send: the MAC of parts, or the secret itself.
func (s *Scheme) proof(key Key, parts [][]byte) []byte {
	if s.spec.MAC == macNone {
		return key.bytes()
	}
	mac := hmac.New(sha256.New, key.bytes())
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
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
	if err != nil || s.encode(proof) != text || s.spec.MAC == macHMAC && len(proof) != sha256.Size {
		return nil, false
	}
	return proof, true
}
