package lookup_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// refund is a whole order, found by the sender's id.
func refund() deactivation.Request {
	return deactivation.Request{
		ID: "stripe.evt_1.0", Source: "stripe", Cause: deactivation.CauseRefund, Event: "evt_1",
		OccurredAt: noon(), ReceivedAt: noon(), Disable: true,
		Lookup: deactivation.Lookup{Order: []deactivation.Candidate{{ID: "pi_1"}}, Email: "a@example.com"},
	}
}

// subscriptionEnded makes the refund of the order the end of a subscription that began with it.
func subscriptionEnded(id string) func(*deactivation.Request) {
	return func(r *deactivation.Request) {
		r.Cause, r.Disable, r.Lookup.Subscription.ID = deactivation.CauseSubscriptionEnded, false, id
	}
}

// owned is a license of the order pi_1.
func owned(id int64, key string, devices ...string) licenseapitest.License {
	return licenseapitest.License{
		ID: id, Product: "XY", ProductID: 5, LicenseKey: key, Order: "pi_1", CustomerEmail: "a@example.com", Devices: devices,
		CreatedAt: noon().Add(-48 * time.Hour),
	}
}

// others are licenses of other orders.
func others() []licenseapitest.License {
	return []licenseapitest.License{
		{ID: 901, Product: "XY", ProductID: 5, LicenseKey: "OTHER-KEY-0001", Order: "pi_12", CustomerEmail: "b@example.com", Devices: []string{"hw1"}},
		{ID: 902, Product: "XY", ProductID: 5, LicenseKey: "OTHER-KEY-0002", Order: "pi_2", CustomerEmail: "a@example.com", Devices: []string{"hw1"}},
	}
}

// freed and disabled are the writes that change a license.
func freed(id int64, device string) licenseapitest.Write {
	return licenseapitest.Write{Act: licenseapitest.ActDeactivateLicense, License: id, Device: device}
}

func disabled(id int64) licenseapitest.Write {
	return licenseapitest.Write{Act: licenseapitest.ActDisable, License: id}
}

