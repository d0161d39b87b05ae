package expression

import (
	"errors"
	"regexp"
)

// form matches a body of the type application/x-www-form-urlencoded: names and values, percent-encoded.
var form = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._%+*\[\]-]*=[A-Za-z0-9._%+*=-]*(&[A-Za-z0-9._%+*\[\]-]+=[A-Za-z0-9._%+*=-]*)*$`)

// notJSON returns the error for a body that is no JSON text. It names a form, which a sender's default may be.
func notJSON(body []byte) error {
	if form.Match(body) {
		return errors.New("it is not JSON but a form (application/x-www-form-urlencoded), and the sender's file says JSON; set the sender to JSON, or write body: form")
	}
	return errors.New("it is not JSON")
}
