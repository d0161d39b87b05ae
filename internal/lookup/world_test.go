package lookup_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// world is a vendor's licenses and one request for one of the orders. Its seed decides everything in it.
type world struct {
	seed     uint64
	rows     []licenseapitest.License
	orders   []order
	about    int // the order of the event
	request  deactivation.Request
	released bool
}

// order is one purchase in one of two shops of the vendor.
type order struct {
	strong       string // the id that only the sender knows
	weak         string // the shop's own short number, which the other shop also uses
	stored       string // what LicenseSpring has as the order's id
	subscription string
	email        string
}

// Ids of which one begins with another, ids that differ only in case, and ids that an address must escape.
func strongIDs() []string {
	return []string{
		"pi_3N", "pi_3Nx", "pi_3NxA", "PI_3N", "gid://shopify/Order/1", "gid://shopify/Order/10", "gid://shopify/Order/100",
		"FS-1", "FS-10", "A&B=1", "A&B", "a&b", "Ä-1", "Ä-10", "%41&B", "order 1",
	}
}

// garbage are values that no list may be asked for.
func garbage() []string {
	return []string{"null", "subscription_empty", "{{order.id}}", "12", "n/a", "trial_1702983098133439"}
}

type dice struct{ *rand.Rand }

// chance is true in that many of a hundred worlds.
func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// around is a time some hours before or after the event. The edges of the tolerance of a day are among these times.
func (d dice) around(before, near int) time.Time {
	switch n := d.IntN(100); {
	case n < before:
		return noon().Add(-time.Duration(1+d.IntN(1000)) * time.Hour)
	case n < before+near:
		return noon().Add(pick(d, time.Second, time.Hour, 24*time.Hour))
	}
	return noon().Add(24*time.Hour + pick(d, time.Second, time.Hour, 100*time.Hour))
}

func newWorld(seed uint64) *world {
	d := dice{rand.New(rand.NewPCG(seed, 0x100c))} //nolint:gosec // nothing secret is made
	for {
		w := &world{seed: seed}
		w.makeOrders(d)
		w.makeLicenses(d)
		w.about = d.IntN(len(w.orders))
		w.makeRequest(d)
		if w.request.Validate() == nil {
			return w
		}
	}
}

func (w *world) makeOrders(d dice) {
	strong := strongIDs()
	d.Shuffle(len(strong), func(i, j int) { strong[i], strong[j] = strong[j], strong[i] })
	taken := map[string]bool{}
	for i := range 2 + d.IntN(6) {
		o := order{strong: strong[i], weak: pick(d, "100", "1001", "10010", "101"), email: pick(d, "a@example.com", "b@example.com", "c@example.com")}
		if d.chance(30) {
			o.subscription = pick(d, "sub_1", "sub_12", "SUB_1")
		}
		switch n := d.IntN(100); {
		case n < 60:
			o.stored = o.strong
		case n < 80:
			o.stored = o.weak
		case n < 90:
			o.stored = "random-" + strconv.Itoa(d.IntN(1e9))
		case n < 95:
			o.stored = "trial_" + strconv.Itoa(1e9+d.IntN(1e9))
		}
		if taken[o.stored] { // an order's id is unique
			o.stored = ""
		}
		taken[o.stored] = o.stored != ""
		w.orders = append(w.orders, o)
	}
}

func (w *world) makeLicenses(d dice) {
	times := d.chance(75)
	for i, o := range w.orders {
		n := pick(d, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4)
		if d.chance(5) {
			n = pick(d, 10, 11, 12)
		}
		for range n {
			id := int64(len(w.rows) + 1)
			l := licenseapitest.License{ID: id, Order: o.stored, Subscription: o.subscription, CustomerEmail: o.email, Code: strconv.Itoa(i)}
			if d.chance(10) {
				l.CustomerEmail = pick(d, "", strings.ToUpper(o.email), o.email+"x")
			}
			if d.chance(20) { // bought in one order with the subscription, or the id was not given to LicenseSpring
				l.Subscription = pick(d, "", "sub_1", "sub_12")
			}
			l.Product, l.ProductID = "XY", 5
			switch n := d.IntN(100); {
			case n < 20:
				l.Product, l.ProductID = "XZ", 6
			case n < 22:
				l.ProductID = 9 // a reused code of an old product
			}
			l.LicenseKey = "KEY-" + strconv.FormatInt(id, 10)
			if d.chance(15) {
				l.LicenseKey, l.Username, l.Password = "", "u"+strconv.FormatInt(id, 10)+"@example.com", "password"
				l.Product, l.ProductID = "US", 7
			}
			w.makeDevices(d, &l, times)
			w.rows = append(w.rows, l)
			if l.LicenseKey != "" && l.Product == "XY" && d.chance(8) { // a bundle: one key, two products
				other := l
				other.ID, other.Product, other.ProductID = id+1, "XZ", 6
				w.makeDevices(d, &other, times)
				w.rows = append(w.rows, other)
			}
		}
	}
}

