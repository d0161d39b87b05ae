package webhook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"license-deactivator/internal/deactivation"
)

// maxRequests is the most that one event may ask for. More is no order that we know, so a person looks at it.
const maxRequests = 100

// maxExamined bounds the licenses on devices that are looked at for that, repeats and what is still paid for among them:
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

// licenses finds every license that the event asks to deactivate, one per device, in the order of the event's lines.
// With refunded, only those that stand on a line refunded in full. nil, nil when no line is.
func (s *Source) licenses(f facts, refunded bool) ([]deactivation.License, *unmappable) {
	order, orderErr := search(s.license, f)
	all, paid, err := []found{order}, paidFor(nil), error(nil)
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
			if seen[targetOf(license)] || paid.holds(license) {
				continue
			}
			seen[targetOf(license)] = true
			missing = appendNew(missing, license.Missing())
			if len(licenses) == maxRequests {
				return nil, errTooMany()
			}
			f.trace.license(license, one)
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

// byLine gives each line its own license and fills it up from the order. Lines without one of their own share the
// order's license, which counts only when the whole order is meant.
func (s *Source) byLine(f facts, order found, refunded bool) (all []found, paid paidFor, err error) {
	parts, err := s.lines.of(record{exact: f.exact, normalised: f.normalised})
	if err != nil {
		return nil, nil, err
	}
	var products, devices []string // of the lines without a license of their own
	shared := len(parts) == 0      // the order's license counts
	bare := false                  // a line has neither a license nor a device of its own, so it has the order's
	paid = paidFor{}
	orders := sync.OnceValue(func() deviceSet { return newDeviceSet(order.hardwareIDs) })
	for i, part := range parts {
		line := f
		line.exact, line.normalised, line.line = part.exact, part.normalised, i+1
		if refunded {
			whole, err := s.lines.refunded.holds(line)
			if err != nil {
				return nil, nil, err
			}
			if !whole { // what it says is none of this event's, be it right or wrong, but that its license is paid for
				line.trace = nil
				if own, err := search(s.lines.license, line); err == nil {
					paid.add(own, orders)
				}
				continue
			}
		}
		own, err := search(s.lines.license, line)
		if err != nil {
			return nil, nil, err
		}
		if own.names() {
			all = append(all, own.or(order))
			continue
		}
		shared, bare = true, bare || len(own.hardwareIDs) == 0
		if own.product != "" {
			products = appendNew(products, []string{own.product})
		}
		devices = append(devices, own.hardwareIDs...)
		f.trace.lend(own)
	}
	if refunded {
		return all, paid, nil
	}
	if shared && (order.names() || len(all) == 0) {
		if len(devices) > 0 {
			if bare {
				devices = append(devices, order.hardwareIDs...)
				f.trace.lend(order)
			}
			order.hardwareIDs = distinct(devices)
		}
		whole, err := order.of(products)
		if err != nil {
			return nil, nil, err
		}
		f.trace.borrow(&whole, order, len(devices) > 0)
		all = append(all, whole)
	}
	return all, paid, nil
}

var errSeveralProducts = errors.New("the license stands on the order, whose lines have different products; name the product on the order, or the license on its line")

// of gives the order's license the product of the lines that share it. Several products and none on the order: the
// license could belong to any of them, so it is nobody's.
func (f found) of(products []string) (found, error) {
	if f.product != "" || len(products) == 0 {
		return f, nil
	}
	if len(products) > 1 {
		return found{}, errSeveralProducts
	}
	f.product = products[0]
	return f, nil
}

// count is how many each has.
func (f found) count() int { return max(len(f.licenseKeys), 1) * max(len(f.hardwareIDs), 1) }

// each is every named license on every named device. What is missing stays empty.
func (f found) each() iter.Seq[deactivation.License] {
	keys, devices := f.licenseKeys, f.hardwareIDs
	if len(keys) == 0 {
		keys = []string{""}
	}
	if len(devices) == 0 {
		devices = []string{""}
	}
	return func(yield func(deactivation.License) bool) {
		for _, key := range keys {
			for _, device := range devices {
				if !yield(deactivation.License{
					LicenseKey: key, Username: f.username, LicenseID: json.Number(f.licenseID),
					Product: f.product, BundleCode: f.bundleCode, HardwareID: device,
				}) {
					return
				}
			}
		}
	}
}

// target is the fields that mapping can fill: what tells one license on one device from another.
type target struct{ key, user, id, product, bundle, device string }

func targetOf(l deactivation.License) target {
	return target{l.LicenseKey, l.Username, l.LicenseID.String(), l.Product, l.BundleCode, l.HardwareID}
}
