package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"license-deactivator/internal/deactivation"
)

// licenseFields is what an event says about a license before it is multiplied out: several keys and several devices
// mean every named license on every named device.
type licenseFields struct {
	licenseKeys []string
	hardwareIDs []string
	username    string
	licenseID   string
	product     string
	bundleCode  string
	buyer       bool               // a place that a buyer can write names the license
	problems    [fieldGroups]error // why a group's value cannot be used
	from        origins            // nil: no explanation is wanted
}

// maxRequests is the most requests of one event. No known order has more, so an operator reviews it.
const maxRequests = 100

// Bounds of what one place may name. An event may have a hundred deactivations, so no known event has more objects than
// that. The licenses and devices of one object may repeat each other, and lines may pay for some.
const (
	maxObjects = maxRequests
	maxNames   = 1000
)

var (
	errTooManyObjects = fmt.Errorf("license data is in more than %d objects", maxObjects)
	errTooManyNames   = fmt.Errorf("more than %d licenses or devices are named", maxNames)
)

// fieldGroup is the fields that always come from one place.
type fieldGroup int

// The groups. Key, user name and license id identify a license together, so they are never mixed.
const (
	identityGroup fieldGroup = iota
	deviceGroup
	productGroup
	bundleGroup
	fieldGroups
)

// fieldsOf lists a group's fields by the License API's names.
func (g fieldGroup) fields() []string {
	return [fieldGroups][]string{{"license_key", "username", "license_id"}, {"hardware_id"}, {"product"}, {"bundle_code"}}[g]
}

// origins maps each field to the place where it was read.
type origins map[string][]Origin

// identified reports whether the license itself is named.
func (l licenseFields) identified() bool { return len(l.licenseKeys) > 0 || l.username != "" }

// has reports whether the group was found: with a value, or with one that cannot be used.
func (l licenseFields) has(g fieldGroup) bool {
	switch {
	case l.problems[g] != nil:
		return true
	case g == identityGroup:
		return l.identified()
	case g == deviceGroup:
		return len(l.hardwareIDs) > 0
	case g == productGroup:
		return l.product != ""
	}
	return l.bundleCode != ""
}

// complete reports whether every group was found.
func (l licenseFields) complete() bool {
	return l.has(identityGroup) && l.has(deviceGroup) && l.has(productGroup) && l.has(bundleGroup)
}

// problem returns why the license cannot be used, nil for no problem.
func (l licenseFields) problem() error {
	for _, err := range l.problems {
		if err != nil {
			return err
		}
	}
	return nil
}

// with returns l with a group of another, instead of its own.
func (l licenseFields) with(g fieldGroup, other licenseFields) licenseFields {
	l.problems[g] = other.problems[g]
	switch g {
	case identityGroup:
		l.licenseKeys, l.username, l.licenseID, l.buyer = other.licenseKeys, other.username, other.licenseID, other.buyer
	case deviceGroup:
		l.hardwareIDs = other.hardwareIDs
	case productGroup:
		l.product = other.product
	default:
		l.bundleCode = other.bundleCode
	}
	if l.from != nil || other.from != nil {
		from := origins{}
		for field, of := range l.from {
			from[field] = of
		}
		for _, field := range g.fields() {
			if delete(from, field); other.from[field] != nil {
				from[field] = other.from[field]
			}
		}
		l.from = from
	}
	return l
}

// withGap is with, if l lacks the group.
func (l licenseFields) withGap(g fieldGroup, other licenseFields) licenseFields {
	if l.has(g) {
		return l
	}
	return l.with(g, other)
}

// names lists the names that distinguish the license from others.
func (l licenseFields) names() []string {
	if l.username != "" {
		return append([]string{"user " + l.username}, l.licenseKeys...)
	}
	return l.licenseKeys
}

var (
	// errLooseDevice: a device in an object that names no license, next to objects that name one.
	errLooseDevice = errors.New("hardware_id is in an object without a license, next to one with a license")
	// errOtherDevice: an earlier place names a device and no license, and the license stands with another device.
	errOtherDevice = errors.New("hardware_id is in a place without a license, and another one stands with the license")
)

// place is the objects of one place, prepared once and read for many licenses: an order's for each of its lines.
type place struct {
	named         []licenseFields  // objects that name a license
	rest          licenseFields    // the others as one
	deviceObjects []licenseFields  // objects that name a device and no usable license
	byName        map[string][]int // indexes in named
	deviceFields  licenseFields    // these objects as one
	allNamed      licenseFields    // those that name a license as one

	inheritedByName map[string]licenseFields // the inherited fields of a license with one name: a thousand lines may name the same
}

func newPlace(objects []licenseFields) *place {
	p := &place{byName: map[string][]int{}, inheritedByName: map[string]licenseFields{}}
	for _, o := range objects {
		if !o.has(identityGroup) {
			p.deviceObjects = append(p.deviceObjects, o)
			continue
		}
		for _, name := range o.names() {
			p.byName[name] = append(p.byName[name], len(p.named))
		}
		p.named = append(p.named, o)
	}
	p.rest, p.allNamed = combined(p.deviceObjects), combined(p.named)
	for _, o := range p.named {
		if !o.identified() {
			p.deviceObjects = append(p.deviceObjects, o)
		}
	}
	p.deviceFields = combined(p.deviceObjects)
	return p
}

