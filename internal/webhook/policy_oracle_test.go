package webhook_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
)

// The oracle: the default policy in plain Go. It is written from what the senders document and from what we decided,
// and reads nothing of sources/, so that a mistake in a source's file is a difference.

// oracle rules on each event of a verified delivery.
func oracle(t testing.TB, source string, headers map[string]string, body []byte) []ruling {
	t.Helper()
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch source {
	case "salesforce":
		return salesforcePolicy(body)
	case "paypro":
		return formPolicy(headers, onlyCovered(body), payProPolicy)
	case "2checkout":
		return formPolicy(headers, body, twoCheckoutPolicy, "SIGNATURE_SHA3_256", "SIGNATURE_SHA2_256", "HASH")
	case "gumroad":
		return []ruling{gumroadPolicy(formTree(body))}
	case "maxio":
		return []ruling{maxioPolicy(formTree(body))}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var event any
	if err := dec.Decode(&event); err != nil {
		return []ruling{unreadable()}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || !utf8.Valid(body) { // something follows
		return []ruling{unreadable()}
	}
	one := func(policy func(any) ruling) []ruling {
		if _, ok := event.(map[string]any); !ok {
			return []ruling{unreadable()}
		}
		return []ruling{policy(event)}
	}
	each := func(events any, policy func(any) ruling) (all []ruling) {
		many, isList := events.([]any)
		if !isList {
			return []ruling{unreadable()}
		}
		for _, e := range many {
			if _, ok := e.(map[string]any); !ok {
				all = append(all, unreadable())
				continue
			}
			all = append(all, policy(e))
		}
		return all
	}
	if policy := shopPolicy(source); policy != nil {
		return one(policy)
	}
	switch source {
	case "stripe":
		return one(stripePolicy)
	case "sendowl":
		if many, isList := event.([]any); isList {
			return each(many, sendOwlPolicy)
		}
		return one(sendOwlPolicy)
	case "shopify":
		return one(func(e any) ruling { return shopifyPolicy(e, headers["x-shopify-test"] == "true") })
	case "fastspring":
		return each(get(event, "events"), fastspringPolicy)
	case "standard", "generic":
		return one(func(e any) ruling {
			d := get(e, "data")
			if marked(e) || marked(get(d, "metadata")) || slices.ContainsFunc(objects(d), func(o map[string]any) bool { return marked(o) }) {
				return ignored()
			}
			if _, several := d.([]any); several && is(get(e, "type"), "order.refunded") {
				return review() // how much of each was refunded is not read
			}
			return conventionPolicy(e, d, []place{{value: get(d, "metadata")}, {value: d}}, "license.deactivate")
		})
	case "paddle":
		return one(paddlePolicy)
	case "woocommerce":
		return one(wooPolicy)
	case "lemonsqueezy":
		return one(lemonsqueezyPolicy)
	case "hubspot":
		if _, isList := event.([]any); isList {
			return each(event, hubspotPolicy)
		}
		return one(hubspotPolicy)
	case "chargebee":
		return one(chargebeePolicy)
	case "recurly":
		return one(recurlyPolicy)
	case "paypal":
		return one(payPalPolicy)
	case "salesforce-flow":
		return one(func(e any) ruling {
			if marked(e) {
				return ignored()
			}
			return conventionPolicy(e, e, []place{{value: e}})
		})
	}
	t.Fatalf("the oracle knows no policy for %s", source)
	return nil
}

// place is where license data lies, and whether a buyer can write it.
type place struct {
	value any
	buyer bool
}

// stripePolicy: a full refund whose money has moved, a chargeback whenever it takes the money or is lost (no inquiry), the
// end of a subscription. A renewal's refund is none of it. What gives the money back to the vendor is a reversal. A
// status that nobody knows is for a person.
func stripePolicy(e any) ruling {
	object := get(e, "data", "object")
	if get(e, "livemode") == false || get(object, "livemode") == false {
		return ignored()
	}
	if get(e, "object") == "v2.core.event" { // a thin event, without its object
		return review()
	}
	kind, status := get(e, "type"), get(object, "status")
	act := func(cause string) ruling {
		by := look{order: sure(get(object, "payment_intent"), get(object, "invoice"), get(object, "charge"), get(object, "id"), get(object, "metadata", "order_id")),
			email: either(get(object, "receipt_email"), get(object, "billing_details", "email"))}
		if cause == "subscription_ended" {
			by.subscription = get(object, "id")
		}
		return deactivate(first(place{value: get(object, "metadata")})).lookedUp(cause, cause == "refund" || is(status, "lost") && cause == "dispute", by)
	}
	dispute := func(statuses ...string) ruling {
		switch {
		case is(status, append(statuses, "lost")...):
			return act("dispute")
		case is(status, "warning_needs_response", "warning_under_review", "warning_closed"):
			return ignored()
		}
		return review()
	}
	switch kind {
	case "charge.refunded":
		reason := get(object, "invoice", "billing_reason")
		switch {
		case reason == "subscription_cycle", get(object, "refunded") == false:
			return ignored()
		case get(object, "refunded") != true, !moved(object), reason != nil && !is(reason, "subscription_create", "manual"):
			return review()
		}
		return act("refund")
	case "refund.failed", "charge.dispute.funds_reinstated":
		return reversed()
	case "charge.refund.updated":
		if is(status, "failed", "canceled") {
			return reversed()
		}
	case "charge.dispute.created":
		return dispute("needs_response", "under_review")
	case "charge.dispute.funds_withdrawn":
		return dispute("needs_response", "under_review", "warning_needs_response", "warning_under_review", "warning_closed")
	case "charge.dispute.closed":
		if is(status, "won") {
			return reversed()
		}
		return dispute()
	case "charge.dispute.updated":
		if is(status, "needs_response", "under_review", "won", "lost", "warning_needs_response", "warning_under_review", "warning_closed") {
			return ignored()
		}
		return review()
	case "customer.subscription.deleted":
		return act("subscription_ended")
	}
	return known(kind)
}

// moved: old API versions list a charge's refunds, of which those that succeeded must make up what was refunded.
func moved(charge any) bool {
	open, back := false, 0.0
	for _, refund := range list(get(charge, "refunds", "data")) {
		if is(get(refund, "status"), "succeeded") {
			back += number(get(refund, "amount"))
		} else {
			open = true
		}
	}
	return !open || get(charge, "amount_refunded") != nil && back >= number(get(charge, "amount_refunded"))
}

// shopifyPolicy uses only the body, since the topic is not signed. Everything that names a license there, a buyer
// can write.
func shopifyPolicy(e any, testHeader bool) ruling {
	if get(e, "test") == true || testHeader || slices.ContainsFunc(payments(e), func(t any) bool { return get(t, "test") == true }) {
		return ignored()
	}
	status, isCancelled := get(e, "financial_status"), get(e, "cancelled_at") != nil
	back := is(status, "refunded", "partially_refunded")
	by := look{order: sure(get(e, "id"), get(e, "admin_graphql_api_id")), email: either(get(e, "email"), get(e, "contact_email"), get(e, "customer", "email"))}
	// "#1001" and "1001" are in every shop; "ACME1001" is in one.
	name, _ := get(e, "name").(string)
	if _, err := strconv.ParseFloat(name, 64); err != nil && !strings.HasPrefix(name, "#") {
		by.order = append(by.order, sure(get(e, "name"))...)
	}
	by.order = append(by.order, weak(get(e, "name")), weak(get(e, "order_number")))
	if rest, ok := strings.CutPrefix(name, "#"); ok {
		by.order = append(by.order, weak(rest))
	}
	for _, attribute := range list(get(e, "note_attributes")) {
		if is(get(attribute, "name"), "order_id") && get(attribute, "value") != nil {
			by.order = append(by.order, candidate{id: get(attribute, "value"), buyer: true})
			break
		}
	}
	act := func(whole func(any) bool) ruling {
		return order(e, "note_attributes", "properties", "name", true, whole).lookedUp("refund", true, by)
	}
	switch {
	case (back || isCancelled) && is(get(e, "source_name"), "subscription_contract", "subscription_contract_checkout_one"):
		return review() // a renewal, perhaps
	case is(status, "refunded"):
		if !finished(e) {
			return review()
		}
		return act(nil)
	case is(status, "partially_refunded"):
		gone := func(line any) bool {
			return get(line, "current_quantity") != nil && number(get(line, "current_quantity")) == 0 && number(get(line, "quantity")) > 0 &&
				refunded(e, get(line, "id")) >= number(get(line, "quantity"))
		}
		lines := slices.DeleteFunc(slices.Clone(list(get(e, "line_items"))), func(line any) bool {
			return number(get(line, "quantity")) == 0 && number(get(line, "current_quantity")) == 0 // nothing was sold
		})
		stays := func(line any) bool { return !gone(line) }
		shares := func(line any) bool {
			return !slices.ContainsFunc(list(get(line, "properties")), func(p any) bool {
				return is(get(p, "name"), "license_key", "username") && !empty(get(p, "value"))
			})
		}
		if len(lines) > 0 && !slices.ContainsFunc(lines, stays) && slices.ContainsFunc(list(get(e, "line_items")), shares) {
			return review() // nothing is left but a fee, and the order's license covers nothing
		}
		return act(gone)
	case isCancelled && is(status, "paid", "partially_paid"):
		return ignored() // the money was kept
	case isCancelled && is(status, "voided", "pending", "authorized", "expired"):
		if !carries(e, "note_attributes", "properties", "name") {
			return ignored()
		}
		return cancelled(order(e, "note_attributes", "properties", "name", true, nil), by) // an order that nobody pays costs a buyer nothing
	case !isCancelled && has(e, "financial_status") &&
		(status == nil || is(status, "paid", "partially_paid", "authorized", "pending", "voided", "expired")):
		return ignored()
	case has(e, "financial_status"):
		return review()
	case is(get(e, "type"), "chargeback") && is(get(e, "status"), "needs_response", "under_review", "lost"):
		by.order = sure(get(e, "order_id")) // it carries no license
		return order(e, "note_attributes", "properties", "name", true, nil).lookedUp("dispute", is(get(e, "status"), "lost"), by)
	case is(get(e, "type"), "chargeback") && is(get(e, "status"), "won"):
		return reversed()
	case is(get(e, "type"), "inquiry") && is(get(e, "status"), "needs_response", "under_review", "won"):
		return ignored()
	case is(get(e, "type"), "chargeback", "inquiry") || has(e, "evidence_due_by"):
		return review()
	case has(e, "origin_order_id") && is(get(e, "status"), "cancelled", "expired", "failed"):
		by.order, by.subscription = sure(get(e, "origin_order_id")), get(e, "id") // a subscription contract, which carries no license
		return order(e, "note_attributes", "properties", "name", true, nil).lookedUp("subscription_ended", false, by)
	case has(e, "origin_order_id") && is(get(e, "status"), "active", "paused", "stale"):
		return ignored()
	case has(e, "origin_order_id"):
		return review()
	}
	for _, keys := range [][]string{
		{"refund_line_items"}, {"gateway", "kind"}, {"remote_reference"}, {"return_line_items"}, {"order_edit"}, {"subscription_contract_id", "idempotency_key"}, {"variants"}, {"published_scope"},
		{"inventory_item_id"}, {"tracked", "sku"}, {"verified_email"}, {"addresses"}, {"tracking_numbers"}, {"fulfillment_id"}, {"fulfillment_order"},
		{"line_items", "token"}, {"line_items", "invoice_url"}, {"line_items", "abandoned_checkout_url"}, {"myshopify_domain"}, {"shop_domain"}, {"previewable"},
	} {
		if has(e, keys...) {
			return ignored()
		}
	}
	return deleted(e)
}

// payments are those of an order's refunds, or of a refund.
func payments(e any) []any {
	all := slices.Clone(list(get(e, "transactions")))
	for _, refund := range list(get(e, "refunds")) {
		all = append(all, list(get(refund, "transactions"))...)
	}
	return all
}

// finished: a payment of the order's refunds has succeeded, or none is known; and none is on its way.
func finished(order any) bool {
	success, open := false, false
	for _, refund := range list(get(order, "refunds")) {
		for _, t := range list(get(refund, "transactions")) {
			if get(t, "kind") != "refund" {
				continue
			}
			if get(t, "status") == "success" {
				success = true
			} else if !is(get(t, "status"), "failure", "error") {
				return false
			} else {
				open = true
			}
		}
	}
	return success || !open
}

// refunded counts how many of a line all refunds of the order together gave back. A refund without a payment, and one
// whose payments did not all succeed, gave nothing back.
func refunded(order, line any) (total float64) {
	for _, refund := range list(get(order, "refunds")) {
		ofRefund := slices.DeleteFunc(slices.Clone(list(get(refund, "transactions"))), func(t any) bool { return get(t, "kind") != "refund" })
		if len(ofRefund) == 0 || slices.ContainsFunc(ofRefund, func(t any) bool { return get(t, "status") != "success" }) {
			continue
		}
		for _, item := range list(get(refund, "refund_line_items")) {
			if get(item, "line_item_id") == line {
				total += number(get(item, "quantity"))
			}
		}
	}
	return total
}

// wooPolicy uses only the body, since the topic is not signed.
func wooPolicy(e any) ruling {
	status := get(e, "status")
	whole := func() ruling { return order(e, "meta_data", "meta_data", "key", false, nil) }
	by := look{order: sure(get(e, "order_key")), email: get(e, "billing", "email")}
	payment, isText := get(e, "transaction_id").(string)
	if _, err := strconv.ParseFloat(payment, 64); isText && err != nil {
		by.order = append(by.order, sure(payment)...)
	}
	by.order = append(by.order, weak(get(e, "transaction_id")), weak(get(e, "number")), weak(get(e, "id")))
	back := 0.0
	for _, refund := range list(get(e, "refunds")) {
		back -= money(get(refund, "total"))
	}
	total := money(get(e, "total"))
	switch {
	case has(e, "billing_period") && is(status, "pending", "active", "on-hold", "pending-cancel"):
		return ignored()
	case has(e, "billing_period"): // a subscription, whose shape is not confirmed
		return review()
	case has(e, "order_key") && hasMeta(e, "_subscription_renewal"), has(e, "order_key") && get(e, "created_via") == "subscription":
		return ignored()
	case has(e, "order_key") && hasMeta(e, "_subscription_switch") && is(status, "refunded", "cancelled"):
		return review() // which plan the license is for is not known
	case is(status, "refunded"):
		return whole().lookedUp("refund", true, by)
	case has(e, "order_key") && total > 0 && back > total-0.01:
		return review()
	case is(status, "cancelled"):
		switch {
		case get(e, "date_paid") != nil || get(e, "date_paid_gmt") != nil:
			return ignored()
		case !has(e, "date_paid") && !has(e, "date_paid_gmt"):
			return review()
		case !carries(e, "meta_data", "meta_data", "key"):
			return ignored()
		}
		return whole().lookedUp("order_cancelled", true, by)
	case len(list(get(e, "refunds"))) > 0, has(e, "order_key") && status != nil,
		has(e, "catalog_visibility"), has(e, "regular_price"), has(e, "discount_type"), has(e, "is_paying_customer"), has(e, "action", "arg"):
		return ignored()
	}
	return deleted(e)
}

func hasMeta(order any, key string) bool {
	return slices.ContainsFunc(slices.Concat(list(get(order, "meta_data")), values(get(order, "meta_data"))), func(m any) bool { return get(m, "key") == key })
}

// carries says whether an order has a field for a license, on itself or on a line.
func carries(e any, ofOrder, ofLine, name string) bool {
	fields := slices.Concat(list(get(e, ofOrder)), values(get(e, ofOrder)))
	for _, line := range list(get(e, "line_items")) {
		fields = slices.Concat(fields, list(get(line, ofLine)), values(get(line, ofLine)))
	}
	return slices.ContainsFunc(fields, func(f any) bool { return is(get(f, name), "license_key", "username") })
}

// order rules on an order of a shop: its own data and each line's are lists of name and value, and a line's product may
// stand in its SKU. With whole, only lines that it says were refunded in full count, and only a license of their own.
func order(e any, ofOrder, ofLine, name string, buyer bool, whole func(line any) bool) ruling {
	all := first(place{pairs(get(e, ofOrder), name), buyer})
	var lines, paid [][]wish
	var quantities []float64
	counts := map[string]float64{}
	for _, line := range list(get(e, "line_items")) {
		own := first(place{pairs(get(line, ofLine), name), buyer}, place{map[string]any{"product": get(line, "sku")}, false})
		if whole != nil && !whole(line) {
			paid = append(paid, own)
			continue
		}
		lines, quantities = append(lines, own), append(quantities, number(get(line, "quantity")))
	}
	if whole == nil {
		return deactivateLines(all, lines)
	}
	s := &seen{refunded: true, counts: counts}
	for i, line := range lines {
		named := line[0].hasIdentity()
		s.count(next(line, all), line, quantities[i], named, all[0].hasIdentity())
	}
	lines = slices.DeleteFunc(lines, func(l []wish) bool { return !l[0].hasIdentity() })
	for _, line := range paid {
		s.unreadable = s.unreadable || slices.ContainsFunc(line, wish.bad)
		for _, l := range next(line, all) {
			s.unreadable = s.unreadable || l.badIdentity
			s.paid = append(s.paid, l)
		}
	}
	kept := s.paid
	with := func(r ruling) ruling { r.seen = s; return r }
	if len(lines) == 0 {
		return with(ignored())
	}
	if s.unreadable {
		return review()
	}
	var wishes []wish
	for _, line := range lines {
		wishes = append(wishes, next(line, all)...)
	}
	if slices.ContainsFunc(wishes, wish.bad) {
		return unmappable()
	}
	if wishes = unpaid(wishes, kept); len(wishes) == 0 {
		return with(ignored())
	}
	s.wishes = wishes
	return with(complete(wishes))
}

// unpaid takes from refunded licenses what a line that is still paid for has too: the same license on the same device.
func unpaid(wishes, paid []wish) (left []wish) {
	for _, w := range wishes {
		for _, one := range w.split() {
			if !slices.ContainsFunc(paid, func(p wish) bool {
				same := one.user != "" && strings.EqualFold(one.user, p.user) || len(one.keys) > 0 && containsFold(p.keys, one.keys[0])
				everywhere := len(p.devices) == 0 || p.badDevices
				return same && (everywhere || len(one.devices) > 0 && containsFold(p.devices, one.devices[0]))
			}) {
				left = append(left, one)
			}
		}
	}
	return left
}

func containsFold(texts []string, text string) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.EqualFold(t, text) })
}

