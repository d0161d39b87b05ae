package expression

import (
	"errors"
	"regexp"
)

// form matches a body of the type application/x-www-form-urlencoded: names and values, percent-encoded.
var form = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._%+*\[\]-]*=[A-Za-z0-9._%+*=-]*(&[A-Za-z0-9._%+*\[\]-]+=[A-Za-z0-9._%+*=-]*)*$`)

// notJSON returns the error for a body that is no JSON text. It names a form, which a sender's default may be: no file
// of a sender can read one.
func notJSON(body []byte) error {
	if form.Match(body) {
		return errors.New("it is not JSON but a form (application/x-www-form-urlencoded), which is not supported; set the sender to JSON")
	}
	return errors.New("it is not JSON")
}
