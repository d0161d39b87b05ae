package licenseapitest

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// License is one row of the state. Product and identity (license key, user name, or a token or code of single
// sign-on with its customer account) identify it; several rows of one product and identity differ by ID or Bundle.
// The known products are those of the rows.
//
// Devices are the active ones. A license that starts without devices was never activated, so it is not active
// (license_not_active). A license whose devices have all been deactivated knows its devices, none of which is active
// (device_not_found). The documentation does not decide this, and a client has to treat both alike.
type License struct {
	ID         int64    `json:"id,omitempty"` // for license_id; 0: none
	Product    string   `json:"product"`
	Bundle     string   `json:"bundle,omitempty"`
	LicenseKey string   `json:"license_key,omitempty"`
	Username   string   `json:"username,omitempty"`
	Password   string   `json:"password,omitempty"` // compared only when one is sent
	Devices    []string `json:"devices"`
	Enabled    *bool    `json:"enabled,omitempty"` // absent means true

	CustomerAccountCode string `json:"customer_account_code,omitempty"`
	IDToken             string `json:"id_token,omitempty"`
	Code                string `json:"code,omitempty"`

	// Further values for the Management API. A time that is absent here is absent in its records, too.
	Order           string               `json:"order,omitempty"` // order_store_id
	Subscription    string               `json:"subscription,omitempty"`
	CustomerEmail   string               `json:"customer_email,omitempty"`
	InactiveDevices []string             `json:"inactive_devices,omitempty"` // the same hardware id may be active as well, or twice
	ProductID       int64                `json:"product_id,omitempty"`       // 0: one for each product
	CreatedAt       time.Time            `json:"created_at,omitzero"`
	TimeDisabled    time.Time            `json:"time_disabled,omitzero"`
	Activated       map[string]time.Time `json:"activated,omitempty"` // when the active devices were activated, by hardware id
}

// problem returns what is wrong with a row, or "".
func (l License) problem() string {
	switch {
	case l.Product == "":
		return "product is missing"
	case l.LicenseKey != "" && l.Username != "":
		return "has a license_key and a username; a product is either key-based or user-based"
	case len(l.names()) == 0:
		return "license_key or username is missing (or customer_account_code with id_token or code)"
	case l.Password != "" && l.Username == "":
		return "password goes with username"
	case l.CustomerAccountCode == "" && (l.IDToken != "" || l.Code != ""):
		return "customer_account_code is missing"
	}
	for i, device := range l.Devices {
		if device == "" || slices.Contains(l.Devices[:i], device) {
			return "devices[" + strconv.Itoa(i) + "] is empty or there twice"
		}
	}
	if slices.Contains(l.InactiveDevices, "") {
		return "inactive_devices: one is empty"
	}
	if l.ID < 0 || l.ProductID < 0 {
		return "id or product_id is negative"
	}
	return ""
}

// names returns the names by which a request may identify the license, each with the product.
func (l License) names() []string { return l.namesIn(l.Product) }

// namesIn is names with a product's or a bundle's code.
func (l License) namesIn(code string) []string {
	var names []string
	for _, n := range []struct{ kind, value string }{
		{"license_key", l.LicenseKey}, {"username", l.Username},
		{"id_token", joined(l.CustomerAccountCode, l.IDToken)}, {"code", joined(l.CustomerAccountCode, l.Code)},
	} {
		if n.value != "" {
			names = append(names, name(n.kind, n.value, code))
		}
	}
	return names
}

func name(kind, value, product string) string { return kind + "\x00" + value + "\x00" + product }

// joined returns account and token as one value, or "" when one is missing.
func joined(account, token string) string {
	if account == "" || token == "" {
		return ""
	}
	return account + "\x00" + token
}

// rows are the licenses, found by name.
type rows struct {
	all      []*row
	byID     map[int64]*row
	byName   map[string][]*row
	byBundle map[string][]*row // named with the bundle's code in place of the product's
	products map[string]bool
	bundles  map[string]bool
	accounts map[string]bool

	deviceCount int64
}

// row is a license in its present state.
type row struct {
	License
	id        int64 // ID, or one that the server chose
	devices   []device
	activated bool // had a device at some time
}

// device is one activation: LicenseSpring makes a new one for each, so there may be several with one hardware id.
type device struct {
	id          int64
	hardwareID  string
	active      bool
	activated   time.Time // zero: not known
	deactivated time.Time // zero: not known
}

// Ids of rows and devices without an id in the state begin here, far from those that a test would choose.
const (
	firstLicenseID = 1_000_000_001
	firstDeviceID  = 2_000_000_001
)

