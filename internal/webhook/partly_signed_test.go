package webhook_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// partlySigned is the file of a sender like PayPro Global, which signs six fields of a form with a plain hash, and neither
// the products nor the license keys.
const partlySigned = `
verify:
  field: SIGNATURE
  form: "{signature}"
  signed: "{field:ORDER_ID}{field:ORDER_STATUS}{field:ORDER_TOTAL_AMOUNT}{field:CUSTOMER_EMAIL}{secret}{field:TEST_MODE}{field:IPN_TYPE_NAME}"
  covers: [ORDER_ID, ORDER_STATUS, ORDER_TOTAL_AMOUNT, CUSTOMER_EMAIL, TEST_MODE, IPN_TYPE_NAME]
  mac: sha256
  encoding: hex
body: form
event: {id: "join('-', [ORDER_ID, IPN_TYPE_NAME])", type: IPN_TYPE_NAME, test: TEST_MODE == '1'}
lookup: {order: ORDER_ID, email: CUSTOMER_EMAIL}
rules:
  - {name: refunded, type: OrderRefunded, when: "contains(['Processed', 'Refunded'], ORDER_STATUS)", cause: refund}
`

const (
	partlySignedFields = "ORDER_ID=12345678&ORDER_STATUS=Refunded&ORDER_TOTAL_AMOUNT=49.90&CUSTOMER_EMAIL=jo%40example.com&TEST_MODE=0&IPN_TYPE_NAME=OrderRefunded"
	partlyUnsigned     = "&ORDER_ITEM_LICENSES=AAAA-BBBB&ORDER_ITEM_SKU=acme-pro"
)

// TestAnUnsignedFieldChangesNoTarget: somebody who has seen a delivery sends it again with other fields beside the signed
// ones. Each time the queue gets the same request, byte for byte.
func TestAnUnsignedFieldChangesNoTarget(t *testing.T) {
	t.Parallel()
	genuine := signed(t, newHarness(t, partlySigned), "tiny", "tiny-secret-canary", partlySignedFields+partlyUnsigned, clock, form())
	signature := strings.TrimPrefix(genuine.body, partlySignedFields+partlyUnsigned)
	outcome := func(body string) (int, []string) {
		b := newHarness(t, partlySigned, lookUpOn)
		d := genuine
		d.body = body
		status := b.post(t, d).StatusCode
		var messages []string
		for _, e := range append(b.queue.taken, b.letters.taken...) {
			messages = append(messages, e.Body)
		}
		return status, messages
	}
	status, want := outcome(genuine.body)
	if status != http.StatusOK || len(want) != 1 || !strings.Contains(want[0], `"order":[{"id":"12345678"}]`) || strings.Contains(want[0], "AAAA") {
		t.Fatalf("status %d, messages %s", status, want)
	}
	for _, unsigned := range []string{
		"", "&ORDER_ITEM_LICENSES=CCCC-DDDD&ORDER_ITEM_SKU=acme-pro", "&license_key=K&hardware_id=h&product=P&username=u", "&lookup[order]=9",
		"&ORDER_ID[]=9", "&ORDER_ID[x]=9", "&ORDER_ID%5B0%5D=9", "&order_id=9", "&+ORDER_ID=9", "&ORDER_ID+=9", "&ORDER_STATUS[]=Paid", "&IPN_TYPE_NAME[a]=x",
		"&&&", "&x", "&a=1&a[b]=2", "&%E9=%E9", "&HASH=00&hash=1", "&a[b][b][b][b][b][b][b][b][b][b][b][b][b][b][b][b][b][b]=1",
	} {
		for name, body := range map[string]string{
			"last": partlySignedFields + signature + unsigned, "first": unsigned + "&" + partlySignedFields + signature, "between": partlySignedFields + unsigned + signature,
		} {
			if status, got := outcome(body); status != http.StatusOK || !cmp.Equal(want, got) {
				t.Errorf("%s, %s: status %d, messages\n%s\nwant\n%s", unsigned, name, status, got, want)
			}
		}
	}
	for name, body := range map[string]string{
		"another order":          strings.Replace(genuine.body, "12345678", "12345679", 1),
		"a second order":         genuine.body + "&ORDER_ID=9",
		"a second order, first":  "ORDER_ID=9&" + genuine.body,
		"a second order, hidden": genuine.body + "&%4F%52DER_ID=9",
		"no type":                strings.Replace(genuine.body, "IPN_TYPE_NAME", "ipn_type_name", 1),
		"a real event":           strings.Replace(genuine.body, "TEST_MODE=0", "TEST_MODE=1", 1),
		"a longer type":          strings.Replace(genuine.body, "OrderRefunded", "OrderRefunded%80%00", 1),
		"no signature":           partlySignedFields,
	} {
		if status, got := outcome(body); status != http.StatusUnauthorized || len(got) > 0 {
			t.Errorf("%s: status %d, messages %s", name, status, got)
		}
	}
}

// TestTheLetterOfAPartlySignedFormHoldsNoSignature, and neither does the log.
func TestTheLetterOfAPartlySignedFormHoldsNoSignature(t *testing.T) {
	t.Parallel()
	b := newHarness(t, partlySigned)
	d := signed(t, b, "tiny", "tiny-secret-canary", partlySignedFields, clock, form())
	signature := d.body[strings.LastIndex(d.body, "=")+1:]
	if r := b.post(t, d); r.StatusCode != http.StatusOK || !b.letters.hold("unmappable", "", partlySignedFields+"&SIGNATURE=") {
		t.Errorf("status %d, letters %v", r.StatusCode, b.letters.taken)
	}
	if len(signature) != 64 || strings.Contains(b.log.String(), signature) || strings.Contains(b.log.String(), "canary") {
		t.Errorf("the signature %s or the secret is in the log %s", signature, b.log)
	}
}

func form() map[string]string {
	return map[string]string{"content-type": "application/x-www-form-urlencoded"}
}
