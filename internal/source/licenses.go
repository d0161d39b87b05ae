package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"license-deactivator/internal/deactivation"
)

// maxExamined bounds the licenses on devices that are examined for that, including repeats and those that are still
// paid for: two lists of some kilobytes, multiplied out, are a hundred million.
const maxExamined = 1000 * maxRequests

func errTooMany() *unmappable {
	return &unmappable{problem: fmt.Sprintf("it needs more than %d deactivations", maxRequests)}
}

// unmappable is the reason for which an event that matters became no request: missing fields, or another problem.
type unmappable struct {
	missing []string
	problem string
	review  bool // a person decides, also when a look-up could find a license
	ignored bool // it does not matter after all: lookup.when says so
}

// licenseSources is where a file says that license data may be: on the order and on its lines.
type licenseSources struct {
	order []fieldSource
	lines *lines // nil: none
}

// foundLicense is a license on a device that the event asks to deactivate.
type foundLicense struct {
	deactivation.License
	buyer bool // only places that a buyer can write name it
}

// foundLicenses is what an event says about the licenses that it deactivates.
type foundLicenses struct {
	licenses []foundLicense // one per device, in the order of the event's lines
	missing  []string       // what one of them lacks, by the License API's names
	products *unmappable    // they name no license, and no product that could be used
	paid     stillPaid

	// unnamed are lines that name no license, while others do or only refunded lines are asked for. They are none where
	// the order's license stands for them.
	unnamed bool
	items   refundedItems
}

// refundedItems counts the lines that the event deactivates.
type refundedItems struct {
	counts  map[string]int // by product; 0: not known how many
	unnamed []string       // products of the lines that name no license, each once
	unknown bool           // one of these lines says no product
	devices bool           // one of these lines says a device
}

// addLine counts a line. Licenses on one line count once for each product.
func (r *refundedItems) addLine(licenses []licenseFields, quantity int, named bool) {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	var products []string
	for _, l := range licenses {
		if l.product != "" {
			products = appendNew(products, []string{l.product})
		}
	}
	for _, product := range products {
		if before, known := r.counts[product]; quantity == 0 || known && before == 0 {
			r.counts[product] = 0
		} else {
			r.counts[product] += quantity
		}
	}
	if named {
		return
	}
	r.unnamed = appendNew(r.unnamed, products)
	r.unknown = r.unknown || len(products) == 0
	r.devices = r.devices || slices.ContainsFunc(licenses, func(l licenseFields) bool { return l.has(deviceGroup) })
}

// find returns every license that the event deactivates. With refunded, it returns only those on a line refunded in full;
// none, without a problem, when no line is.
func (s licenseSources) find(f facts, refunded bool) (foundLicenses, *unmappable) {
	found := foundLicenses{}
	all := readFields(s.order, f)
	if s.lines != nil {
		var err error
		if all, err = s.byLine(f, all, refunded, &found); err != nil {
			return foundLicenses{}, &unmappable{problem: err.Error()}
		}
	}
	if refunded && len(all) == 0 {
		return found, nil
	}
	if found.paid.unreadable != nil {
		return foundLicenses{}, &unmappable{review: true, problem: "a line that is still paid for cannot be read: " + found.paid.unreadable.Error()}
	}
	for i, one := range all {
		err := one.problem()
		if err == nil {
			continue
		}
		product := one.productProblem()
		if product == nil || one.problems[identityGroup] != nil || one.problems[deviceGroup] != nil {
			return foundLicenses{}, &unmappable{problem: err.Error()}
		}
		all[i].problems[productGroup] = nil
		if one.identified() || all[i].problem() != nil {
			return foundLicenses{}, product
		}
		found.products = product // no license is named, so there is none whose product it could be
	}
	if problem := found.multiply(all, f.trace); problem != nil {
		return foundLicenses{}, cmp.Or(found.products, problem)
	}
	if len(found.missing) > 0 {
		return found, nil // the rest is checked if it is looked up
	}
	for _, license := range found.licenses {
		if err := license.Validate(); err != nil {
			return foundLicenses{}, &unmappable{problem: err.Error()}
		}
	}
	return found, nil
}

// productProblem is the problem of the license's product, nil for none.
func (l licenseFields) productProblem() *unmappable {
	err := l.problems[productGroup]
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errProducts):
		return &unmappable{problem: err.Error(), missing: []string{"product"}}
	}
	return &unmappable{problem: err.Error()}
}

// multiply adds every named license on every named device, each once, without those that are still paid for.
func (f *foundLicenses) multiply(all []licenseFields, t *trace) *unmappable {
	seen := map[target]int{} // index in licenses
	examined := 0
	for _, one := range all {
		f.licenses = slices.Grow(f.licenses, min(one.count(), maxRequests-len(f.licenses)))
		for license := range one.each() {
			if examined++; examined > maxExamined {
				return errTooMany()
			}
			if i, ok := seen[targetOf(license)]; ok {
				f.licenses[i].buyer = f.licenses[i].buyer && one.buyer
				continue
			}
			if f.paid.has(license) {
				continue
			}
			f.missing = appendNew(f.missing, license.Missing())
			if len(f.licenses) == maxRequests {
				return errTooMany()
			}
			t.addLicense(license, one.from)
			seen[targetOf(license)] = len(f.licenses)
			f.licenses = append(f.licenses, foundLicense{license, one.buyer})
		}
	}
	return nil
}