func newRows(licenses []License) rows {
	rs := rows{
		byName: map[string][]*row{}, byBundle: map[string][]*row{}, byID: map[int64]*row{},
		products: map[string]bool{}, bundles: map[string]bool{}, accounts: map[string]bool{},
	}
	for _, l := range licenses {
		rs.add(l)
	}
	return rs
}

// add appends a license. The caller has checked it.
func (rs *rows) add(l License) {
	r := &row{License: l, id: cmp.Or(l.ID, int64(firstLicenseID+len(rs.all))), activated: len(l.Devices)+len(l.InactiveDevices) > 0}
	for _, name := range l.Devices {
		r.devices = append(r.devices, device{id: rs.newDeviceID(), hardwareID: name, active: true, activated: l.Activated[name]})
	}
	for _, name := range l.InactiveDevices {
		r.devices = append(r.devices, device{id: rs.newDeviceID(), hardwareID: name})
	}
	rs.all = append(rs.all, r)
	rs.byID[r.id] = r
	rs.products[l.Product] = true
	rs.accounts[l.CustomerAccountCode] = true
	for _, n := range l.names() {
		rs.byName[n] = append(rs.byName[n], r)
	}
	if l.Bundle == "" {
		return
	}
	rs.bundles[l.Bundle] = true
	for _, n := range l.namesIn(l.Bundle) {
		rs.byBundle[n] = append(rs.byBundle[n], r)
	}
}

func (rs *rows) newDeviceID() int64 {
	rs.deviceCount++
	return firstDeviceID + rs.deviceCount - 1
}

func (rs rows) licenses() []License {
	licenses := make([]License, 0, len(rs.all))
	for _, r := range rs.all {
		l := r.License
		l.Devices, l.InactiveDevices = l.Devices[:0:0], l.InactiveDevices[:0:0] // nil stays nil
		for _, d := range r.devices {
			if d.active {
				l.Devices = append(l.Devices, d.hardwareID)
			} else {
				l.InactiveDevices = append(l.InactiveDevices, d.hardwareID)
			}
		}
		licenses = append(licenses, l)
	}
	return licenses
}

// deactivate frees the device and returns "", or returns the code of the reason. Of several licenses of one user it
// uses the first that has the device. It calls written with each row whose device was to be freed.
func (rs rows) deactivate(req request, now time.Time, written func(r *row, code string)) (code string) {
	if !rs.products[text(req.Product)] {
		return "unknown_product"
	}
	code = rs.unknownAccount(req)
	for _, r := range rs.byName[req.license()] {
		if !r.meant(req) {
			continue
		}
		why := r.deactivate(text(req.HardwareID), now)
		written(r, why)
		if why == "" {
			return ""
		}
		code = cmp.Or(code, why)
	}
	return cmp.Or(code, "license_not_found")
}

// deactivateBundle frees the device on every row of the bundle that the identity has. It returns the products of the
// rows that had the device, or the code of the reason where none had.
func (rs rows) deactivateBundle(req request, now time.Time, written func(r *row, code string)) (freed []string, code string) {
	if !rs.bundles[text(req.Product)] {
		return nil, "unknown_product"
	}
	code = rs.unknownAccount(req)
	for _, r := range rs.byBundle[req.license()] {
		if !r.meant(req) {
			continue
		}
		why := r.deactivate(text(req.HardwareID), now)
		written(r, why)
		if why == "" {
			freed = append(freed, r.Product)
		}
		code = cmp.Or(code, why)
	}
	if len(freed) > 0 {
		return freed, ""
	}
	return nil, cmp.Or(code, "license_not_found")
}

// unknownAccount returns the code for a customer account that no row has, or "". No row matches such a request.
func (rs rows) unknownAccount(req request) (code string) {
	if account := text(req.CustomerAccountCode); account != "" && !rs.accounts[account] {
		return "customer_account_not_found"
	}
	return ""
}

// meant reports whether password, license_id and bundle_code match the row; those that were not sent match.
func (r *row) meant(req request) bool {
	return (text(req.Password) == "" || *req.Password == r.Password) &&
		(req.LicenseID == nil || *req.LicenseID == r.id) &&
		(text(req.BundleCode) == "" || *req.BundleCode == r.Bundle)
}

func (r *row) deactivate(hardwareID string, now time.Time) (code string) {
	if !r.enabled() {
		return "license_not_enabled"
	}
	if !r.activated {
		return "license_not_active"
	}
	at := slices.IndexFunc(r.devices, func(d device) bool { return d.active && d.hardwareID == hardwareID })
	if at < 0 {
		return "device_not_found"
	}
	r.devices[at].active, r.devices[at].deactivated = false, now
	return ""
}

func (r *row) enabled() bool { return r.Enabled == nil || *r.Enabled }