// TestWhatBecomesOfARequest gives licenses and a request, and checks the writes and the result of the message.
func TestWhatBecomesOfARequest(t *testing.T) {
	t.Parallel()
	no := false
	at := func(d time.Duration) time.Time { return noon().Add(d) }
	with := func(l licenseapitest.License, change func(*licenseapitest.License)) licenseapitest.License {
		change(&l)
		return l
	}
	reset := func(id int64, device string) licenseapitest.Write {
		return licenseapitest.Write{Act: licenseapitest.ActResetDevice, License: id, Device: device}
	}
	user := licenseapitest.License{ID: 3, Product: "US", Username: "u@example.com", Password: "p", Order: "pi_1", CustomerEmail: "a@example.com", Devices: []string{"hw1", "hw2"}}
	many := func(n int) (licenses []licenseapitest.License, writes []licenseapitest.Write) {
		for i := range n {
			licenses = append(licenses, owned(int64(i+1), "KEY-"+strconv.Itoa(i)))
			writes = append(writes, disabled(int64(i+1)))
		}
		return licenses, writes
	}
	manyDevices := func(n int) (l licenseapitest.License, writes []licenseapitest.Write) {
		l = owned(1, "KEY-1")
		for i := range n {
			l.Devices = append(l.Devices, "hw"+strconv.Itoa(i))
			writes = append(writes, freed(1, "hw"+strconv.Itoa(i)))
		}
		return l, append(writes, disabled(1))
	}
	tenLicenses, tenWrites := many(10)
	elevenLicenses, elevenWrites := many(11)
	fiftyDevices, fiftyWrites := manyDevices(50)
	fiftyOneDevices, fiftyOneWrites := manyDevices(51)

	for name, c := range map[string]struct {
		licenses []licenseapitest.License
		request  func(*deactivation.Request)
		job      func(*lookup.Job)
		habits   licenseapitest.Habits
		writes   []licenseapitest.Write
		want     string // outcome and code
		waits    int    // receives before the last
	}{
		"devices first, disable last": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1", "hw2"), owned(2, "KEY-2", "hw3")},
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(1, "hw2"), freed(2, "hw3"), disabled(1), disabled(2)},
			want:     "deactivated ",
		},
		"without disable the license stays usable": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.Disable = false },
			writes:   []licenseapitest.Write{freed(1, "hw1")}, want: "deactivated ",
		},
		"never activated: disabled alone": {
			licenses: []licenseapitest.License{owned(1, "KEY-1")}, writes: []licenseapitest.Write{disabled(1)}, want: "deactivated ",
		},
		"never activated, no disable: nothing to do": {
			licenses: []licenseapitest.License{owned(1, "KEY-1")},
			request:  func(r *deactivation.Request) { r.Disable = false }, want: "already_inactive no_active_device",
		},
		"inactive devices are skipped, one hardware id counts once": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.InactiveDevices = []string{"hw1", "hw2"} })},
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"disabled with nothing active: already inactive": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1"), func(l *licenseapitest.License) { l.Enabled = &no })},
			want:     "already_inactive already_disabled",
		},
		"disabled with a device that the API does not free": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Enabled = &no })},
			writes:   []licenseapitest.Write{{Act: "deactivate_license", License: 1, Device: "hw1", Code: "license_not_enabled"}},
			want:     "already_inactive already_disabled",
		},
		"a user-based license is reset by device": {
			licenses: []licenseapitest.License{user},
			writes:   []licenseapitest.Write{reset(3, "hw1"), reset(3, "hw2"), disabled(3)}, want: "deactivated ",
		},
		"the key comes before the order": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request:  func(r *deactivation.Request) { r.LicenseKey = "KEY-2" },
			writes:   []licenseapitest.Write{freed(2, "hw2"), disabled(2)}, want: "deactivated ",
		},
		"an unknown key gives way to the order": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey = "KEY-9" },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"the key of a bundle is all of its products'": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request:  func(r *deactivation.Request) { r.LicenseKey = "KEY-1" },
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw1"), disabled(1), disabled(2)}, want: "deactivated ",
		},
		"the key with a product is that product's": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Product = "KEY-1", "XZ" },
			writes:   []licenseapitest.Write{freed(2, "hw1"), disabled(2)}, want: "deactivated ",
		},
		"the key of another product does not match": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Product = "KEY-1", "XZ" },
			want:     "rejected mismatch",
		},
		"orders are tried in their order": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Order = "pi_0" })},
			request: func(r *deactivation.Request) {
				r.Lookup.Order = []deactivation.Candidate{{ID: "none-such"}, {ID: "pi_0"}, {ID: "pi_1"}}
			},
			writes: []licenseapitest.Write{freed(2, "hw2"), disabled(2)}, want: "deactivated ",
		},
		"the subscription comes last": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Order, l.Subscription = "random", "sub_1" })},
			request:  func(r *deactivation.Request) { r.Lookup.Subscription.ID = "sub_1" },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"the end of a subscription is not that of the order's other licenses": {
			licenses: []licenseapitest.License{
				with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Subscription = "sub_1" }), owned(2, "KEY-2", "hw2"),
				with(owned(3, "KEY-3", "hw3"), func(l *licenseapitest.License) { l.Subscription = "sub_2" }),
			},
			request: subscriptionEnded("sub_1"),
			writes:  []licenseapitest.Write{freed(1, "hw1")}, want: "deactivated ",
		},
		"the end of a subscription whose licenses do not say so, in an order of one product": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request:  subscriptionEnded("sub_1"),
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2")}, want: "deactivated ",
		},
		"the same in an order of two products": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request:  subscriptionEnded("sub_1"),
			want:     "rejected partial",
		},
		"the same in an order with another subscription": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Subscription = "sub_2" })},
			request:  subscriptionEnded("sub_1"),
			want:     "rejected partial",
		},
		"the same released": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Subscription = "sub_2" })},
			request:  subscriptionEnded("sub_1"),
			job:      func(j *lookup.Job) { j.Released = true },
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2")}, want: "deactivated ",
		},
		"the same with a key that a buyer wrote": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request: func(r *deactivation.Request) {
				subscriptionEnded("sub_1")(r)
				r.LicenseKey, r.Buyer = "KEY-2", true
			},
			writes: []licenseapitest.Write{freed(2, "hw2")}, want: "deactivated ",
		},
		"an order whose subscription ended, by the order alone": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request:  subscriptionEnded(""),
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2")}, want: "deactivated ",
		},
		"a placeholder is not asked for": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Subscription = "subscription_empty" })},
			request: func(r *deactivation.Request) {
				r.Lookup = deactivation.Lookup{Order: []deactivation.Candidate{{ID: "n/a"}, {ID: "12"}}, Subscription: deactivation.Candidate{ID: "subscription_empty"}}
			},
			want: "rejected no_license",
		},
		"nothing found: three waits, then a letter": {
			request: func(r *deactivation.Request) { r.Lookup.Order = []deactivation.Candidate{{ID: "none-such"}} },
			want:    "rejected no_license", waits: 3,
		},
		"nothing found in a shop that sells other things": {
			request: func(r *deactivation.Request) {
				r.Lookup.Order, r.Lookup.None = []deactivation.Candidate{{ID: "none-such"}}, deactivation.NoneIgnore
			},
			want: "already_inactive no_license", waits: 3,
		},
		"nothing found, first looked at after an outage: one later try": {
			request: func(r *deactivation.Request) {
				r.Lookup.Order, r.ReceivedAt = []deactivation.Candidate{{ID: "none-such"}}, noon().Add(-30*time.Hour)
			},
			want: "rejected no_license", waits: 1,
		},
		"nothing found, and the License API refuses what the request names": {
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Product, r.HardwareID = "NONE-SUCH", "XY", "hw1"
				r.Lookup.Order = []deactivation.Candidate{{ID: "none-such"}}
			},
			want: "rejected license_not_found", waits: 3,
		},
		"a weak number with the order's address": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Order, l.CustomerEmail = "1001", "A@Example.com" })},
			request:  func(r *deactivation.Request) { r.Lookup.Order = []deactivation.Candidate{{ID: "1001", Weak: true}} },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a weak number of another shop": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Order, l.CustomerEmail = "1001", "b@example.com" })},
			request:  func(r *deactivation.Request) { r.Lookup.Order = []deactivation.Candidate{{ID: "1001", Weak: true}} },
			want:     "rejected no_license", waits: 3,
		},
		"a weak number, and no address is known": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Order, l.CustomerEmail = "1001", "" })},
			request: func(r *deactivation.Request) {
				r.Lookup = deactivation.Lookup{Order: []deactivation.Candidate{{ID: "1001", Weak: true}}}
			},
			want: "rejected no_license", waits: 3,
		},
		"a buyer names somebody else's key": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Buyer, r.Lookup.Order = "OTHER-KEY-0001", true, nil
			},
			want: "rejected unconfirmed",
		},
		"a buyer names somebody else's key, and the order is found": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Buyer = "OTHER-KEY-0001", true },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a buyer names a key of his own": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Buyer, r.Lookup.Order = "KEY-1", true, nil },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a buyer names one of his keys, and the whole order was refunded": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Buyer = "KEY-1", true },
			writes:   []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2"), disabled(1), disabled(2)}, want: "deactivated ",
		},
		"a buyer names the key of a refunded item": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Buyer, r.Scope = "KEY-2", true, deactivation.ScopeItems
			},
			writes: []licenseapitest.Write{freed(2, "hw2"), disabled(2)}, want: "deactivated ",
		},
		"a buyer names somebody else's order": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Lookup.Order, r.Lookup.Email = []deactivation.Candidate{{ID: "pi_1", Buyer: true}}, "b@example.com"
			},
			want: "rejected unconfirmed",
		},
		"a buyer names somebody else's order, and the own one may yet come": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Lookup.Order, r.Lookup.Email = []deactivation.Candidate{{ID: "pi_1", Buyer: true}, {ID: "pi_late"}}, "b@example.com"
			},
			want: "rejected unconfirmed", waits: 3,
		},
		"a buyer's order, confirmed by an id of the sender's": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.Subscription = "sub_1" })},
			request: func(r *deactivation.Request) {
				r.Lookup = deactivation.Lookup{Order: []deactivation.Candidate{{ID: "pi_1", Buyer: true}}, Subscription: deactivation.Candidate{ID: "sub_1"}}
			},
			writes: []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a buyer's device is deactivated once it is confirmed": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1", "hw2")},
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Product, r.HardwareID, r.Buyer, r.Disable = "KEY-1", "XY", "hw1", true, false
			},
			writes: []licenseapitest.Write{freed(1, "hw1")}, want: "deactivated ",
		},
		"a buyer's device of somebody else's is not": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1", "hw2")},
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Product, r.HardwareID, r.Buyer, r.Disable = "OTHER-KEY-0001", "XY", "hw1", true, false
			},
			want: "rejected unconfirmed",
		},
		"a released review acts": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Lookup.Order, r.Lookup.Email = []deactivation.Candidate{{ID: "pi_1", Buyer: true}}, "b@example.com"
			},
			job:    func(j *lookup.Job) { j.Released = true },
			writes: []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a named device goes first, then all of the license": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1", "hw2")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Product, r.HardwareID = "KEY-1", "XY", "hw2" },
			writes:   []licenseapitest.Write{freed(1, "hw2"), freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a direct row means its device and its license": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1", "hw2"), owned(2, "KEY-2", "hw3")},
			request: func(r *deactivation.Request) {
				r.LicenseKey, r.Product, r.HardwareID, r.Origin = "KEY-1", "XY", "hw2", deactivation.OriginDirect
			},
			writes: []licenseapitest.Write{freed(1, "hw2"), disabled(1)}, want: "deactivated ",
		},
		"a direct row's user is not the whole order": {
			licenses: []licenseapitest.License{user, owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Username, r.Product, r.HardwareID, r.Origin = "u@example.com", "US", "hw2", deactivation.OriginDirect
			},
			writes: []licenseapitest.Write{freed(3, "hw2"), disabled(3)}, want: "deactivated ",
		},
		"a direct row's license is none of the order's": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Username, r.Product, r.HardwareID, r.Origin = "nobody@example.com", "XY", "hw2", deactivation.OriginDirect
			},
			want: "rejected unconfirmed",
		},
		"a named device that the API does not know, and the order does": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Product, r.HardwareID = "KEY-9", "XY", "hw1" },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a user with a device and nothing to find him by": {
			licenses: []licenseapitest.License{user},
			request: func(r *deactivation.Request) {
				r.Username, r.Product, r.HardwareID, r.Lookup = "u@example.com", "US", "hw1", deactivation.Lookup{}
			},
			writes: []licenseapitest.Write{freed(3, "hw1")}, want: "deactivated ",
		},
		"an item of two kinds": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request: func(r *deactivation.Request) {
				r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: "XZ", Count: 1}}
			},
			writes: []licenseapitest.Write{freed(2, "hw2"), disabled(2)}, want: "deactivated ",
		},
		"one of two of a kind": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request: func(r *deactivation.Request) {
				r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: "XY", Count: 1}}
			},
			want: "rejected partial",
		},
		"two of two of a kind, on two lines": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2")},
			request: func(r *deactivation.Request) {
				r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: "XY", Count: 1}, {Product: "XY", Count: 1}}
			},
			writes: []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2"), disabled(1), disabled(2)}, want: "deactivated ",
		},
		"an item that has no license": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request: func(r *deactivation.Request) {
				r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: "XY", Count: 1}, {Product: "SHIRT", Count: 1}}
			},
			want: "rejected partial",
		},
		"items, and not which": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.Scope = deactivation.ScopeItems }, want: "rejected partial",
		},
		"an item of two released": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), owned(2, "KEY-2", "hw2"), with(owned(3, "KEY-3", "hw3"), func(l *licenseapitest.License) { l.Product, l.ProductID = "XZ", 6 })},
			request: func(r *deactivation.Request) {
				r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: "XY", Count: 1}}
			},
			job:    func(j *lookup.Job) { j.Released = true },
			writes: []licenseapitest.Write{freed(1, "hw1"), freed(2, "hw2"), disabled(1), disabled(2)}, want: "deactivated ",
		},
		"two products behind one code": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.ProductID = 7 })},
			want:     "rejected mismatch",
		},
		"a mismatch is never released": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.ProductID = 7 })},
			job:      func(j *lookup.Job) { j.Released = true }, want: "rejected mismatch",
		},
		"ten licenses":             {licenses: tenLicenses, writes: tenWrites, want: "deactivated "},
		"eleven licenses":          {licenses: elevenLicenses, want: "rejected too_many"},
		"eleven licenses released": {licenses: elevenLicenses, job: func(j *lookup.Job) { j.Released = true }, writes: elevenWrites, want: "deactivated "},
		"fifty devices":            {licenses: []licenseapitest.License{fiftyDevices}, writes: fiftyWrites, want: "deactivated "},
		"fifty-one devices":        {licenses: []licenseapitest.License{fiftyOneDevices}, want: "rejected too_many"},
		"fifty-one devices released": {
			licenses: []licenseapitest.License{fiftyOneDevices}, job: func(j *lookup.Job) { j.Released = true }, writes: fiftyOneWrites, want: "deactivated ",
		},
		"made a day after the event": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.CreatedAt = at(24 * time.Hour) })},
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"made later than that": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1"), with(owned(2, "KEY-2", "hw2"), func(l *licenseapitest.License) { l.CreatedAt = at(24*time.Hour + time.Second) })},
			want:     "rejected newer_than_event",
		},
		"disabled before the event and enabled since": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.TimeDisabled = at(-time.Second) })},
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"disabled after the event and enabled since": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.TimeDisabled = at(time.Second) })},
			want:     "rejected given_back",
		},
		"disabled after the event and enabled since, released": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.TimeDisabled = at(time.Second) })},
			job:      func(j *lookup.Job) { j.Released = true },
			writes:   []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"without times there is nothing to compare": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) {
				l.TimeDisabled, l.CreatedAt, l.Activated = at(time.Second), at(99*time.Hour), map[string]time.Time{"hw1": at(99 * time.Hour)}
			})},
			habits: licenseapitest.Habits{NoTimes: true},
			writes: []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a device of a day after the event is left alone": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1", "hw2", "hw3"), func(l *licenseapitest.License) {
				l.Activated = map[string]time.Time{"hw1": at(24 * time.Hour), "hw2": at(24*time.Hour + time.Second)}
			})},
			request: func(r *deactivation.Request) { r.Disable = false },
			writes:  []licenseapitest.Write{freed(1, "hw1"), freed(1, "hw3")}, want: "deactivated ",
		},
		"a license with such a device is not disabled": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1", "hw2"), func(l *licenseapitest.License) {
				l.Activated = map[string]time.Time{"hw2": at(25 * time.Hour)}
			})},
			want: "rejected given_back",
		},
		"unless it was last disabled before the event": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1", "hw2"), func(l *licenseapitest.License) {
				l.Activated, l.TimeDisabled = map[string]time.Time{"hw2": at(25 * time.Hour)}, at(-time.Hour)
			})},
			writes: []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"a license with such a device, released": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1", "hw2"), func(l *licenseapitest.License) {
				l.Activated = map[string]time.Time{"hw2": at(25 * time.Hour)}
			})},
			job:    func(j *lookup.Job) { j.Released = true },
			writes: []licenseapitest.Write{freed(1, "hw1"), freed(1, "hw2"), disabled(1)}, want: "deactivated ",
		},
		"the time of the event is that of its receipt where it has none": {
			licenses: []licenseapitest.License{with(owned(1, "KEY-1", "hw1"), func(l *licenseapitest.License) { l.CreatedAt = at(25 * time.Hour) })},
			request:  func(r *deactivation.Request) { r.OccurredAt = time.Time{} }, want: "rejected newer_than_event",
		},
		"a repeated disable that is refused": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")}, habits: licenseapitest.Habits{RefuseRepeats: true},
			writes: []licenseapitest.Write{freed(1, "hw1"), disabled(1)}, want: "deactivated ",
		},
		"the brake holds": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			job:      func(j *lookup.Job) { j.Admit = func([]string) deactivation.Reason { return deactivation.ReasonHeld } },
			want:     "rejected/held ",
		},
		"watched": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			request:  func(r *deactivation.Request) { r.LicenseKey, r.Product, r.HardwareID = "KEY-1", "XY", "hw1" },
			job:      func(j *lookup.Job) { j.Watch = true },
			want:     "rejected/watched ",
		},
		"watched, and the brake would hold it": {
			licenses: []licenseapitest.License{owned(1, "KEY-1", "hw1")},
			job: func(j *lookup.Job) {
				j.Watch, j.Admit = true, func([]string) deactivation.Reason { return deactivation.ReasonHeld }
			},
			want: "rejected/watched surge",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPIs(t)
			fake := a.serve(t, append(slices.Clone(c.licenses), others()...)...)
			fake.SetHabits(c.habits)
			r := refund()
			if c.request != nil {
				c.request(&r)
			}
			result, before := a.work(t, a.lookup(t), r, c.job)
			got := string(result.Outcome)
			if result.Reason != "" && result.Reason != deactivation.ReasonRejected {
				got += "/" + string(result.Reason)
			}
			got += " " + result.Code
			if got != c.want || len(before) != c.waits {
				t.Errorf("got %s after %d waits, want %s after %d: %s; %v", got, len(before), c.want, c.waits, result.Detail, result.Report)
			}
			for _, wait := range before {
				if !wait.Waiting || wait.Code != lookup.CodeNoLicense || wait.RetryIn <= 0 || wait.Fault != "" {
					t.Errorf("a wait: %+v", wait)
				}
			}
			if (result.Outcome == deactivation.Rejected) != (result.Reason != "") || result.Outcome == deactivation.Rejected && result.Detail == "" {
				t.Errorf("a letter without a reason, or the reverse: %+v", result)
			}
			if diff := cmp.Diff(c.writes, fake.Ledger()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			checkTexts(t, result)
		})
	}
}
