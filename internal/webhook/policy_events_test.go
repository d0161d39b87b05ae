package webhook_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomEvents makes events at random: of every source, of every type that matters and of some that do not, with license data
// in every shape that senders and vendors could give it. The same seed makes the same events.
type randomEvents struct{ *rand.Rand }

type object = map[string]any

func (d randomEvents) delivery(sources []string) unsignedDelivery {
	m := unsignedDelivery{source: d.text(sources...), headers: map[string]string{}}
	if d.in(3) { // those with the most to go wrong
		m.source = d.text("shopify", "shopify", "stripe", "paddle")
	}
	makers := map[string]func() any{
		"stripe": d.stripe, "fastspring": d.fastspring, "standard": d.standard, "generic": d.standard,
		"paddle": d.paddle, "woocommerce": d.woo, "lemonsqueezy": d.lemonsqueezy, "hubspot": d.hubspot, "chargebee": d.chargebee,
		"recurly": d.recurly, "salesforce-flow": d.flow, "shopify": d.shopify, "paypal": d.paypal,
		"square": d.square, "appsumo": d.appSumo, "sendowl": d.sendOwl, "creem": d.creem, "polar": d.polar, "dodo": d.dodo, "zoho-payments": d.zohoPayments,
	}
	switch m.source {
	case "gumroad":
		m.body = asForm(d.gumroad())
		return m
	case "maxio":
		m.body = asForm(d.maxio())
		return m
	case "salesforce":
		if m.body = d.salesforce(); d.in(60) {
			m.body = d.one(append([]byte("\ufeff"), m.body...), bytes.ToValidUTF8(m.body[:len(m.body)/2], nil), []byte("{}")).([]byte)
		}
		return m
	case "paypro":
		d.payPro(&m)
		return m
	case "2checkout":
		d.twoCheckout(&m)
		return m
	case "standard", "polar", "dodo":
		m.headers["webhook-id"] = d.id("msg_")
	case "paypal":
		m.headers["paypal-transmission-id"] = "69cd13f0-d67a-11e5-baa3-778b53f4ae55"
	case "shopify": // the topic is not signed and may be any
		m.headers["x-shopify-topic"] = d.text("orders/updated", "orders/cancelled", "refunds/create", "disputes/create", "disputes/update")
		m.headers["x-shopify-event-id"] = d.id("")
		if d.in(4) {
			m.headers["x-shopify-test"] = d.text("true", "false", "false")
		}
	}
	event := makers[m.source]()
	if (m.source == "generic" || m.source == "salesforce-flow") && d.in(4) {
		event.(object)["test"] = d.one(true, false, false, "true", "false", 1, 0, nil)
	}
	body, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	switch d.IntN(120) {
	case 0: // of another kind
		body = []byte(d.text("null", "[]x", "7", `"text"`, "", "{", "a=b&c=d", "\xff\xfe", `[{"a":1}] {}`, strings.ToValidUTF8(string(body[:len(body)/2]), "")))
	case 1:
		body = append([]byte("\ufeff"), body...)
	}
	m.body = body
	return m
}

