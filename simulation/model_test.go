package simulation

import "license-deactivator/internal/deactivation"

// expectation is the one result that a request may have, with any fault.
type expectation int

const (
	// inactive: the device is inactive at the License API, and the outcome is deactivated or already_inactive; the
	// latter if an earlier attempt deactivated it and its answer was lost.
	inactive expectation = iota

	// nothingToDo: the device was not active before; the outcome is already_inactive.
	nothingToDo

	// rejected: the request is in the dead-letter queue, reason rejected, with the expected code.
	rejected
)

// request is one deactivation that a sender requests. Several may name the same device.
type request struct {
	expectation expectation
	code        string // of a rejection
	licenses    []int  // indexes of scenario.licenses that must lose the device: one, or those of a bundle
	action      string // "" is deactivate_license
	license     deactivation.License
	lookUp      *lookUp // nil: the request names its license and device
}
