package webhook_test

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// The oracle's policies of the senders that post forms, and random forms of them.

// fields are a form's: a text, or a list for a name with [].
type fields map[string]any

// readFields reads the flat forms that these senders post; false for what cannot be read. left are the fields that no
// signature covers. A name that was sent twice, other than with [], is none of a text.
func readFields(headers map[string]string, body []byte, left ...string) (fields, bool) {
	latin := strings.HasSuffix(headers["content-type"], "charset=ISO-8859-1")
	decode := func(text string) (string, bool) {
		text, err := url.QueryUnescape(text)
		if latin && err == nil {
			text, err = charmap.ISO8859_1.NewDecoder().String(text)
		}
		return text, err == nil && utf8.ValidString(text)
	}
	all := fields{}
	for part := range strings.SplitSeq(string(body), "&") {
		escaped, value, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(escaped); part == "" || err == nil && slices.Contains(left, name) {
			continue
		}
		name, okName := decode(escaped)
		text, okValue := decode(value)
		if !okName || !okValue {
			return nil, false
		}
		name, many := strings.CutSuffix(name, "[]")
		before, twice := all[name]
		list, isList := before.([]any)
		switch {
		case twice && many != isList:
			return nil, false
		case many:
			all[name] = append(list, text)
		case twice:
			all[name] = true // no text, no list of the sender's
		default:
			all[name] = text
		}
	}
	if headers["content-type"] == "application/json" || len(body) == 0 {
		return nil, false
	}
	return all, true
}

// payProPolicy: the order that was refunded or charged back, and nothing that PayPro does not sign.
func payProPolicy(f fields) ruling {
	by := look{order: []candidate{weak(f["ORDER_ID"])}, email: f["CUSTOMER_EMAIL"]}
	status := f["ORDER_STATUS"]
	if is(f["TEST_MODE"], "1") {
		return ignored()
	}
	act := func(cause string) ruling { return deactivate([]wish{{}}).lookedUp(cause, true, by) }
	switch kind := f["IPN_TYPE_NAME"]; kind {
	case "OrderRefunded":
		if is(status, "Refunded") {
			return act("refund")
		}
		return review()
	case "OrderChargedBack":
		if is(status, "Chargeback") {
			return act("dispute")
		}
		return review()
	case "OrderPartiallyRefunded", "SubscriptionTerminated", "SubscriptionFinished":
		return review()
	case "OrderChargebackIsWon":
		return reversed()
	default:
		return known(kind)
	}
}

// twoCheckoutPolicy: a purchase that was refunded as a whole, or lost at the bank. A refund of a part or of unknown kind is
// for a person, since nothing says which line it is for; a renewal's is nothing.
func twoCheckoutPolicy(f fields) ruling {
	if is(f["TEST_ORDER"], "1") {
		return ignored()
	}
	status, chargeback := f["ORDERSTATUS"], f["CHARGEBACK_RESOLUTION"]
	undisputed := is(chargeback, "NONE", "")
	every := func(kind string) bool {
		kinds := list(f["IPN_LICENSE_TYPE"])
		return len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k any) bool { return k != kind })
	}
	var codes []string
	for _, code := range list(f["IPN_DELIVEREDCODES"]) {
		codes = append(codes, code.(string))
	}
	act := func(cause string) ruling {
		by := look{order: []candidate{weak(f["REFNO"]), {id: f["REFNOEXT"], buyer: true}}, email: f["CUSTOMEREMAIL"]}
		keys := first(place{value: map[string]any{"license_key": strings.Join(codes, ",")}})
		if _, isText := f["IPN_DELIVEREDCODES"].(string); isText && f["IPN_DELIVEREDCODES"] != "" {
			keys = []wish{{badIdentity: true, badDevices: true, badProduct: true, badBundle: true}} // not the sender's form
		}
		return deactivate(keys).lookedUp(cause, true, by)
	}
	switch {
	case is(status, "REFUND") && undisputed && every("RENEWAL"):
		return ignored()
	case is(status, "REFUND") && undisputed && every("REGULAR") && is(f["REFUND_TYPE"], "TOTAL"):
		return act("refund")
	case is(status, "REFUND"), is(f["MESSAGE_TYPE"], "REFUND"), f["REFUND_TYPE"] != nil && !is(f["REFUND_TYPE"], ""):
		return review()
	case is(chargeback, "WON"):
		return reversed()
	case is(chargeback, "LOST") && every("REGULAR"):
		return act("dispute")
	case chargeback != nil && !undisputed:
		return review()
	case is(status, "REVERSED", "CANCELED"):
		if _, isText := f["IPN_DELIVEREDCODES"].(string); isText {
			return unmappable()
		}
		if strings.Join(codes, "") != "" {
			return review()
		}
	}
	return known(either(status, f["MESSAGE_TYPE"]))
}

