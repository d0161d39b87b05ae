package source

import (
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// stillPaid is what the lines name that were not refunded: a customer who paid for another line with the same license
// on the same device keeps it. Names are compared without regard to case, since people write them: keeping a license
// without need does less harm than deactivating it wrongly.
type stillPaid struct {
	licenses   map[string]*paidDevices // by the license's identity
	products   map[string]bool         // of these lines, in lower case
	unreadable error                   // why a line's license is unknown
}

// paidDevices are the devices on which a license is paid for.
type paidDevices struct {
	every bool       // a line names the license and no device
	lists [][]string // of each line
	set   map[string]bool
}

// addLine adds a line, with what it inherits from the order.
func (p *stillPaid) addLine(own []licenseFields, order *place) {
	for _, l := range own {
		if err := l.problem(); err != nil {
			p.unreadable = err
			return
		}
	}
	for _, l := range order.readOn(own) {
		if err := l.problems[identityGroup]; err != nil {
			p.unreadable = err
			return
		}
		if l.product != "" {
			if p.products == nil {
				p.products = map[string]bool{}
			}
			p.products[strings.ToLower(l.product)] = true
		}
		devices := l.hardwareIDs
		if l.problems[deviceGroup] != nil {
			devices = nil
		}
		for _, key := range l.licenseKeys {
			p.addLicense(deactivation.License{LicenseKey: key}, devices)
		}
		if l.username != "" {
			p.addLicense(deactivation.License{Username: l.username}, devices)
		}
	}
}

func (p *stillPaid) addLicense(l deactivation.License, devices []string) {
	if p.licenses == nil {
		p.licenses = map[string]*paidDevices{}
	}
	paid := p.licenses[identityOf(l)]
	if paid == nil {
		paid = &paidDevices{}
		p.licenses[identityOf(l)] = paid
	}
	switch n := len(paid.lists); {
	case len(devices) == 0:
		paid.every = true
	case n == 0 || !slices.Equal(paid.lists[n-1], devices): // a thousand lines may have the order's devices
		paid.lists = append(paid.lists, devices)
	}
}

// has reports whether a line that was not refunded names the license on its device.
func (p stillPaid) has(l deactivation.License) bool {
	if len(p.licenses) == 0 {
		return false
	}
	paid := p.licenses[identityOf(l)]
	if paid == nil || paid.every {
		return paid != nil
	}
	if paid.set == nil {
		paid.set = map[string]bool{}
		for _, list := range paid.lists {
			for _, device := range list {
				paid.set[strings.ToLower(device)] = true
			}
		}
	}
	return paid.set[strings.ToLower(l.HardwareID)]
}

// names reports whether a line that was not refunded names the license, on any device.
func (p stillPaid) names(l deactivation.License) bool {
	return l.Identity() != "" && p.licenses[identityOf(l)] != nil
}

// hasProduct reports whether a line that was not refunded has the product: then it is not certain which of the order's
// licenses of that product are still paid for.
func (p stillPaid) hasProduct(product string) bool { return p.products[strings.ToLower(product)] }

func identityOf(l deactivation.License) string { return strings.ToLower(l.Identity()) }
