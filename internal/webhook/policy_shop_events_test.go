package webhook_test

import (
	"fmt"
	"net/url"
	"strings"
)

// The events of the shops of policy_shops_test.go, at random.

func (d randomEvents) square() any {
	object := object{}
	d.put(object, "refund", map[string]any{"payment_id": d.ref(), "order_id": d.ref(), "status": d.one("COMPLETED", "COMPLETED", "PENDING", "REJECTED", "FAILED", "ON_HOLD", nil)})
	d.put(object, "dispute", map[string]any{"disputed_payment": map[string]any{"payment_id": d.ref()}, "state": d.one("EVIDENCE_REQUIRED", "PROCESSING", "LOST", "LOST", "ACCEPTED", "WON",
		"INQUIRY_EVIDENCE_REQUIRED", "INQUIRY_PROCESSING", "INQUIRY_CLOSED", "WAITING_THIRD_PARTY", nil)})
	if d.in(4) {
		object["payment"] = map[string]any{"id": d.ref(), "order_id": d.ref(), "buyer_email_address": d.email(), "total_money": map[string]any{"amount": 100}, "refunded_money": map[string]any{"amount": d.one(100, 50)}}
	}
	event := map[string]any{"event_id": d.id(""), "created_at": "2026-11-01T12:00:00Z", "data": map[string]any{"object": object}}
	d.put(event, "type", d.text("refund.created", "refund.updated", "refund.updated", "dispute.created", "dispute.created", "dispute.state.updated", "dispute.state.updated", "payment.updated", "subscription.updated"))
	return event
}

func (d randomEvents) appSumo() any {
	event := object{"event_timestamp": 1790000000000, "license_status": "active"}
	d.put(event, "license_key", d.ref())
	d.put(event, "event", d.text("deactivate", "deactivate", "deactivate", "deactivate", "purchase", "activate", "upgrade", "migrate"))
	d.live(event, "test", d.in(10))
	if !d.in(8) {
		event["extra"] = d.one(object{"reason": d.one("Refunded by the user", "Refunded by the user", "Refunded by the user", "Upgraded by the customer", "Downgraded by the customer", "Deactivated by AppSumo", "", nil)},
			object{"reason": 7}, object{}, nil, object{"reason": "Refunded"}, object{"reason": "Refunded"})
	}
	if d.in(6) {
		event["parent_license_key"] = d.one(d.ref(), "", nil)
	}
	return event
}

func (d randomEvents) sendOwl() any {
	wrapped := d.flag() // the API has each item under its own name
	item := func(name string, o object) any {
		if wrapped {
			return object{name: o}
		}
		return o
	}
	order := object{"for_subscription": d.in(8), "access_allowed": d.in(4), "buyer_email": d.email()}
	d.put(order, "state", d.text("refunded", "refunded", "refunded", "refunded", "refunded", "chargeback", "chargeback", "chargeback", "in_dispute", "complete", "failed", "free", "imported", "fraud_review",
		"subscription_active", "subscription_cancelling", "subscription_cancelled", "subscription_complete", "archived"))
	d.ids(order, "id")
	if d.flag() {
		order["transactions"] = d.one([]any{object{"gateway_transaction_id": d.ref()}, object{"gateway_transaction_id": d.ref()}}, []any{}, nil)
	}
	if d.in(4) {
		order["gateway_transaction_ids"] = []any{d.ref()}
	}
	if d.in(4) {
		var licenses []any
		for range d.IntN(3) {
			licenses = append(licenses, item("license", object{"key": d.one("KEY-1", "KEY-2", "K3", 7, nil)}))
		}
		order["licenses"] = licenses
	}
	var fields []any
	if free, ok := d.free().(object); ok {
		for name, value := range free {
			fields = append(fields, item("order_custom_checkout_field", object{"name": name, "value": value}))
		}
	}
	order["order_custom_checkout_fields"] = fields
	switch d.IntN(20) {
	case 0:
		return order
	case 1:
		return object{"order": d.one(nil, object{}, "text", 7, []any{})}
	}
	return object{"order": order}
}

func (d randomEvents) creem() any {
	mode := func() any {
		return d.one("prod", "prod", "prod", "prod", "prod", "prod", "prod", "prod", "prod", nil, "test", "sandbox", "local")
	}
	paid := d.one(9900, 300, 100)
	transaction := object{"mode": mode(), "order": d.ref(), "id": d.ref()}
	d.put(transaction, "amount_paid", paid)
	d.put(transaction, "refunded_amount", d.one(paid, paid, paid, 100, 50, 0, nil))
	about := object{"refund_amount": d.one(paid, 100, 50, 50, nil), "id": d.ref(), "mode": mode(), "transaction": transaction, "order": object{"id": d.ref(), "mode": mode()}, "customer": object{"email": d.email()},
		"checkout": object{"id": d.ref(), "request_id": d.ref()}}
	d.put(about, "status", d.text("succeeded", "succeeded", "succeeded", "succeeded", "pending", "canceled", "canceled", "canceled", "active"))
	d.put(about, d.text("metadata", "metadata", "other"), d.free())
	d.put(about["checkout"].(object), d.text("metadata", "other"), d.free())
	if d.in(4) {
		about["subscription"] = d.one(nil, object{"id": d.ref(), "metadata": d.free()})
	}
	if d.in(8) {
		transaction["subscription"] = d.one(nil, "sub_1")
	}
	event := object{"id": d.id("evt_"), "created_at": 1790000000000, "object": about}
	d.put(event, "eventType", d.text("refund.created", "refund.created", "refund.created", "refund.created", "dispute.created", "dispute.created", "subscription.canceled", "subscription.canceled",
		"subscription.expired", "subscription.scheduled_cancel", "checkout.completed"))
	return event
}