func (d randomEvents) stripe() any {
	about := object{"id": d.id("ch_"), "amount": 10000, "amount_refunded": 10000, "refunded": d.one(true, true, true, true, false, nil, "true", 1)}
	d.ids(about, "payment_intent", "charge", "id")
	about["receipt_email"], about["billing_details"] = d.email(), object{"email": d.email()}
	d.put(about, "metadata", d.free())
	d.put(about, "status", d.one("needs_response", "needs_response", "under_review", "under_review", "lost", "won", "prevented", "warning_needs_response",
		"warning_under_review", "warning_closed", "active", "canceled", "unpaid", "past_due", "paused", "incomplete_expired", nil))
	if d.in(8) {
		about["status"] = d.text("lost", "unpaid", "failed", "won") // what decides of rules
	}
	if d.in(4) {
		about["cancel_at_period_end"] = d.flag()
	}
	switch d.IntN(12) {
	case 0:
		about["invoice"] = object{"id": d.id("in_"), "billing_reason": d.one("subscription_cycle", "subscription_cycle", "subscription_create", "subscription_update", "manual", nil)}
	case 1:
		about["invoice"] = d.id("in_")
	case 2, 3: // an old API version
		var refunds []any
		for range d.IntN(4) {
			refunds = append(refunds, object{"id": d.id("re_"), "amount": d.one(10000, 5000), "status": d.one("succeeded", "succeeded", "succeeded", "pending", "failed", "canceled", nil)})
		}
		about["refunds"] = object{"object": "list", "data": d.one(refunds, refunds, refunds, nil)}
		d.put(about, "amount_refunded", 10000)
	}
	d.live(about, "livemode", !d.in(20))
	event := object{"id": d.id("evt_"), "object": d.text("event", "event", "event", "event", "event", "event", "event", "event", "event", "v2.core.event"), "created": 1790000000,
		"data": object{"object": about}, "type": d.text("charge.refunded", "charge.refunded", "charge.refunded", "charge.refunded", "charge.refunded", "charge.refunded",
			"charge.dispute.created", "charge.dispute.created", "charge.dispute.created", "charge.dispute.closed", "charge.dispute.closed", "charge.dispute.updated",
			"charge.dispute.funds_withdrawn", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
			"customer.subscription.deleted", "customer.subscription.deleted", "customer.subscription.updated", "customer.subscription.updated",
			"customer.subscription.paused", "refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "credit_note.created", "invoice.payment_failed",
			"checkout.session.completed", "v1.charge.refunded")}
	switch d.IntN(20) { // what is rare otherwise
	case 0, 1, 2:
		event["type"], about["refunded"] = "charge.refunded", true
		about["invoice"] = object{"billing_reason": d.text("subscription_cycle", "subscription_create", "subscription_update")}
	case 3, 4:
		event["type"], about["refunded"] = "charge.refunded", true
		about["refunds"] = object{"data": []any{object{"amount": 10000, "status": d.text("pending", "failed", "succeeded")}}}
	case 5:
		event["type"], about["status"] = "charge.refund.updated", d.text("failed", "canceled", "succeeded")
	case 6, 7:
		event["type"], about["status"] = "charge.dispute.closed", d.text("won", "lost", "warning_closed")
	case 8:
		delete(event, "type")
	}
	d.live(event, "livemode", true)
	return event
}

func (d randomEvents) shopify() any {
	switch d.IntN(16) {
	case 0, 1:
		dispute := object{"id": d.number(), "order_id": d.ref(), "type": d.text("chargeback", "chargeback", "inquiry", "retrieval"), "amount": "11.50",
			"status": d.text("needs_response", "under_review", "lost", "won", "accepted", "charge_refunded", "prevented")}
		d.put(dispute, "evidence_due_by", d.one(nil, "2026-11-25T07:53:53+01:00"))
		return dispute
	case 2:
		contract := object{"id": d.ref(), "origin_order_id": d.one(d.ref(), nil), "status": d.text("cancelled", "expired", "failed", "active", "paused", "stale", "new")}
		d.put(contract, "billing_policy", object{})
		return contract
	case 3: // refunds/create
		line := object{"id": 1, "sku": "P1", "quantity": 1, "properties": d.pairs(d.free(), "name")}
		return object{"id": d.number(), "order_id": d.number(), "refund_line_items": []any{object{"line_item_id": 1, "quantity": 1, "line_item": line}},
			"transactions": d.one(nil, []any{object{"kind": "refund", "status": "success", "test": d.one(false, true)}})}
	case 4, 5, 6: // other topics, and none that is known
		o := object{"id": d.number()}
		for _, key := range strings.Fields(d.text("variants", "order_edit", "subscription_contract_id idempotency_key", "subscription_contract_id", "inventory_item_id", "tracked sku", "verified_email", "addresses", "tracking_numbers", "fulfillment_id", "gateway kind",
			"return_line_items", "myshopify_domain", "shop_domain", "line_items token", "line_items invoice_url", "line_items", "token", "gateway", "title status", "type", "")) {
			o[key] = d.one(nil, "x")
		}
		return o
	}
	order := object{"id": d.ref(), "name": d.one("#9999", "9999", "#A-17", "ACME-17", "#1", 17, nil), "order_number": d.one(9999, 17, nil), "email": d.email(), "contact_email": d.email(), "note_attributes": d.pairs(d.free(), "name"), "financial_status": d.one("refunded", "refunded", "refunded",
		"partially_refunded", "partially_refunded", "partially_refunded", "partially_refunded", "voided", "voided", "paid", "pending", "authorized", "partially_paid", "expired", "disputed", nil)}
	d.put(order, "cancelled_at", d.one(nil, "2026-11-12T10:18:41+01:00"))
	d.live(order, "test", d.in(20))
	if d.in(4) {
		order["source_name"] = d.text("web", "web", "pos", "subscription_contract", "subscription_contract_checkout_one")
	}
	if d.in(8) {
		order["cancelled_at"], order["financial_status"] = "2026-11-12T10:18:41+01:00", d.text("voided", "pending", "paid")
	}
	all := d.in(2) // of the lines are given back
	if all && d.flag() {
		order["financial_status"] = "partially_refunded"
	}
	var lines, refunds []any
	for n := range d.IntN(5) {
		id := json.Number(fmt.Sprintf("90071992547409%d", 92+n)) // neighbours, beyond 2^53
		quantity := d.IntN(4)
		line := object{"id": id, "quantity": quantity, "properties": d.pairs(d.free(), "name")}
		if all && d.in(3) {
			line["properties"] = d.one(nil, []any{})
		}
		d.put(line, "sku", d.one("P1", "P1", "P2", "", nil))
		left := quantity
		for left > 0 && (all || d.in(2)) { // by refunds of a part each, or by an edit of the order
			part := 1 + d.IntN(left)
			left -= part
			if all || !d.in(6) {
				refunds = append(refunds, d.refund([]any{object{"line_item_id": id, "quantity": part}}))
			}
		}
		line["current_quantity"] = left
		if d.in(10) {
			line["current_quantity"] = d.IntN(3)
		}
		lines = append(lines, line)
	}
	if d.in(5) {
		refunds = append(refunds, d.refund([]any{}))
	}
	order["line_items"], order["refunds"] = lines, refunds
	return order
}