// formPolicy rules on the one event of a form.
func formPolicy(headers map[string]string, body []byte, policy func(fields) ruling, left ...string) []ruling {
	f, ok := readFields(headers, body, left...)
	if !ok {
		return []ruling{unreadable()}
	}
	return []ruling{policy(f)}
}

// covered are the fields that PayPro signs.
func covered() []string {
	return []string{"ORDER_ID", "ORDER_STATUS", "ORDER_TOTAL_AMOUNT", "CUSTOMER_EMAIL", "TEST_MODE", "IPN_TYPE_NAME"}
}

// onlyCovered drops the fields that PayPro does not sign.
func onlyCovered(body []byte) []byte {
	var kept []string
	for part := range strings.SplitSeq(string(body), "&") {
		escaped, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(escaped); err == nil && slices.Contains(covered(), name) {
			kept = append(kept, part)
		}
	}
	return []byte(strings.Join(kept, "&"))
}

// form writes fields in a random order, as some senders escape them and others do not.
func (d randomEvents) form(m *unsignedDelivery, all ...[2]string) {
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var parts []string
	for _, field := range all {
		name := url.QueryEscape(field[0])
		if d.flag() {
			name = strings.NewReplacer("%5B", "[", "%5D", "]").Replace(name)
		}
		value := url.QueryEscape(field[1])
		if d.in(4) {
			value = strings.ReplaceAll(value, "+", "%20")
		}
		parts = append(parts, name+"="+value)
	}
	m.body = []byte(strings.Join(parts, "&"))
	m.headers["content-type"] = d.text("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8")
	switch d.IntN(80) {
	case 0:
		m.headers["content-type"] = "application/json"
	case 1, 2:
		m.headers["content-type"] = "application/x-www-form-urlencoded; charset=ISO-8859-1"
	case 3:
		delete(m.headers, "content-type")
	}
}

func (d randomEvents) mail() string {
	return d.text("a@example.com", " a@example.com ", "b@example.com", "", "jörg@example.com")
}

func (d randomEvents) formRef() string {
	return d.text("211153389", "211153389", "28100101", "12", "", "null", "order_empty", " 7001", "trial_17", "WEB-17")
}

// payPro is a delivery of PayPro: all signed fields, in any order, and others that would change everything if they were
// read.
func (d randomEvents) payPro(m *unsignedDelivery) {
	all := [][2]string{
		{"ORDER_ID", d.formRef()},
		{"ORDER_STATUS", d.text("Refunded", "Refunded", "Chargeback", "Processed", "Waiting", "")},
		{"ORDER_TOTAL_AMOUNT", d.text("89.00", "0", "", "NaN")},
		{"CUSTOMER_EMAIL", d.mail()},
		{"TEST_MODE", d.text("0", "0", "0", "0", "0", "0", "0", "1", "")},
		{"IPN_TYPE_NAME", d.text("OrderRefunded", "OrderRefunded", "OrderRefunded", "OrderChargedBack", "OrderChargedBack", "OrderPartiallyRefunded", "OrderChargebackIsWon",
			"SubscriptionTerminated", "SubscriptionFinished", "OrderCharged", "SubscriptionSuspended", "orderrefunded", "")},
	}
	if d.flag() { // what is rare otherwise
		all[0][1], all[1][1], all[4][1], all[5][1] = "28100101", "Refunded", "0", "OrderRefunded"
		switch d.IntN(8) {
		case 0, 1:
			all[1][1], all[5][1] = "Chargeback", "OrderChargedBack"
		case 2:
			all[1][1], all[5][1] = "Processed", d.text("OrderRefunded", "OrderChargedBack")
		case 3:
			all[1][1], all[5][1] = "Processed", d.text("OrderChargebackIsWon", "OrderPartiallyRefunded")
		}
	}
	for _, field := range [][2]string{
		{"ORDER_ITEM_LICENSES", "KEY-1,\tKEY-2"}, {"license_key", "K9"}, {"hardware_id", "h9"}, {"product", "P9"}, {"order_id", "pi_1"}, {"ORDER_ID[]", "28100199"},
		{"HASH", "00"}, {"IS_RESENT", "1"}, {"SUBSCRIPTION_ID", "551207"}, {"CUSTOMER_NAME", "Zoë \xe9"}, {"TEST_MODE[x]", "1"}, {"a", "1"}, {"a[b]", "2"},
	} {
		if d.in(3) {
			all = append(all, field)
		}
	}
	d.form(m, all...)
}