func fastspringPolicy(e any) ruling {
	d := get(e, "data")
	if get(e, "live") == false || get(d, "live") == false {
		return ignored()
	}
	var items [][]wish
	for _, item := range list(get(d, "items")) {
		items = append(items, first(place{get(item, "attributes"), true}))
	}
	whole := first(place{get(d, "attributes"), true}, place{get(d, "product", "attributes"), false}, place{get(d, "tags"), true}, place{get(d, "original", "tags"), true})
	by := look{order: append(sure(get(d, "original", "order"), get(d, "original", "reference")),
		candidate{id: get(d, "tags", "order_id"), buyer: true}, candidate{id: get(d, "original", "tags", "order_id"), buyer: true}),
		email: either(get(d, "customer", "email"), get(d, "account", "contact", "email"))}
	switch kind := get(e, "type"); kind {
	case "return.created":
		back, total := get(d, "totalReturn"), get(d, "original", "total")
		switch {
		case back != nil && total != nil && number(back) < number(total):
			return ignored()
		case ofRenewal(d):
			return ignored()
		case slices.ContainsFunc(list(get(d, "items")), func(item any) bool {
			return !empty(get(item, "subscription")) && empty(get(item, "subscription", "initialOrderId"))
		}):
			return review() // its first order or a renewal
		case back == nil || total == nil || get(d, "completed") != true: // of unknown size, or not known to be done
			return review()
		}
		return deactivateLines(whole, items).lookedUp("refund", true, by)
	case "chargeback.created": // names the order alone, and no verdict follows
		by.order = sure(either(get(d, "order", "id"), get(d, "order")), get(d, "order", "reference"))
		return deactivateLines(whole, items).lookedUp("dispute", true, by)
	case "subscription.deactivated": // subscription.canceled is paid for until this one comes
		by.order, by.subscription = sure(get(d, "initialOrderId")), get(d, "id")
		return deactivateLines(whole, items).lookedUp("subscription_ended", false, by)
	case "order.canceled":
		named := get(d, "tags", "license_key") != nil || get(d, "tags", "username") != nil
		for _, item := range list(get(d, "items")) {
			named = named || get(item, "attributes", "license_key") != nil || get(item, "attributes", "username") != nil
		}
		if get(d, "completed") == true || !named {
			return ignored()
		}
		return cancelled(deactivateLines(whole, items), by)
	default:
		return known(kind)
	}
}