// refund is a refund of Shopify: mostly paid, now and then on its way, failed, in two payments, or without any.
func (d randomEvents) refund(lines []any) object {
	payment := func() object {
		return object{"kind": d.text("refund", "refund", "refund", "refund", "void"), "status": d.text("success", "success", "success", "success", "success", "success", "failure", "pending", "error")}
	}
	refund := object{"id": d.number(), "refund_line_items": lines}
	d.put(refund, "transactions", d.one(nil, []any{}, []any{payment(), payment()}, []any{payment()}, []any{payment()}, []any{payment()}, []any{payment()}, []any{payment()}))
	return refund
}

func (d randomEvents) fastspring() any {
	var events []any
	for range 1 + d.IntN(4) {
		about := object{"id": d.id("")}
		event := object{"id": d.id(""), "created": 1790000000000, "data": about, "type": d.text("return.created", "return.created", "return.created", "chargeback.created",
			"subscription.deactivated", "subscription.deactivated", "subscription.canceled", "subscription.uncanceled", "order.canceled", "order.canceled", "order.failed", "payoutEntry.created", "subscription.payment.overdue")}
		d.live(event, "live", true)
		if d.in(8) {
			d.live(about, "live", true)
		}
		if d.in(30) {
			events = append(events, d.one(nil, 7, "text", []any{}))
		}
		events = append(events, event)
		switch event["type"] {
		case "return.created", "order.canceled":
			total := d.amount()
			first := d.id("")
			about["original"] = object{"id": first, "order": first, "reference": d.ref(), "total": total, "tags": d.free()}
			about["customer"] = object{"email": d.email()}
			d.put(about, "totalReturn", d.one(total, total, total, d.amount(), 0))
			d.put(about, "completed", event["type"] == "return.created" && !d.in(5) || d.in(4))
			d.put(about, "tags", d.free())
			var items []any
			for range d.IntN(4) {
				item := object{"product": "acme-pro", "quantity": 1, "attributes": d.one(d.free(), object{"product_short_code": d.text("P1", "P1", "P2")}, nil)}
				if d.in(3) {
					item["subscription"] = d.one(d.id(""), object{"initialOrderId": first}, object{"initialOrderId": d.id("")}, object{})
				}
				items = append(items, item)
			}
			about["items"] = items
		case "chargeback.created":
			d.ids(about, "order")
			if d.in(3) { // expanded
				about["order"] = d.one(object{"id": about["order"], "reference": d.ref()}, object{"id": about["order"]}, object{})
			}
		default:
			d.ids(about, "id", "initialOrderId")
			about["account"] = object{"contact": object{"email": d.email()}}
			d.put(about, "attributes", d.free())
			d.put(about, "tags", d.free())
			about["product"] = d.one("acme-pro", object{"product": "acme-pro", "attributes": d.free()}, object{"product": "acme-pro"})
		}
	}
	if d.in(60) {
		return d.one(object{"event": events}, object{"events": nil}, object{"data": object{}})
	}
	return object{"events": events}
}

