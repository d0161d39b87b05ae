package source_test

import (
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// FuzzMap maps any verified body by every source. It requires that mapping does not panic, that the worker accepts each
// request, and that Explain maps to the same.
func FuzzMap(f *testing.F) {
	loaded := load(f, "")
	names := loaded.Names()
	f.Add(slices.Index(names, "stripe"), []byte(`{"id":"evt_1","type":"charge.refunded","created":1790000000,"livemode":true,"data":{"object":{"id":"ch_1","payment_intent":"pi_1","refunded":true,"metadata":{"license_key":"AAAA-BBBB-CCCC-DDDD","product":"XY","hardware_id":"hw-1"}}}}`))
	f.Add(slices.Index(names, "shopify"), []byte(`{"id":1,"financial_status":"partially_refunded","line_items":[{"id":1,"sku":"XY","quantity":1,"current_quantity":0,"properties":[{"name":"license_key","value":"K"},{"name":"hardware_id","value":"h"}]}],"refunds":[{"refund_line_items":[{"line_item_id":1,"quantity":1}]}]}`))
	f.Add(slices.Index(names, "standard"), []byte(`{"type":"order.refunded","data":{"metadata":{"license_key":["K",2],"hardware_id":"h,i","product":"XY"}}}`))
	f.Add(slices.Index(names, "2checkout"), []byte("REFNO=211153389&ORDERSTATUS=REFUND&REFUND_TYPE=TOTAL&CHARGEBACK_RESOLUTION=NONE&IPN_LICENSE_TYPE[]=REGULAR&IPN_DELIVEREDCODES[]=K1,K2"))
	f.Add(slices.Index(names, "paypro"), []byte("ORDER_ID=28100101&ORDER_STATUS=Refunded&ORDER_TOTAL_AMOUNT=9&CUSTOMER_EMAIL=a%40example.com&TEST_MODE=0&IPN_TYPE_NAME=OrderRefunded"))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		name := names[uint(which)%uint(len(names))]
		s := get(t, loaded, name)
		secret := "user:secret-canary"
		if name == "standard" {
			secret = "whsec_c3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LWNhbmFyeQ=="
		}
		d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + name, Header: map[string]string{"webhook-id": "msg_1"}, Body: body}
		verified, err := s.Assume(d)
		if s.Sign(&d, clock, secret) == nil { // else it lacks a field that is signed, or the sender signs with a certificate
			verified, err = s.Verify(d, clock, []string{secret})
		}
		if err != nil {
			t.Fatalf("%s: a signed delivery does not verify: %v", name, err)
		}
		for _, options := range []source.Options{{AcceptTests: true}, {AcceptTests: true, LookUp: true}} {
			mappings, err := s.Map(verified, options)
			if err != nil {
				return
			}
			for _, m := range mappings {
				if (m.Answer == deactivation.Accepted) != (len(m.Requests) > 0) {
					t.Fatalf("%s with %d requests", m.Answer, len(m.Requests))
				}
				for _, r := range m.Requests {
					wire, err := r.Wire()
					if err != nil {
						t.Fatal(err)
					}
					if _, _, err := deactivation.Parse(wire); err != nil {
						t.Fatalf("the worker would refuse the request: %v", err)
					}
					if len(r.ID) > 80 || strings.ContainsAny(r.ID, " \n\"") {
						t.Fatalf("id %q", r.ID)
					}
				}
			}
			explained, err := s.Explain(verified, options)
			if err != nil || len(explained) != len(mappings) {
				t.Fatalf("%d events explained, %d mapped: %v", len(explained), len(mappings), err)
			}
		}
	})
}
