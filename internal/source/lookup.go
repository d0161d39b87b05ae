package source

import (
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// maxOrderIDs bounds the ids of an order in a message and in the log.
const maxOrderIDs = 10

// lookup is where the ids are by which an order can be looked up, and which events are looked up.
type lookup struct {
	order        []candidate // every id found counts; nil: not given, empty: none
	subscription []candidate // the first that is present; nil: not given, empty: none
	email        value       // the customer's
	when         condition   // the event is about licensed goods; nil: always
	none         string      // deactivation.NoneIgnore, or ""

	line, whenLine int // of the file; line 0: there is none
}

// overriddenBy replaces the parts of the file's look-up that a rule defines itself.
func (l lookup) overriddenBy(own lookup) lookup {
	if own.order != nil {
		l.order = own.order
	}
	if own.subscription != nil {
		l.subscription = own.subscription
	}
	if own.email != nil {
		l.email = own.email
	}
	if own.when != nil {
		l.when, l.whenLine = own.when, own.whenLine
	}
	if own.none != "" {
		l.none = own.none
	}
	return l
}

// describe says in one line by what the order is looked up; "" if nothing is given.
func (l lookup) describe() string {
	var parts []string
	add := func(name string, candidates []candidate) {
		var places []string
		for _, c := range candidates {
			places = append(places, c.describe())
		}
		switch {
		case len(places) > 0:
			parts = append(parts, name+" "+strings.Join(places, ", "))
		case candidates != nil:
			parts = append(parts, "no "+name)
		}
	}
	add("order", l.order)
	add("subscription", l.subscription)
	for _, r := range l.email {
		parts = append(parts, "confirmed by the e-mail address "+r.from())
	}
	if l.when != nil {
		parts = append(parts, "only when lookup.when holds")
	}
	if l.none != "" {
		parts = append(parts, "none: "+l.none)
	}
	return strings.Join(parts, "; ")
}

// isMeant reports whether an event is to be looked up.
func (l lookup) isMeant(f facts) (bool, error) {
	if l.when == nil {
		return true, nil
	}
	return l.when.holds(f)
}

// orderIDs lists the ids by which a person can find the order. A value that is not an id is left out, and so is one that
// a buyer can write: it may be another customer's.
func (l lookup) orderIDs(f facts) []string {
	var ids []string
	for _, c := range l.order {
		id, err := c.read(f)
		if err != nil || id == "" || c.buyer || deactivation.CheckText("order", id) != nil {
			continue
		}
		if ids = appendNew(ids, []string{id}); len(ids) == maxOrderIDs {
			break
		}
	}
	return ids
}

// read returns what a license of the event can be found by, without the license's own key. Values that are no ids are
// left out.
func (l lookup) read(f facts) deactivation.Lookup {
	by := deactivation.Lookup{Order: usableOrders(l.order, f), None: l.none}
	for _, c := range l.subscription {
		if found, ok := c.usable(f, managementapi.BySubscription); ok {
			by.Subscription = found
			break
		}
	}
	for _, r := range l.email {
		email, err := r.read(f)
		if email = strings.TrimSpace(email); err == nil && r.trusted() && email != "" && deactivation.CheckText("email", email) == nil {
			by.Email = email
			break
		}
	}
	return by
}

// canFind reports whether a look-up by these ids can lead to an action: there is one, and if a license that it finds needs
// a confirmation, there is something to confirm it by.
func canFind(by deactivation.Lookup) bool {
	sure := slices.ContainsFunc(by.Order, isSure) || by.Subscription.ID != "" && isSure(by.Subscription)
	return by.HasCandidates() && (sure || by.Email != "")
}

// explain lists the ids by which the order can be found, in the file's order and each once.
func (l lookup) explain(f facts, lookUp bool) []Fact {
	var found []Fact
	for _, c := range l.order {
		id, ok := c.explain("order", f, lookUp, managementapi.ByOrder)
		if ok && !slices.ContainsFunc(found, func(other Fact) bool { return other.Text == id.Text }) {
			found = append(found, id)
		}
	}
	for _, c := range l.subscription {
		if id, ok := c.explain("subscription", f, lookUp, managementapi.BySubscription); ok {
			found = append(found, id)
			break
		}
	}
	for _, email := range l.email.explain("email", f) {
		if at := strings.LastIndex(email.Text, "@"); at > 0 { // the domain shows that there is one
			email.Text = "…" + email.Text[at:]
		}
		found = append(found, email)
	}
	return found
}