func (d randomEvents) standard() any {
	about := object{"email": d.email()}
	d.ids(about, "order_id", "subscription_id")
	if d.flag() {
		if fields, ok := d.free().(object); ok {
			for name, value := range fields {
				about[name] = value
			}
		}
	}
	d.put(about, "metadata", d.free())
	d.sized(about)
	event := object{"id": d.id(""), "data": about, "timestamp": "2026-11-01T12:00:00Z",
		"type": d.text("order.refunded", "order.refunded", "order.refunded", "order.refunded", "order.refunded", "order.refunded", "subscription.ended", "license.deactivate", "order.partially_refunded", "order.paid", "subscription.canceled", "order.cancelled")}
	if d.in(30) {
		event["type"] = d.one(nil, "")
	}
	switch d.IntN(40) {
	case 0:
		event["livemode"] = d.one(true, false, "false", 0)
	case 1:
		about["livemode"] = d.one(true, false, "false", 0)
	case 2:
		about["test"] = d.one(true, false, "true", 1, "1")
	case 3:
		about["metadata"] = object{"test": d.one(true, false, "true"), "livemode": d.one(nil, true, false)}
	case 4, 5:
		about["metadata"] = object{"billing_reason": d.one("purchase", "renewal", "subscription_update"), "license_key": "K1", "hardware_id": "h1", "product": "P1"}
	}
	if d.in(12) {
		event["data"] = d.one([]any{about}, []any{about, about}, []any{})
	}
	return event
}

// sized says something, or nothing, of how much was refunded and of what.
func (d randomEvents) sized(about object) {
	if d.in(3) {
		about[d.text("status", "refund_status")] = d.one("refunded", "refunded", "refunded", "partially_refunded", "partial", "succeeded", "pending", "failed", 3)
	}
	if d.in(3) {
		about[d.text("amount_refunded", "refunded_amount")] = d.one(9900, 9900, 9900, 100, "99.00", "9900", 0, "much", "NaN", "Infinity", nil, -9900, object{"value": 9900}, true)
	}
	if d.in(3) {
		about[d.text("amount", "total", "total_amount")] = d.one(9900, 9900, 9900, 300.0, "99.00", nil, "all of it")
	}
	if d.in(3) {
		about["billing_reason"] = d.one("purchase", "subscription_create", "subscription_cycle", "subscription_update", "subscription_update", "renewal", nil)
	}
}

func (d randomEvents) paddle() any {
	about := object{}
	d.ids(about, "id", "transaction_id")
	event := object{"event_id": d.id("evt_"), "data": about, "event_type": d.text("subscription.canceled", "subscription.canceled", "subscription.canceled",
		"adjustment.created", "adjustment.updated", "adjustment.updated", "adjustment.updated", "subscription.updated", "subscription.paused", "subscription.past_due", "transaction.revised")}
	if strings.HasPrefix(event["event_type"].(string), "adjustment.") {
		about["action"] = d.text("refund", "refund", "refund", "chargeback", "chargeback", "chargeback", "chargeback_warning", "chargeback_reverse", "chargeback_warning_reverse", "credit", "credit_reverse", "goodwill")
		about["type"] = d.one("full", "full", "partial", nil)
		about["status"] = d.text("approved", "approved", "approved", "approved", "approved", "pending_approval", "rejected", "reversed", "open")
		about["items"] = []any{object{"item_id": d.id("txnitm_"), "type": "full", "amount": "9900"}}
		return event
	}
	about["status"] = d.text("canceled", "active", "paused")
	d.put(about, "custom_data", d.free())
	var items []any
	for range d.IntN(4) {
		items = append(items, object{"price": object{"id": d.id("pri_"), "custom_data": d.one(nil, object{},
			object{"product": "P1"}, object{"product_code": "P1"}, object{"product_short_code": "P1"}, object{"product_code": "P2"}, object{"product": 7}, object{"product": false})}})
	}
	about["items"] = items
	return event
}

