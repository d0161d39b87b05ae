package webhook_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
)

// FuzzInvoke throws whole Lambda payloads at the function: whatever comes, it does not panic, and an HTTP event gets a
// status that the house knows.
func FuzzInvoke(f *testing.F) {
	for _, file := range []string{"webhook.json", "bulk.json", "worker-batch.json"} {
		sample, err := os.ReadFile("../../events/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
	}
	f.Add([]byte(`{"requestContext":{"http":{"method":"POST"}},"rawPath":"/webhooks/stripe","headers":{"stripe-signature":"t=1,v1=00"},"isBase64Encoded":true,"body":"="}`))
	f.Add([]byte(`{"source":"ops","requests":[{"product":"XY","license_key":"K","hardware_id":"h"}]}`))
	b := newBench(f, "")
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := b.Invoke(context.Background(), payload)
		b.log.Reset()
		b.queue.taken, b.letters.taken = nil, nil
		if err != nil {
			return
		}
		var answer struct {
			StatusCode *int `json:"statusCode"`
			Accepted   *int `json:"accepted"`
		}
		if json.Unmarshal(out, &answer) != nil || (answer.StatusCode == nil) == (answer.Accepted == nil) {
			t.Fatalf("answer %s", out)
		}
		if answer.StatusCode == nil {
			return
		}
		switch *answer.StatusCode {
		case 200, 400, 401, 404, 405, 413, 415, 503:
		default:
			t.Fatalf("status %d", *answer.StatusCode)
		}
	})
}

// FuzzMap throws verified bodies at every source: whatever comes, mapping does not panic, and each request that it
// makes is one that the worker accepts, with license data that stands in the body.
func FuzzMap(f *testing.F) {
	b := newBench(f, "")
	f.Add(0, []byte(refundBody))
	f.Add(1, []byte(`{"id":1,"financial_status":"partially_refunded","line_items":[{"id":1,"sku":"XY","quantity":1,"current_quantity":0,"properties":[{"name":"license_key","value":"K"},{"name":"hardware_id","value":"h"}]}],"refunds":[{"refund_line_items":[{"line_item_id":1,"quantity":1}]}]}`))
	f.Add(2, []byte(`{"type":"order.refunded","data":{"metadata":{"license_key":["K",2],"hardware_id":"h,i","product":"XY"}}}`))
	names := b.Sources.Names()
	secretOf := func(name string) string {
		if name == "standard" {
			return "whsec_c3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LWNhbmFyeQ=="
		}
		return "user:secret-canary"
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		name := names[uint(which)%uint(len(names))]
		source, _ := b.Sources.Get(name)
		if name == "salesforce" { // its token is in the address, which a delivery of this harness has none of
			return
		}
		d := signed(t, b, name, secretOf(name), string(body), clock, map[string]string{"webhook-id": "msg_1"})
		verified, err := source.Verify(signingDelivery(d), clock, []string{secretOf(name)})
		if err != nil {
			t.Fatalf("%s: a signed delivery does not verify: %v", name, err)
		}
		mappings, err := source.Map(verified, true)
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
					t.Fatalf("the worker would refuse it: %v", err)
				}
				if len(r.ID) > 80 || strings.ContainsAny(r.ID, " \n\"") {
					t.Fatalf("id %q", r.ID)
				}
			}
		}
	})
}
