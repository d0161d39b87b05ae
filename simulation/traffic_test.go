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
	product     = "SIM"
	userProduct = "SIM-US"
	bundle      = "SIM-BUNDLE"
	keptDevice  = "nobody-asked"
	bystanders  = 20
	strays      = 3 // messages in the queue that are none of ours
)

// makeRequests makes the licenses and what is asked for. Requests for one license stand beside each other, so that
// they meet in one batch.
func (p *plan) makeRequests(r *rand.Rand, messages int) {
	for n := 0; len(p.requests) < messages; n++ {
		p.makeUnit(r, n, messages-len(p.requests))
	}
	for n := range bystanders {
		p.row(licenseapitest.License{Product: product, LicenseKey: bystander(n), Devices: []string{keptDevice}})
	}
}

func bystander(n int) string { return fmt.Sprintf("BYSTANDER-%d", n) }

// makeUnit makes one license, or a bundle of two, and up to room requests for it.
func (p *plan) makeUnit(r *rand.Rand, n, room int) {
	key, device := fmt.Sprintf("KEY-%d", n), fmt.Sprintf("hw-%d", n)
	l := deactivation.License{Product: product, LicenseKey: key, HardwareID: device}
	row := licenseapitest.License{Product: product, LicenseKey: key, Devices: []string{device}}
	if r.IntN(4) == 0 {
		row.Devices = append(row.Devices, keptDevice)
	}
	add := func(f fate, code string, l deactivation.License, rows ...int) {
		p.requests = append(p.requests, &request{fate: f, code: code, license: l, rows: rows})
	}
	switch kind := r.IntN(100); {
	case kind < 65:
		add(freed, "", l, p.row(row))
	case kind < 80: // several devices of one license
		at := p.row(row)
		for d := range min(2+r.IntN(3), room) {
			l.HardwareID = fmt.Sprintf("%s-%d", device, d)
			p.licenses[at].Devices = append(p.licenses[at].Devices, l.HardwareID)
			add(freed, "", l, at)
		}
		p.licenses[at].Devices = slices.DeleteFunc(p.licenses[at].Devices, func(d string) bool { return d == device })
	case kind < 84: // asked for twice
		at := p.row(row)
		for range min(2, room) {
			add(freed, "", l, at)
		}
	case kind < 87: // another device
		p.row(row)
		l.HardwareID = "unknown-" + device
		add(nothing, "", l)
	case kind < 88: // never activated
		row.Devices = nil
		p.row(row)
		add(nothing, "", l)
	case kind < 89:
		disabled := false
		row.Enabled = &disabled
		p.row(row)
		add(nothing, "", l)
	case kind < 94:
		add(rejected, "license_not_found", l)
	case kind < 96:
		l.Product = "SIM-UNKNOWN"
		add(rejected, "unknown_product", l)
	case kind < 98:
		row.Product, row.LicenseKey, row.Username = userProduct, "", key+"@example.com"
		l.Product, l.LicenseKey, l.Username = userProduct, "", row.Username
		add(freed, "", l, p.row(row))
	default:
		row.Bundle = bundle
		first := p.row(row)
		row.Product = "SIM-2"
		l.Product = bundle
		add(freed, "", l, first, p.row(row))
		p.requests[len(p.requests)-1].action = deactivation.ActionDeactivateBundle
	}
}

// row adds a license and returns its place.
func (p *plan) row(l licenseapitest.License) int {
	l.Devices = slices.Clone(l.Devices)
	p.licenses = append(p.licenses, l)
	return len(p.licenses) - 1
}

// senders are the sources whose events are simulated. Lemon Squeezy is one that soon gives up.
func senders() []string { return []string{"generic", "stripe", "lemonsqueezy"} }

// makeDeliveries gives each request its sender and time: nine of ten deliveries are events of one license each, the
// others direct invocations of some rows, some hundred, or a quarter of everything.
func (p *plan) makeDeliveries(r *rand.Rand) {
	add := func(d *delivery) {
		d.number, d.at = len(p.deliveries), p.sendTime(r)
		p.deliveries = append(p.deliveries, d)
	}
	for at := 0; at < len(p.requests); {
		size := 1
		for at+size < len(p.requests) && p.requests[at+size].license.LicenseKey == p.requests[at].license.LicenseKey {
			size++
		}
		if r.IntN(10) > 0 && asEvent(p.requests[at:at+size]) {
			add(&delivery{source: senders()[r.IntN(len(senders()))], requests: p.requests[at : at+size]})
		} else {
			sizes := []int{20, 20, 20, 20, 20, 20, 200, 200, 200, 1500}
			largest := min(sizes[r.IntN(len(sizes))], len(p.requests)/4+1)
			size = min(1+r.IntN(largest), len(p.requests)-at)
			add(&delivery{source: opsSource, requests: p.requests[at : at+size]})
		}
		at += size
	}
	for range len(p.requests)/100 + 1 {
		source := senders()[r.IntN(len(senders()))]
		add(&delivery{source: source, kind: "ignored"})
		add(&delivery{source: source, kind: "forged"})
		add(&delivery{source: source, kind: "unmappable"})
	}
	slices.SortFunc(p.deliveries, func(a, b *delivery) int { return cmp.Compare(a.at, b.at) })
}

// asEvent says whether one event can ask for these: one license with different devices.
func asEvent(requests []*request) bool {
	for i, q := range requests {
		if q.action != "" || q.license.LicenseKey == "" || i > 0 && q.license.HardwareID == requests[i-1].license.HardwareID {
			return false
		}
	}
	return true
}

// sendTime is at any time, or else when something goes wrong.
func (p *plan) sendTime(r *rand.Rand) time.Duration {
	var around []time.Duration
	for _, e := range p.episodes {
		if e.to-e.from < day { // a whole day of trouble has its share of any time
			around = append(around, between(r, e.from, e.to))
		}
	}
	for _, change := range p.rotations {
		through := max(change.api, change.secret)
		around = append(around, between(r, min(change.api, change.secret), through+time.Second), between(r, through, through+5*time.Minute))
	}
	for _, e := range p.queueTrouble {
		around = append(around, between(r, e.from, e.to))
	}
	for _, s := range p.skews {
		around = append(around, between(r, s.from, s.to))
	}
	at := between(r, 0, weatherEnds)
	if r.IntN(2) == 0 && len(around) > 0 {
		at = around[r.IntN(len(around))]
	}
	if outage := p.episodes[0].span; p.outage() && outage.holds(at) && r.IntN(2) == 0 {
		return between(r, outage.to, outage.to+time.Hour)
	}
	return at
}

// outage says whether there is a day without the License API; it is the first episode.
func (p *plan) outage() bool { return p.episodes[0].to-p.episodes[0].from >= day }