func (d randomEvents) woo() any {
	switch d.IntN(6) {
	case 0: // other topics, and errors in place of an order
		return d.one(object{"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": object{"status": 401}}, object{"errors": object{"a": []any{"b"}}},
			object{"order": object{"id": 1, "status": "refunded"}}, object{"id": d.IntN(1e5)}, object{"action": "woocommerce_order_refunded", "arg": d.IntN(1e5)},
			object{"id": 1, "regular_price": "1.00", "status": "publish"}, object{"id": 1, "discount_type": "percent", "status": "publish"}, object{"id": 1, "is_paying_customer": true})
	}
	total := d.text("99.00", "99.00", "49.50", "0.00")
	order := object{"id": d.IntN(100000), "status": d.text("refunded", "refunded", "refunded", "cancelled", "cancelled", "completed", "processing", "failed", "on-hold", "pending", "shipped"),
		"meta_data": d.pairs(d.free(), "key"), "total": total, "refunds": d.one([]any{}, []any{}, []any{object{"id": 1, "total": "-5.00"}}, []any{object{"id": 1, "total": "-" + total}},
			[]any{object{"id": 1, "total": "-49.50"}, object{"id": 2, "total": "-49.50"}}, nil)}
	d.ids(order, "transaction_id", "number")
	if d.in(6) {
		order["transaction_id"] = d.one("1042", 1042)
	}
	order["billing"] = object{"email": d.email()}
	if !d.in(12) {
		order["order_key"] = "wc_order_abc"
	}
	if d.in(10) {
		order["created_via"] = d.text("checkout", "subscription")
	}
	if fields, ok := order["meta_data"].([]any); ok && d.in(3) {
		order["meta_data"] = append(fields, object{"key": d.text("_subscription_renewal", "_subscription_switch"), "value": "5001"})
	}
	bare := d.in(8)
	if bare || d.in(5) {
		order["status"] = "cancelled"
	}
	if bare {
		order["meta_data"], order["created_via"], order["refunds"] = nil, "checkout", nil
	}
	if d.in(10) {
		order["billing_period"] = "year"
		order["status"] = d.text("active", "cancelled", "expired", "pending-cancel")
	}
	if !d.in(6) {
		order[d.text("date_paid", "date_paid_gmt")] = d.one(nil, nil, "2026-10-01T08:00:00")
	}
	var lines []any
	for range d.IntN(4) {
		line := object{"id": d.IntN(1000), "quantity": 1, "meta_data": d.pairs(d.free(), "key")}
		if bare {
			line["meta_data"] = []any{}
		}
		d.put(line, "sku", d.one("P1", "P1", "P2", ""))
		lines = append(lines, line)
	}
	order["line_items"] = lines
	return order
}

func (d randomEvents) lemonsqueezy() any {
	about := object{"event_name": d.text("order_refunded", "order_refunded", "order_refunded", "subscription_expired", "subscription_expired", "subscription_cancelled", "subscription_updated",
		"subscription_payment_refunded", "subscription_payment_refunded", "subscription_payment_refunded", "subscription_payment_refunded", "subscription_payment_failed", "order_created")}
	d.put(about, "custom_data", d.free())
	d.live(about, "test_mode", false)
	total := d.amount()
	attributes := object{"status": d.text("refunded", "partial_refund", "paid"), "total": total, "refunded_amount": d.one(total, total, d.amount(), 0, nil)}
	d.live(attributes, "test_mode", false)
	d.put(attributes, "billing_reason", d.one("renewal", "initial", "initial", "initial", "updated"))
	if d.in(8) {
		attributes["first_order_item"] = object{"test_mode": d.one(false, false, true)}
	}
	d.ids(attributes, "identifier", "order_number", "order_id", "subscription_id")
	attributes["user_email"] = d.email()
	return object{"meta": about, "data": object{"id": d.ref(), "attributes": attributes}}
}