// readOn fills in what the licenses lack from the objects of the place, and reads nothing else there. licenses has at
// least one; a single one may name no license yet.
//
// License and device in one object belong together: objects that name licenses stay separate, and a device in an object
// with another license is not used.
func (p *place) readOn(licenses []licenseFields) []licenseFields {
	if first := licenses[0]; !first.has(identityGroup) && len(p.named) > 0 {
		return pairUp(first, p.named, p.rest)
	}
	out := make([]licenseFields, len(licenses))
	for i, l := range licenses {
		if !l.complete() {
			from := p.inheritedBy(l)
			for g := deviceGroup; g < fieldGroups; g++ {
				l = l.withGap(g, from)
			}
			l = l.withGap(productGroup, p.allNamed).withGap(bundleGroup, p.allNamed)
		}
		out[i] = l
	}
	return out
}

// inheritedBy returns the fields of the place that a license inherits: those of the objects without a license, and of
// the objects that name the same license.
func (p *place) inheritedBy(l licenseFields) licenseFields {
	names := l.names()
	if len(names) != 1 {
		return p.inheritedByNames(names)
	}
	inherited, ok := p.inheritedByName[names[0]]
	if !ok {
		inherited = p.inheritedByNames(names)
		p.inheritedByName[names[0]] = inherited
	}
	return inherited
}

func (p *place) inheritedByNames(names []string) licenseFields {
	var same []int
	for _, name := range names {
		same = append(same, p.byName[name]...)
	}
	if len(same) == 0 {
		return p.deviceFields
	}
	slices.Sort(same)
	objects := slices.Clip(p.deviceObjects)
	for _, i := range slices.Compact(same) {
		objects = append(objects, p.named[i])
	}
	return combined(objects)
}

// pairUp returns a license for each object that names one. Fields of earlier places count before the object's own
// fields, and those before the fields of objects without a license.
func pairUp(earlier licenseFields, named []licenseFields, rest licenseFields) []licenseFields {
	out := make([]licenseFields, len(named))
	for i, own := range named {
		l := earlier.with(identityGroup, own)
		if l.problems[deviceGroup] == nil && own.problems[deviceGroup] == nil && len(l.hardwareIDs) > 0 && len(own.hardwareIDs) > 0 &&
			!slices.Equal(l.hardwareIDs, own.hardwareIDs) {
			l.problems[deviceGroup] = errOtherDevice
		}
		if !l.has(deviceGroup) && rest.has(deviceGroup) && (own.has(deviceGroup) || len(named) > 1) {
			l.problems[deviceGroup] = errLooseDevice
		}
		for g := deviceGroup; g < fieldGroups; g++ {
			l = l.withGap(g, own).withGap(g, rest)
		}
		out[i] = l
	}
	return out
}

// combined is the objects as one: their devices together; every other field must have the same value in each. The
// identity is left out.
func combined(objects []licenseFields) licenseFields {
	var all licenseFields
	for i, o := range objects {
		if i == 0 { // usually the only one
			o.licenseKeys, o.username, o.licenseID, o.buyer, o.problems[identityGroup] = nil, "", "", false, nil
			all = o
			continue
		}
		if i == 1 {
			all.hardwareIDs = slices.Clone(all.hardwareIDs) // the first object's own
		}
		all.hardwareIDs = append(all.hardwareIDs, o.hardwareIDs...)
		all.product, all.problems[productGroup] = agreed("product", all.product, o.product, all.problems[productGroup])
		all.bundleCode, all.problems[bundleGroup] = agreed("bundle_code", all.bundleCode, o.bundleCode, all.problems[bundleGroup])
		for g := deviceGroup; g < fieldGroups; g++ {
			all.problems[g] = cmp.Or(all.problems[g], o.problems[g])
		}
		if len(all.hardwareIDs) > maxNames {
			all.problems[deviceGroup] = errTooManyNames
			break
		}
		if o.from != nil {
			from := origins{}
			for field, of := range all.from {
				from[field] = slices.Concat(of, o.from[field])
			}
			all.from = from
		}
	}
	if len(objects) > 1 {
		all.hardwareIDs = distinct(all.hardwareIDs)
	}
	return all
}

func agreed(field, one, other string, problem error) (string, error) {
	if problem == nil && one != "" && other != "" && one != other {
		problem = errors.New(field + " has several different values")
	}
	if one == "" {
		one = other
	}
	return one, problem
}

// count is how many licenses each yields.
func (l licenseFields) count() int { return max(len(l.licenseKeys), 1) * max(len(l.hardwareIDs), 1) }

// each yields every named license on every named device. A missing field stays empty.
func (l licenseFields) each() iter.Seq[deactivation.License] {
	keys, devices := l.licenseKeys, l.hardwareIDs
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
					LicenseKey: key, Username: l.username, LicenseID: json.Number(l.licenseID),
					Product: l.product, BundleCode: l.bundleCode, HardwareID: device,
				}) {
					return
				}
			}
		}
	}
}

// distinct removes repeats; the first occurrence of each text stays. It changes its argument, in time proportional to
// its length: a body may name a hundred thousand.
func distinct(texts []string) []string {
	if len(texts) < 2 {
		return texts
	}
	seen := make(map[string]bool, len(texts))
	return slices.DeleteFunc(texts, func(text string) bool {
		repeated := seen[text]
		seen[text] = true
		return repeated
	})
}

// appendNew appends the texts that the list does not have yet. It is for short lists.
func appendNew(to, more []string) []string {
	for _, text := range more {
		if !slices.Contains(to, text) {
			to = append(to, text)
		}
	}
	return to
}
