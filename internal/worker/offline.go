package worker

import (
	"errors"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/signing"
)

// maxFileRefusals is the receive from which a request file that the API refuses is given up. The receives before it take
// seven minutes with production's back-off: a secret that was changed meanwhile has been read again by then.
const maxFileRefusals = 5

// readFile returns what a request file names, for the log, for the group of its license and for nothing else: the call
// posts the file. The result is the one of a message whose file cannot be read; nil where it can.
func readFile(text string) (deactivation.License, *result) {
	file, err := signing.ReadRequestFile(text)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), signing.ErrRequestFile.Error()+": ")
		return deactivation.License{}, &result{
			outcome: deactivation.Rejected, reason: deactivation.ReasonRejected, code: deactivation.CodeInvalidField,
			detail: deactivation.CleanText("request_file: " + why),
		}
	}
	return deactivation.License{Product: file.Product, LicenseKey: file.LicenseKey, Username: file.Username, HardwareID: file.HardwareID}, nil
}

// accepted is the API's last answer that shows that our own authorization is right.
type accepted struct {
	mu      sync.Mutex
	version string // of the secret that signed the call
	at      time.Time
}

// note records an answer about a license, and ignores every other one.
func (a *accepted) note(resp response) {
	_, answered := errors.AsType[*licenseapi.Error](resp.err)
	switch resp.kind {
	case licenseapi.KindDeactivated:
	case licenseapi.KindAlreadyInactive, licenseapi.KindRejected:
		if !answered { // the request was never sent
			return
		}
	default:
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version, a.at = resp.version, time.Now()
}

// within reports whether the API accepted that version of the secret in the time before now.
func (a *accepted) within(d time.Duration, version string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.at.IsZero() && a.version == version && time.Since(a.at) < d
}

// fileRefused decides a message whose signature, key or date the API refuses: the file's, or the header's. A file must not
// stop the calls for all others, and a wrong secret must not empty the queue into the dead-letter queue. So the message is
// deferred alone, and rejected from the fifth receive on if the API has accepted other calls with the same secret within the
// cap of the back-off; if it has not, that is a configuration fault.
func (b *batch) fileRefused(m *message, resp response, r result) result {
	switch {
	case m.receives < maxFileRefusals:
		r.retryIn = b.h.cfg.Backoff.after(resp.err, m.receives)
	case b.h.accepted.within(b.h.cfg.Backoff.Cap, resp.version):
		r.outcome, r.reason = deactivation.Rejected, deactivation.ReasonRejected
	default:
		r.retryIn = b.h.cfg.Backoff.Cap
		b.setFault(fault{what: fileOrSecretRefused, evidence: errors.Join(resp.err, resp.refreshErr), code: r.code})
	}
	return r
}
