package source

import (
	"cmp"
	"slices"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// need is one request that an event needs. Without look-up it is a license on a device, and nothing else is set.
type need struct {
	foundLicense
	lookup   deactivation.Lookup
	scope    string
	products []deactivation.Product
	disable  bool
}

// namedNeeds returns the needs of an event that is not looked up: all that it names, each complete.
func namedNeeds(found foundLicenses) ([]need, *unmappable) {
	if found.products != nil {
		return nil, found.products
	}
	if len(found.missing) > 0 {
		return nil, &unmappable{missing: found.missing}
	}
	needs := make([]need, len(found.licenses))
	for i, license := range found.licenses {
		needs[i].foundLicense = license
	}
	return needs, nil
}

// lookedUp decides what an event needs whose rule has a cause, with the look-up on. Look-up replaces missing license data
// alone and takes nothing away: a license with its device is deactivated as without it.
type lookedUp struct {
	rule    *rule
	by      deactivation.Lookup // what the file finds in the event
	found   foundLicenses
	missing []string        // of a license that cannot be looked up
	whole   map[string]bool // licenses, by identity, for which a need concerns all their devices
	needs   []need

	wholeOrder bool // a need is for all licenses of the order
}

// needsOf returns the needs. It returns none, without a problem, if no line was refunded in full.
func (u *lookedUp) needsOf() ([]need, *unmappable) {
	u.whole = map[string]bool{}
	for _, license := range u.found.licenses {
		switch missing := license.Missing(); {
		case len(missing) == 0:
			u.addDevice(license)
		case license.Identity() == "" && u.findsOrder() && (license.HardwareID == "" || u.rule.disables()):
			u.addOrder()
		case u.isKnown(license):
			u.addLicense(license)
		default:
			u.missing = appendNew(u.missing, missing)
		}
	}
	if len(u.missing) > 0 {
		return nil, cmp.Or(u.found.products, &unmappable{missing: u.missing})
	}
	if problem := u.addUnnamed(); problem != nil {
		return nil, problem
	}
	if len(u.needs) > maxRequests {
		return nil, errTooMany()
	}
	return u.needs, nil
}

func (u *lookedUp) add(n need) { u.needs = append(u.needs, n) }

// addOrder adds the licenses of an order that names none, once for all the devices that it may name.
func (u *lookedUp) addOrder() {
	if !u.wholeOrder {
		u.wholeOrder = true
		u.add(need{scope: u.scope(), lookup: u.by, disable: u.rule.disables()})
	}
}

// addDevice adds a license on its device. The look-up confirms it, if a buyer can write it, and disables the license with
// all its devices, once, unless another line still pays for the license.
func (u *lookedUp) addDevice(license foundLicense) {
	n := need{foundLicense: license}
	id := identityOf(license.License)
	if u.rule.disables() && !u.whole[id] && !u.found.paid.names(license.License) {
		n.disable, u.whole[id] = true, true
	}
	if n.disable || n.buyer {
		n.scope = u.scope()
		n.lookup, n.products = u.besideLicense(license)
	}
	u.add(n)
}

// addLicense adds a license on all its devices, once.
func (u *lookedUp) addLicense(license foundLicense) {
	id := identityOf(license.License)
	license.HardwareID = ""
	if u.whole[id] {
		i := slices.IndexFunc(u.needs, func(n need) bool { return identityOf(n.License) == id })
		u.needs[i].buyer = u.needs[i].buyer && license.buyer
		return
	}
	u.whole[id] = true
	n := need{foundLicense: license, scope: u.scope(), disable: u.rule.disables()}
	n.lookup, n.products = u.besideLicense(license)
	u.add(n)
}

// isKnown reports whether a license without its device or product can be looked up: by its key, or, for a user's, by the
// order. A device without a product is given up only if all devices of the license are meant. A license that another line
// still pays for is left to a person.
func (u *lookedUp) isKnown(license foundLicense) bool {
	byOrder, _ := u.besideLicense(license)
	return license.Identity() != "" && (managementapi.ByLicenseKey(license.LicenseKey).Check() == nil || canFind(byOrder)) &&
		(license.HardwareID == "" || u.rule.disables()) && !u.found.paid.names(license.License)
}

// scope is the part of the order that the rule concerns.
func (u *lookedUp) scope() string {
	if u.rule.refunded {
		return deactivation.ScopeItems
	}
	return deactivation.ScopeOrder
}

// findsOrder reports whether the licenses of an order may be looked up that the event does not name. Not those of an
// order that was never paid: it needs license data of its own.
func (u *lookedUp) findsOrder() bool {
	return canFind(u.by) && u.rule.cause != deactivation.CauseOrderCancelled
}

// besideLicense returns what may find a license that the event names, beside its key, and what was refunded of its
// product. By the order's ids the look-up may find other licenses of the order. So they are left out where those are not
// meant: nobody gave money back for them, or another line still pays for the product.
func (u *lookedUp) besideLicense(license foundLicense) (deactivation.Lookup, []deactivation.Product) {
	by := u.by
	if u.rule.cause == deactivation.CauseManual || u.rule.cause == deactivation.CauseOrderCancelled {
		by.Order, by.Subscription = nil, deactivation.Candidate{}
		return by, nil
	}
	if !u.rule.refunded {
		return by, nil
	}
	by.Subscription = deactivation.Candidate{}
	count := u.found.items.counts[license.Product]
	if count == 0 || u.found.paid.hasProduct(license.Product) {
		by.Order = nil
		return by, nil
	}
	return by, []deactivation.Product{{Product: license.Product, Count: count}}
}

// addUnnamed adds one need for all lines that name no license. Nothing is certain if another line still pays for the same
// product.
func (u *lookedUp) addUnnamed() *unmappable {
	items, paid := u.found.items, u.found.paid
	if !u.found.unnamed || !u.findsOrder() || u.rule.cause == deactivation.CauseManual || items.devices && !u.rule.disables() {
		return nil
	}
	n := need{scope: u.scope(), lookup: u.by, disable: u.rule.disables()}
	if len(u.needs) > 0 {
		n.lookup.None = deactivation.NoneIgnore // the order has licenses, so the other lines may be other goods
	}
	if !u.rule.refunded {
		u.add(n)
		return nil
	}
	n.lookup.Subscription = deactivation.Candidate{}
	if !canFind(n.lookup) {
		return nil
	}
	if paid.unreadable != nil {
		return &unmappable{review: true, problem: "a line that is still paid for cannot be read: " + paid.unreadable.Error()}
	}
	for _, product := range items.unnamed {
		if paid.hasProduct(product) {
			return &unmappable{review: true, problem: "a line that is still paid for has the same product as one that was refunded"}
		}
		n.products = append(n.products, deactivation.Product{Product: product, Count: items.counts[product]})
	}
	uncertain := items.unknown || slices.ContainsFunc(n.products, func(p deactivation.Product) bool { return p.Count == 0 })
	if uncertain || len(n.products) > maxRefundedProducts {
		n.products = nil // then the worker finds out whether the order has licenses, and asks a person
	}
	u.add(n)
	return nil
}

// maxRefundedProducts bounds the products of one request, as internal/deactivation does.
const maxRefundedProducts = 20
