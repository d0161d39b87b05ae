package webhook_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"license-deactivator/internal/deactivation"
)

// The oracle: the default policy in plain Go. It is written from the senders' documentation and from our decisions, and
// reads nothing of sources/, so that a mistake in a source's file shows as a difference.

// oracle rules on each event of a verified delivery.
func oracle(t testing.TB, source string, headers map[string]string, body []byte) []ruling {
	t.Helper()
	if source == "salesforce" {
		return salesforcePolicy(t, body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var event any
	if err := dec.Decode(&event); err != nil {
		t.Fatalf("%s: the oracle cannot read the body: %v", source, err)
	}
	one := func(policy func(any) ruling) []ruling { return []ruling{policy(event)} }
	each := func(events any, policy func(any) ruling) (all []ruling) {
		for _, e := range events.([]any) {
			all = append(all, policy(e))
		}
		return all
	}
	switch source {
	case "stripe":
		return one(stripePolicy)
	case "shopify":
		return one(func(e any) ruling { return shopifyPolicy(e, headers["x-shopify-test"] == "true") })
	case "fastspring":
		return each(get(event, "events"), fastspringPolicy)
	case "standard":
		return one(func(e any) ruling {
			return standardPolicy(e, "order.refunded", "subscription.ended", "license.deactivate")
		})
	case "generic":
		return one(func(e any) ruling {
			if get(e, "test") == true {
				return ignored()
			}
			return standardPolicy(e, "order.refunded", "subscription.ended", "license.deactivate")
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
	case "salesforce-flow":
		return one(func(e any) ruling {
			if !is(get(e, "type"), "order.refunded", "subscription.ended") {
				return ignored()
			}
			return deactivate(first(e))
		})
	}
	t.Fatalf("the oracle knows no policy for %s", source)
	return nil
}

// stripePolicy: a full refund, a chargeback opened (not an inquiry, whose status starts with warning_, and not a
// prevented or won one), the end of a subscription. Updates of a subscription are ignored: the end has its own event,
// and an unpaid customer may pay again.
func stripePolicy(e any) ruling {
	object := get(e, "data", "object")
	acts := false
	switch get(e, "type") {
	case "charge.refunded":
		acts = get(object, "refunded") == true
	case "charge.dispute.created":
		acts = is(get(object, "status"), "needs_response", "under_review", "lost")
	case "customer.subscription.deleted":
		acts = true
	}
	if !acts || get(e, "livemode") == false {
		return ignored()
	}
	return deactivate(first(get(object, "metadata")))
}

// shopifyPolicy uses only the body, since the topic is not signed.
func shopifyPolicy(e any, testHeader bool) ruling {
	if get(e, "test") == true || testHeader {
		return ignored()
	}
	switch {
	case get(e, "origin_order_id") != nil: // a subscription contract, which carries no license
		if is(get(e, "status"), "cancelled", "expired", "failed") {
			return unmappable()
		}
	case get(e, "type") == "chargeback": // a dispute, which carries no license
		if is(get(e, "status"), "needs_response", "under_review", "lost") {
			return unmappable()
		}
	case get(e, "financial_status") == "refunded",
		get(e, "financial_status") == "voided" && get(e, "cancelled_at") != nil:
		return order(e, "note_attributes", "properties", "name", nil)
	case get(e, "financial_status") == "partially_refunded":
		return order(e, "note_attributes", "properties", "name", func(line any) bool {
			return number(get(line, "current_quantity")) == 0 && number(get(line, "quantity")) > 0 && refunded(e, get(line, "id")) >= number(get(line, "quantity"))
		})
	}
	return ignored()
}

// refunded counts how many items of a line all refunds of the order returned together.
func refunded(order, line any) (total float64) {
	for _, refund := range list(get(order, "refunds")) {
		if slices.ContainsFunc(list(get(refund, "transactions")), func(t any) bool { return get(t, "kind") == "refund" && get(t, "status") != "success" }) {
			continue // the payment did not go through
		}
		for _, item := range list(get(refund, "refund_line_items")) {
			if get(item, "line_item_id") == line {
				total += number(get(item, "quantity"))
			}
		}
	}
	return total
}

func wooPolicy(e any) ruling {
	if !is(get(e, "status"), "refunded", "cancelled") {
		return ignored()
	}
	return order(e, "meta_data", "meta_data", "key", nil)
}

// order decides an order of a shop: its own data and each line's are lists of name and value, and a line's product may
// be in its SKU. With whole, only lines that were refunded in full count, and only a license of their own.
func order(e any, ofOrder, ofLine, name string, whole func(line any) bool) ruling {
	all, orderErr := data(pairs(get(e, ofOrder), name))
	var lines, paid []wish
	var err error
	for _, line := range list(get(e, "line_items")) {
		own, lineErr := data(pairs(get(line, ofLine), name))
		if whole != nil && !whole(line) {
			if lineErr == nil && own.named() {
				paid = append(paid, own.or(all))
			}
			continue
		}
		if sku, ok := get(line, "sku").(string); ok && own.product == "" {
			own.product = sku
		}
		if lineErr != nil {
			err = lineErr
		}
		lines = append(lines, own)
	}
	if whole != nil && err == nil {
		lines = slices.DeleteFunc(lines, func(l wish) bool { return !l.named() })
		if len(lines) == 0 {
			return ignored()
		}
	}
	if err != nil || orderErr != nil {
		return unmappable()
	}
	if whole != nil {
		if lines = unpaid(lines, all, paid); len(lines) == 0 {
			return ignored()
		}
	}
	return deactivateLines(all, lines)
}

// unpaid removes from refunded lines what a line that is still paid for also names: the same license on the same
// device.
func unpaid(lines []wish, order wish, paid []wish) (left []wish) {
	for _, line := range lines {
		line = line.or(order)
		users := []string{line.user}
		if line.user == "" {
			users = nil
		}
		devices := line.devices
		if len(devices) == 0 {
			devices = []string{""}
		}
		for _, key := range append(slices.Clone(line.keys), users...) {
			for _, device := range devices {
				one := line
				one.keys, one.devices = nil, nil
				if one.user == "" {
					one.keys = []string{key}
				}
				if device != "" {
					one.devices = []string{device}
				}
				if !slices.ContainsFunc(paid, func(p wish) bool {
					return (slices.Contains(p.keys, key) || p.user == key) && (len(p.devices) == 0 || slices.Contains(p.devices, device))
				}) {
					left = append(left, one)
				}
			}
		}
	}
	return left
}

func fastspringPolicy(e any) ruling {
	if get(e, "live") == false {
		return ignored()
	}
	d := get(e, "data")
	switch get(e, "type") {
	case "return.created":
		returned, total := get(d, "totalReturn"), get(d, "original", "total")
		if returned == nil || total == nil { // the refunded part is unknown
			return unmappable()
		}
		if number(returned) < number(total) {
			return ignored()
		}
		whole, err := first(get(d, "tags"), get(d, "original", "tags"))
		var lines []wish
		for _, item := range list(get(d, "items")) {
			line, lineErr := data(objects(get(item, "attributes")))
			lines, err = append(lines, line), errors.Join(err, lineErr)
		}
		if err != nil {
			return unmappable()
		}
		return deactivateLines(whole, lines)
	case "chargeback.created": // names only the order
		return unmappable()
	case "subscription.deactivated": // after subscription.canceled the term is paid for until this event
		return deactivate(first(get(d, "attributes"), get(d, "product", "attributes"), get(d, "tags")))
	}
	return ignored()
}

// standardPolicy is that of bodies whose shape we define: the sender has decided, and names its decision by the type.
func standardPolicy(e any, kinds ...string) ruling {
	if !is(get(e, "type"), kinds...) {
		return ignored()
	}
	return deactivate(first(get(e, "data", "metadata"), get(e, "data")))
}

// paddlePolicy: an approved full refund or chargeback, which carries no license data, and the end of a subscription.
func paddlePolicy(e any) ruling {
	d := get(e, "data")
	switch get(e, "event_type") {
	case "adjustment.created", "adjustment.updated":
		if is(get(d, "action"), "refund", "chargeback") && is(get(d, "type"), "full") && is(get(d, "status"), "approved") {
			return unmappable()
		}
		if is(get(d, "action"), "refund", "chargeback") && get(d, "type") == nil && is(get(d, "status"), "approved") {
			return unmappable() // the refunded part is unknown
		}
	case "subscription.canceled":
		whole, err := first(get(d, "custom_data"))
		var lines []wish
		for _, item := range list(get(d, "items")) {
			price, priceErr := data(objects(get(item, "price", "custom_data")))
			lines, err = append(lines, wish{product: price.product}), errors.Join(err, priceErr)
		}
		if err != nil {
			return unmappable()
		}
		return deactivateLines(whole, lines)
	}
	return ignored()
}

// lemonsqueezyPolicy: a full refund of an order and the real end of a subscription; not a refunded renewal and not a
// cancellation that lasts until the end of the paid term.
func lemonsqueezyPolicy(e any) ruling {
	acts := false
	switch get(e, "meta", "event_name") {
	case "order_refunded":
		back, total := get(e, "data", "attributes", "refunded_amount"), get(e, "data", "attributes", "total")
		if (back == nil || total == nil) && get(e, "meta", "test_mode") != true {
			return unmappable() // the refunded part is unknown
		}
		acts = back != nil && total != nil && number(back) >= number(total)
	case "subscription_expired":
		acts = true
	}
	if !acts || get(e, "meta", "test_mode") == true {
		return ignored()
	}
	return deactivate(first(get(e, "meta", "custom_data")))
}

// hubspotPolicy: a deal that became refunded, which names only the deal, and every delivery of a workflow.
func hubspotPolicy(e any) ruling {
	if get(e, "subscriptionType") == nil {
		properties := map[string]any{}
		object, _ := get(e, "properties").(map[string]any)
		for name, property := range object {
			properties[name] = get(property, "value")
		}
		return deactivate(first(e, properties))
	}
	if is(get(e, "subscriptionType"), "deal.propertyChange") && is(get(e, "propertyName"), "dealstage") && is(get(e, "propertyValue"), "refunded") {
		return unmappable()
	}
	return ignored()
}

func chargebeePolicy(e any) ruling {
	if !is(get(e, "event_type"), "subscription_cancelled", "subscription_canceled_with_backdating") {
		return ignored()
	}
	subscription := get(e, "content", "subscription")
	custom := map[string]any{}
	fields, _ := subscription.(map[string]any)
	for name, value := range fields {
		if field, ok := strings.CutPrefix(name, "cf_"); ok {
			custom[field] = value
		}
	}
	return deactivate(first(custom, get(subscription, "meta_data")))
}

// recurlyPolicy: canceled lasts until the end of the term; expired is the real end, and its event names no license.
func recurlyPolicy(e any) ruling {
	if is(get(e, "object_type"), "subscription") && is(get(e, "event_type"), "expired") {
		return unmappable()
	}
	return ignored()
}

// salesforcePolicy: the message itself is the trigger.
func salesforcePolicy(t testing.TB, body []byte) (all []ruling) {
	t.Helper()
	var message struct {
		Notification []struct {
			Key     string `xml:"sObject>License_Key__c"`
			Device  string `xml:"sObject>Hardware_Id__c"`
			Product string `xml:"sObject>Product_Code__c"`
		} `xml:"Body>notifications>Notification"`
	}
	if err := xml.Unmarshal(body, &message); err != nil {
		t.Fatalf("salesforce: the oracle cannot read the body: %v", err)
	}
	for _, n := range message.Notification {
		all = append(all, deactivate(first(map[string]any{"license_key": n.Key, "hardware_id": n.Device, "product": n.Product})))
	}
	return all
}

// wish is the license data at the store.
type wish struct {
	keys, devices   []string
	user, id        string
	product, bundle string
}

func (w wish) named() bool { return len(w.keys) > 0 || w.user != "" }

// or fills what w lacks. Key, user and id together name the license and are never mixed.
func (w wish) or(other wish) wish {
	if !w.named() {
		w.keys, w.user, w.id = other.keys, other.user, other.id
	}
	if len(w.devices) == 0 {
		w.devices = other.devices
	}
	if w.product == "" {
		w.product = other.product
	}
	if w.bundle == "" {
		w.bundle = other.bundle
	}
	return w
}

// requests is every named license on every named device.
func (w wish) requests() (all []string) {
	identities := []string{w.user + "/" + w.id}
	if len(w.keys) > 0 {
		identities = nil
		for _, key := range w.keys {
			identities = append(identities, key+"/"+w.id)
		}
	}
	for _, identity := range identities {
		for _, device := range w.devices {
			all = append(all, fmt.Sprintf("%s bundle %s of %s on %s", identity, w.bundle, w.product, device))
		}
	}
	return all
}

func ignored() ruling    { return ruling{answer: deactivation.Ignored} }
func unmappable() ruling { return ruling{answer: deactivation.Unmappable} }

func deactivate(w wish, err error) ruling {
	if err != nil {
		return unmappable()
	}
	return deactivateAll(w)
}

// deactivateAll deactivates all licenses of an event or none, at most a hundred, each complete.
func deactivateAll(wishes ...wish) ruling {
	var all []string
	for _, w := range wishes {
		if !w.named() || len(w.devices) == 0 || w.product == "" || !isWhole(w.id) {
			return unmappable()
		}
		all = append(all, w.requests()...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == 0 || len(all) > 100 {
		return unmappable()
	}
	return ruling{deactivation.Accepted, all}
}

// deactivateLines deactivates each line's own license, filled up from the order. The lines without one share the
// order's license, if it has one. Its product is that of the order, else that of those lines if they have only one.
func deactivateLines(order wish, lines []wish) ruling {
	var wishes []wish
	var products, devices []string
	shared := len(lines) == 0
	for _, line := range lines {
		if line.named() {
			wishes = append(wishes, line.or(order))
			continue
		}
		shared = true
		products = append(products, line.product)
		devices = append(devices, line.or(order).devices...)
	}
	if !shared || !order.named() && len(wishes) > 0 {
		return deactivateAll(wishes...)
	}
	products = distinct(products)
	switch {
	case order.product != "":
	case len(products) == 1:
		order.product = products[0]
	case len(products) > 1:
		return unmappable()
	}
	if len(lines) > 0 {
		order.devices = distinct(devices)
	}
	return deactivateAll(append(wishes, order)...)
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

// first reads places in order: for each field the first place that has it counts.
func first(places ...any) (wish, error) {
	var all wish
	for _, place := range places {
		here, err := data(objects(place))
		if err != nil {
			return wish{}, err
		}
		all = all.or(here)
	}
	return all, nil
}

var errUnusable = errors.New("no key or id")

// data reads one place. Several objects add their keys and devices.
func data(objects []map[string]any) (all wish, err error) {
	read := func(object map[string]any, into *string, names ...string) {
		for _, name := range names {
			text, textErr := scalar(object[name])
			if textErr != nil {
				err = textErr
			} else if text != "" {
				*into = text
				return
			}
		}
	}
	for _, object := range objects {
		keys, keysErr := several(object["license_key"])
		devices, devicesErr := several(object["hardware_id"])
		err = errors.Join(err, keysErr, devicesErr)
		all.keys, all.devices = distinct(append(all.keys, keys...)), distinct(append(all.devices, devices...))
		read(object, &all.user, "username")
		read(object, &all.id, "license_id")
		read(object, &all.product, "product", "product_code", "product_short_code")
		read(object, &all.bundle, "bundle_code")
	}
	if len(all.keys) > 0 && all.user != "" { // two licenses
		err = errUnusable
	}
	return all, err
}

// several reads a list, or one text with commas.
func several(value any) (out []string, err error) {
	parts := []any{value}
	switch v := value.(type) {
	case []any:
		parts = v
	case string:
		parts = nil
		for _, part := range strings.Split(v, ",") {
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

// scalar reads a text or an integer with its exact digits. Nothing is cut or cleaned.
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

// pairs reads a list of names and values as one object.
func pairs(value any, name string) []map[string]any {
	object := map[string]any{}
	for _, pair := range list(value) {
		if text, ok := get(pair, name).(string); ok {
			object[text] = get(pair, "value")
		}
	}
	return []map[string]any{object}
}
