package signing

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
)

// NewSigningKey reads the key with which the sender signs: for a public-key scheme the private key, else what NewKey
// reads. Private keys are PEM (PKCS #8, or PKCS #1 for RSA), or ed25519's 64 bytes in hexadecimal or base64 (in base64
// after whsk_ also its seed of 32). The key verifies, too.
func (s *Scheme) NewSigningKey(text string) (Key, error) {
	if !s.PublicKey() {
		return s.NewKey(text)
	}
	parse := s.parsePrivateEd25519
	if s.spec.Key == keyPEM {
		parse = parsePrivatePEM
	}
	private, err := parse(text)
	if err != nil {
		return Key{}, err
	}
	public := private.Public()
	if err := s.checkPublic(public); err != nil {
		return Key{}, err
	}
	return Key{public: func() crypto.PublicKey { return public }, private: func() crypto.Signer { return private }}, nil
}

// VerifyingText returns the text of the public key of a private one, in the same form: what the receiver stores. It returns
// any other text, and one that cannot be read, as it is.
func (s *Scheme) VerifyingText(text string) string {
	if !s.PublicKey() {
		return text
	}
	key, err := s.NewSigningKey(text)
	if err != nil {
		return text
	}
	switch public := key.public().(type) {
	case ed25519.PublicKey:
		switch s.spec.Key {
		case keyHex:
			return hex.EncodeToString(public)
		case keyBase64:
			return s.spec.KeyPrefix + base64.StdEncoding.EncodeToString(public)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(key.public())
	if err != nil {
		return text
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

var errNoPrivateKey = errors.New("signing: key: a public key only verifies; the sender's private key signs")

func parsePrivatePEM(text string) (crypto.Signer, error) {
	block, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	var parsed any
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, errNoPrivateKey
	}
	signer, ok := parsed.(crypto.Signer)
	if err != nil || !ok {
		return nil, errNoPEMKey
	}
	return signer, nil
}

func (s *Scheme) parsePrivateEd25519(text string) (crypto.Signer, error) {
	if err := checkSecret("key", text); err != nil {
		return nil, err
	}
	rest, marked := strings.CutPrefix(text, privatePrefix)
	bytes, err := s.decodeKey(rest)
	switch {
	case err != nil:
		return nil, errNoPrivateKey
	case len(bytes) == ed25519.SeedSize && marked:
		return ed25519.NewKeyFromSeed(bytes), nil
	case len(bytes) != ed25519.PrivateKeySize:
		return nil, errNoPrivateKey
	}
	key := ed25519.NewKeyFromSeed(bytes[:ed25519.SeedSize])
	if !key.Equal(ed25519.PrivateKey(bytes)) {
		return nil, errors.New("signing: key: an ed25519 private key whose public half is another one's")
	}
	return key, nil
}