// ofRenewal: the items' subscriptions name their first orders, and the returned one is none of them.
func ofRenewal(d any) bool {
	named, first := false, false
	for _, item := range list(get(d, "items")) {
		if id := get(item, "subscription", "initialOrderId"); id != nil {
			named, first = true, first || id == get(d, "original", "order")
		}
	}
	return named && !first
}

// marked: the event says that it is a test, by a boolean, a text or a number.
func marked(e any) bool {
	test, live := get(e, "test"), get(e, "livemode")
	return test == true || is(test, "true", "1") || test == json.Number("1") ||
		live == false || is(live, "false", "0") || live == json.Number("0")
}

// conventionPolicy is that of bodies whose shape we ask for: the sender names what happened by the type, and says of a
// refund what it knows.
func conventionPolicy(e, about any, places []place, kinds ...string) ruling {
	kind := get(e, "type")
	by := look{order: sure(get(about, "order_id")), email: get(about, "email")}
	subscription := get(about, "subscription_id")
	if len(places) > 1 {
		by.order = append(by.order, candidate{id: get(about, "metadata", "order_id")})
		by.email = either(get(about, "customer", "email"), get(about, "email"))
	}
	if is(kind, append(kinds, "subscription.ended")...) {
		by.subscription = subscription
		cause := "subscription_ended"
		if is(kind, kinds...) {
			cause = "manual"
		}
		return deactivate(first(places...)).lookedUp(cause, false, by)
	}
	if !is(kind, "order.refunded") {
		return known(kind)
	}
	reasons := []any{get(about, "billing_reason"), nil}
	if len(places) > 1 { // the convention has metadata
		reasons[1] = get(about, "metadata", "billing_reason")
	}
	other := false
	for _, reason := range reasons {
		if is(reason, "subscription_cycle", "renewal") {
			return ignored()
		}
		other = other || reason != nil && !is(reason, "purchase", "subscription_create", "initial")
	}
	unknown, says := false, false
	for _, status := range []any{get(about, "status"), get(about, "refund_status")} {
		if is(status, "partially_refunded", "partial_refund", "partial") {
			return ignored()
		}
		says = says || is(status, "refunded")
		unknown = unknown || status != nil && !is(status, "refunded", "fully_refunded", "succeeded", "success", "completed")
	}
	amounts := func(names ...string) (all []float64) {
		for _, name := range names {
			if n, ok := amount(get(about, name)); ok {
				all = append(all, n)
			}
		}
		return all
	}
	back, total := amounts("amount_refunded", "refunded_amount"), amounts("amount", "total", "total_amount")
	part := len(back) > 0 && len(total) > 0 && slices.Min(back) < slices.Max(total)
	sized := get(about, "amount_refunded") != nil || get(about, "refunded_amount") != nil
	odd := false
	for _, name := range []string{"amount_refunded", "refunded_amount", "amount", "total", "total_amount"} {
		_, ok := amount(get(about, name))
		odd = odd || get(about, name) != nil && !ok
	}
	switch {
	case part && !says && slices.Min(back) >= 0:
		return ignored()
	case unknown, part, other, sized && (len(back) == 0 || len(total) == 0 || odd):
		return review()
	}
	if reason := reasons[0]; reason != nil || reasons[1] != nil { // said to be the first payment's
		by.subscription = subscription
	}
	return deactivate(first(places...)).lookedUp("refund", true, by)
}

