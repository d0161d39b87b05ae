package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	// lookUpShare is how many look-ups there are for a hundred requests that name a license and its device.
	lookUpShare = 15

	// wireSource is the source of look-ups that no file of senders() makes: a part of an order, and a shop that also sells
	// other goods. Their messages are put into the queue as the webhook does it.
	wireSource = "shopify"

	otherProduct = "SIM-2"
	ownMail      = "ada@example.com"
	otherMail    = "bob@example.com"
)

// lookUp is a request whose licenses the worker has to find. Its licenses belong to no other request.
type lookUp struct {
	asked   deactivation.Request // as the worker should get it, without id and times
	targets []target             // what must be done; empty: no license may be written to
	named   string               // the device that the event names; "" for none
	copies  int                  // deliveries at the same time
	mayEnd  bool                 // its sender stops retrying
}

// target is a license that a look-up must find, and all of it that must change.
type target struct {
	license int // index of scenario.licenses
	devices []string
	disable bool
}

// maker makes one look-up with its order and its neighbours.
type maker struct {
	*scenario
	*rand.Rand
	n       int
	at      time.Duration // of the event
	order   string        // an id that only the sender makes
	weak    string        // the shop's own short number
	sub     string
	source  string
	disable bool
	q       *request
}

// makeLookUps makes the look-ups of a seed and their deliveries. It draws from random numbers of its own, so that the rest
// of the seed is as it was without look-ups.
func (s *scenario) makeLookUps(messages int) {
	r := rng(s.seed, "look-ups", 0)
	for n := range messages * lookUpShare / 100 {
		m := &maker{
			scenario: s, Rand: r, n: n, at: s.lookUpTime(r), disable: r.IntN(4) > 0,
			order: fmt.Sprintf("pi_%d", n), weak: fmt.Sprint(1000 + n), sub: fmt.Sprintf("sub_%d", n),
		}
		m.q = &request{lookUp: &lookUp{copies: 1}}
		if r.IntN(8) == 0 {
			m.q.lookUp.copies = 2
		}
		m.make()
		m.q.lookUp.mayEnd = m.source == "lemonsqueezy"
		s.requests = append(s.requests, m.q)
		s.lookUps[m.order], s.lookUps[m.sub] = m.q, m.q
		s.addDelivery(&delivery{source: m.source, at: m.at, requests: []*request{m.q}})
		if n%20 == 0 {
			m.makeRenewal()
		}
	}
}

// lookUpTime returns any time, or in half of the cases a time during a failpoint of the Management API or a rotation of its
// key.
func (s *scenario) lookUpTime(r *rand.Rand) time.Duration {
	if r.IntN(2) == 0 {
		return between(r, 0, lastFailpoint)
	}
	n := r.IntN(len(s.managementFailpoints) + 2*len(s.managementRotations))
	if n < len(s.managementFailpoints) {
		f := s.managementFailpoints[n]
		return between(r, f.from, f.to)
	}
	change := s.managementRotations[(n-len(s.managementFailpoints))/2]
	return between(r, change.begin(), change.complete()+5*time.Minute)
}

// make chooses what is asked for, and makes the licenses.
func (m *maker) make() {
	m.source = []string{"generic", "stripe", wireSource}[m.IntN(3)]
	asked := &m.q.lookUp.asked
	asked.Lookup = deactivation.Lookup{Order: []deactivation.Candidate{{ID: m.order}}, Email: ownMail}
	switch kind := m.IntN(100); {
	case kind < 35:
		m.hit(m.licenses(1+m.IntN(3), product, m.order)...)
	case kind < 45: // by the subscription, the order is not known
		m.disable = m.disable && m.source != "stripe" // the refund of a charge names no subscription
		m.hit(m.licenses(1, product, "")...)
		asked.Lookup.Subscription.ID = m.sub
	case kind < 55: // by a weak id, which the e-mail address confirms
		m.weakly(strings.ToUpper(ownMail[:1]) + ownMail[1:])
		m.hit(m.licenses(1+m.IntN(2), product, m.weak)...)
	case kind < 61: // the weak id is another customer's
		m.weakly(otherMail)
		m.licenses(1, product, m.weak)
		m.expect(rejected, "no_license")
	case kind < 69: // every license of one product, not the others
		m.items(m.IntN(2) == 0)
	case kind < 77: // refunded before it is fulfilled
		m.hit(m.late(m.licenses(1, product, m.order))...)
	case kind < 80:
		m.expect(rejected, "no_license")
	case kind < 83: // a shop that also sells other goods
		m.source, asked.Lookup.None = wireSource, deactivation.NoneIgnore
		m.expect(nothingToDo, "")
	case kind < 92:
		m.namesDevice()
	case kind < 94: // somebody has enabled it again since
		at := m.licenses(1, product, m.order)[0]
		m.scenario.licenses[at].TimeDisabled = epoch.Add(m.at + time.Hour)
		m.expect(rejected, "given_back")
	case kind < 96:
		at := m.licenses(1, product, m.order)[0]
		m.scenario.licenses[at].CreatedAt = epoch.Add(m.at + 25*time.Hour)
		m.expect(rejected, "newer_than_event")
	case kind < 97:
		m.licenses(11, product, m.order)
		m.expect(rejected, "too_many")
	case kind < 98: // a buyer names another customer's order
		m.source, asked.Lookup.Order[0].Buyer = wireSource, true
		m.licenses(1, product, m.order)
		asked.Lookup.Email = otherMail
		m.expect(rejected, "unconfirmed")
	default: // done already
		off, at := false, m.licenses(1, product, m.order)[0]
		l := &m.scenario.licenses[at]
		l.Enabled, l.InactiveDevices, l.Devices = &off, l.Devices, nil
		m.expect(nothingToDo, "")
	}
	asked.Disable, asked.Cause = m.disable, deactivation.CauseRefund
	if m.source == "stripe" && !m.disable {
		asked.Lookup.Subscription.ID = m.sub // its end is the event
	}
	if m.source == wireSource && m.IntN(4) == 0 && asked.Lookup.None == "" {
		asked.Origin = deactivation.OriginDirect
	}
	if m.IntN(2) == 0 { // an order whose id begins with this one's
		mail := []string{ownMail, otherMail}[m.IntN(2)]
		m.addOrdered(licenseapitest.License{LicenseKey: fmt.Sprintf("NEIGHBOUR-%d", m.n), Product: product, Order: m.order + "x", CustomerEmail: mail, Devices: []string{untouchedDevice}})
	}
}

