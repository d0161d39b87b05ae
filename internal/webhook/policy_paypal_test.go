package webhook_test

import (
	"encoding/json"
	"strings"
)

// payPalPolicy: a dispute that was lost in full by its own amounts. A refund and a payment that is taken back do not say what was
// paid; a cancelled subscription is paid until the end of its period, and one that expired has just made its last payment: a
// person decides. A dispute that was won is a reversal. The sandbox's events name its addresses.
func payPalPolicy(e any) ruling {
	r := get(e, "resource")
	for _, link := range append(list(get(e, "links")), list(get(r, "links"))...) {
		if href, _ := get(link, "href").(string); strings.Contains(href, ".sandbox.paypal.com/") {
			return ignored()
		}
	}
	switch kind := get(e, "event_type"); kind {
	case "PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED", "PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED", "BILLING.SUBSCRIPTION.CANCELLED",
		"BILLING.SUBSCRIPTION.EXPIRED":
		return review()
	case "CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED":
		return ignored()
	case "CUSTOMER.DISPUTE.RESOLVED":
		switch outcome := get(r, "dispute_outcome", "outcome_code"); {
		case is(outcome, "RESOLVED_BUYER_FAVOUR") && allGivenBack(r):
			return payPalLicense(r).lookedUp("dispute", true, payPalLook(r))
		case is(outcome, "RESOLVED_SELLER_FAVOUR"):
			return reversed()
		}
		return review()
	default:
		return known(kind)
	}
}

// allGivenBack: the dispute is about one payment, and the buyer got at least its amount, in its currency.
func allGivenBack(r any) bool {
	payments := list(get(r, "disputed_transactions"))
	if len(payments) != 1 {
		return false
	}
	paid, isPaid := amount(get(payments[0], "gross_amount", "value"))
	back, isBack := amount(get(r, "dispute_outcome", "amount_refunded", "value"))
	currency := get(r, "dispute_outcome", "amount_refunded", "currency_code")
	return isPaid && isBack && paid > 0 && back >= paid && currency != nil && currency == get(payments[0], "gross_amount", "currency_code")
}

// payPalLicense rules on the JSON in a payment's texts, which the browser sets.
func payPalLicense(r any) ruling {
	var places []place
	for _, text := range []any{get(r, "custom_id"), get(r, "custom"), get(firstOf(get(r, "disputed_transactions")), "custom")} {
		written, _ := text.(string)
		if !strings.HasPrefix(strings.TrimSpace(written), "{") {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(written))
		dec.UseNumber()
		var object map[string]any
		if dec.Decode(&object) != nil {
			return unmappable() // cut off: only the first place is, in what the generator makes
		}
		places = append(places, place{object, true})
	}
	return deactivate(first(places...))
}

func firstOf(value any) any {
	if many := list(value); len(many) > 0 {
		return many[0]
	}
	return nil
}

func payPalLook(r any) look {
	const captures = "https://api.paypal.com/v2/payments/captures/"
	var capture any
	for _, link := range list(get(r, "links")) {
		if is(get(link, "rel"), "up") {
			if href, _ := get(link, "href").(string); strings.HasPrefix(href, captures) {
				capture = strings.TrimPrefix(href, captures)
			}
			break
		}
	}
	payment := firstOf(get(r, "disputed_transactions"))
	by := look{order: sure(capture, get(r, "sale_id"), get(payment, "seller_transaction_id")), email: get(r, "subscriber", "email_address")}
	if custom, isText := get(r, "custom_id").(string); isText && !strings.HasPrefix(custom, "{") {
		by.order = append(by.order, candidate{id: custom, buyer: true})
	}
	for _, id := range []any{get(r, "invoice_id"), get(payment, "invoice_number")} {
		by.order = append(by.order, candidate{id: id, buyer: true})
	}
	return by
}