// paddlePolicy: an approved full refund or chargeback, which carries no license data, and the end of a subscription.
func paddlePolicy(e any) ruling {
	d := get(e, "data")
	action, size, status := get(d, "action"), get(d, "type"), get(d, "status")
	taken := is(action, "refund", "chargeback")
	by := look{order: append(sure(get(d, "transaction_id")), candidate{id: get(d, "custom_data", "order_id"), buyer: true})}
	switch kind := get(e, "event_type"); kind {
	case "adjustment.created", "adjustment.updated":
		switch {
		case taken && is(status, "approved") && is(size, "full"):
			return subscription(d).lookedUp(map[bool]string{true: "refund", false: "dispute"}[is(action, "refund")], true, by)
		case is(action, "chargeback_reverse"), taken && is(status, "reversed"):
			return reversed()
		case taken && is(status, "pending_approval", "rejected"),
			is(action, "refund") && is(status, "approved") && is(size, "partial"),
			is(action, "credit", "credit_reverse", "chargeback_warning", "chargeback_warning_reverse"):
			return ignored()
		}
		return review()
	case "subscription.canceled":
		by.subscription = get(d, "id")
		return subscription(d).lookedUp("subscription_ended", false, by)
	default:
		return known(kind)
	}
}

// subscription rules on what Paddle says of one: custom data, which the browser sets, and the products of its prices.
func subscription(d any) ruling {
	var lines [][]wish
	for _, item := range list(get(d, "items")) {
		custom := get(item, "price", "custom_data")
		if custom == nil {
			lines = append(lines, []wish{{}})
			continue
		}
		lines = append(lines, first(place{value: map[string]any{
			"product": get(custom, "product"), "product_code": get(custom, "product_code"), "product_short_code": get(custom, "product_short_code"),
		}}))
	}
	return deactivateLines(first(place{get(d, "custom_data"), true}), lines)
}

