package deactivation

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// Scopes: the part of the order that a request covers.
const (
	ScopeOrder = "order" // the whole order
	ScopeItems = "items" // only the items that Request.Products counts
)

// Scopes lists every scope that a request may have.
func Scopes() []string { return []string{ScopeOrder, ScopeItems} }

// NoneIgnore is the Lookup.None of a request for which "no license found" is a normal result: the shop also sells other
// things.
const NoneIgnore = "ignore"

// maxCandidates bounds the ids of one look-up. No sender's file has more than six; each can cost a call of the
// Management API.
const maxCandidates = 20

// Lookup holds ids by which LicenseSpring can find the licenses of a request, where the request names no device or
// disables the license, too. The request's own license key is tried first.
//
// Every way in which fmt, log/slog and encoding/json print it leaves out the e-mail address. Only Request.Wire shows
// it.
type Lookup struct {
	Order        []Candidate `json:"order,omitempty"` // in the order in which they are tried
	Subscription Candidate   `json:"subscription,omitzero"`
	Email        string      `json:"email,omitempty"` // the customer's, from the sender. It confirms a license and never finds one
	None         string      `json:"none,omitempty"`  // NoneIgnore, or "": a dead letter when no license is found
}

// Candidate is one id under which LicenseSpring may know the order or subscription.
type Candidate struct {
	ID    string `json:"id"`
	Weak  bool   `json:"weak,omitempty"`  // a short number that other shops use too: counts only with a matching e-mail
	Buyer bool   `json:"buyer,omitempty"` // the buyer can write it: counts only when it is confirmed
}

// Product is the refunded count of one product.
type Product struct {
	Product string `json:"product"` // short code
	Count   int    `json:"count"`   // at least 1
}

// IsZero reports whether nothing is set.
func (l Lookup) IsZero() bool {
	return len(l.Order) == 0 && l.Subscription == Candidate{} && l.Email == "" && l.None == ""
}

// HasCandidates reports whether there is an id by which a license can be found.
func (l Lookup) HasCandidates() bool { return len(l.Order) > 0 || l.Subscription.ID != "" }

// OrderIDs are the ids by which a person finds the request in the log (LogOrder): those of its order, and those that it is
// looked up by, that of a subscription too.
func (r Request) OrderIDs() []string {
	ids := slices.Clone(r.Order)
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, c := range r.Lookup.Order {
		add(c.ID)
	}
	add(r.Lookup.Subscription.ID)
	return ids
}

func (l Lookup) validate() error {
	if len(l.Order) > maxCandidates {
		return &FieldError{CodeInvalidField, "lookup.order", fmt.Sprintf("has more than %d ids", maxCandidates)}
	}
	for _, c := range l.Order {
		if strings.TrimSpace(c.ID) == "" {
			return &FieldError{CodeMissingField, "lookup.order", "has an id that is empty"}
		}
		if err := CheckText("lookup.order", c.ID); err != nil {
			return err
		}
	}
	if l.None != "" && l.None != NoneIgnore {
		return &FieldError{CodeInvalidField, "lookup.none", "must be " + NoneIgnore}
	}
	if err := CheckText("lookup.subscription", l.Subscription.ID); err != nil {
		return err
	}
	return CheckText("lookup.email", l.Email)
}

// validateLookup checks the fields that only the look-up uses.
func (r Request) validateLookup() error {
	if r.Disable && !r.deactivatesLicense() {
		return &FieldError{CodeInvalidField, "disable", "goes with " + ActionDeactivateLicense + " alone"}
	}
	if r.Scope != "" && !slices.Contains(Scopes(), r.Scope) {
		return &FieldError{CodeInvalidField, "scope", "must be one of " + strings.Join(Scopes(), ", ")}
	}
	if len(r.Products) > maxCandidates {
		return &FieldError{CodeInvalidField, "products", fmt.Sprintf("has more than %d products", maxCandidates)}
	}
	for _, p := range r.Products {
		if p.Product == "" || p.Count < 1 {
			return &FieldError{CodeInvalidField, "products", "needs a product and a count of at least 1 in each"}
		}
		if err := CheckText("products", p.Product); err != nil {
			return err
		}
	}
	return r.Lookup.validate()
}

// deactivatesLicense reports whether the action is the one that can be looked up.
func (r Request) deactivatesLicense() bool {
	return r.Action == "" || r.Action == ActionDeactivateLicense
}

// WithOrderLookup returns the request of a direct invocation with those ids of its order for which usable holds as ids to
// look it up by. They find every license of the order. So a request that names a license, or gives another field of one,
// is returned unchanged: a mistyped key must not widen what is deactivated. A user's license on a named device is the
// exception: only the license itself is taken from what the order's ids find.
func (r Request) WithOrderLookup(usable func(id string) bool) Request {
	byUser := r.Username != "" && r.HardwareID != "" && r.Disable
	orderAlone := reflect.ValueOf(r.License).IsZero()
	if !r.deactivatesLicense() || !r.Lookup.IsZero() || !byUser && !orderAlone {
		return r
	}
	for _, id := range r.Order {
		if usable(id) && len(r.Lookup.Order) < maxCandidates {
			r.Lookup.Order = append(r.Lookup.Order, Candidate{ID: id})
		}
	}
	return r
}

// CanBeLookedUp reports whether the request names no device and holds an id by which a license can be found, so that
// identity and product may be absent.
func (r Request) CanBeLookedUp() bool {
	license := r.withoutBlanks()
	return license.HardwareID == "" && r.deactivatesLicense() && (r.Lookup.HasCandidates() || license.LicenseKey != "")
}

// shownLookup is the printed part of a Lookup.
type shownLookup struct {
	Order        []string `json:"order,omitempty"`
	Subscription string   `json:"subscription,omitempty"`
}

func (l Lookup) shown() shownLookup {
	s := shownLookup{Subscription: l.Subscription.ID}
	for _, c := range l.Order {
		s.Order = append(s.Order, c.ID)
	}
	return s
}

// LogValue implements slog.LogValuer: the ids, without the e-mail address.
func (l Lookup) LogValue() slog.Value {
	s := l.shown()
	return slog.GroupValue(slog.Any("order", s.Order), slog.String("subscription", s.Subscription))
}

// Format implements fmt.Formatter for every verb, so that neither %v nor %#v shows the e-mail address.
func (l Lookup) Format(f fmt.State, _ rune) {
	s := l.shown()
	fmt.Fprintf(f, "look-up by order %q, subscription %q", s.Order, s.Subscription)
}

// MarshalJSON implements json.Marshaler with what LogValue shows.
func (l Lookup) MarshalJSON() ([]byte, error) { return json.Marshal(l.shown()) }
