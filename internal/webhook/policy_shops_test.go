package webhook_test

import (
	"net/url"
	"strings"
)

// The policies of the shops whose events say what they are in their body, each a few lines.

// shopPolicy is the policy of one of these senders; nil for another one.
func shopPolicy(source string) func(any) ruling {
	return map[string]func(any) ruling{
		"square": squarePolicy, "appsumo": appSumoPolicy, "creem": creemPolicy, "polar": polarPolicy, "dodo": dodoPolicy,
		"zoho-payments": zohoPaymentsPolicy,
	}[source]
}

// squarePolicy: a dispute once it takes the money, or is lost. A refund does not say how much was paid, so a person decides.
// No event names a license.
func squarePolicy(e any) ruling {
	refund, dispute, payment := get(e, "data", "object", "refund"), get(e, "data", "object", "dispute"), get(e, "data", "object", "payment")
	by := look{order: sure(get(refund, "payment_id"), get(dispute, "disputed_payment", "payment_id"), get(payment, "id"), get(payment, "order_id")),
		email: get(payment, "buyer_email_address")}
	switch kind := get(e, "type"); kind {
	case "refund.created", "refund.updated":
		switch get(refund, "status") {
		case "PENDING":
			return ignored()
		case "REJECTED", "FAILED":
			return reversed()
		}
		return review()
	case "dispute.created", "dispute.state.updated":
		state := get(dispute, "state")
		switch {
		case is(state, "LOST", "ACCEPTED", "EVIDENCE_REQUIRED", "PROCESSING"):
			return deactivate(first(place{value: e})).lookedUp("dispute", is(state, "LOST", "ACCEPTED"), by)
		case is(state, "WON"):
			return reversed()
		case is(state, "INQUIRY_EVIDENCE_REQUIRED", "INQUIRY_PROCESSING", "INQUIRY_CLOSED"):
			return ignored()
		}
		return review()
	default:
		return known(kind)
	}
}

// appSumoPolicy: a license that was refunded. The old key of an upgrade, an add-on and a deactivation for any other reason
// are a person's.
func appSumoPolicy(e any) ruling {
	if get(e, "test") == true {
		return ignored()
	}
	kind, reason := get(e, "event"), get(e, "extra", "reason")
	text, isText := reason.(string)
	switch {
	case !is(kind, "deactivate"):
		return known(kind)
	case reason != nil && !isText: // it begins with nothing
		return unmappable()
	case get(e, "parent_license_key") != nil && get(e, "parent_license_key") != "",
		!strings.HasPrefix(text, "Refunded"):
		return review()
	}
	only := map[string]any{"license_key": get(e, "license_key")}
	return deactivate(first(place{value: only})).lookedUp("refund", true, look{order: sure(get(e, "license_key"))})
}

// sendOwlPolicy reads the order's state, since the event's name is not signed: a full refund and a chargeback.
func sendOwlPolicy(body any) ruling {
	e := body
	if order := get(body, "order"); !empty(order) {
		e = order
	}
	if _, ok := e.(map[string]any); !ok {
		return unreadable()
	}
	fields := map[string]any{}
	for _, field := range list(get(e, "order_custom_checkout_fields")) {
		if within := get(field, "order_custom_checkout_field"); within != nil {
			field = within
		}
		if name, ok := get(field, "name").(string); ok {
			fields[name] = get(field, "value")
		}
	}
	var keys []any
	for _, license := range list(get(e, "licenses")) {
		if within := get(license, "license"); within != nil {
			license = within
		}
		if key := get(license, "key"); key != nil {
			keys = append(keys, key)
		}
	}
	transaction := get(first1(get(e, "transactions")), "gateway_transaction_id")
	by := look{order: append(sure(either(transaction, first1(get(e, "gateway_transaction_ids")))), weak(get(e, "id"))), email: get(e, "buyer_email")}
	act := func(cause string) ruling {
		own := map[string]any{}
		if len(keys) > 0 {
			own["license_key"] = keys
		}
		return deactivate(first(place{value: own}, place{fields, true})).lookedUp(cause, true, by)
	}
	switch state := get(e, "state"); {
	case is(state, "refunded") && (get(e, "for_subscription") == true || get(e, "access_allowed") == true), is(state, "subscription_cancelled"):
		return review()
	case is(state, "refunded"):
		return act("refund")
	case is(state, "chargeback"):
		return act("dispute")
	case is(state, "in_dispute", "initial", "payment_started", "payment_pending", "failed", "complete", "free", "imported", "fraud_review",
		"subscription_setup", "subscription_active", "subscription_cancelling", "subscription_complete"):
		return ignored()
	}
	return unknownShape()
}

