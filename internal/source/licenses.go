package source

import (
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

// find returns every license that the event deactivates, one per device, in the order of the event's lines. With
// refunded, it returns only those on a line refunded in full; none, without a problem, when no line is.
func (s licenseSources) find(f facts, refunded bool) ([]foundLicense, *unmappable) {
	all, paid := readFields(s.order, f), stillPaid{}
	if s.lines != nil {
		var err error
		if all, paid, err = s.byLine(f, all, refunded); err != nil {
			return nil, &unmappable{problem: err.Error()}
		}
	}
	if refunded && len(all) == 0 {
		return nil, nil
	}
	if paid.unreadable != nil {
		return nil, &unmappable{review: true, problem: "a line that is still paid for cannot be read: " + paid.unreadable.Error()}
	}
	for _, one := range all {
		if err := one.problem(); err != nil {
			u := &unmappable{problem: err.Error()}
			if errors.Is(err, errProducts) {
				u.missing = []string{"product"}
			}
			return nil, u
		}
	}
	licenses, problem := multiplied(all, paid, f.trace)
	if problem != nil {
		return nil, problem
	}
	for _, license := range licenses {
		if err := license.Validate(); err != nil {
			return nil, &unmappable{problem: err.Error()}
		}
	}
	return licenses, nil
}

// multiplied returns every named license on every named device, each once, without those that are still paid for.
func multiplied(all []licenseFields, paid stillPaid, t *trace) ([]foundLicense, *unmappable) {
	var licenses []foundLicense
	var missing []string
	seen := map[target]int{} // index in licenses
	examined := 0
	for _, one := range all {
		licenses = slices.Grow(licenses, min(one.count(), maxRequests-len(licenses)))
		for license := range one.each() {
			if examined++; examined > maxExamined {
				return nil, errTooMany()
			}
			if i, ok := seen[targetOf(license)]; ok {
				licenses[i].buyer = licenses[i].buyer && one.buyer
				continue
			}
			if paid.has(license) {
				continue
			}
			missing = appendNew(missing, license.Missing())
			if len(licenses) == maxRequests {
				return nil, errTooMany()
			}
			t.addLicense(license, one.from)
			seen[targetOf(license)] = len(licenses)
			licenses = append(licenses, foundLicense{license, one.buyer})
		}
	}
	if len(missing) > 0 {
		return nil, &unmappable{missing: missing}
	}
	return licenses, nil
}

// byLine gives each line its own license and fills in its gaps from the order. Lines without their own license share
// the order's license, which counts only when the whole order is meant.
func (s licenseSources) byLine(f facts, order []licenseFields, refunded bool) (all []licenseFields, paid stillPaid, err error) {
	parts, err := s.lines.of(f.Tree)
	if err != nil {
		return nil, stillPaid{}, err
	}
	shared, ofOrder := sharedLicense{order: order, used: len(parts) == 0}, newPlace(order)
	for i, part := range parts {
		line := f
		line.Tree, line.line = part, i+1
		if refunded {
			whole, err := s.lines.refunded.holds(line)
			if err != nil {
				return nil, stillPaid{}, err
			}
			if !whole {
				line.trace = nil // its license stays, so it is no part of the explanation
				paid.addLine(readFields(s.lines.license, line), ofOrder)
				continue
			}
		}
		own := readFields(s.lines.license, line)
		if own[0].has(identityGroup) {
			all = append(all, ofOrder.readOn(own)...)
			continue
		}
		shared.addLine(own[0])
	}
	if refunded {
		return all, paid, nil
	}
	if shared.used && (order[0].has(identityGroup) || len(all) == 0) {
		all = append(all, shared.fields()...)
	}
	return all, paid, nil
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
