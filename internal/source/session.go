package source

import "license-deactivator/internal/expression"

// bodyToKeep is a body without the credential that one can hold, a Salesforce session. The kept and the hashed body are
// this one: a parked event has the same id when it is mapped again, and a notification the same under another session.
func (e eventFields) bodyToKeep(body []byte) []byte {
	if e.format != formatXML {
		return body
	}
	return expression.WithoutSession(body)
}