// lemonsqueezyPolicy: a full refund of an order or of a subscription's first payment, and the real end of a subscription;
// neither a refunded renewal nor a cancellation that runs to the end of what was paid.
func lemonsqueezyPolicy(e any) ruling {
	about := get(e, "data", "attributes")
	if get(e, "meta", "test_mode") == true || get(about, "test_mode") == true || get(about, "first_order_item", "test_mode") == true {
		return ignored()
	}
	by := look{order: append(sure(get(about, "identifier")), weak(get(e, "data", "id")), weak(get(about, "order_number")), candidate{id: get(e, "meta", "custom_data", "order_id"), buyer: true}),
		email: get(about, "user_email")}
	act := func(cause string) ruling {
		return deactivate(first(place{get(e, "meta", "custom_data"), true})).lookedUp(cause, cause == "refund", by)
	}
	sized := func() ruling {
		back, total := get(about, "refunded_amount"), get(about, "total")
		switch {
		case back == nil || total == nil:
			return review()
		case number(back) < number(total):
			return ignored()
		}
		return act("refund")
	}
	switch kind := get(e, "meta", "event_name"); kind {
	case "order_refunded":
		return sized()
	case "subscription_payment_refunded":
		switch get(about, "billing_reason") {
		case "renewal":
			return ignored()
		case "initial":
			by.order, by.subscription = nil, get(about, "subscription_id")
			return sized()
		}
		return review()
	case "subscription_expired":
		by.order, by.subscription = []candidate{weak(get(about, "order_id"))}, get(e, "data", "id")
		return act("subscription_ended")
	default:
		return known(kind)
	}
}

