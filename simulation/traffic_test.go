package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	product         = "SIM"
	userProduct     = "SIM-US"
	bundle          = "SIM-BUNDLE"
	untouchedDevice = "nobody-asked" // on licenses without a request
	untouched       = 20             // licenses that no request names
	foreignMessages = 3              // messages in the queue that this system did not send
)

// delivery is what one sender sends at once.
type delivery struct {
	at       time.Duration
	source   string // opsSource invokes directly, the others post an event
	number   int
	requests []*request
	kind     string // of an event: "" makes requests, else "ignored", "forged" or "unmappable"
	renewed  string // of an ignored event: the order of the renewal that is refunded; "" for another event
}

// makeRequests makes the licenses and the requests. Requests for one license are next to each other, so that they meet
// in one batch.
func (s *scenario) makeRequests(r *rand.Rand, messages int) {
	for n := 0; len(s.requests) < messages; n++ {
		s.makeLicense(r, n, messages-len(s.requests))
	}
	for n := range untouched {
		s.addLicense(licenseapitest.License{Product: product, LicenseKey: untouchedKey(n), Devices: []string{untouchedDevice}})
	}
}

func untouchedKey(n int) string { return fmt.Sprintf("BYSTANDER-%d", n) }

// makeLicense makes one license, or the two of a bundle, and up to room requests for it.
func (s *scenario) makeLicense(r *rand.Rand, n, room int) {
	key, device := fmt.Sprintf("KEY-%d", n), fmt.Sprintf("hw-%d", n)
	l := deactivation.License{Product: product, LicenseKey: key, HardwareID: device}
	held := licenseapitest.License{Product: product, LicenseKey: key, Devices: []string{device}}
	if r.IntN(4) == 0 {
		held.Devices = append(held.Devices, untouchedDevice)
	}
	add := func(e expectation, code string, l deactivation.License, licenses ...int) {
		s.requests = append(s.requests, &request{expectation: e, code: code, license: l, licenses: licenses})
	}
	switch kind := r.IntN(100); {
	case kind < 65: // one device
		add(inactive, "", l, s.addLicense(held))
	case kind < 80: // several devices of one license
		at := s.addLicense(held)
		for d := range min(2+r.IntN(3), room) {
			l.HardwareID = fmt.Sprintf("%s-%d", device, d)
			s.licenses[at].Devices = append(s.licenses[at].Devices, l.HardwareID)
			add(inactive, "", l, at)
		}
		s.licenses[at].Devices = slices.DeleteFunc(s.licenses[at].Devices, func(d string) bool { return d == device })
	case kind < 84: // the same device twice
		at := s.addLicense(held)
		for range min(2, room) {
			add(inactive, "", l, at)
		}
	case kind < 87: // an unknown device
		s.addLicense(held)
		l.HardwareID = "unknown-" + device
		add(nothingToDo, "", l)
	case kind < 88: // never activated
		held.Devices = nil
		s.addLicense(held)
		add(nothingToDo, "", l)
	case kind < 89: // disabled
		disabled := false
		held.Enabled = &disabled
		s.addLicense(held)
		add(nothingToDo, "", l)
	case kind < 94:
		add(rejected, "license_not_found", l)
	case kind < 96:
		l.Product = "SIM-UNKNOWN"
		add(rejected, "unknown_product", l)
	case kind < 98: // a user-based license
		held.Product, held.LicenseKey, held.Username = userProduct, "", key+"@example.com"
		l.Product, l.LicenseKey, l.Username = userProduct, "", held.Username
		add(inactive, "", l, s.addLicense(held))
	default:
		held.Bundle = bundle
		first := s.addLicense(held)
		held.Product = "SIM-2"
		l.Product = bundle
		add(inactive, "", l, first, s.addLicense(held))
		s.requests[len(s.requests)-1].action = deactivation.ActionDeactivateBundle
	}
}

// addLicense adds a license and returns its index.
func (s *scenario) addLicense(l licenseapitest.License) int {
	l.Devices, l.ID, l.CustomerEmail = slices.Clone(l.Devices), int64(len(s.licenses)+1), cmp.Or(l.CustomerEmail, ownMail)
	s.licenses = append(s.licenses, l)
	return len(s.licenses) - 1
}

// senders are the sources whose events are simulated. Lemon Squeezy stops retrying soon.
func senders() []string { return []string{"generic", "stripe", "lemonsqueezy"} }

// makeDeliveries gives each request its sender and time: nine of ten deliveries are events of one license each, the
// others direct invocations of some rows, some hundred, or a quarter of all requests.
func (s *scenario) makeDeliveries(r *rand.Rand) {
	add := func(d *delivery) {
		d.at = s.sendTime(r)
		s.addDelivery(d)
	}
	for at := 0; at < len(s.requests); {
		size := 1
		for at+size < len(s.requests) && s.requests[at+size].license.LicenseKey == s.requests[at].license.LicenseKey {
			size++
		}
		if r.IntN(10) > 0 && fitOneEvent(s.requests[at:at+size]) {
			d := &delivery{source: senders()[r.IntN(len(senders()))], requests: s.requests[at : at+size]}
			for _, q := range d.requests {
				if q.expectation == rejected && d.lookedUp() {
					q.code = "no_license" // the look-up finds none to confirm
				}
			}
			add(d)
		} else {
			sizes := []int{20, 20, 20, 20, 20, 20, 200, 200, 200, 1500}
			largest := min(sizes[r.IntN(len(sizes))], len(s.requests)/4+1)
			size = min(1+r.IntN(largest), len(s.requests)-at)
			add(&delivery{source: opsSource, requests: s.requests[at : at+size]})
		}
		at += size
	}
	for range len(s.requests)/100 + 1 {
		source := senders()[r.IntN(len(senders()))]
		add(&delivery{source: source, kind: "ignored"})
		add(&delivery{source: source, kind: "forged"})
		add(&delivery{source: source, kind: "unmappable"})
	}
}

func (s *scenario) addDelivery(d *delivery) {
	d.number = len(s.deliveries)
	s.deliveries = append(s.deliveries, d)
}

// fitOneEvent reports whether one event can make these requests: one license key with different devices.
func fitOneEvent(requests []*request) bool {
	for i, q := range requests {
		if q.action != "" || q.license.LicenseKey == "" || i > 0 && q.license.HardwareID == requests[i-1].license.HardwareID {
			return false
		}
	}
	return true
}

// sendTime returns any time, or in half of the cases a time during a failpoint. After an outage of a day half of its
// deliveries arrive in the hour after it.
func (s *scenario) sendTime(r *rand.Rand) time.Duration {
	var during []time.Duration
	for _, f := range s.apiFailpoints {
		if f.to-f.from < day { // a day-long failpoint already gets its share of the other half
			during = append(during, between(r, f.from, f.to))
		}
	}
	for _, change := range s.rotations {
		complete := max(change.api, change.secret)
		during = append(during, between(r, min(change.api, change.secret), complete+time.Second), between(r, complete, complete+5*time.Minute))
	}
	for _, f := range s.queueFailpoints {
		during = append(during, between(r, f.from, f.to))
	}
	for _, sk := range s.skews {
		during = append(during, between(r, sk.from, sk.to))
	}
	at := between(r, 0, lastFailpoint)
	if r.IntN(2) == 0 && len(during) > 0 {
		at = during[r.IntN(len(during))]
	}
	if outage := s.apiFailpoints[0].span; s.hasOutageDay() && outage.contains(at) && r.IntN(2) == 0 {
		return between(r, outage.to, outage.to+time.Hour)
	}
	return at
}
