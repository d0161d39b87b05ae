package webhook_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomEvents makes random events: of every source, of every type that matters and of some that do not, with license
// data in every shape that senders and vendors use. The same seed makes the same events.
type randomEvents struct{ *rand.Rand }

type object = map[string]any

func (d randomEvents) delivery(sources []string) unsignedDelivery {
	m := unsignedDelivery{source: d.text(sources...), headers: map[string]string{}}
	if d.in(3) { // the most complex ones
		m.source = d.text("shopify", "shopify", "stripe", "paddle")
	}
	makers := map[string]func() any{
		"stripe": d.stripe, "fastspring": d.fastspring, "standard": d.standard, "generic": d.standard,
		"paddle": d.paddle, "woocommerce": d.woo, "lemonsqueezy": d.lemonsqueezy, "hubspot": d.hubspot, "chargebee": d.chargebee,
		"recurly": d.recurly, "salesforce-flow": d.flow, "shopify": d.shopify,
	}
	switch m.source {
	case "salesforce":
		m.body = d.salesforce()
		return m
	case "standard":
		m.headers["webhook-id"] = d.id("msg_")
	case "shopify": // the topic is not signed and may be any text
		m.headers["x-shopify-topic"] = d.text("orders/updated", "orders/cancelled", "refunds/create", "disputes/create", "disputes/update")
		m.headers["x-shopify-event-id"] = d.id("")
		if d.in(4) {
			m.headers["x-shopify-test"] = d.text("true", "false", "false")
		}
	}
	event := makers[m.source]()
	if m.source == "generic" && d.in(4) {
		event.(object)["test"] = d.flag()
	}
	body, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	m.body = body
	return m
}