func (w *world) makeDevices(d dice, l *licenseapitest.License, times bool) {
	l.Devices, l.InactiveDevices, l.Activated = nil, nil, map[string]time.Time{}
	n := pick(d, 0, 0, 1, 1, 1, 1, 1, 2, 2, 3)
	if d.chance(2) {
		n = pick(d, 25, 26, 50, 51)
	}
	for i := range n {
		l.Devices = append(l.Devices, "hw"+strconv.Itoa(i+1))
	}
	for range pick(d, 0, 0, 0, 1, 2) {
		l.InactiveDevices = append(l.InactiveDevices, pick(d, "hw1", "hw2", "hw9"))
	}
	if d.chance(15) {
		off := false
		l.Enabled = &off
	}
	if !times {
		return
	}
	l.CreatedAt = d.around(90, 6)
	for _, device := range l.Devices {
		l.Activated[device] = d.around(90, 6)
	}
	if l.Enabled != nil || d.chance(8) {
		l.TimeDisabled = noon().Add(time.Duration(pick(d, -1, 1)*(1+d.IntN(100))) * time.Hour)
	}
}

// of are the rows of an order.
func (w *world) of(order int) []licenseapitest.License {
	var rows []licenseapitest.License
	for _, l := range w.rows {
		if l.Code == strconv.Itoa(order) {
			rows = append(rows, l)
		}
	}
	return rows
}

func (w *world) makeRequest(d dice) {
	o := w.orders[w.about]
	own := w.of(w.about)
	other := w.orders[d.IntN(len(w.orders))]
	r := deactivation.Request{
		ID: "world." + strconv.FormatUint(w.seed, 10), Source: "world", Cause: deactivation.CauseRefund, OccurredAt: noon(), ReceivedAt: noon(),
		Disable: d.chance(70), Scope: pick(d, "", deactivation.ScopeOrder, deactivation.ScopeOrder, deactivation.ScopeItems),
	}
	if d.chance(20) {
		r.Cause = deactivation.CauseSubscriptionEnded
	}
	if d.chance(10) {
		r.OccurredAt = time.Time{}
	}
	if d.chance(15) {
		r.Origin = deactivation.OriginDirect
	}
	w.released = d.chance(6)

	if d.chance(85) {
		r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: o.strong})
	}
	if d.chance(50) {
		r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: o.weak, Weak: true})
	}
	if d.chance(15) {
		id := pick(d, o.stored, o.strong, other.stored, other.strong)
		r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: id, Buyer: true})
	}
	if d.chance(12) {
		r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: pick(d, garbage()...)})
	}
	r.Lookup.Order = slices.DeleteFunc(r.Lookup.Order, func(c deactivation.Candidate) bool { return c.ID == "" })
	d.Shuffle(len(r.Lookup.Order), func(i, j int) {
		r.Lookup.Order[i], r.Lookup.Order[j] = r.Lookup.Order[j], r.Lookup.Order[i]
	})
	if d.chance(30) || r.Cause == deactivation.CauseSubscriptionEnded && d.chance(80) {
		r.Lookup.Subscription.ID = o.subscription
	}
	switch n := d.IntN(100); {
	case n < 60:
		r.Lookup.Email = o.email
	case n < 70:
		r.Lookup.Email = strings.ToUpper(o.email)
	case n < 80:
		r.Lookup.Email = other.email
	}
	if d.chance(15) {
		r.Lookup.None = deactivation.NoneIgnore
	}
	w.nameLicense(d, &r, own)
	w.makeProducts(d, &r, own)
	w.request = r
}

// nameLicense makes the event name a license, and perhaps one of its devices: the vendor wrote it, or a buyer.
func (w *world) nameLicense(d dice, r *deactivation.Request, own []licenseapitest.License) {
	var l licenseapitest.License
	switch n := d.IntN(100); {
	case n < 20 && len(own) > 0:
		l = pick(d, own...)
	case n < 25:
		l = licenseapitest.License{LicenseKey: "KEY-unknown", Product: "XY"}
	case n < 33 && len(own) > 0:
		l, r.Buyer = pick(d, own...), true
	case n < 45 && len(w.rows) > 0:
		l, r.Buyer = pick(d, w.rows...), true
	default:
		return
	}
	r.LicenseKey, r.Username = l.LicenseKey, l.Username
	if l.Username != "" || d.chance(60) {
		r.Product = l.Product
	}
	if d.chance(5) && l.LicenseKey != "" {
		r.Product = pick(d, "XZ", "XY", "NONE")
	}
	if d.chance(40) && r.Product != "" {
		r.HardwareID = pick(d, append(slices.Clone(l.Devices), "hw1", "hw9")...)
	}
}

// makeProducts sets what was refunded if it was not the whole order.
func (w *world) makeProducts(d dice, r *deactivation.Request, own []licenseapitest.License) {
	if r.Scope != deactivation.ScopeItems || d.chance(5) {
		return
	}
	counts := map[string]int{}
	for _, l := range own {
		counts[l.Product]++
	}
	for _, product := range []string{"XY", "XZ", "US"} {
		if counts[product] == 0 || d.chance(30) {
			continue
		}
		n := counts[product]
		if d.chance(20) {
			n = max(1, n+pick(d, -1, 1))
		}
		if n > 1 && d.chance(20) { // on two lines
			r.Products = append(r.Products, deactivation.Product{Product: product, Count: 1})
			n--
		}
		r.Products = append(r.Products, deactivation.Product{Product: product, Count: n})
	}
	if d.chance(8) {
		r.Products = append(r.Products, deactivation.Product{Product: "SHIRT", Count: 1})
	}
}

// served are the rows in the form of the fake.
func (w *world) served() []licenseapitest.License {
	rows := slices.Clone(w.rows)
	for i := range rows {
		rows[i].Code = "" // the order's number, which is the world's own
	}
	return rows
}