func (d randomEvents) hubspot() any {
	workflow := func() any {
		event := object{"portalId": 62515, "email": d.email()}
		d.put(event, "objectId", d.IntN(100000))
		d.ids(event, "order_id")
		if fields, ok := d.free().(object); ok && d.flag() {
			for name, value := range fields {
				event[name] = value
			}
		}
		if fields, ok := d.free().(object); ok && d.flag() {
			properties := object{"dealstage": object{"value": "refunded"}}
			for name, value := range fields {
				properties[name] = object{"value": value, "source": "CRM_UI"}
			}
			event["properties"] = properties
		}
		return event
	}
	if d.flag() {
		return workflow()
	}
	changes := []any{}
	for range 1 + d.IntN(6) {
		switch d.IntN(20) {
		case 0, 1:
			changes = append(changes, workflow())
		case 2:
			changes = append(changes, d.one(nil, 7, []any{}, object{}))
		}
		change := object{"eventId": d.IntN(1e9), "objectId": d.IntN(1e9), "occurredAt": 1790000000000,
			"subscriptionType": d.text("deal.propertyChange", "deal.propertyChange", "contact.propertyChange", "deal.creation", "object.propertyChange", "object.propertyChange"),
			"propertyName":     d.text("dealstage", "dealstage", "amount", "license_status"), "propertyValue": d.text("refunded", "refunded", "closedwon", "0")}
		d.put(change, "objectTypeId", d.one("0-3", "0-3", "0-1", nil))
		changes = append(changes, change)
	}
	return changes
}

func (d randomEvents) chargebee() any {
	subscription := object{"id": d.ref(), "status": d.text("cancelled", "cancelled", "active", "non_renewing", "paused")}
	if d.in(5) {
		delete(subscription, "status")
	}
	if fields, ok := d.free().(object); ok {
		for name, value := range fields {
			subscription["cf_"+name] = value
		}
	}
	d.put(subscription, "meta_data", d.free())
	content := object{"subscription": subscription, "customer": object{"email": "a@example.com"}}
	invoice := object{"id": "852"}
	d.put(invoice, "total", 9900)
	d.put(invoice, "first_invoice", d.one(true, true, true, false, false))
	d.put(invoice, "recurring", d.flag())
	d.put(content, "invoice", invoice)
	payment := object{"id": d.ref(), "type": "refund"}
	d.ids(payment, "refunded_txn_id")
	d.put(payment, "amount", d.one(9900, 9900, 100))
	d.put(payment, "status", d.one("success", "success", "success", "success", "in_progress", "failure"))
	d.put(content, "transaction", payment)
	return object{"id": d.id("ev_"), "occurred_at": 1790000000, "content": content,
		"event_type": d.text("subscription_cancelled", "subscription_cancelled", "subscription_canceled_with_backdating", "payment_refunded", "payment_refunded", "payment_refunded", "payment_refunded", "payment_refunded", "payment_refunded",
			"subscription_reactivated", "credit_note_created", "transaction_created", "subscription_cancellation_scheduled", "subscription_scheduled_cancellation_removed", "subscription_paused", "payment_failed")}
}

func (d randomEvents) recurly() any {
	event := object{"id": d.text("12", "null", "sub_1", d.id("")), "event_time": "2026-11-01T12:00:00Z", "account_code": d.id("")}
	d.put(event, "object_type", d.text("subscription", "account", "invoice"))
	d.put(event, "event_type", d.text("expired", "canceled", "renewed", "created", "paused"))
	return event
}

func (d randomEvents) flow() any {
	event := object{"event_id": d.id(""), "type": d.text("order.refunded", "order.refunded", "order.refunded", "order.refunded", "order.refunded", "subscription.ended", "license.deactivate", "order.paid")}
	if d.in(30) {
		delete(event, "type")
	}
	if fields, ok := d.free().(object); ok {
		for name, value := range fields {
			event[name] = value
		}
	}
	d.ids(event, "order_id", "subscription_id")
	event["email"] = d.email()
	d.sized(event)
	return event
}