func (d randomEvents) stripe() any {
	about := object{"id": d.id("ch_"), "amount": 10000, "refunded": d.one(true, true, false, nil, "true", 1)}
	d.put(about, "metadata", d.free())
	d.put(about, "status", d.one("needs_response", "needs_response", "under_review", "under_review", "lost", "won", "prevented", "warning_needs_response",
		"warning_under_review", "warning_closed", "active", "canceled", "unpaid", "past_due", "paused", "incomplete_expired", nil))
	if d.in(8) {
		about["status"] = d.text("lost", "unpaid") // it decides rules that are disabled
	}
	if d.in(4) {
		about["cancel_at_period_end"] = d.flag()
	}
	event := object{"id": d.id("evt_"), "object": "event", "created": 1790000000, "data": object{"object": about}, "type": d.text("charge.refunded",
		"charge.refunded", "charge.refunded", "charge.refunded", "charge.dispute.created", "charge.dispute.created", "charge.dispute.created",
		"customer.subscription.deleted", "customer.subscription.deleted", "charge.dispute.closed", "charge.dispute.closed",
		"customer.subscription.updated", "customer.subscription.updated",
		"customer.subscription.paused", "refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "credit_note.created", "invoice.payment_failed",
		"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "checkout.session.completed")}
	d.live(event, "livemode", true)
	return event
}

func (d randomEvents) shopify() any {
	switch d.IntN(10) {
	case 0:
		return object{"id": d.number(), "order_id": d.number(), "type": d.text("chargeback", "inquiry"), "amount": "11.50",
			"status": d.text("needs_response", "under_review", "lost", "won", "accepted", "charge_refunded")}
	case 1:
		return object{"id": d.number(), "origin_order_id": d.number(), "status": d.text("cancelled", "expired", "failed", "active", "paused", "stale")}
	case 2: // refunds/create
		line := object{"id": 1, "sku": "P1", "quantity": 1, "properties": d.pairs(d.free(), "name")}
		return object{"id": d.number(), "order_id": d.number(), "refund_line_items": []any{object{"line_item_id": 1, "quantity": 1, "line_item": line}}}
	}
	order := object{"id": d.number(), "name": "#9999", "note_attributes": d.pairs(d.free(), "name"), "financial_status": d.text("refunded", "refunded",
		"partially_refunded", "partially_refunded", "partially_refunded", "voided", "paid", "pending", "authorized", "partially_paid", "expired")}
	d.put(order, "cancelled_at", d.one(nil, "2026-11-12T10:18:41+01:00"))
	d.live(order, "test", false)
	var lines, refunds []any
	for n := range d.IntN(5) {
		id := json.Number(fmt.Sprintf("90071992547409%d", 92+n)) // neighbours, beyond 2^53
		quantity := d.IntN(4)
		line := object{"id": id, "quantity": quantity, "properties": d.pairs(d.free(), "name")}
		d.put(line, "sku", d.one("P1", "P1", "P2", "", nil))
		left := quantity
		for left > 0 && d.in(2) { // by several partial refunds, or by an edit of the order
			part := 1 + d.IntN(left)
			left -= part
			if !d.in(6) {
				refund := object{"id": d.number(), "refund_line_items": []any{object{"line_item_id": id, "quantity": part}}}
				d.put(refund, "transactions", d.one(nil, []any{object{"kind": "refund", "status": d.text("success", "success", "failure", "pending")}}))
				refunds = append(refunds, refund)
			}
		}
		line["current_quantity"] = left
		if d.in(10) {
			line["current_quantity"] = d.IntN(3)
		}
		lines = append(lines, line)
	}
	if d.in(5) {
		refunds = append(refunds, object{"id": d.number(), "refund_line_items": []any{}, "order_adjustments": []any{object{"amount": "-5.00"}}})
	}
	order["line_items"], order["refunds"] = lines, refunds
	return order
}

func (d randomEvents) fastspring() any {
	var events []any
	for range 1 + d.IntN(4) {
		about := object{"id": d.id("")}
		event := object{"id": d.id(""), "created": 1790000000000, "data": about, "type": d.text("return.created", "return.created", "chargeback.created",
			"subscription.deactivated", "subscription.deactivated", "subscription.canceled", "subscription.uncanceled", "order.canceled", "order.failed", "payoutEntry.created", "subscription.payment.overdue")}
		d.live(event, "live", true)
		events = append(events, event)
		switch event["type"] {
		case "return.created":
			total := d.amount()
			about["original"] = object{"id": d.id(""), "total": total, "tags": d.free()}
			d.put(about, "totalReturn", d.one(total, total, d.amount(), 0))
			d.put(about, "tags", d.free())
			var items []any
			for range d.IntN(4) {
				items = append(items, object{"product": "acme-pro", "quantity": 1, "attributes": d.one(d.free(), object{"product_short_code": d.text("P1", "P1", "P2")}, nil)})
			}
			about["items"] = items
		case "chargeback.created":
			about["order"] = d.id("")
		default:
			d.put(about, "attributes", d.free())
			d.put(about, "tags", d.free())
			about["product"] = d.one("acme-pro", object{"product": "acme-pro", "attributes": d.free()}, object{"product": "acme-pro"})
		}
	}
	return object{"events": events}
}

func (d randomEvents) standard() any {
	about := object{"order_id": d.id("")}
	if d.flag() {
		if fields, ok := d.free().(object); ok {
			for name, value := range fields {
				about[name] = value
			}
		}
	}
	d.put(about, "metadata", d.free())
	return object{"id": d.id(""), "data": about, "timestamp": "2026-11-01T12:00:00Z",
		"type": d.text("order.refunded", "subscription.ended", "license.deactivate", "order.partially_refunded", "order.paid", "subscription.canceled")}
}

func (d randomEvents) paddle() any {
	about := object{"id": d.id("")}
	event := object{"event_id": d.id("evt_"), "data": about, "event_type": d.text("subscription.canceled", "subscription.canceled", "subscription.canceled",
		"adjustment.created", "adjustment.updated", "adjustment.updated", "adjustment.updated", "subscription.updated", "subscription.paused", "subscription.past_due", "transaction.revised")}
	if strings.HasPrefix(event["event_type"].(string), "adjustment.") {
		about["action"] = d.text("refund", "refund", "chargeback", "chargeback", "chargeback_warning", "chargeback_reverse", "credit", "credit_reverse")
		about["type"] = d.one("full", "full", "partial", nil)
		about["status"] = d.text("approved", "approved", "approved", "pending_approval", "pending_approval", "rejected", "reversed")
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
	order := object{"id": d.IntN(100000), "status": d.text("refunded", "refunded", "cancelled", "completed", "processing", "failed", "on-hold", "pending"),
		"meta_data": d.pairs(d.free(), "key"), "refunds": d.one([]any{}, []any{object{"id": 1, "total": "-5.00"}}, nil)}
	var lines []any
	for range d.IntN(4) {
		line := object{"id": d.IntN(1000), "quantity": 1, "meta_data": d.pairs(d.free(), "key")}
		d.put(line, "sku", d.one("P1", "P1", "P2", ""))
		lines = append(lines, line)
	}
	order["line_items"] = lines
	return order
}

func (d randomEvents) lemonsqueezy() any {
	about := object{"event_name": d.text("order_refunded", "order_refunded", "order_refunded", "subscription_expired", "subscription_expired", "subscription_cancelled", "subscription_updated",
		"subscription_payment_refunded", "subscription_payment_failed", "order_created", "subscription_resumed")}
	d.put(about, "custom_data", d.free())
	d.live(about, "test_mode", false)
	total := d.amount()
	return object{"meta": about, "data": object{"id": d.id(""), "attributes": object{"status": d.text("refunded", "partial_refund", "paid"), "total": total,
		"refunded_amount": d.one(total, total, d.amount(), 0, nil)}}}
}

func (d randomEvents) hubspot() any {
	workflow := func() any {
		event := object{"objectId": d.IntN(100000), "portalId": 62515}
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
		if d.in(8) {
			changes = append(changes, workflow())
			continue
		}
		changes = append(changes, object{"eventId": d.IntN(1e9), "objectId": d.IntN(1e9), "occurredAt": 1790000000000,
			"subscriptionType": d.text("deal.propertyChange", "deal.propertyChange", "contact.propertyChange", "deal.creation", "object.propertyChange"),
			"propertyName":     d.text("dealstage", "dealstage", "amount", "license_status"), "propertyValue": d.text("refunded", "refunded", "closedwon", "0")})
	}
	return changes
}

func (d randomEvents) chargebee() any {
	subscription := object{"id": d.id(""), "status": d.text("cancelled", "cancelled", "active", "non_renewing", "paused")}
	if d.in(5) {
		delete(subscription, "status")
	}
	if fields, ok := d.free().(object); ok {
		for name, value := range fields {
			subscription["cf_"+name] = value
		}
	}
	d.put(subscription, "meta_data", d.free())
	return object{"id": d.id("ev_"), "occurred_at": 1790000000, "content": object{"subscription": subscription, "customer": object{"email": "a@example.com"}},
		"event_type": d.text("subscription_cancelled", "subscription_cancelled", "subscription_canceled_with_backdating", "payment_refunded", "credit_note_created",
			"transaction_created", "subscription_cancellation_scheduled", "subscription_scheduled_cancellation_removed", "subscription_paused", "payment_failed")}
}

func (d randomEvents) recurly() any {
	return object{"id": d.id(""), "object_type": d.text("subscription", "account", "invoice"), "event_type": d.text("expired", "canceled", "renewed", "created", "paused"),
		"event_time": "2026-11-01T12:00:00Z", "account_code": d.id("")}
}

func (d randomEvents) flow() any {
	event := object{"event_id": d.id(""), "type": d.text("order.refunded", "order.refunded", "subscription.ended", "license.deactivate", "order.paid")}
	if fields, ok := d.free().(object); ok {
		for name, value := range fields {
			event[name] = value
		}
	}
	return event
}

func (d randomEvents) salesforce() []byte {
	prefix := d.text("soapenv", "s", "env")
	var body strings.Builder
	fmt.Fprintf(&body, `<?xml version="1.0" encoding="UTF-8"?><%[1]s:Envelope xmlns:%[1]s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`+
		`<%[1]s:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D000000000062EAA</OrganizationId><SessionId xsi:nil="true"/>`, prefix)
	for range 1 + d.IntN(4) {
		fmt.Fprintf(&body, `<Notification><Id>%s</Id><sObject xsi:type="sf:Order" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Status>%s</sf:Status>`,
			d.id("04l"), d.text("Refunded", "Activated", "Obsolete"))
		for _, name := range []string{"License_Key__c", "Hardware_Id__c", "Product_Code__c"} {
			switch d.IntN(10) {
			case 0:
			case 1:
				fmt.Fprintf(&body, `<sf:%s xsi:nil="true"/>`, name)
			default:
				text := d.text("K1", "K2, K3", "h&h", "820982911946154508", " , ", "K4,K4,,K5", "")
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

// free is the vendor's own data: an object with license data and other fields, two objects that share them, or another
// value.
func (d randomEvents) free() any {
	switch d.IntN(24) {
	case 0:
		return nil
	case 1:
		return d.one("", "K1", 7, []any{}, object{})
	case 2, 3, 4, 5, 6, 7: // in the form of the senders' documentation
		return object{"license_key": d.text("K1", "K2", "K3"), "hardware_id": d.text("h1", "h2"), "product": d.text("P1", "P2")}
	}
	o := object{"code": "10% off", "ip": "203.0.113.7", "sku": "decoy", "order_id": "6735"}
	if d.in(10) {
		o["username"] = d.one("user@example.com", "", nil)
		d.put(o, "license_id", d.one(820982911946154508, "17", 0, "017", "x"))
	}
	if _, user := o["username"]; !user && !d.in(5) || d.in(100) {
		o["license_key"] = d.texts("K")
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
	if !d.in(20) {
		return o
	}
	first, second := object{}, object{}
	for name, value := range o {
		d.one(first, second).(object)[name] = value
	}
	return []any{first, second}
}

// texts is a key or an id, or several, in every accepted form and in some that are refused.
func (d randomEvents) texts(prefix string) any {
	one := func() string { return fmt.Sprint(prefix, 1+d.IntN(5)) }
	switch d.IntN(60) {
	case 0:
		return d.one(true, false, 1.5, 1.0, object{"a": one()}, []any{one(), object{}}, []any{[]any{one()}}, []any{one(), true})
	case 1:
		return d.one(one()+"\n", one()+"\t,"+one(), "a\uffffb", "a\ufffeb", "a\u2028b", strings.Repeat("ä", 257))
	case 2:
		return d.one(nil, "", " ", " , ,", []any{}, []any{nil, ""})
	case 3, 4:
		return d.one(820982911946154508, json.Number("123456789012345678901234567890"), 7, -5, []any{820982911946154508, one()})
	case 5: // more than a hundred, or as many texts that repeat
		many := make([]string, 90+d.IntN(40))
		for i := range many {
			many[i] = fmt.Sprint(prefix, i)
			if d.in(8) {
				many[i] = prefix + "0"
			}
		}
		return strings.Join(many, ",")
	case 6, 7:
		return strings.Repeat("ä", 256)
	case 8, 9, 10, 11:
		return fmt.Sprintf(" %s, ,%s,%s ", one(), one(), one())
	case 12, 13, 14, 15:
		return []any{one(), one(), nil, " " + one() + " "}
	}
	return one()
}

// pairs are the fields of an object as a list of names and values, as in shops.
func (d randomEvents) pairs(fields any, name string) any {
	if _, ok := fields.(object); !ok {
		return d.one(nil, []any{})
	}
	out := []any{object{name: "gift", "value": true}, object{name: "", "value": "x"}, object{"value": "K9"}, object{name: "engraving", "value": object{"license_key": "K9"}}}
	for field, value := range fields.(object) {
		out = append(out, object{name: field, "value": value})
	}
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (d randomEvents) in(n int) bool     { return d.IntN(n) == 0 }
func (d randomEvents) flag() bool        { return d.in(2) }
func (d randomEvents) number() any       { return d.Int64N(1 << 60) }
func (d randomEvents) amount() any       { return d.one(9900, 300.0, 100, 99.99, 100.1, 3000) }
func (d randomEvents) one(of ...any) any { return of[d.IntN(len(of))] }

func (d randomEvents) text(of ...string) string { return of[d.IntN(len(of))] }

// id is a sender's id; now and then one that a request id cannot contain unchanged.
func (d randomEvents) id(prefix string) string {
	return prefix + fmt.Sprintf("%016x", d.Uint64()) + d.text("", "", "", "", "", "", "/ä b", strings.Repeat("x", 90))
}

// put sets a field, or now and then leaves it out.
func (d randomEvents) put(o object, name string, value any) {
	if !d.in(12) {
		o[name] = value
	}
}

// live sets a test flag: mostly to the value for real events, now and then to the opposite, or not at all.
func (d randomEvents) live(o object, name string, real bool) {
	if d.in(8) {
		real = !real
	}
	d.put(o, name, real)
}