func (d randomEvents) polar() any {
	about := object{"customer": object{"email": d.email()}}
	d.ids(about, "id", "checkout_id", "subscription_id")
	d.put(about, "metadata", d.free())
	d.put(about, "status", d.text("refunded", "refunded", "refunded", "refunded", "partially_refunded", "paid", "failed", "canceled", "succeeded"))
	d.put(about, "billing_reason", d.text("purchase", "purchase", "purchase", "subscription_create", "subscription_create", "subscription_cycle", "subscription_update"))
	event := object{"timestamp": "2026-11-01T12:00:00Z", "data": about}
	kind := d.text("order.refunded", "order.refunded", "order.refunded", "order.refunded", "order.refunded", "refund.updated", "refund.updated", "subscription.revoked", "subscription.revoked",
		"subscription.canceled", "order.paid", "refund.created")
	if strings.HasPrefix(kind, "subscription.") {
		d.put(about, "status", d.text("canceled", "canceled", "canceled", "past_due", "unpaid", "active", "trialing"))
	}
	d.put(event, "type", kind)
	return event
}

func (d randomEvents) dodo() any {
	about := object{"customer": object{"email": d.email()}}
	d.ids(about, "payment_id", "subscription_id")
	d.put(about, "metadata", d.free())
	d.put(about, "is_partial", d.one(false, false, false, true, true, nil, "false", 0))
	d.put(about, "dispute_stage", d.text("dispute", "dispute", "pre_arbitration", "pre_dispute"))
	d.put(about, "cancel_at_next_billing_date", d.one(false, false, true, nil))
	event := object{"business_id": "bus_1", "timestamp": "2026-11-01T12:00:00Z", "data": about}
	d.put(event, "type", d.text("refund.succeeded", "refund.succeeded", "refund.succeeded", "refund.succeeded", "refund.failed", "dispute.opened", "dispute.opened", "dispute.lost", "dispute.accepted", "dispute.won",
		"dispute.cancelled", "dispute.expired", "dispute.challenged", "subscription.expired", "subscription.expired", "subscription.cancelled", "subscription.cancelled", "subscription.renewed", "license_key.created"))
	return event
}

func (d randomEvents) zohoPayments() any {
	refund := object{"payment_id": d.ref(), "amount": "99.00", "meta_data": d.pairs(d.free(), "key")}
	event := object{"event_id": d.number(), "event_time": 1790000000000, "event_object": object{"refund": refund}}
	d.live(event, "live_mode", true)
	d.put(event, "event_type", d.text("refund.succeeded", "refund.succeeded", "refund.failed", "payment.succeeded", "payout.paid"))
	return event
}

// asForm writes the texts, numbers and booleans of an object as a form, and those of an object or a list in it.
func asForm(o object) []byte {
	var fields []string
	add := func(name string, value any) {
		switch value.(type) {
		case string, bool, int, int64:
			if text := fmt.Sprint(value); text != "" {
				fields = append(fields, strings.NewReplacer("%5B", "[", "%5D", "]").Replace(url.QueryEscape(name))+"="+url.QueryEscape(text))
			}
		}
	}
	var within func(prefix string, o object)
	within = func(prefix string, o object) {
		for name, value := range o {
			if prefix != "" {
				name = prefix + "[" + name + "]"
			}
			switch v := value.(type) {
			case object:
				within(name, v)
			case []any:
				for _, item := range v {
					add(name+"[]", item)
				}
			default:
				add(name, v)
			}
		}
	}
	within("", o)
	return []byte(strings.Join(fields, "&"))
}

func (d randomEvents) gumroad() object {
	event := object{"product_name": "Acme Pro", "email": d.email(), "card": object{"visual": "**** 4242"}}
	d.put(event, "resource_name", d.text("refund", "refund", "refund", "refund", "dispute", "dispute", "dispute_won", "subscription_ended", "subscription_ended", "subscription_restarted", "cancellation", "sale", "sale"))
	d.ids(event, "sale_id", "order_number", "subscription_id")
	d.put(event, "refunded", d.one(true, true, false))
	d.put(event, "disputed", d.one(true, false))
	d.put(event, "dispute_won", d.in(4))
	if d.in(12) {
		event["test"] = d.flag()
	}
	if d.in(6) {
		event["is_recurring_charge"] = true
	}
	if d.in(4) {
		event["user_email"], event["ended_reason"] = d.email(), d.text("cancelled", "failed_payment", "fixed_subscription_period_ended")
	}
	event["purchase_ids"] = []any{d.id("p"), d.id("p")}
	if d.flag() {
		event["license_key"] = d.text("KEY-1", "KEY-2", "KEY-1,KEY-2", "K3", "7")
	}
	if fields, ok := d.free().(object); ok && d.flag() {
		own := object{}
		for name, value := range fields {
			if text, ok := value.(string); ok {
				own[name] = text
			}
		}
		event["custom_fields"] = own
	}
	return event
}

func (d randomEvents) maxio() object {
	subscription := object{"customer": object{"email": d.email()}}
	d.ids(subscription, "id", "reference")
	d.put(subscription, "state", d.text("canceled", "canceled", "expired", "unpaid", "past_due", "active"))
	event := object{"id": d.id(""), "payload": object{"site": object{"id": 31615}, "subscription": subscription}}
	d.put(event, "event", d.text("subscription_state_change", "subscription_state_change", "subscription_state_change", "refund_success", "chargeback_lost", "chargeback_accepted", "renewal_success"))
	return event
}