func (d randomEvents) paypal() any {
	kind := d.text("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED", "PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED", "CUSTOMER.DISPUTE.CREATED",
		"CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED", "CUSTOMER.DISPUTE.RESOLVED", "CUSTOMER.DISPUTE.RESOLVED", "CUSTOMER.DISPUTE.RESOLVED",
		"CUSTOMER.DISPUTE.RESOLVED", "CUSTOMER.DISPUTE.RESOLVED", "BILLING.SUBSCRIPTION.EXPIRED", "BILLING.SUBSCRIPTION.CANCELLED", "BILLING.SUBSCRIPTION.SUSPENDED",
		"BILLING.SUBSCRIPTION.PAYMENT.FAILED", "PAYMENT.CAPTURE.COMPLETED", "BILLING.PLAN.CREATED")
	about := object{
		"status": d.one("COMPLETED", "COMPLETED", "PENDING", "FAILED", "CANCELLED", "EXPIRED", nil, 7), "amount": d.money("99.00"),
		"subscriber": d.one(object{"email_address": d.email()}, object{}, nil),
		"links": []any{
			object{"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/1"},
			object{"rel": d.text("up", "up", "self"), "href": d.text("https://api.paypal.com/v2/payments/captures/", "https://api.paypal.com/v2/payments/captures/", "https://evil.example/") + d.id("")},
		},
	}
	d.ids(about, "id", "sale_id", "invoice_id")
	d.put(about, "custom_id", d.custom(true))
	if d.in(4) {
		d.put(about, "custom", d.custom(false))
	}
	if strings.HasPrefix(kind, "CUSTOMER.DISPUTE.") {
		var payments []any
		for range d.one(0, 1, 1, 1, 1, 1, 1, 1, 2).(int) {
			payment := object{"gross_amount": d.money("99.00")}
			d.ids(payment, "seller_transaction_id", "invoice_number")
			d.put(payment, "custom", d.custom(false))
			payments = append(payments, payment)
		}
		about["disputed_transactions"] = d.one(payments, payments, payments, payments, payments, nil)
		about["dispute_life_cycle_stage"] = d.text("INQUIRY", "CHARGEBACK", "ARBITRATION")
		about["dispute_outcome"] = d.one(nil, object{"outcome_code": "RESOLVED_SELLER_FAVOUR"}, object{"outcome_code": "RESOLVED_SELLER_FAVOUR"}, object{"outcome_code": "CANCELED_BY_BUYER", "amount_refunded": d.money("99.00")},
			object{"outcome_code": "RESOLVED_BUYER_FAVOUR"}, object{"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": d.money("98.99")},
			object{"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": d.money("99.00")}, object{"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": d.money("99")},
			object{"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": d.money("100.00")})
		if d.in(2) { // the dispute's texts alone
			delete(about, "custom_id")
			delete(about, "custom")
		}
	}
	if d.in(20) {
		about["links"] = []any{object{"href": "https://api-m.sandbox.paypal.com/v1/x"}, object{}}
	}
	event := object{"id": d.id("WH-"), "create_time": "2026-11-20T09:14:05.127Z", "event_type": kind, "resource": about, "links": []any{
		object{"href": d.text("https://api.paypal.com/", "https://api.paypal.com/", "https://api.paypal.com/", "https://api.paypal.com/", "https://api.sandbox.paypal.com/") + "v1/notifications/x"},
	}}
	if d.in(30) {
		event["links"] = nil
	}
	return event
}

// money is an amount, now and then one that proves nothing.
func (d randomEvents) money(value string) any {
	switch d.IntN(14) {
	case 0:
		return d.one(nil, object{}, object{"value": value}, object{"currency_code": "USD"}, object{"currency_code": "USD", "value": nil})
	case 1:
		return object{"currency_code": d.text("EUR", "USD"), "value": d.one(value, value+" USD", "0.00", "-99.00", 99, 99.5, true)}
	}
	return object{"currency_code": "USD", "value": value}
}

// custom is a vendor's text: JSON, an id of his own, or nothing. It may be cut off.
func (d randomEvents) custom(cut bool) any {
	if d.in(4) {
		return d.one(nil, "", "ORDER-1188", "ORDER-1188", "KEY-1", "acme-pro;KEY-1", 7, true)
	}
	free, isObject := d.free().(object)
	if !isObject {
		return nil
	}
	text, err := json.Marshal(free)
	if err != nil {
		panic(err)
	}
	if cut && d.in(20) {
		return string(text[:len(text)-1])
	}
	return string(text)
}