// byLine gives each line its own license and fills in its gaps from the order. Lines without their own license share
// the order's license, which counts only when the whole order is meant.
func (s licenseSources) byLine(f facts, order []licenseFields, refunded bool, found *foundLicenses) (all []licenseFields, err error) {
	parts, err := s.lines.of(f.Tree)
	if err != nil {
		return nil, err
	}
	shared, ofOrder := sharedLicense{order: order, used: len(parts) == 0}, newPlace(order)
	for i, part := range parts {
		line := f
		line.Tree, line.line = part, i+1
		if refunded {
			whole, err := s.lines.refunded.holds(line)
			if err != nil {
				return nil, err
			}
			if !whole {
				line.trace = nil // its license stays, so it is no part of the explanation
				found.paid.addLine(readFields(s.lines.license, line), ofOrder)
				continue
			}
		}
		own := readFields(s.lines.license, line)
		if named := own[0].has(identityGroup); named {
			licenses := ofOrder.readOn(own)
			all = append(all, licenses...)
			found.items.addLine(licenses, s.lines.quantityOf(part), true)
			continue
		}
		shared.addLine(own[0])
		found.items.addLine(own, s.lines.quantityOf(part), false)
	}
	found.unnamed = shared.used && !order[0].has(identityGroup) && (refunded && len(shared.lines) > 0 || len(all) > 0)
	if refunded {
		return all, nil
	}
	if shared.used && (order[0].has(identityGroup) || len(all) == 0) {
		all = append(all, shared.fields()...)
	}
	return all, nil
}

// sharedLicense is the order's license as the lines without their own license share it: with their product and their
// devices.
type sharedLicense struct {
	order []licenseFields
	used  bool            // a line without its own license, or no line at all
	lines []licenseFields // those lines
}

func (s *sharedLicense) addLine(own licenseFields) {
	s.used = true
	s.lines = append(s.lines, own)
}

// errProducts is wrapped by the problem of an order's license whose product is not known.
var errProducts = errors.New("name the product on the order, or the license on its line")

var (
	errSeveralProducts  = fmt.Errorf("the license stands on the order, whose lines have different products; %w", errProducts)
	errProductOfOneLine = fmt.Errorf("the license stands on the order, and not every line that shares it says a product; %w", errProducts)
)

// fields returns the licenses. The product comes from the lines if the order names none, and the devices if the lines
// name any. A line without its own device has the order's.
func (s *sharedLicense) fields() []licenseFields {
	product, devices, someWithoutDevice := s.product(), s.devices(), false
	for _, line := range s.lines {
		someWithoutDevice = someWithoutDevice || !line.has(deviceGroup)
	}
	out := make([]licenseFields, len(s.order))
	for i, l := range s.order {
		if devices.has(deviceGroup) {
			own := devices
			if someWithoutDevice {
				own = combined([]licenseFields{devices, l})
			}
			l = l.with(deviceGroup, own)
		}
		if devices.has(deviceGroup) && len(s.order) > 1 {
			l.problems[deviceGroup] = errLooseDevice
		}
		out[i] = l.withGap(productGroup, product)
	}
	return out
}

// devices are those of all lines together.
func (s *sharedLicense) devices() licenseFields {
	var named []licenseFields
	for _, line := range s.lines {
		if line.has(deviceGroup) {
			named = append(named, line)
		}
	}
	return licenseFields{}.with(deviceGroup, combined(named))
}

// product is the product that every line names. If only some lines name one, it may be that of another item.
func (s *sharedLicense) product() licenseFields {
	var named []licenseFields
	for _, line := range s.lines {
		if line.has(productGroup) {
			named = append(named, line)
		}
	}
	all := licenseFields{}.with(productGroup, combined(named))
	switch {
	case slices.ContainsFunc(named, func(l licenseFields) bool { return l.product != named[0].product }):
		all.problems[productGroup] = errSeveralProducts
	case len(named) > 0 && len(named) < len(s.lines):
		all.problems[productGroup] = errProductOfOneLine
	}
	return all
}

// describe says where a field is searched.
func (s licenseSources) describe(field string) []string {
	var all []string
	add := func(sources []fieldSource, of string) {
		for _, source := range sources {
			if source.field == "" || source.field == field {
				all = append(all, source.describe(field, nil)+of)
			}
		}
	}
	if s.lines != nil {
		add(s.lines.license, " of each line")
	}
	add(s.order, "")
	if field == "product" {
		all = append(all, "product_code or product_short_code in these places")
	}
	return all
}

// named returns every text that the event names as a license or a device, also those that no rule uses.
func (s licenseSources) named(f facts) map[string]bool {
	names := map[string]bool{}
	trees, sources := []facts{f}, s.order
	if s.lines != nil {
		parts, _ := s.lines.of(f.Tree)
		for _, part := range parts {
			trees = append(trees, facts{Tree: part})
		}
		sources = slices.Concat(sources, s.lines.license)
	}
	for _, tree := range trees {
		for _, source := range sources {
			for _, found := range readFields([]fieldSource{source}, tree) {
				for _, text := range slices.Concat(found.licenseKeys, found.hardwareIDs, []string{found.username}) {
					names[text] = true
				}
			}
		}
	}
	return names
}

// target is the fields that mapping can fill: they distinguish one license on one device from another.
type target struct{ key, user, id, product, bundle, device string }

func targetOf(l deactivation.License) target {
	return target{l.LicenseKey, l.Username, l.LicenseID.String(), l.Product, l.BundleCode, l.HardwareID}
}
