package source

import (
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// maxOrderIDs bounds the ids of an order in a message and in the log.
const maxOrderIDs = 10

// lookup is where the ids are by which an order can be looked up.
type lookup struct {
	order               value // every text found counts
	subscription, email value
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
	return l
}

// orderIDs lists the ids by which the order can be found. A value that is not an id is left out: it decides nothing
// about a license.
// license.
func (l lookup) orderIDs(f facts) []string {
	var ids []string
	for _, r := range l.order {
		id, err := r.read(f)
		if err != nil || id == "" || deactivation.CheckText("order", id) != nil {
			continue
		}
		if ids = appendNew(ids, []string{id}); len(ids) == maxOrderIDs {
			break
		}
	}
	return ids
}

// explain lists the ids by which the order can be found, in the file's order and each once.
func (l lookup) explain(f facts) []Fact {
	var found []Fact
	for i := range l.order {
		for _, id := range l.order[i:i+1].explain("order", f) {
			if !slices.ContainsFunc(found, func(other Fact) bool { return other.Text == id.Text }) {
				found = append(found, id)
			}
		}
	}
	found = append(found, l.subscription.explain("subscription", f)...)
	for _, email := range l.email.explain("email", f) {
		if at := strings.LastIndex(email.Text, "@"); at > 0 { // the domain shows that there is one
			email.Text = "…" + email.Text[at:]
		}
		found = append(found, email)
	}
	return found
}