func (d randomEvents) salesforce() []byte {
	prefix := d.text("soapenv", "s", "env")
	var body strings.Builder
	fmt.Fprintf(&body, `<?xml version="1.0" encoding="UTF-8"?><%[1]s:Envelope xmlns:%[1]s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`+
		`<%[1]s:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D000000000062EAA</OrganizationId><SessionId xsi:nil="true"/>`, prefix)
	for range d.IntN(5) {
		if d.in(40) {
			body.WriteString(`<Notification><Id>04l</Id></Notification>`)
		}
		fmt.Fprintf(&body, `<Notification><Id>%s</Id><sObject xsi:type="sf:Order" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Status>%s</sf:Status>`,
			d.id("04l"), d.text("Refunded", "Activated", "Obsolete"))
		fmt.Fprintf(&body, `<sf:Id>%s</sf:Id><sf:OrderNumber>%s</sf:OrderNumber>`, d.text("801000000000abcAAA", "801000000000abc", "80"), d.text("00000101", "1", ""))
		for _, name := range []string{"License_Key__c", "Hardware_Id__c", "Product_Code__c"} {
			switch d.IntN(10) {
			case 0:
			case 1:
				fmt.Fprintf(&body, `<sf:%s xsi:nil="true"/>`, name)
			default:
				text := d.text("K1", "KEY-1", "KEY-2", "K2, K3", "h&h", "820982911946154508", " , ", "K4,K4,,K5", "")
				if name == "Product_Code__c" {
					text = d.text("P1", "P1", "P<2>", "")
				}
				fmt.Fprintf(&body, `<sf:%s>`, name)
				_ = xml.EscapeText(&body, []byte(text))
				fmt.Fprintf(&body, `</sf:%s>`, name)
			}
		}
		body.WriteString(`</sObject></Notification>`)
	}
	fmt.Fprintf(&body, `</notifications></%[1]s:Body></%[1]s:Envelope>`, prefix)
	return []byte(body.String())
}

// free is the vendor's own data: an object with license data and other things in it, two objects that share them, or
// something else altogether.
func (d randomEvents) free() any {
	switch d.IntN(24) {
	case 0:
		return nil
	case 1:
		return d.one("", "K1", 7, []any{}, object{})
	case 2, 3, 4, 5, 6, 7: // as the documentation of the senders has it
		return object{"license_key": d.text("KEY-1", "KEY-2", "K3"), "hardware_id": d.text("h1", "h2"), "product": d.text("P1", "P2")}
	case 8: // but for the device
		return object{"license_key": d.text("KEY-1", "KEY-2", "K3"), "order_id": d.ref()}
	}
	o := object{"code": "10% off", "ip": "203.0.113.7", "sku": "decoy", "order_id": "6735"}
	if d.in(10) {
		o["username"] = d.one("user@example.com", "", nil)
		d.put(o, "license_id", d.one(820982911946154508, "17", 0, "017", "x"))
	}
	if _, user := o["username"]; !user && !d.in(5) || d.in(100) {
		o["license_key"] = d.texts(d.text("K", "KEY-"))
	}
	if !d.in(6) {
		o["hardware_id"] = d.texts("h")
	}
	if !d.in(6) {
		o[d.text("product", "product_code", "product_short_code")] = d.one("P1", "P1", "P2", 42, "", nil)
	}
	if d.in(30) {
		o["product"] = d.one(true, 1.5, object{}, []any{"P1"}, "P\n1", strings.Repeat("P", 257))
	}
	if d.in(20) {
		o["bundle_code"] = d.one("b1", nil, "")
	}
	switch d.IntN(30) {
	case 0, 1: // in two objects
		first, second := object{}, object{}
		for name, value := range o {
			d.one(first, second).(object)[name] = value
		}
		return []any{first, second}
	case 2, 3: // several licenses, each an object, and now and then something that belongs to none
		var many []any
		for range 1 + d.IntN(3) {
			license := object{"license_key": d.text("KEY-1", "KEY-2", "K3"), "product": d.text("P1", "P2")}
			d.put(license, "hardware_id", d.text("h1", "h2", "h3"))
			many = append(many, license)
		}
		if d.in(3) {
			many = append(many, d.one(object{"hardware_id": "h9"}, object{"product": "P1"}, object{}, "text"))
		}
		return many
	}
	return o
}

