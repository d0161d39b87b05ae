package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"license-deactivator/internal/deactivation"
)

// maxRequests is the most that one event may ask for. More is no order that we know, so an operator reviews it.
const maxRequests = 100

// maxExamined bounds the licenses on devices that are examined for that, repeats and what is still paid for among them:
// two lists of some kilobytes, multiplied out, are a hundred million.
const maxExamined = 1000 * maxRequests

func errTooMany() *unmappable {
	return &unmappable{problem: fmt.Sprintf("it asks for more than %d deactivations", maxRequests)}
}

// unmappable is why an event that matters became no request: fields that are missing, or another problem.
type unmappable struct {
	missing []string
	problem string
}

// licenseSources is where a file says that license data may be: on the order, and on its lines.
type licenseSources struct {
	order []fieldSource
	lines *lines // nil: none
}

// find returns every license that the event asks to deactivate, one per device, in the order of the event's lines. With
// refunded, only those on a line refunded in full; none, without a problem, when no line is.
func (s licenseSources) find(f facts, refunded bool) ([]deactivation.License, *unmappable) {
	order, orderErr := readFields(s.order, f)
	all, paid, err := []licenseFields{order}, stillPaid(nil), error(nil)
	if s.lines != nil {
		all, paid, err = s.byLine(f, order, refunded)
	}
	if refunded && err == nil && len(all) == 0 {
		return nil, nil
	}
	if err := cmp.Or(orderErr, err); err != nil {
		u := &unmappable{problem: err.Error()}
		if errors.Is(err, errSeveralProducts) {
			u.missing = []string{"product"}
		}
		return nil, u
	}
	var licenses []deactivation.License
	var missing []string
	seen := map[target]bool{}
	examined := 0
	for _, one := range all {
		licenses = slices.Grow(licenses, min(one.count(), maxRequests-len(licenses)))
		for license := range one.each() {
			if examined++; examined > maxExamined {
				return nil, errTooMany()
			}
			if seen[targetOf(license)] || paid.has(license) {
				continue
			}
			seen[targetOf(license)] = true
			missing = appendNew(missing, license.Missing())
			if len(licenses) == maxRequests {
				return nil, errTooMany()
			}
			f.trace.addLicense(license, one.from)
			licenses = append(licenses, license)
		}
	}
	if len(missing) > 0 {
		return nil, &unmappable{missing: missing}
	}
	for _, license := range licenses {
		if err := license.Validate(); err != nil {
			return nil, &unmappable{problem: err.Error()}
		}
	}
	return licenses, nil
}

// byLine gives each line its own license and fills in its gaps from the order. Lines without a license of their own
// share the order's license, which counts only when the whole order is meant.
func (s licenseSources) byLine(f facts, order licenseFields, refunded bool) (all []licenseFields, paid stillPaid, err error) {
	parts, err := s.lines.of(f.Tree)
	if err != nil {
		return nil, nil, err
	}
	shared := sharedLicense{order: order, used: len(parts) == 0}
	paid = stillPaid{}
	ofOrder := sync.OnceValue(func() deviceSet { return newDeviceSet(order.hardwareIDs) })
	for i, part := range parts {
		line := f
		line.Tree, line.line = part, i+1
		if refunded {
			whole, err := s.lines.refunded.holds(line)
			if err != nil {
				return nil, nil, err
			}
			if !whole { // it decides nothing, right or wrong, but that its license is still paid for
				line.trace = nil
				if own, err := readFields(s.lines.license, line); err == nil {
					paid.add(own, ofOrder)
				}
				continue
			}
		}
		own, err := readFields(s.lines.license, line)
		if err != nil {
			return nil, nil, err
		}
		if own.identified() {
			all = append(all, own.withDefaults(order))
			continue
		}
		shared.addLine(own)
	}
	if refunded {
		return all, paid, nil
	}
	if shared.used && (order.identified() || len(all) == 0) {
		whole, err := shared.fields(f.trace != nil)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, whole)
	}
	return all, paid, nil
}

// sharedLicense is the order's license, as the lines without a license of their own share it: with their product and
// their devices.
type sharedLicense struct {
	order             licenseFields
	used              bool // a line without a license of its own, or no line at all
	products, devices []string
	noDevice          bool    // a line has neither a license nor a device of its own, so it has the order's device
	inherited         origins // of the lines' fields, for a trace
}

func (s *sharedLicense) addLine(own licenseFields) {
	s.used = true
	s.noDevice = s.noDevice || len(own.hardwareIDs) == 0
	if own.product != "" {
		s.products = appendNew(s.products, []string{own.product})
	}
	s.devices = append(s.devices, own.hardwareIDs...)
	s.inherit(own.from)
}

// inherit notes where fields were read that the order's license may take over.
func (s *sharedLicense) inherit(from origins) {
	for field, of := range from {
		if s.inherited == nil {
			s.inherited = origins{}
		}
		s.inherited[field] = append(s.inherited[field], of...)
	}
}

// fields returns the license; with traced, where its fields were read: the product where the order names none, and the
// devices where the lines name any, come from the lines.
func (s *sharedLicense) fields(traced bool) (licenseFields, error) {
	fields, fromLines := s.order, len(s.devices) > 0
	if fromLines {
		if s.noDevice {
			s.devices = append(s.devices, s.order.hardwareIDs...)
			s.inherit(s.order.from)
		}
		fields.hardwareIDs = distinct(s.devices)
	}
	fields, err := fields.withProductOf(s.products)
	if err != nil || !traced {
		return fields, err
	}
	from := origins{}
	for field, of := range fields.from {
		from[field] = of
	}
	if s.order.product == "" && fields.product != "" {
		from["product"] = s.inherited["product"]
	}
	if fromLines {
		from["hardware_id"] = s.inherited["hardware_id"]
	}
	fields.from = from
	return fields, nil
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

// named returns every text that the event names as a license or a device, whether a rule asks for it or not.
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
			if found, err := readFields([]fieldSource{source}, tree); err == nil {
				for _, text := range slices.Concat(found.licenseKeys, found.hardwareIDs, []string{found.username}) {
					names[text] = true
				}
			}
		}
	}
	return names
}

// target is the fields that mapping can fill: what tells one license on one device from another.
type target struct{ key, user, id, product, bundle, device string }

func targetOf(l deactivation.License) target {
	return target{l.LicenseKey, l.Username, l.LicenseID.String(), l.Product, l.BundleCode, l.HardwareID}
}
