package source_test

import (
	"strings"
	"testing"

	"license-deactivator/internal/source"
)

// TestWhichIDsOfASenderAreSure looks events up by the senders' own files: ? marks a weak id, ! one of a buyer.
func TestWhichIDsOfASenderAreSure(t *testing.T) {
	t.Parallel()
	const shopify = `{"id":11223966577779,"email":"a@example.com","financial_status":"refunded","line_items":[],`
	const woo = `{"id":23601,"number":"1042","order_key":"wc_order_7iXjSq9wIG0wF","status":"refunded","billing":{"email":"a@example.com"},"line_items":[],`
	const chargeback = `{"events":[{"id":"e","type":"chargeback.created","live":true,"data":{"id":"case-1",`
	const refund = `{"id":"ev_1","event_type":"payment_refunded","content":{"customer":{"email":"a@example.com"},"invoice":{"id":"852","total":9900},`
	for name, c := range map[string]struct{ sender, body, want string }{
		"Shopify's number, which every shop has": {"shopify", shopify + `"name":"#1001","order_number":1001}`,
			"order 11223966577779, order #1001?, order 1001?"},
		"the same without its sign": {"shopify", shopify + `"name":"1001","order_number":1001}`,
			"order 11223966577779, order 1001?"},
		"the same with a prefix of the shop": {"shopify", shopify + `"name":"ACME1001","order_number":1001}`,
			"order 11223966577779, order ACME1001, order 1001?"},
		"WooCommerce's payment": {"woocommerce", woo + `"transaction_id":"ch_3TS6s3U3Gr4Oih6gka7qmIGY"}`,
			"order wc_order_7iXjSq9wIG0wF, order ch_3TS6s3U3Gr4Oih6gka7qmIGY, order 1042?, order 23601?"},
		"a payment method that repeats the order's number": {"woocommerce", woo + `"transaction_id":"1042"}`,
			"order wc_order_7iXjSq9wIG0wF, order 1042?, order 23601?"},
		"FastSpring's order": {"fastspring", chargeback + `"order":"uTCNJd7ZkyC0s6s3ZF5aNh"}}]}`,
			"order uTCNJd7ZkyC0s6s3ZF5aNh"},
		"the same with webhook expansion": {"fastspring", chargeback + `"order":{"id":"uTCNJd7ZkyC0s6s3ZF5aNh","reference":"ACM261105-7297-52203"}}}]}`,
			"order uTCNJd7ZkyC0s6s3ZF5aNh, order ACM261105-7297-52203"},
		"Chargebee's payment that was refunded": {"chargebee", refund + `"transaction":{"id":"txn_2","refunded_txn_id":"txn_1","amount":9900}}}`,
			"order txn_1, order txn_2, order 852?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := get(t, load(t, ""), c.sender)
			mappings, err := s.Map(assumed(t, s, nil, c.body), source.Options{LookUp: true})
			if err != nil || len(mappings) != 1 || len(mappings[0].Requests) != 1 {
				t.Fatalf("%+v: %v", mappings, err)
			}
			var got []string
			for _, part := range strings.Split(printedRequest(mappings[0].Requests[0]), ", ") {
				if strings.HasPrefix(part, "order ") {
					got = append(got, part)
				}
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