// hubspotPolicy: a deal that became refunded, which names only the deal, and every delivery of a workflow.
func hubspotPolicy(e any) ruling {
	properties := map[string]any{}
	object, _ := get(e, "properties").(map[string]any)
	for name, property := range object {
		properties[name] = get(property, "value")
	}
	by := look{order: append(sure(get(e, "order_id"), get(e, "properties", "order_id", "value")), weak(get(e, "objectId"))),
		email: either(get(e, "email"), get(e, "properties", "email", "value"))}
	act := func(cause string) ruling {
		return deactivate(first(place{value: e}, place{value: properties})).lookedUp(cause, cause == "refund", by)
	}
	kind := get(e, "subscriptionType")
	if kind == nil {
		for _, name := range []string{"license_key", "username", "hardware_id", "order_id", "event_id", "objectId", "properties"} {
			if get(e, name) != nil {
				return act("manual")
			}
		}
		return unknownShape()
	}
	deal := is(kind, "deal.propertyChange") || is(kind, "object.propertyChange") && (get(e, "objectTypeId") == nil || is(get(e, "objectTypeId"), "0-3"))
	if deal && is(get(e, "propertyName"), "dealstage") && is(get(e, "propertyValue"), "refunded") {
		return act("refund")
	}
	return known(kind)
}

// chargebeePolicy: the end of a subscription, and the full refund of its first invoice. Custom fields may stand on the
// checkout page.
func chargebeePolicy(e any) ruling {
	subscription := get(e, "content", "subscription")
	custom := map[string]any{}
	fields, _ := subscription.(map[string]any)
	for name, value := range fields {
		if field, ok := strings.CutPrefix(name, "cf_"); ok {
			custom[field] = value
		}
	}
	by := look{order: append(sure(get(e, "content", "transaction", "refunded_txn_id"), get(e, "content", "transaction", "id"), get(subscription, "meta_data", "order_id")), weak(get(e, "content", "invoice", "id")), candidate{id: custom["order_id"], buyer: true}),
		email: get(e, "content", "customer", "email")}
	act := func(cause string) ruling {
		if cause == "subscription_ended" || get(e, "content", "invoice", "first_invoice") == true { // never by a renewal
			by.subscription = get(subscription, "id")
		}
		return deactivate(first(place{custom, true}, place{value: get(subscription, "meta_data")})).lookedUp(cause, cause == "refund", by)
	}
	switch kind := get(e, "event_type"); kind {
	case "subscription_cancelled", "subscription_canceled_with_backdating":
		return act("subscription_ended")
	case "subscription_reactivated", "subscription_reactivated_with_backdating":
		return reversed()
	case "payment_refunded":
		payment, invoice := get(e, "content", "transaction"), get(e, "content", "invoice")
		back, total := get(payment, "amount"), get(invoice, "total")
		switch {
		case get(invoice, "first_invoice") == false && get(invoice, "recurring") != false:
			return ignored()
		case back != nil && total != nil && number(back) < number(total):
			return ignored()
		case get(payment, "status") != nil && !is(get(payment, "status"), "success"), get(invoice, "first_invoice") == false, back == nil, total == nil:
			return review()
		}
		return act("refund")
	default:
		return known(kind)
	}
}

// recurlyPolicy: canceled runs to the end of the term; expired is the real end, and the event names nothing in it.
func recurlyPolicy(e any) ruling {
	object, kind := get(e, "object_type"), get(e, "event_type")
	if is(object, "subscription") && is(kind, "expired") {
		return deactivate(first(place{value: e})).lookedUp("subscription_ended", false, look{subscription: get(e, "id")})
	}
	if object == nil || kind == nil {
		return unknownShape()
	}
	return ignored()
}

// salesforcePolicy: the message itself is the trigger.
func salesforcePolicy(body []byte) (all []ruling) {
	var message struct {
		Notification []struct {
			Object *struct {
				Key     string `xml:"License_Key__c"`
				Device  string `xml:"Hardware_Id__c"`
				Product string `xml:"Product_Code__c"`
				ID      string `xml:"Id"`
				Number  string `xml:"OrderNumber"`
				Status  string `xml:"Status"`
			} `xml:"sObject"`
		} `xml:"Body>notifications>Notification"`
	}
	if err := xml.Unmarshal(body, &message); err != nil || len(message.Notification) == 0 {
		return []ruling{unreadable()}
	}
	for _, n := range message.Notification {
		if n.Object == nil {
			all = append(all, unknownShape())
			continue
		}
		by := look{order: sure(n.Object.ID)}
		if len(n.Object.ID) > 15 {
			by.order = append(by.order, candidate{id: n.Object.ID[:15]})
		}
		by.order = append(by.order, weak(n.Object.Number))
		cause := "manual"
		if n.Object.Status == "Refunded" {
			cause = "refund"
		}
		all = append(all, deactivate(first(place{value: map[string]any{"license_key": n.Object.Key, "hardware_id": n.Object.Device, "product": n.Object.Product}})).
			lookedUp(cause, cause == "refund", by))
	}
	return all
}

// wish is what data at the store says about a license. A part that holds what no key or id can be is bad.
type wish struct {
	keys, devices                                  []string
	user, id                                       string
	product, bundle                                string
	buyer                                          bool
	badIdentity, badDevices, badProduct, badBundle bool
}

func (w wish) named() bool       { return len(w.keys) > 0 || w.user != "" }
func (w wish) hasIdentity() bool { return w.named() || w.badIdentity }
func (w wish) hasDevices() bool  { return len(w.devices) > 0 || w.badDevices }
func (w wish) hasProduct() bool  { return w.product != "" || w.badProduct }
func (w wish) hasBundle() bool   { return w.bundle != "" || w.badBundle }
func (w wish) bad() bool         { return w.badIdentity || w.badDevices || w.badProduct || w.badBundle }

func (w wish) same(other wish) bool {
	return w.user != "" && w.user == other.user || slices.ContainsFunc(w.keys, func(key string) bool { return slices.Contains(other.keys, key) })
}