// texts is a key or an id, or several, in every form that is taken and some that are not.
func (d randomEvents) texts(prefix string) any {
	one := func() string { return fmt.Sprint(prefix, 1+d.IntN(5)) }
	switch d.IntN(60) {
	case 0:
		return d.one(true, false, 1.5, 1.0, object{"a": one()}, []any{one(), object{}}, []any{[]any{one()}}, []any{one(), true})
	case 1:
		return d.one(one()+"\n", one()+"\t,"+one(), "a\uffffb", "a\ufffeb", "a\u2028b", strings.Repeat("ä", 257))
	case 2:
		return d.one(nil, "", " ", " , ,", " ; \n", []any{}, []any{nil, ""})
	case 3, 4:
		return d.one(820982911946154508, json.Number("123456789012345678901234567890"), 7, -5, []any{820982911946154508, one()})
	case 5: // more than a hundred, or repeats that are not
		many := make([]string, 90+d.IntN(40))
		for i := range many {
			many[i] = fmt.Sprint(prefix, i)
			if d.in(8) {
				many[i] = prefix + "0"
			}
		}
		return strings.Join(many, d.between(prefix))
	case 6, 7:
		return strings.Repeat("ä", 256)
	case 8, 9, 10, 11:
		return strings.ReplaceAll(fmt.Sprintf(" %s# #%s#%s ", one(), one(), one()), "#", d.between(prefix))
	case 12, 13, 14, 15:
		return []any{one(), one(), nil, " " + one() + " "}
	}
	return one()
}

// between is what stands between several keys of one text, or several devices, whose ids may hold a comma.
func (d randomEvents) between(prefix string) string {
	if prefix != "h" {
		return ","
	}
	return d.text(";", ";", "\n", "\r\n", ",")
}

// pairs are the fields of an object as a list of names and values, as shops have them.
func (d randomEvents) pairs(fields any, name string) any {
	if _, ok := fields.(object); !ok || d.in(8) {
		return d.one(nil, []any{})
	}
	out := []any{object{name: "gift", "value": true}, object{name: "", "value": "x"}, object{"value": "K9"}, object{name: "engraving", "value": object{"license_key": "K9"}}}
	for field, value := range fields.(object) {
		out = append(out, object{name: field, "value": value})
	}
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	if d.in(60) { // no pairs
		numbered := object{}
		for i, pair := range out {
			numbered[fmt.Sprint(i)] = pair
		}
		return d.one(fields, numbered, numbered, "license_key: K1", "", object{}, []any{[]any{"license_key", "K1"}}, append(out, "license_key: K1"), append(out, nil))
	}
	return out
}

func (d randomEvents) in(n int) bool     { return d.IntN(n) == 0 }
func (d randomEvents) flag() bool        { return d.in(2) }
func (d randomEvents) number() any       { return d.Int64N(1 << 60) }
func (d randomEvents) amount() any       { return d.one(9900, 300.0, 100, 99.99, 100.1, 3000) }
func (d randomEvents) one(of ...any) any { return of[d.IntN(len(of))] }

func (d randomEvents) text(of ...string) string { return of[d.IntN(len(of))] }

// id is a sender's id; now and then one that no request id can hold as it is.
func (d randomEvents) id(prefix string) string {
	return prefix + fmt.Sprintf("%016x", d.Uint64()) + d.text("", "", "", "", "", "", "/ä b", strings.Repeat("x", 90))
}

// ids sets fields to ids of an order or a subscription.
func (d randomEvents) ids(o object, names ...string) {
	for _, name := range names {
		d.put(o, name, d.ref())
	}
}

// ref is the id of an order or a subscription, now and then one that no look-up may use.
func (d randomEvents) ref() any {
	if d.in(3) {
		return d.one(nil, "", "12", 17, 1001, "null", "{{order_id}}", "order_empty", "trial_17", " pi_1", true, 1.5, object{"id": "x"}, []any{"pi_1"})
	}
	return d.one(d.number(), "pi_1", "pi_1", d.id("pi_"))
}

// email is a customer's address, or none.
func (d randomEvents) email() any {
	return d.one("a@example.com", " a@example.com ", "b@example.com", "", nil, nil, 7, object{})
}

// put sets a field, or now and then leaves it out.
func (d randomEvents) put(o object, name string, value any) {
	if !d.in(12) {
		o[name] = value
	}
}

// live sets a test flag: mostly to what says that the event is real, now and then to the opposite, or not at all.
func (d randomEvents) live(o object, name string, real bool) {
	if d.in(8) {
		real = !real
	}
	d.put(o, name, real)
}
