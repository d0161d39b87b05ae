package webhook

import (
	"slices"

	"license-deactivator/internal/deactivation"
)

// paidFor is what lines name that were not refunded: a customer who paid for another line with the same license on the
// same device keeps it. By the license's identity, the devices of each line that names it; nil: every device.
type paidFor map[string][]deviceSet

type deviceSet map[string]bool

func newDeviceSet(devices []string) deviceSet {
	if len(devices) == 0 {
		return nil
	}
	set := make(deviceSet, len(devices))
	for _, device := range devices {
		set[device] = true
	}
	return set
}

// add takes down a line. One without a device of its own has the order's.
func (p paidFor) add(line found, orders func() deviceSet) {
	devices := newDeviceSet(line.hardwareIDs)
	if devices == nil {
		devices = orders()
	}
	name := func(l deactivation.License) { p[l.Identity()] = append(p[l.Identity()], devices) }
	for _, key := range line.licenseKeys {
		name(deactivation.License{LicenseKey: key})
	}
	if line.username != "" {
		name(deactivation.License{Username: line.username})
	}
}

func (p paidFor) holds(l deactivation.License) bool {
	return len(p) > 0 && slices.ContainsFunc(p[l.Identity()], func(devices deviceSet) bool { return devices == nil || devices[l.HardwareID] })
}