// first1 is the first item of a list.
func first1(value any) any {
	if many := list(value); len(many) > 0 {
		return many[0]
	}
	return nil
}

// creemPolicy: the full refund of a purchase, a chargeback, of which no verdict is reported, and the end of a subscription.
// The refund of a subscription's payment may be a renewal's.
func creemPolicy(e any) ruling {
	about := get(e, "object")
	for _, mode := range []any{get(about, "mode"), get(about, "order", "mode"), get(about, "transaction", "mode")} {
		if is(mode, "test", "sandbox", "local") {
			return ignored()
		}
	}
	by := look{order: append(sure(get(about, "order", "id"), get(about, "transaction", "order"), get(about, "checkout", "id"), get(about, "transaction", "id")),
		candidate{id: get(about, "checkout", "request_id"), buyer: true}), email: get(about, "customer", "email")}
	act := func(cause string, disable bool) ruling {
		return deactivate(first(place{value: get(about, "metadata")}, place{value: get(about, "checkout", "metadata")}, place{value: get(about, "subscription", "metadata")})).
			lookedUp(cause, disable, by)
	}
	switch kind := get(e, "eventType"); kind {
	case "refund.created":
		back, paid := get(about, "transaction", "refunded_amount"), get(about, "transaction", "amount_paid")
		switch {
		case !is(get(about, "status"), "succeeded"), back != nil && number(back) == 0, // the sum of refunds lacks this one
			back != nil && get(about, "refund_amount") != nil && number(get(about, "refund_amount")) > number(back):
			return review()
		case back != nil && paid != nil && number(back) < number(paid):
			return ignored()
		case get(about, "subscription") != nil, get(about, "transaction", "subscription") != nil, back == nil, paid == nil:
			return review()
		}
		return act("refund", true)
	case "dispute.created":
		return act("dispute", true)
	case "subscription.canceled":
		if !is(get(about, "status"), "canceled") {
			return review()
		}
		by.order, by.subscription = nil, get(about, "id")
		return act("subscription_ended", false)
	default:
		return known(kind)
	}
}

// polarPolicy: the full refund of a purchase or of a subscription's first payment, and the end of a subscription: not the day
// on which a payment is past due, nor the one on which a customer cancels.
func polarPolicy(e any) ruling {
	d := get(e, "data")
	by := look{order: sure(get(d, "id"), get(d, "checkout_id"), get(d, "metadata", "order_id")), email: get(d, "customer", "email")}
	act := func(cause string) ruling {
		return deactivate(first(place{value: get(d, "metadata")})).lookedUp(cause, cause == "refund", by)
	}
	status, reason := get(d, "status"), get(d, "billing_reason")
	switch kind := get(e, "type"); {
	case is(kind, "order.refunded"):
		switch {
		case is(reason, "subscription_cycle"), is(status, "partially_refunded"):
			return ignored()
		case is(status, "refunded") && is(reason, "subscription_create"):
			by.subscription = get(d, "subscription_id")
			return act("refund")
		case is(status, "refunded") && is(reason, "purchase"):
			return act("refund")
		}
		return review()
	case is(kind, "refund.updated") && is(status, "failed", "canceled"):
		return reversed()
	case is(kind, "subscription.revoked", "subscription.canceled"):
		switch {
		case is(kind, "subscription.revoked") && is(status, "past_due"): // the customer may still pay
			return ignored()
		case is(kind, "subscription.canceled") && is(status, "active", "trialing"):
			return ignored()
		case !is(status, "canceled"):
			return review()
		}
		by.order, by.subscription = by.order[1:], get(d, "id")
		return act("subscription_ended")
	default:
		return known(kind)
	}
}

