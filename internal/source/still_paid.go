package source

import (
	"slices"

	"license-deactivator/internal/deactivation"
)

// stillPaid is what lines name that were not refunded: a customer who paid for another line with the same license on
// the same device keeps it. It holds, by the license's identity, the devices of each line that names it; nil means
// every device.
type stillPaid map[string][]deviceSet

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

// add adds a line. A line without a device of its own has the order's.
func (p stillPaid) add(line licenseFields, ofOrder func() deviceSet) {
	devices := newDeviceSet(line.hardwareIDs)
	if devices == nil {
		devices = ofOrder()
	}
	for _, key := range line.licenseKeys {
		p.addLicense(deactivation.License{LicenseKey: key}, devices)
	}
	if line.username != "" {
		p.addLicense(deactivation.License{Username: line.username}, devices)
	}
}

func (p stillPaid) addLicense(l deactivation.License, devices deviceSet) {
	p[l.Identity()] = append(p[l.Identity()], devices)
}

// has reports whether a line that was not refunded names the license on its device.
func (p stillPaid) has(l deactivation.License) bool {
	return len(p) > 0 && slices.ContainsFunc(p[l.Identity()], func(devices deviceSet) bool { return devices == nil || devices[l.HardwareID] })
}
