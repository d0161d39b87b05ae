package webhook

import (
	"errors"
	"net/http"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// refusal is why a delivery goes no further, and the HTTP status of its answer.
type refusal struct {
	status int
	why    string
	code   string // one of deactivation.DeliveryCodes, where an alarm watches for it
}

// Errors of verifying that are the deployment's.
var (
	errNoSecret = errors.New("no secret for this source") // as unknown as a source without a file
	errNoAccess = errors.New("the webhook secrets cannot be read")
)

// refusalFor is the one table from an error of verifying or mapping a delivery to its answer. Whatever is not listed is
// a verdict of pkg/signing.
func refusalFor(err error) *refusal {
	switch {
	case errors.Is(err, errNoSecret):
		r := unknownSource()
		r.code = deactivation.CodeUnverified // the source has a file, so a secret was forgotten
		return r
	case errors.Is(err, errNoAccess), errors.Is(err, source.ErrSecret):
		return unavailable()
	case errors.Is(err, source.ErrUnreadable):
		return &refusal{http.StatusBadRequest, err.Error(), deactivation.CodeUnreadable}
	}
	return &refusal{http.StatusUnauthorized, err.Error(), deactivation.CodeUnverified} // source.ErrNotRequired among them
}

func unknownSource() *refusal { return &refusal{http.StatusNotFound, "no such source", ""} }

// unavailable is 503: our fault or AWS's; the sender tries again.
func unavailable() *refusal {
	return &refusal{http.StatusServiceUnavailable, "not now; please send it again", ""}
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "the body is larger than 256 KiB", deactivation.CodeTooLarge}
}