// twoCheckout is a delivery of 2Checkout: a subset of its tags, since the vendor chooses which are sent.
func (d randomEvents) twoCheckout(m *unsignedDelivery) {
	var all [][2]string
	whole := d.flag() // a purchase that was refunded in full, or lost, which is rare otherwise: the first value of each
	put := func(name string, of ...string) {
		if whole {
			of = of[:1]
		}
		if whole || !d.in(10) {
			all = append(all, [2]string{name, d.text(of...)})
		}
	}
	put("REFNO", "211153389", d.formRef(), d.formRef(), d.formRef())
	put("REFNOEXT", d.formRef())
	put("ORDERSTATUS", "REFUND", "REFUND", "REFUND", "REFUND", "COMPLETE", "COMPLETE", "COMPLETE", "REVERSED", "CANCELED", "PENDING", "PAYMENT_AUTHORIZED", "refund", "")
	put("MESSAGE_TYPE", "REFUND", "COMPLETE", "COMPLETE", "AUTH", "PENDING", "")
	put("REFUND_TYPE", "TOTAL", "TOTAL", "TOTAL", "TOTAL", "PARTIAL", "", "", "", "", "total")
	put("CHARGEBACK_RESOLUTION", "NONE", "NONE", "NONE", "NONE", "NONE", "", "LOST", "LOST", "WON", "OPEN")
	put("CUSTOMEREMAIL", d.mail())
	put("TEST_ORDER", "0", "0", "0", "0", "0", "0", "0", "1", "")
	put("IPN_TOTALGENERAL", "-89.00", "89.00", "")
	put("FIRSTNAME", "Zoë", "REFUND", "漢")
	lines, odd := d.IntN(4), d.in(12)
	kind := "REGULAR"
	if whole { // all tags are there, in this order: status 2, message 3, refund 4, chargeback 5
		lines = max(lines, 1)
		set := func(status, chargeback string) {
			all[2][1], all[3][1], all[4][1], all[5][1] = status, status, "", chargeback
		}
		switch d.IntN(12) {
		case 0, 1:
			set("COMPLETE", "LOST")
		case 2:
			set("COMPLETE", "WON")
		case 3:
			set("COMPLETE", d.text("OPEN", "REQUESTED"))
		case 4:
			set(d.text("REVERSED", "CANCELED"), "NONE")
		case 5:
			kind = "RENEWAL"
		}
	}
	for range lines {
		for _, field := range [][2]string{
			{"IPN_PID[]", d.text("40898001", "40898002")}, {"IPN_PNAME[]", "Acme Pro"}, {"IPN_SKU[]", "P1"},
			{"IPN_LICENSE_TYPE[]", d.text(kind, kind, kind, kind, kind, kind, kind, kind, kind, "RENEWAL", "UPGRADE", "")},
			{"IPN_DELIVEREDCODES[]", d.text("KEY-1", "KEY-2", "K3", "KEY-1,KEY-4", "KEY-1, KEY-2 ,", "", "", " ", "ä", strings.Repeat("k", 257), "K\t1")},
		} {
			if field[0] != "IPN_LICENSE_TYPE[]" && field[0] != "IPN_DELIVEREDCODES[]" || !odd {
				all = append(all, field)
			}
		}
	}
	if odd { // not the sender's form
		all = append(all, [2]string{"IPN_DELIVEREDCODES", d.text("KEY-1", "KEY-1,KEY-2", "")}, [2]string{"IPN_LICENSE_TYPE", "REGULAR"})
		if d.in(3) {
			all = append(all, [2]string{"IPN_DELIVEREDCODES[]", "KEY-1"})
		}
	}
	if d.in(4) {
		all = append(all, [2]string{"SIGNATURE_SHA2_256", "00"}, [2]string{"HASH", "00"})
	}
	if d.in(40) {
		all = append(all, [2]string{"LASTNAME", "Ren\xe9"})
	}
	d.form(m, all...)
}
