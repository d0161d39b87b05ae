package signing

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
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

// IsPublicKey reports whether a text says of itself that it is a public key or the private key of a pair: PEM, the base64
// of a public key's PEM without its lines, whpk_ or whsk_. Such a text is never the secret of a MAC.
func IsPublicKey(text string) bool {
	return strings.Contains(text, pemBegin) || strings.HasPrefix(text, publicPrefix) || strings.HasPrefix(text, privatePrefix) || isBareKey(text)
}

// isBareKey reports whether a text is the base64 that stands within the PEM of a public key.
func isBareKey(text string) bool {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	_, err = x509.ParsePKIXPublicKey(der)
	return err == nil
}

// newPublicKey reads a public key. A private key is refused: whoever reads the secrets could sign with it.
func (s *Scheme) newPublicKey(text string) (Key, error) {
	parse := s.parseEd25519
	if s.spec.Key == keyPEM {
		parse = parsePEM
	}
	public, err := parse(text)
	if err == nil {
		err = s.checkPublic(public)
	}
	if err != nil {
		return Key{}, err
	}
	return Key{public: func() crypto.PublicKey { return public }}, nil
}

var errPrivateKey = errors.New("signing: key: a private key; store its public key alone, which verifies")

// decodePEM reads the one PEM block of a text.
func decodePEM(text string) (*pem.Block, error) {
	if len(text) > maxPEMBytes {
		return nil, fmt.Errorf("signing: key: longer than %d bytes", maxPEMBytes)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || !strings.HasPrefix(text, pemBegin) || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("signing: key: not one PEM block, -----BEGIN PUBLIC KEY-----")
	}
	return block, nil
}

// errNoPEMKey does not quote the parser's error, which may show parts of the key.
var errNoPEMKey = errors.New("signing: key: a PEM block whose content is no key")

// parsePEM reads a PEM block of a public key.
func parsePEM(text string) (public crypto.PublicKey, err error) {
	block, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	switch {
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		return nil, errors.New("signing: key: a certificate; store its public key: openssl x509 -pubkey -noout")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errPrivateKey
	default:
		return nil, errors.New("signing: key: a PEM block that is no public key; it begins with -----BEGIN PUBLIC KEY-----")
	}
	if err != nil {
		return nil, errNoPEMKey
	}
	return public, nil
}

// parseEd25519 reads the 32 bytes of a public key. A KeyPrefix is needed, since 32 bytes in base64 may just as well be the
// secret of a MAC.
func (s *Scheme) parseEd25519(text string) (crypto.PublicKey, error) {
	if err := checkSecret("key", text); err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, privatePrefix) {
		return nil, errPrivateKey
	}
	if rest, ok := strings.CutPrefix(text, s.spec.KeyPrefix); !ok {
		return nil, fmt.Errorf("signing: key: a public key without its prefix %s", s.spec.KeyPrefix)
	} else if s.spec.Key == keyBase64 {
		text = rest
	}
	bytes, err := s.decodeKey(text)
	switch {
	case err != nil:
		return nil, err
	case len(bytes) == ed25519.PrivateKeySize:
		return nil, errPrivateKey
	case len(bytes) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("signing: key: an ed25519 public key has %d bytes, not %d", ed25519.PublicKeySize, len(bytes))
	}
	return ed25519.PublicKey(bytes), nil
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
		if key.E < 3 || key.E%2 == 0 {
			return fmt.Errorf("signing: key: an RSA key with the exponent %d; it must be odd and at least 3", key.E)
		}
	}
	return nil
}
