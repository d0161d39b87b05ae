package managementapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// License is a record of the Management API. A field that the record does not have is zero, unless its comment says
// otherwise. Only its id, its product and the key's end are printed.
//
// Source: https://docs.licensespring.com/management-api/license/retrieve-license
type License struct {
	ID             int64
	Key            string // license_key; "" for a user-based license
	Order          string // order_store_id: the id that the vendor gave the order, or a random one
	Subscription   string // subscription_id
	Status         string // "Active", "Inactive" (never activated), "Disabled", …
	Enabled        bool   // known of every License: a record that does not say it is an error
	TimesActivated int
	ActiveDevices  int // total_active_devices; -1 where the record does not say
	Product        Product
	Customer       Customer
	Users          []string  // true_email of license_users
	CreatedAt      time.Time // zero: not known
	TimeDisabled   time.Time // when it was last disabled; zero: never, or not known
}

// Product is the product of a License. Short codes can be used again for another product; ids cannot.
type Product struct {
	ID        int64
	ShortCode string
	UserBased bool // its licenses belong to users and have no key
}

// Customer is the customer of a License's order.
type Customer struct {
	ID        int64
	Email     string
	Reference string
}

// UserBased reports whether the license belongs to users: it has no key, and its product or its users say so. A license
// with neither key nor users is of neither kind.
func (l License) UserBased() bool { return l.Key == "" && (l.Product.UserBased || len(l.Users) > 0) }

// List is the result of a list.
type List[T any] struct {
	Records []T
	Count   int  // the API's own count
	Whole   bool // Records holds all of them; otherwise there are more than the wanted number, and Records has the first page
}

// Licenses lists the licenses that an exact filter finds, in as many requests as there are pages of 100. When there are
// more than most, it stops after the first page. The error wraps ErrFilter if the filter was refused and nothing was sent.
//
// An *UnreadableError says that the pages do not fit together: the list changed meanwhile, or it holds a record twice. Then
// one may be missing: list again.
//
// Compare each record with Filter.Matches before anything is written.
//
// Source: https://docs.licensespring.com/management-api/license/list-licenses
func (c *Client) Licenses(ctx context.Context, by Filter, most int) (List[License], error) {
	if err := by.Check(); err != nil {
		return List[License]{}, err
	}
	query := url.Values{by.name: {by.value}}
	return list(ctx, c, opListLicenses, "/licenses/", query, by.value, most, parseLicense, func(l License) int64 { return l.ID })
}

// License returns the license with that id; KindOf its error is KindNotFound if there is none.
//
// Source: https://docs.licensespring.com/management-api/license/retrieve-license
func (c *Client) License(ctx context.Context, id int64) (License, error) {
	reply, err := c.request(ctx, opGetLicense, http.MethodGet, objectPath("licenses", id), nil, "")
	if err != nil {
		return License{}, err
	}
	l, why := parseLicense(reply)
	if why == "" && l.ID != id {
		why = "another license came back"
	}
	if why != "" {
		return License{}, &UnreadableError{Op: opGetLicense, Why: why}
	}
	return l, nil
}

// Disable switches a license off: activations and checks are refused, its entitlements are kept. A nil error means that
// the API answered 200; read the license again to see the effect. The answer to a second Disable is not documented.
//
// Source: https://docs.licensespring.com/management-api/license/disable-license
func (c *Client) Disable(ctx context.Context, id int64) error {
	return c.act(ctx, opDisable, "licenses", id, "disable/")
}

// Enable is the inverse of Disable: the license has its former status again. Devices that were deactivated meanwhile
// must be activated again.
//
// Source: https://docs.licensespring.com/management-api/license/enable-license
func (c *Client) Enable(ctx context.Context, id int64) error {
	return c.act(ctx, opEnable, "licenses", id, "enable/")
}

func (c *Client) act(ctx context.Context, op, resource string, id int64, verb string) error {
	_, err := c.request(ctx, op, http.MethodPost, objectPath(resource, id)+verb, nil, "")
	return err
}

func objectPath(resource string, id int64) string {
	return "/" + resource + "/" + strconv.FormatInt(id, 10) + "/"
}

// parseLicense reads a record. why is "" or what the record lacks.
func parseLicense(raw json.RawMessage) (l License, why string) {
	f, ok := parseFields(raw)
	if !ok {
		return License{}, "a license is no object, or has two values for a field"
	}
	createdAt, createdKnown := f.time("created_at")
	timeDisabled, disabledKnown := f.time("time_disabled")
	l = License{
		ID: f.id("id"), Key: f.text("license_key"), Order: f.text("order_store_id"), Subscription: f.text("subscription_id"),
		Status: f.text("status"), TimesActivated: f.count("times_activated", 0), ActiveDevices: f.count("total_active_devices", -1),
		CreatedAt: createdAt, TimeDisabled: timeDisabled,
	}
	switch {
	case l.ID < 1:
		return License{}, "a license has no id"
	case !createdKnown:
		return License{}, "a license's created_at is no time"
	case !disabledKnown:
		return License{}, "a license's time_disabled is no time"
	}
	enabled, known := f.boolean("enabled", "license_enabled")
	if !known && l.Status != "" {
		enabled, known = l.Status != "Disabled", true // Disabled overrides every other status
	}
	if !known {
		return License{}, "a license does not say whether it is enabled"
	}
	l.Enabled = enabled
	if product, ok := parseFields(f.get("product", "product_details")); ok {
		l.Product = Product{
			ID: product.id("id", "product_id"), ShortCode: product.text("short_code", "product_short_code", "code"),
			UserBased: product.text("authorization_method") == "user",
		}
	}
	if customer, ok := parseFields(f.get("customer")); ok {
		l.Customer = Customer{ID: customer.id("id"), Email: customer.text("email"), Reference: customer.text("reference")}
	}
	var users []json.RawMessage
	if json.Unmarshal(f.get("license_users"), &users) == nil {
		for _, raw := range users {
			if user, ok := parseFields(raw); ok { // initial_password is not read
				l.Users = append(l.Users, user.text("true_email", "email"))
			}
		}
	}
	return l, ""
}

// LogValue implements slog.LogValuer: id, product and the license key's end.
func (l License) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("id", l.ID), slog.String("product", l.Product.ShortCode), slog.String("license", shorten(l.Key)))
}

// Format implements fmt.Formatter for every verb, so that no verb shows a key or an address.
func (l License) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "license %d (%s) of %s", l.ID, shorten(l.Key), l.Product.ShortCode)
}

// MarshalJSON implements json.Marshaler with what LogValue shows: slog's JSON handler marshals the fields of a struct.
func (l License) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID      int64  `json:"id"`
		Product string `json:"product"`
		License string `json:"license"`
	}{l.ID, l.Product.ShortCode, shorten(l.Key)})
}

// keptRunes is how many of a key's last characters are shown: enough to find it in the vendor's own list, too few to
// use it.
const keptRunes = 4

// shorten shows the last four characters of a key with more than eight.
func shorten(key string) string {
	runes := []rune(key)
	switch {
	case len(runes) == 0:
		return ""
	case len(runes) <= 2*keptRunes:
		return "…"
	}
	return "…" + string(runes[len(runes)-keptRunes:])
}