func (m *maker) expect(e expectation, code string) { m.q.expectation, m.q.code = e, code }

// hit says that these licenses must be found: all their devices become inactive, and they are disabled if the request says so.
func (m *maker) hit(licenses ...int) {
	for _, at := range licenses {
		m.q.lookUp.targets = append(m.q.lookUp.targets, target{at, m.scenario.licenses[at].Devices, m.disable})
	}
}

// licenses adds n licenses of the order with up to three devices each. Every tenth is user-based.
func (m *maker) licenses(n int, product, order string) []int {
	var all []int
	for range n {
		name := fmt.Sprintf("ORDER-%d-%d", m.n, len(m.scenario.licenses))
		l := licenseapitest.License{Product: product, LicenseKey: name, Order: order, Subscription: m.sub, CustomerEmail: ownMail}
		if m.IntN(10) == 0 {
			l.Product, l.LicenseKey, l.Username = userProduct, "", name+"@example.com"
		}
		for d := range m.IntN(4) {
			l.Devices = append(l.Devices, fmt.Sprintf("hw-%d", d))
		}
		if m.IntN(4) == 0 {
			l.InactiveDevices = []string{"hw-0", "hw-9"}
		}
		all = append(all, m.addOrdered(l))
	}
	return all
}

func (m *maker) addOrdered(l licenseapitest.License) int {
	l.CreatedAt = epoch.Add(-30 * day)
	return m.addLicense(l)
}

// late says when the licenses are made: before the last look for them, an hour after the message was sent.
func (m *maker) late(licenses []int) []int {
	for _, at := range licenses {
		m.fulfilled[at] = m.at + between(m.Rand, time.Second, 55*time.Minute)
	}
	return licenses
}

// weakly makes Lemon Squeezy the sender, whose order numbers are short.
func (m *maker) weakly(mail string) {
	m.source, m.disable = "lemonsqueezy", true
	lookup := &m.q.lookUp.asked.Lookup
	lookup.Order, lookup.Email = append(lookup.Order, deactivation.Candidate{ID: m.weak, Weak: true}), mail
}

// items refunds a part of the order: as many as there are of one product, or fewer, and then nobody knows which.
func (m *maker) items(certain bool) {
	m.source = wireSource
	asked := &m.q.lookUp.asked
	refunded := slices.DeleteFunc(m.licenses(2, product, m.order), func(at int) bool { return m.scenario.licenses[at].Username != "" })
	m.licenses(1, otherProduct, m.order)
	asked.Scope, asked.Products = deactivation.ScopeItems, []deactivation.Product{{Product: product, Count: len(refunded)}}
	if certain && len(refunded) > 0 {
		m.hit(refunded...)
		return
	}
	asked.Products[0].Count++
	m.expect(rejected, "partial")
}

// namesDevice has the event name one device of one license of the order. All devices of that license are meant.
func (m *maker) namesDevice() {
	m.source, m.disable = []string{"generic", "stripe"}[m.IntN(2)], true
	key := fmt.Sprintf("NAMED-%d", m.n)
	at := m.addOrdered(licenseapitest.License{
		Product: product, LicenseKey: key, Order: m.order, Subscription: m.sub, CustomerEmail: ownMail, Devices: []string{"hw-0", "hw-1"},
	})
	m.licenses(1, product, m.order)
	m.hit(at)
	m.q.lookUp.named = "hw-0"
	m.q.lookUp.asked.License = deactivation.License{Product: product, LicenseKey: key, HardwareID: "hw-0"}
	m.q.license = m.q.lookUp.asked.License
	m.scenario.lookUps[key] = m.q
}

// makeRenewal sends the refund of a renewal. It names an order whose license stays as it is.
func (m *maker) makeRenewal() {
	order := fmt.Sprintf("renewed_%d", m.n)
	m.addOrdered(licenseapitest.License{
		Product: product, LicenseKey: "RENEWED-" + fmt.Sprint(m.n), Order: order, Subscription: order, CustomerEmail: ownMail, Devices: []string{untouchedDevice},
	})
	m.addDelivery(&delivery{source: senders()[m.IntN(3)], at: m.at, kind: "ignored", renewed: order})
}

// lookUpOf returns the look-up that a message asks for; nil for another message.
func (s *scenario) lookUpOf(r deactivation.Request) *request {
	for _, c := range r.Lookup.Order {
		if q := s.lookUps[c.ID]; q != nil {
			return q
		}
	}
	if q := s.lookUps[r.Lookup.Subscription.ID]; q != nil {
		return q
	}
	return s.lookUps[r.LicenseKey]
}

// identities are the licenses that a look-up writes to, as licenseName gives them.
func (q *request) identities(s *scenario) []string {
	var all []string
	for _, t := range q.lookUp.targets {
		if l := s.licenses[t.license]; t.disable || len(t.devices) > 0 {
			all = append(all, l.LicenseKey+l.Username)
		}
	}
	return all
}
