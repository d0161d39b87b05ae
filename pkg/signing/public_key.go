package signing

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Limits of public keys. A PEM of 8192 bits has 1.4 KB, its private key 6.4 KB.
const (
	maxPEMBytes = 8 << 10
	minRSABits  = 2048
	maxRSABits  = 8192
)

// pemBegin starts every PEM text.
const pemBegin = "-----BEGIN "

// privatePrefix and publicPrefix start the two keys of a pair in the form of Standard Webhooks.
const (
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// IsPublicKey reports whether a text says of itself that it is a public key or the private key of a pair: PEM, whpk_ or
// whsk_. Such a text is never the secret of a MAC.
func IsPublicKey(text string) bool {
	return strings.HasPrefix(text, pemBegin) || strings.HasPrefix(text, publicPrefix) || strings.HasPrefix(text, privatePrefix)
}

// newPublicKey reads a public key, or a private key with its public half.
func (s *Scheme) newPublicKey(text string) (Key, error) {
	var parsed any
	var err error
	if s.spec.Key == keyPEM {
		parsed, err = parsePEM(text)
	} else {
		parsed, err = s.parseEd25519(text)
	}
	if err != nil {
		return Key{}, err
	}
	key := Key{public: func() crypto.PublicKey { return parsed }}
	if signer, ok := parsed.(crypto.Signer); ok {
		public := signer.Public()
		key = Key{public: func() crypto.PublicKey { return public }, private: func() crypto.Signer { return signer }}
	}
	if err := s.checkPublic(key.public()); err != nil {
		return Key{}, err
	}
	return key, nil
}

// parsePEM reads a PEM block of a public or private key.
func parsePEM(text string) (any, error) {
	if len(text) > maxPEMBytes {
		return nil, fmt.Errorf("signing: key: longer than %d bytes", maxPEMBytes)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || !strings.HasPrefix(text, pemBegin) || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("signing: key: not one PEM block, -----BEGIN PUBLIC KEY-----")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "CERTIFICATE":
		return nil, errors.New("signing: key: a certificate; store its public key: openssl x509 -pubkey -noout")
	default:
		return nil, errors.New("signing: key: a PEM block that is no public key; it begins with -----BEGIN PUBLIC KEY-----")
	}
	if err != nil { // err may show parts of the key
		return nil, errors.New("signing: key: a PEM block whose content is no key")
	}
	return parsed, nil
}

// parseEd25519 reads the 32 bytes of a public key, or a private key: its 64 bytes, or 32 after whsk_. A KeyPrefix is
// needed, since 32 bytes in base64 may just as well be the secret of a MAC.
func (s *Scheme) parseEd25519(text string) (any, error) {
	if err := checkSecret("key", text); err != nil {
		return nil, err
	}
	if s.spec.Key == keyHex {
		bytes, err := hex.DecodeString(text)
		if err != nil {
			return nil, errors.New("signing: key: not hexadecimal")
		}
		return ed25519Of(bytes, false)
	}
	text, private := strings.CutPrefix(text, privatePrefix)
	if !private {
		rest, ok := strings.CutPrefix(text, s.spec.KeyPrefix)
		if !ok {
			return nil, fmt.Errorf("signing: key: a public key without its prefix %s", s.spec.KeyPrefix)
		}
		text = rest
	}
	bytes, err := decodeKeyText(text)
	if err != nil {
		return nil, err
	}
	return ed25519Of(bytes, private)
}

func ed25519Of(bytes []byte, private bool) (any, error) {
	switch {
	case len(bytes) == ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(bytes[:ed25519.SeedSize])
		if !key.Equal(ed25519.PrivateKey(bytes)) {
			return nil, errors.New("signing: key: an ed25519 private key whose public half is another one's")
		}
		return key, nil
	case len(bytes) == ed25519.SeedSize && private:
		return ed25519.NewKeyFromSeed(bytes), nil
	case len(bytes) == ed25519.PublicKeySize && !private:
		return ed25519.PublicKey(bytes), nil
	}
	return nil, fmt.Errorf("signing: key: an ed25519 public key has %d bytes, not %d", ed25519.PublicKeySize, len(bytes))
}

// fits reports whether a public key is of the scheme's kind.
func (s *Scheme) fits(public crypto.PublicKey) bool {
	switch public.(type) {
	case ed25519.PublicKey:
		return s.spec.MAC == macEd25519
	case *rsa.PublicKey:
		return s.spec.MAC == macRSA
	}
	return false
}

// checkPublic refuses a key of another kind, and keys with which somebody else could sign.
func (s *Scheme) checkPublic(public crypto.PublicKey) error {
	if !s.fits(public) {
		return fmt.Errorf("signing: key: of another algorithm than %s", s.spec.MAC)
	}
	switch key := public.(type) {
	case ed25519.PublicKey:
		if hasSmallOrder(key) {
			return errors.New("signing: key: an ed25519 public key of small order, such as all zeros: anybody could sign for it")
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("signing: key: an RSA key of %d bits; it must have %d to %d", bits, minRSABits, maxRSABits)
		}
	}
	return nil
}