// dodoPolicy: a full refund, a dispute that takes the money or is lost, and the end of a subscription.
func dodoPolicy(e any) ruling {
	d := get(e, "data")
	by := look{order: append(sure(get(d, "payment_id")), candidate{id: get(d, "metadata", "order_id"), buyer: true}), email: get(d, "customer", "email")}
	act := func(cause string, disable bool) ruling {
		return deactivate(first(place{get(d, "metadata"), true})).lookedUp(cause, disable, by)
	}
	switch kind := get(e, "type"); kind {
	case "refund.succeeded":
		switch get(d, "is_partial") {
		case false:
			return act("refund", true)
		case true:
			return ignored()
		}
		return review()
	case "dispute.opened":
		if is(get(d, "dispute_stage"), "pre_dispute") {
			return ignored()
		}
		return act("dispute", false)
	case "dispute.lost", "dispute.accepted":
		return act("dispute", true)
	case "refund.failed", "dispute.won", "dispute.cancelled":
		return reversed()
	case "dispute.expired":
		return review()
	case "subscription.expired", "subscription.cancelled":
		if is(kind, "subscription.cancelled") && get(d, "cancel_at_next_billing_date") != false {
			return review()
		}
		by.order, by.subscription = nil, get(d, "subscription_id")
		return act("subscription_ended", false)
	default:
		return known(kind)
	}
}

// zohoPaymentsPolicy: a refund does not say how much was paid, so a person decides.
func zohoPaymentsPolicy(e any) ruling {
	switch kind := get(e, "event_type"); {
	case get(e, "live_mode") == false:
		return ignored()
	case is(kind, "refund.succeeded"):
		return review()
	case is(kind, "refund.failed"):
		return reversed()
	default:
		return known(kind)
	}
}

// formTree reads a form by net/url: a[b]=c as an object, a[]=b as a list.
func formTree(body []byte) any {
	fields, err := url.ParseQuery(string(body))
	if err != nil || len(fields) == 0 {
		return nil
	}
	tree := map[string]any{}
	for name, texts := range fields {
		at, path := tree, strings.Split(strings.ReplaceAll(name, "]", ""), "[")
		for ; len(path) > 1 && path[1] != ""; path = path[1:] {
			if _, ok := at[path[0]]; !ok {
				at[path[0]] = map[string]any{}
			}
			at, _ = at[path[0]].(map[string]any)
		}
		if len(path) == 1 {
			at[path[0]] = texts[0]
			continue
		}
		var many []any
		for _, text := range texts {
			many = append(many, text)
		}
		at[path[0]] = many
	}
	return tree
}

// gumroadPolicy: a full refund that is no renewal's, a chargeback, of which only a win is reported, and the end of a
// subscription that is not paid off. A buyer may have written every name of a license.
func gumroadPolicy(e any) ruling {
	if is(get(e, "test"), "true") {
		return ignored()
	}
	by := look{order: append(sure(get(e, "sale_id")), weak(get(e, "order_number"))), email: either(get(e, "email"), get(e, "user_email"))}
	act := func(cause string, disable bool) ruling {
		own := map[string]any{"license_key": get(e, "license_key")}
		return deactivate(first(place{own, true}, place{get(e, "custom_fields"), true})).lookedUp(cause, disable, by)
	}
	switch kind := get(e, "resource_name"); kind {
	case "refund":
		switch {
		case is(get(e, "is_recurring_charge"), "true"), is(get(e, "refunded"), "false"):
			return ignored()
		case is(get(e, "refunded"), "true"):
			return act("refund", true)
		}
		return review()
	case "dispute":
		if is(get(e, "disputed"), "true") && is(get(e, "dispute_won"), "false") {
			return act("dispute", true)
		}
		return review()
	case "dispute_won", "subscription_restarted":
		return reversed()
	case "subscription_ended":
		if is(get(e, "ended_reason"), "fixed_subscription_period_ended") {
			return review()
		}
		by.order, by.subscription = sure(first1(get(e, "purchase_ids"))), get(e, "subscription_id")
		return act("subscription_ended", false)
	default:
		if get(e, "sale_id") != nil && is(get(e, "refunded"), "false") && is(get(e, "disputed"), "false") {
			return ignored()
		}
		return known(kind)
	}
}

// maxioPolicy: the end of a subscription, which names no license. Refunds and chargebacks are a person's.
func maxioPolicy(e any) ruling {
	about, kind := get(e, "payload", "subscription"), get(e, "event")
	switch {
	case is(kind, "subscription_state_change") && is(get(about, "state"), "canceled", "expired"):
		by := look{order: sure(get(about, "reference")), subscription: get(about, "id"), email: get(about, "customer", "email")}
		return deactivate(first(place{value: e})).lookedUp("subscription_ended", false, by)
	case is(kind, "refund_success", "chargeback_lost", "chargeback_accepted"):
		return review()
	}
	return known(kind)
}
