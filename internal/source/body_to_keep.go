package source

import (
	"license-deactivator/internal/expression"
	"license-deactivator/pkg/signing"
)

// bodyToKeep is a body without the credentials that one can hold: a Salesforce session, and the fields of a form that
// hold a signature or a secret. The kept and the hashed body are this one: a parked event has the same id when it is
// mapped again, and a notification the same under another session or signature.
func (s *Source) bodyToKeep(body []byte) []byte {
	switch s.event.format {
	case formatXML:
		return expression.WithoutSession(body)
	case formatForm:
		for _, scheme := range s.verification.schemes {
			if names := scheme.SignatureFields(); len(names) > 0 {
				body = signing.WithoutValues(body, names)
			}
		}
	}
	return body
}
