package signing

import (
	"errors"
	"slices"
	"strings"
)

// checkWords checks the enumerated fields, and the key's prefix.
func (s *Scheme) checkWords() error {
	return errors.Join(s.checkMAC(), s.checkEncoding(), s.checkKey())
}

func (s *Scheme) checkMAC() error {
	switch {
	case isBroken(s.spec.MAC):
		return bad("mac", "%q is broken and is not supported: the sender must sign with one of %s", s.spec.MAC, strings.Join(MACs(), ", "))
	case !slices.Contains(MACs(), s.spec.MAC):
		return bad("mac", "%q is not one of %s", s.spec.MAC, strings.Join(MACs(), ", "))
	case s.spec.MAC == macSHA256 && !s.holds(pieceSecret):
		return bad("mac", "sha256 needs {secret} in signed: without it anybody can make the signature")
	case s.spec.MAC != macSHA256 && s.holds(pieceSecret):
		return bad("mac", "%q does not go with {secret} in signed: the secret is its key", s.spec.MAC)
	}
	return nil
}

// isBroken reports whether mac names MD5 or SHA-1, for which collisions are known.
func isBroken(mac string) bool {
	plain := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(mac))
	return strings.Contains(plain, "md5") || strings.HasSuffix(plain, "sha1")
}

func (s *Scheme) checkEncoding() error {
	if s.spec.MAC == macNone {
		if s.spec.Encoding != "" && s.spec.Encoding != encodingBase64 {
			return bad("encoding", "%q: a secret is base64 or as it is", s.spec.Encoding)
		}
		return nil
	}
	if slices.Contains(MACs(), s.spec.MAC) && s.spec.Encoding != encodingHex && s.spec.Encoding != encodingBase64 {
		return bad("encoding", "%q is neither hex nor base64", s.spec.Encoding)
	}
	return nil
}

func (s *Scheme) checkKey() error {
	var problems []error
	switch {
	case !slices.Contains(Keys(), s.spec.Key):
		problems = append(problems, bad("key", "%q is not one of %s", s.spec.Key, strings.Join(Keys(), ", ")))
	case s.spec.MAC == macRSA && s.spec.Key != keyPEM:
		problems = append(problems, bad("key", "%q: a public key of rsa-sha256 is pem", s.spec.Key))
	case s.spec.MAC == macEd25519 && s.spec.Key == keyText:
		problems = append(problems, bad("key", "%q: a public key of ed25519 is base64, hex or pem", s.spec.Key))
	case s.spec.Key == keyPEM && !s.PublicKey():
		problems = append(problems, bad("key", "pem is a public key, which mac %q does not use", s.spec.MAC))
	}
	if s.spec.KeyPrefix != "" && s.spec.Key != keyBase64 {
		problems = append(problems, bad("key_prefix", "goes with a base64 key; a key of another form is used whole"))
	}
	return errors.Join(problems...)
}

// PublicKey reports whether the scheme verifies with a public key: the sender's key is then no secret.
func (s *Scheme) PublicKey() bool { return s.spec.MAC == macEd25519 || s.spec.MAC == macRSA }
