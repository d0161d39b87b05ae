package webhook_test

import (
	"fmt"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// The oracle with the look-up on, from facts/lookup.md: which event without license data is looked up, by which ids, for
// which part of the order, and whether its license is disabled.

// candidate is an id of the order in an event. id is as it stands there: nil, or no text, where there is none.
type candidate struct {
	id          any
	weak, buyer bool
}

func weak(id any) candidate { return candidate{id: id, weak: true} }

// sure are ids that the sender made itself.
func sure(ids ...any) (all []candidate) {
	for _, id := range ids {
		all = append(all, candidate{id: id})
	}
	return all
}

// either is the first value that JMESPath takes for true.
func either(values ...any) any {
	for _, v := range values {
		if !empty(v) {
			return v
		}
	}
	return nil
}

// look is what an order can be looked up by.
type look struct {
	order        []candidate
	subscription any
	email        any
}

// seen is what a policy has read of an event whose licenses are to be deactivated.
type seen struct {
	wishes     []wish
	unnamed    bool // lines name no license, and neither does the order
	devices    bool // such a line names a device
	refunded   bool // only lines refunded in full are meant
	paid       []wish
	unreadable bool               // of a line that is still paid for
	counts     map[string]float64 // refunded, by product; -1: not known
	products   []string           // of the refunded lines that name no license
	unknown    bool               // one of them says no product
}

// count counts a refunded line.
func (s *seen) count(filled, own []wish, quantity float64, named, orderNamed bool) {
	of := filled
	if !named {
		of = own
		s.unnamed = s.unnamed || !orderNamed
		s.devices = s.devices || own[0].hasDevices()
	}
	var products []string
	for _, w := range of {
		products = append(products, w.product)
	}
	for _, p := range distinct(products) {
		if before, again := s.counts[p]; quantity < 1 || again && before < 0 {
			s.counts[p] = -1
		} else {
			s.counts[p] += quantity
		}
	}
	if !named {
		s.products = distinct(append(s.products, products...))
		s.unknown = s.unknown || len(distinct(products)) == 0
	}
}

// cancelled rules on an order that was cancelled and never paid: it needs license data of its own, which a buyer may have
// written.
func cancelled(r ruling, by look) ruling {
	r = r.lookedUp("order_cancelled", true, by)
	for _, one := range []*ruling{&r, r.on} {
		if one != nil && one.answer == deactivation.Accepted {
			on := r.on
			*one = review()
			r.on = on
		}
	}
	return r
}

// lookedUp adds the ruling with the look-up on.
func (r ruling) lookedUp(cause string, disable bool, by look) ruling {
	if r.seen == nil {
		return r
	}
	l := lookUp{seen: r.seen, cause: cause, disable: disable, by: by.usable(), whole: map[string]bool{}}
	on := l.rule(r)
	r.on = &on
	return r
}

// usable drops what is no id, and sorts: sure ids, weak ones, those of a buyer; each once, by its surest mark.
func (l look) usable() (by ids) {
	rank := func(c candidate) int {
		return map[bool]int{true: 2}[c.buyer] + map[bool]int{true: 1}[c.weak]
	}
	for want := range 3 {
		for _, c := range l.order {
			id, ok := usable(c.id, "order")
			if ok && rank(c) == want && !slices.ContainsFunc(by.order, func(o printedID) bool { return o.id == id }) {
				by.order = append(by.order, printedID{id, []string{"", " weak", " buyer"}[want]})
			}
		}
	}
	by.subscription, _ = usable(l.subscription, "subscription")
	if email, err := scalar(l.email); err == nil {
		by.email = strings.TrimSpace(email)
	}
	return by
}

// printedID is an id with its mark.
type printedID struct{ id, mark string }

// ids are those of a look that may be used.
type ids struct {
	order               []printedID
	subscription, email string
}

// finds says whether a look-up can lead to anything: by a sure id, or by one that the e-mail address confirms.
func (i ids) finds() bool {
	return i.subscription != "" || len(i.order) > 0 && (i.order[0].mark == "" || i.email != "")
}

// usable says whether a value is an id that a license may be asked for.
func usable(value any, of string) (string, bool) {
	id, err := scalar(value)
	if err != nil || len([]rune(id)) < 3 || strings.TrimSpace(id) != id {
		return "", false
	}
	switch strings.ToLower(id) { // of what the generator makes
	case "null", "none", "n/a", "000", "{{order_id}}", "true":
		return "", false
	case "order_empty":
		if of != "key" {
			return "", false
		}
	case "trial_17":
		return id, of != "order"
	}
	return id, true
}

type lookUp struct {
	*seen
	cause    string
	disable  bool
	by       ids
	whole    map[string]bool // licenses that a request concerns with all their devices
	requests []string
}

// rule is the ruling with the look-up on; off is that without it.
func (l *lookUp) rule(off ruling) ruling {
	if slices.ContainsFunc(l.wishes, func(w wish) bool {
		return w.badIdentity || w.badDevices || w.badBundle || w.named() && (w.badProduct || !isWhole(w.id))
	}) {
		return off // a fault is a person's
	}
	var all []wish
	index := map[string]int{}
	for _, w := range l.wishes {
		for _, one := range w.split() {
			if i, twice := index[one.text()]; twice {
				all[i].buyer = all[i].buyer && one.buyer
				continue
			}
			index[one.text()] = len(all)
			all = append(all, one)
		}
	}
	if len(all) > 100 {
		return unmappable()
	}
	order := false
	buyers := map[string]bool{} // of the requests for whole licenses without a device, whether only a buyer has named it
	for _, one := range all {
		if !one.named() {
			if !l.mayFindOrder() || len(one.devices) > 0 && !l.disable {
				return unmappable()
			}
			if !order {
				order = true
				l.add(wish{}, l.by, nil, l.disable)
			}
			continue
		}
		if id := identity(one); !l.isComplete(one) {
			buyers[id] = one.buyer && (buyers[id] || !contains(buyers, id))
		}
	}
	for _, one := range all {
		if !one.named() {
			continue
		}
		by, products := l.beside(one)
		id := identity(one)
		switch {
		case l.isComplete(one):
			disable := l.disable && !l.whole[id] && !l.stillPaid(one)
			if disable {
				l.whole[id] = true
			}
			if disable || one.buyer {
				if partial, ok := buyers[id]; ok && disable {
					one.buyer = one.buyer && partial
				}
				l.add(one, by, products, disable)
				continue
			}
			l.requests = append(l.requests, one.text())
		case l.stillPaid(one), len(one.devices) > 0 && !l.disable, !l.isKey(one) && !by.finds():
			return unmappable()
		case l.whole[id]:
		default:
			l.whole[id] = true
			one.devices, one.buyer = nil, buyers[id]
			l.add(one, by, products, l.disable)
		}
	}
	if r, decided := l.ruleUnnamed(); decided {
		return r
	}
	if len(l.requests) == 0 {
		return off // no line was refunded in full
	}
	if len(l.requests) > 100 {
		return unmappable()
	}
	slices.Sort(l.requests)
	return ruling{answer: deactivation.Accepted, licenses: l.requests}
}

func contains(m map[string]bool, key string) bool { _, ok := m[key]; return ok }

func identity(w wish) string { return strings.ToLower(strings.Join(w.keys, "") + "|" + w.user) }

func (l *lookUp) isComplete(w wish) bool { return len(w.devices) > 0 && w.product != "" }

// isKey says whether a license may be asked for by its key: a placeholder is none.
func (l *lookUp) isKey(w wish) bool {
	if len(w.keys) == 0 {
		return false
	}
	_, ok := usable(w.keys[0], "key")
	return ok
}

// mayFindOrder: an order that was never paid needs license data of its own.
func (l *lookUp) mayFindOrder() bool { return l.by.finds() && l.cause != "order_cancelled" }

// stillPaid says whether a line that is still paid for has the license.
func (l *lookUp) stillPaid(w wish) bool {
	return slices.ContainsFunc(l.paid, func(p wish) bool {
		return w.user != "" && strings.EqualFold(w.user, p.user) || len(w.keys) > 0 && containsFold(p.keys, w.keys[0])
	})
}

func (l *lookUp) productPaid(product string) bool {
	return product != "" && slices.ContainsFunc(l.paid, func(p wish) bool { return strings.EqualFold(p.product, product) })
}

// beside is what may find a license that is named, beside its key: the order only where all that it finds is meant.
func (l *lookUp) beside(w wish) (ids, []string) {
	by := l.by
	switch {
	case l.cause == "manual" || l.cause == "order_cancelled":
		by.order, by.subscription = nil, ""
	case l.refunded:
		by.subscription = ""
		if l.counts[w.product] < 1 || l.productPaid(w.product) {
			by.order = nil
			return by, nil
		}
		return by, []string{fmt.Sprintf("%v of %s", l.counts[w.product], w.product)}
	}
	return by, nil
}

// ruleUnnamed adds the lines that name no license.
func (l *lookUp) ruleUnnamed() (ruling, bool) {
	if !l.unnamed || !l.mayFindOrder() || l.cause == "manual" || l.devices && !l.disable {
		return ruling{}, false
	}
	by, ignore := l.by, len(l.requests) > 0
	if l.refunded {
		if by.subscription = ""; !by.finds() {
			return ruling{}, false
		}
		if l.unreadable || slices.ContainsFunc(l.products, l.productPaid) {
			return review(), true
		}
	}
	var products []string
	for _, p := range l.products {
		products = append(products, fmt.Sprintf("%v of %s", l.counts[p], p))
		l.unknown = l.unknown || l.counts[p] < 1
	}
	if l.unknown {
		products = nil
	}
	text := ""
	if ignore {
		text = " none ignore"
	}
	l.add(wish{}, by, products, l.disable)
	l.requests[len(l.requests)-1] += text
	return ruling{}, false
}

func (l *lookUp) add(w wish, by ids, products []string, disable bool) {
	l.requests = append(l.requests, lookedUpText(w.text(), w.buyer, by, products, l.refunded, disable))
}

func lookedUpText(license string, buyer bool, by ids, products []string, items, disable bool) string {
	text := license
	if buyer {
		text += " by a buyer"
	}
	for _, o := range by.order {
		text += " order " + o.id + o.mark
	}
	scope := "order"
	if items {
		scope = "items"
	}
	return fmt.Sprintf("%s subscription %q e-mail %q of the %s %v disable %t", text, by.subscription, by.email, scope, products, disable)
}

// lookedUpRequest is a message in the same form.
func lookedUpRequest(r deactivation.Request) string {
	if r.Scope == "" {
		text := asText(r.License)
		return text
	}
	by := ids{subscription: r.Lookup.Subscription.ID, email: r.Lookup.Email}
	for _, c := range r.Lookup.Order {
		mark := ""
		switch {
		case c.Buyer:
			mark = " buyer"
		case c.Weak:
			mark = " weak"
		}
		by.order = append(by.order, printedID{c.ID, mark})
	}
	var products []string
	for _, p := range r.Products {
		products = append(products, fmt.Sprintf("%d of %s", p.Count, p.Product))
	}
	text := lookedUpText(asText(r.License), r.Buyer, by, products, r.Scope == "items", r.Disable)
	if r.Lookup.None != "" {
		text += " none " + r.Lookup.None
	}
	return text
}

// withLookUp are the rulings with the look-up on.
func withLookUp(rulings []ruling) []ruling {
	all := slices.Clone(rulings)
	for i, r := range all {
		if r.on != nil {
			all[i] = *r.on
		}
	}
	return all
}