// split is each named license on each named device.
func (w wish) split() (all []wish) {
	keys, devices := w.keys, w.devices
	if len(keys) == 0 {
		keys = []string{""}
	}
	if len(devices) == 0 {
		devices = []string{""}
	}
	for _, key := range keys {
		for _, device := range devices {
			one := w
			one.keys, one.devices = distinct([]string{key}), distinct([]string{device})
			all = append(all, one)
		}
	}
	return all
}

func (w wish) text() string {
	return fmt.Sprintf("%s%s/%s bundle %s of %s on %s", strings.Join(w.keys, ""), w.user, w.id, w.bundle, w.product, strings.Join(w.devices, ""))
}

func ignored() ruling      { return ruling{answer: deactivation.Ignored} }
func unmappable() ruling   { return ruling{answer: deactivation.Unmappable} }
func reversed() ruling     { return ruling{answer: deactivation.Reversed} }
func review() ruling       { return ruling{answer: deactivation.Unmappable, code: "review"} }
func unknownShape() ruling { return ruling{answer: deactivation.Unmappable, code: "unknown_shape"} }
func unreadable() ruling   { return ruling{answer: deactivation.Unmappable, code: "unreadable"} }

// known: an event whose type is in its body is ignored when the type is none that matters.
func known(kind any) ruling {
	if text, ok := kind.(string); ok && text != "" {
		return ignored()
	}
	return unknownShape()
}

// deleted: of a deleted object shops send only the id. Every other body has an unknown shape.
func deleted(e any) ruling {
	if object, ok := e.(map[string]any); ok && len(object) == 1 && object["id"] != nil {
		return ignored()
	}
	return unknownShape()
}

// deactivate: all or nothing of an event, at most a hundred, each complete.
func deactivate(wishes []wish) ruling {
	r := complete(wishes)
	r.seen = &seen{wishes: wishes}
	return r
}

