package webhook_test

import (
	"fmt"
	"strings"

	"license-deactivator/internal/sample"
)

// hostileAtLimits are hostile bodies that hold as much of something as is read, and no more, so that all of it is worked
// on: what is beyond a limit is refused early. Others repeat what a rule, an id or a parked body costs.
func hostileAtLimits(size int) map[string]sample.Sample {
	fill := filler(size)
	list := func(source, head, item, tail string) sample.Sample { return fill(source, head, item, ",", tail) }
	pad := func(source, body string) sample.Sample { // to the size of the others
		return fill(source, strings.TrimSuffix(body, "}")+`,"a":"`, `x`, "", `"}`)
	}
	times := func(n int, item string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "#", fmt.Sprint(i))
		}
		return strings.Join(items, ",")
	}
	order := `{"id":1,"financial_status":"refunded","note_attributes":[{"name":"license_key","value":"K0"},{"name":"hardware_id","value":"h0"}],`
	partly := strings.Replace(order, "refunded", "partially_refunded", 1)
	line := `{"id":1,"quantity":1,"current_quantity":0,"properties":[{"name":"license_key","value":"K#"}]}`
	const success = `{"kind":"refund","status":"success"}`
	return map[string]sample.Sample{
		"as many lines × refunds as are read": pad("shopify", partly+`"line_items":[`+times(1000, line)+`],"refunds":[{"transactions":[`+success+`],"refund_line_items":[`+times(1000, `{"line_item_id":1,"quantity":1}`)+`]}]}`),
		"as many lines × objects of the order": pad("fastspring", `{"events":[{"id":"e","type":"return.created","data":{"totalReturn":1,"original":{"total":1,"tags":[`+
			times(100, `{"license_key":"K#","hardware_id":"h#","product":"P"}`)+`]},"completed":true,"items":[`+times(900, `{"attributes":[`+times(20, `{"license_key":"K#"}`)+`]}`)+`]}}]}`),
		"lines × devices of objects":            pad("fastspring", `{"events":[{"id":"e","type":"return.created","data":{"totalReturn":1,"original":{"total":1,"tags":[`+times(100, `{"license_key":"K","hardware_id":"`+strings.Join(numbered("h#", 9), `;`)+`"}`)+`]},"completed":true,"items":[`+times(1000, `{"attributes":{"license_key":"K"}}`)+`]}}]}`),
		"lines × devices of the lines":          pad("fastspring", `{"events":[{"id":"e","type":"return.created","data":{"totalReturn":1,"original":{"total":1,"tags":{"license_key":"K"}},"completed":true,"items":[`+times(1000, `{"attributes":{"hardware_id":"h#"}}`)+`]}}]}`),
		"a hundred requests of a huge id":       fill("standard", `{"type":"order.refunded","data":{"product":"P","hardware_id":"h","license_key":"`+strings.Join(numbered("K", 100), ",")+`"},"a":"`, `x`, "", `"}`),
		"a hundred requests of a huge event id": fill("generic", `{"type":"order.refunded","data":{"product":"P","hardware_id":"h","license_key":"`+strings.Join(numbered("K", 100), ",")+`"},"id":"`, `/`, "", `"}`),
		"the same licenses in many objects":     list("fastspring", `{"events":[`, `{"id":"e#","type":"subscription.deactivated","data":{"tags":[`+strings.TrimSuffix(strings.Repeat(`{"product":"P","license_key":"0,1,2,3,4,5,6,7,8,9","hardware_id":"0;1;2;3;4;5;6;7;8;9"},`, 100), ",")+`]}}`, `]}`),
		"transactions":                          list("shopify", partly+`"line_items":[{"id":1,"current_quantity":0,"quantity":1}],"refunds":[{"refund_line_items":[{"line_item_id":1,"quantity":1}],"transactions":[`+success+`,`, `{}`, `]}]}`),
		"refunds":                               list("shopify", order+`"line_items":[{}],"refunds":[`, `{}`, `]}`),
		"refunds with transactions":             list("shopify", partly+`"line_items":[{"current_quantity":0,"quantity":1}],"refunds":[`, `{"transactions":[{"kind":"refund","status":"success"}],"refund_line_items":[{"quantity":1}]}`, `]}`),
		"keys of the event":                     list("woocommerce", `{`, `"k#":0`, `}`),
		"pairs":                                 list("woocommerce", `{"id":1,"order_key":"w","status":"cancelled","date_paid":null,"meta_data":[`, `{}`, `],"line_items":[{"meta_data":[{"key":"license_key"}]}]}`),
		"amounts":                               list("generic", `{"id":"e","type":"order.refunded","data":{"amount":2,"amount_refunded":[`, `"1"`, `]}}`),
		"a list for each amount":                list("generic", `{"id":"e","type":"order.refunded","data":{"total":3,"status":["refunded"],"refund_status":[`, `"refunded"`, `]}}`),
		"orders of many events":                 list("hubspot", `[`+times(499, `{"subscriptionType":"deal.propertyChange","propertyName":"dealstage","propertyValue":"refunded","order_id":"o#","objectId":#,"properties":{"order_id":{"value":"p#"}}}`)+`,`, `{"a":1}`, `]`),
		"elements beside a session":             fill("salesforce", soapHead+`<SessionId>s</SessionId><Notification><Id>n</Id><sObject>`, `<a/>`, "", `</sObject></Notification>`+soapTail),
		"sessions":                              fill("salesforce", soapHead, `<SessionId>s</SessionId>`, "", `<Notification><Id>n</Id></Notification>`+soapTail),
		"tags that never end":                   fill("salesforce", soapHead, `<SessionId `, "", soapTail),
	}
}
