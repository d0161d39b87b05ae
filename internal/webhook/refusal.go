package webhook

import (
	"errors"
	"net/http"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// refusal is the reason for which a delivery is refused, and the HTTP status of its answer.
type refusal struct {
	status int
	why    string
	code   string // one of deactivation.DeliveryCodes, where an alarm watches it
}

// Errors of verifying that are the deployment's fault.
var (
	errNoSecret = errors.New("no secret for this source") // answered like a source without a file
	errNoAccess = errors.New("the webhook secrets cannot be read")

	errNoCertificate = errors.New("the sender's certificate cannot be fetched")
)

// refusalFor is the one table from an error of verifying or mapping a delivery to its answer. An error that is not
// listed comes from pkg/signing.
func refusalFor(err error) *refusal {
	switch {
	case errors.Is(err, errNoSecret):
		r := unknownSource()
		r.code = deactivation.CodeUnverified // the source has a file, so its secret is missing
		return r
	case errors.Is(err, errNoAccess), errors.Is(err, source.ErrSecret), errors.Is(err, errNoCertificate):
		return unavailable()
	}
	return &refusal{http.StatusUnauthorized, err.Error(), deactivation.CodeUnverified} // also source.ErrNotRequired
}

func unknownSource() *refusal { return &refusal{http.StatusNotFound, "no such source", ""} }

// unavailable is 503: our fault or AWS's; the sender retries.
func unavailable() *refusal {
	return &refusal{http.StatusServiceUnavailable, "not now; please send it again", ""}
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "the body is larger than 700 KiB", deactivation.CodeTooLarge}
}