func complete(wishes []wish) ruling {
	requests := map[string]bool{} // whether a buyer alone has named it
	for _, w := range wishes {
		if w.bad() || !w.named() || len(w.devices) == 0 || w.product == "" || !isWhole(w.id) {
			return unmappable()
		}
		for _, one := range w.split() {
			before, twice := requests[one.text()]
			requests[one.text()] = one.buyer && (before || !twice)
		}
	}
	if len(requests) == 0 || len(requests) > 100 {
		return unmappable()
	}
	var all []string
	for text, buyer := range requests {
		if buyer {
			text += " by a buyer"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return ruling{answer: deactivation.Accepted, licenses: all}
}

// deactivateLines: each line's own licenses, filled up from the order; the lines without one share the order's, if it has
// one. That one's product stands on the order, else on every one of those lines, and is one and the same.
func deactivateLines(order []wish, lines [][]wish) ruling {
	var wishes, sharing []wish
	for _, line := range lines {
		if line[0].hasIdentity() {
			wishes = append(wishes, next(line, order)...)
		} else {
			sharing = append(sharing, line[0])
		}
	}
	if len(lines) > 0 && len(sharing) == 0 || !order[0].hasIdentity() && len(wishes) > 0 {
		r := deactivate(wishes)
		r.seen.unnamed = len(sharing) > 0
		r.seen.devices = slices.ContainsFunc(sharing, wish.hasDevices)
		return r
	}
	var products, devices []string
	var badDevices, badProduct, noDevice, noProduct bool
	for _, line := range sharing {
		products, devices = append(products, line.product), append(devices, line.devices...)
		badDevices, badProduct = badDevices || line.badDevices, badProduct || line.badProduct
		noDevice, noProduct = noDevice || !line.hasDevices(), noProduct || !line.hasProduct()
	}
	products = distinct(products)
	for _, own := range order {
		if !own.hasProduct() {
			own.badProduct = badProduct || len(products) > 1 || len(products) > 0 && noProduct
			if len(products) == 1 {
				own.product = products[0]
			}
		}
		if len(devices) > 0 || badDevices {
			own.badDevices = badDevices || len(order) > 1 || noDevice && own.badDevices
			if noDevice {
				devices = append(devices, own.devices...)
			}
			own.devices = distinct(devices)
		}
		wishes = append(wishes, own)
	}
	return deactivate(wishes)
}

// distinct drops empty texts and repeats.
func distinct(texts []string) (out []string) {
	for _, text := range texts {
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// first reads places in order: for each field the first place that has it counts, with any content of later ones.
func first(places ...place) []wish {
	licenses := []wish{{}}
	for _, p := range places {
		var here []wish
		for _, object := range objects(p.value) {
			w := read(object)
			w.buyer = p.buyer
			here = append(here, w)
		}
		licenses = next(licenses, here)
	}
	return licenses
}

// next gives licenses what they lack from one more place. What stands in one object belongs together: objects that name
// licenses stay apart, and a device that stands with another license is none of theirs.
func next(licenses, objects []wish) (out []wish) {
	var named, loose []wish
	for _, o := range objects {
		if o.hasIdentity() {
			named = append(named, o)
		} else {
			loose = append(loose, o)
		}
	}
	got := licenses[0]
	if got.hasIdentity() || len(named) == 0 {
		for _, l := range licenses {
			near := slices.Clone(loose)
			for _, n := range named {
				if !n.named() || n.same(l) {
					near = append(near, n)
				}
			}
			out = append(out, l.filled(together(near)).filledButDevices(together(named)))
		}
		return out
	}
	rest := together(loose)
	for _, n := range named {
		w := got
		w.keys, w.user, w.id, w.badIdentity, w.buyer = n.keys, n.user, n.id, n.badIdentity, n.buyer
		switch {
		case len(w.devices) > 0 && !w.badDevices && len(n.devices) > 0 && !n.badDevices && !slices.Equal(w.devices, n.devices):
			w.badDevices = true // which of them is the license's?
		case w.hasDevices() || !rest.hasDevices():
		case n.hasDevices() || len(named) > 1: // whose device would it be?
			w.badDevices = true
		}
		out = append(out, w.filled(n).filled(rest))
	}
	return out
}

func (w wish) filled(from wish) wish {
	if !w.hasDevices() {
		w.devices, w.badDevices = from.devices, from.badDevices
	}
	return w.filledButDevices(from)
}

func (w wish) filledButDevices(from wish) wish {
	if !w.hasProduct() {
		w.product, w.badProduct = from.product, from.badProduct
	}
	if !w.hasBundle() {
		w.bundle, w.badBundle = from.bundle, from.badBundle
	}
	return w
}

// together: objects add their devices, and must agree on everything else.
func together(objects []wish) (all wish) {
	for _, o := range objects {
		all.devices = distinct(append(all.devices, o.devices...))
		all.badDevices = all.badDevices || o.badDevices
		all.badProduct = all.badProduct || o.badProduct || all.product != "" && o.product != "" && all.product != o.product
		all.badBundle = all.badBundle || o.badBundle || all.bundle != "" && o.bundle != "" && all.bundle != o.bundle
		if all.product == "" {
			all.product = o.product
		}
		if all.bundle == "" {
			all.bundle = o.bundle
		}
	}
	return all
}

var errUnusable = errors.New("no key or id")

// read reads one object.
func read(object map[string]any) (w wish) {
	text := func(bad *bool, names ...string) string {
		for _, name := range names {
			text, err := scalar(object[name])
			if err != nil {
				*bad = true
				return ""
			}
			if text != "" {
				return text
			}
		}
		return ""
	}
	var badID bool
	var keysErr, devicesErr error
	w.keys, keysErr = several(object["license_key"], ",")
	w.devices, devicesErr = several(object["hardware_id"], "\n;")
	w.user = text(&w.badIdentity, "username")
	w.id = text(&badID, "license_id")
	w.badIdentity = w.badIdentity || keysErr != nil || w.named() && badID || len(w.keys) > 0 && w.user != ""
	w.badDevices = devicesErr != nil
	w.product = text(&w.badProduct, "product", "product_code", "product_short_code")
	w.bundle = text(&w.badBundle, "bundle_code")
	return w
}

// several reads a list, or one text with separators.
func several(value any, separators string) (out []string, err error) {
	parts := []any{value}
	switch v := value.(type) {
	case []any:
		parts = v
	case string:
		parts = nil
		for _, part := range strings.FieldsFunc(strings.ReplaceAll(v, "\r\n", "\n"), func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			parts = append(parts, part)
		}
	}
	for _, part := range parts {
		text, partErr := scalar(part)
		if partErr != nil {
			return nil, partErr
		}
		out = append(out, strings.Trim(text, " "))
	}
	return distinct(out), nil
}

// scalar reads a text or an integer, whose digits stay as they are. Nothing is cut or cleaned.
func scalar(value any) (string, error) {
	text := ""
	switch v := value.(type) {
	case nil:
	case string:
		text = v
	case json.Number:
		text = v.String()
		if strings.ContainsAny(text, ".eE") {
			return "", errUnusable
		}
	default:
		return "", errUnusable
	}
	if len([]rune(text)) > 256 || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune("\u2028\u2029\ufffe\uffff", r)
	}) {
		return "", errUnusable
	}
	return text, nil
}

// isWhole: a license's id is a whole number, where there is one.
func isWhole(id string) bool {
	return id == "" || id == "0" || strings.Trim(id, "0123456789") == "" && id[0] != '0'
}

// get follows names through objects; nil where one is missing.
func get(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

func is(value any, texts ...string) bool {
	text, ok := value.(string)
	return ok && slices.Contains(texts, text)
}

func list(value any) []any {
	many, _ := value.([]any)
	return many
}

func number(value any) float64 {
	digits, _ := value.(json.Number)
	n, err := digits.Float64()
	if err != nil {
		return -1
	}
	return n
}

// values are those of an object, as which PHP sends a list with gaps.
func values(value any) (all []any) {
	object, _ := value.(map[string]any)
	for _, v := range object {
		all = append(all, v)
	}
	return all
}

// objects reads one object or a list of them.
func objects(value any) (all []map[string]any) {
	many, isList := value.([]any)
	if !isList {
		many = []any{value}
	}
	for _, item := range many {
		if object, ok := item.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

// pairs reads a list of names and values as one object. Anything else that is not empty may name a license in a form that
// nobody reads: no field of it can be used.
func pairs(value any, name string) any {
	object := map[string]any{}
	_, isList := value.([]any)
	odd := !isList && !empty(value) || slices.ContainsFunc(list(value), func(pair any) bool {
		_, ok := pair.(map[string]any)
		return !ok
	})
	if odd {
		bad := []any{true}
		return map[string]any{"license_key": bad, "hardware_id": bad, "product": true, "bundle_code": true}
	}
	for _, pair := range list(value) {
		if text, ok := get(pair, name).(string); ok {
			object[text] = get(pair, "value")
		}
	}
	return object
}

// has says whether the object has all of these names, whatever their values.
func has(value any, names ...string) bool {
	object, _ := value.(map[string]any)
	for _, name := range names {
		if _, ok := object[name]; !ok {
			return false
		}
	}
	return true
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// money is an amount as a text; 0 where it is none.
func money(value any) float64 {
	n, _ := amount(value)
	return n
}

// amount reads a number, or a text that is one.
func amount(value any) (float64, bool) {
	text, isText := value.(string)
	digits, isNumber := value.(json.Number)
	if isNumber {
		text = digits.String()
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, (isText || isNumber) && err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}
