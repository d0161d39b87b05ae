package source

import (
	"time"

	"go.yaml.in/yaml/v3"

	"license-deactivator/pkg/signing"
)

// readVerification reads `verify`: one scheme or a list of them.
func readVerification(to *verification) reader {
	return func(node *yaml.Node) error {
		return each(node, func(item *yaml.Node) error {
			s := &scheme{line: item.Line}
			var unit string
			readers := specReaders(&s.spec, &unit)
			readers["ping"] = withLine(&to.pingLine, readPattern(&to.ping))
			readers["require"] = withLine(&to.requireLine, readCondition(&to.require))
			if err := keys(item, "verify", readers); err != nil {
				return err
			}
			s.spec.Unit = time.Second
			if unit == "ms" {
				s.spec.Unit = time.Millisecond
			}
			compiled, err := signing.NewScheme(s.spec)
			if err != nil {
				return errorAt(item, "%s", err)
			}
			s.Scheme = compiled
			to.schemes = append(to.schemes, s)
			return nil
		})
	}
}

// specReaders are the readers of a scheme's own keys. mac is any text: pkg/signing says why it refuses a word.
func specReaders(spec *signing.Spec, unit *string) map[string]reader {
	return map[string]reader{
		"scheme": oneOf(&spec.Scheme, "paypal"), "header": texts(&spec.Header), "query": text(&spec.Query), "field": texts(&spec.Field), "form": text(&spec.Form),
		"separator": text(&spec.Separator), "timestamp": text(&spec.Timestamp), "unit": oneOf(unit, "s", "ms"),
		"signed": text(&spec.Signed), "canonical": text(&spec.Canonical), "skip": texts(&spec.Skip), "covers": texts(&spec.Covers),
		"mac": text(&spec.MAC), "encoding": oneOf(&spec.Encoding, "hex", "base64"), "key": text(&spec.Key),
		"key_prefix": text(&spec.KeyPrefix), "tolerance": duration(&spec.Tolerance),
	}
}

// schemeProblem returns the problem of a scheme in this file: a public key or a webhook id that could be taken for a secret.
func (v *verification) schemeProblem(s *scheme) string {
	if s.Certified() && len(v.schemes) > 1 {
		return "scheme: paypal stands alone in a file: a webhook id is no secret, and with another scheme anybody who knows it could sign"
	}
	if v.mixed && s.PublicKey() && s.spec.Key != "pem" && s.spec.KeyPrefix != "whpk_" {
		return "a public key next to a scheme with a secret needs key: pem or key_prefix: whpk_; without a mark it could be stored and used as a secret, with which anybody could sign"
	}
	return ""
}
