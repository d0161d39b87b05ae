package source

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"

	"license-deactivator/internal/deactivation"
)

// licenseFields is what an event says about a license before it is multiplied out: several keys and several devices
// stand for every named license on every named device.
type licenseFields struct {
	licenseKeys []string
	hardwareIDs []string
	username    string
	licenseID   string
	product     string
	bundleCode  string
	from        origins // nil: nobody asked for an explanation
}

// origins says of each field where it was read.
type origins map[string][]Origin

// identified reports whether the license itself is named.
func (l licenseFields) identified() bool { return len(l.licenseKeys) > 0 || l.username != "" }

// withDefaults fills in what l lacks. Key, user name and license id identify the license together, so they come from
// one place: an identity is never mixed.
func (l licenseFields) withDefaults(other licenseFields) licenseFields {
	before := l
	if !l.identified() {
		l.licenseKeys, l.username, l.licenseID = other.licenseKeys, other.username, other.licenseID
	}
	if len(l.hardwareIDs) == 0 {
		l.hardwareIDs = other.hardwareIDs
	}
	if l.product == "" {
		l.product = other.product
	}
	if l.bundleCode == "" {
		l.bundleCode = other.bundleCode
	}
	if other.from != nil {
		l.from = l.mergedOrigins(before, other)
	}
	return l
}

// mergedOrigins says where the fields of l were read, which is before with the fields of other in its gaps.
func (l licenseFields) mergedOrigins(before, other licenseFields) origins {
	from, had := origins{}, before.texts()
	for field := range l.texts() {
		if _, ok := had[field]; ok {
			from[field] = before.from[field]
		} else {
			from[field] = other.from[field]
		}
	}
	return from
}

// texts returns the fields that are present, by the License API's names.
func (l licenseFields) texts() map[string][]string {
	texts := map[string][]string{
		"license_key": l.licenseKeys, "hardware_id": l.hardwareIDs, "username": {l.username}, "license_id": {l.licenseID},
		"product": {l.product}, "bundle_code": {l.bundleCode},
	}
	for field, of := range texts {
		if len(of) == 0 || of[0] == "" {
			delete(texts, field)
		}
	}
	return texts
}

var errSeveralProducts = errors.New("the license stands on the order, whose lines have different products; name the product on the order, or the license on its line")

// withProductOf gives the order's license the product of the lines that share it. Several products and none on the
// order are an error: the license could belong to any of them.
func (l licenseFields) withProductOf(products []string) (licenseFields, error) {
	if l.product != "" || len(products) == 0 {
		return l, nil
	}
	if len(products) > 1 {
		return licenseFields{}, errSeveralProducts
	}
	l.product = products[0]
	return l, nil
}

// count is how many licenses each yields.
func (l licenseFields) count() int { return max(len(l.licenseKeys), 1) * max(len(l.hardwareIDs), 1) }

// each yields every named license on every named device. What is missing stays empty.
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

// distinct removes repeats; of each text the first stays. It changes its argument, in time proportional to its length:
// a body may name a hundred thousand.
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

// appendNew appends the texts that are not there yet. It is for short lists.
func appendNew(to, more []string) []string {
	for _, text := range more {
		if !slices.Contains(to, text) {
			to = append(to, text)
		}
	}
	return to
}
