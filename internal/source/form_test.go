package source_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// formFile reads a form in every place of a file that reads the body.
const formFile = `
verify:
  header: X-Sig
  form: "{signature}"
  signed: "{body}"
  mac: hmac-sha256
  encoding: hex
  require: shop == 'ours'
body: form
event: {id: message, type: type, time: at, test: "test == '1'"}
license:
  - custom
lines:
  each: lines
  license:
    - {license_key: key}
    - {product: sku}
  refunded: to_number(refunded) >= to_number(paid) && to_number(paid) > ` + "`0`" + `
lookup: {order: [{weak: order}], email: email}
rules:
  - {name: in full, type: refund, when: "to_number(refunded) >= to_number(total)", cause: refund}
  - {name: by line, type: refund, lines: refunded, cause: refund}
  - {name: odd, type: refund, review: true}
`

const formHead = "shop=ours&type=refund&message=m-1&at=2026-11-22T11:00:00Z&order=1001&email=jo%40example.com&"

func formHeader() map[string]string {
	return map[string]string{"content-type": "application/x-www-form-urlencoded"}
}

// TestAFormIsMappedLikeAnyBody maps forms and compares requests, as "key product device", and the answer.
func TestAFormIsMappedLikeAnyBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, answer, rule, code string
		requests                 []string
	}{
		"an object by brackets": {
			"total=9.90&refunded=9.90&custom[license_key]=K+1&custom[product]=P&custom%5Bhardware_id%5D=h%2B1", "accepted", "in full", "",
			[]string{"K 1 P h+1"},
		},
		"keys and devices as lists": {
			"total=9.90&refunded=9.90&custom[license_key][]=K1&custom[license_key][]=K2&custom[product]=P&custom[hardware_id][]=h,1", "accepted", "in full", "",
			[]string{"K1 P h,1", "K2 P h,1"},
		},
		"digits stay as they were sent": {
			"total=9&refunded=9&custom[license_key]=007&custom[product]=1.0&custom[hardware_id]=1e3", "accepted", "in full", "", []string{"007 1.0 1e3"},
		},
		"the refunded line of two": {
			"total=20&refunded=10&custom[hardware_id]=h&lines[0][key]=K1&lines[0][sku]=A&lines[0][paid]=10&lines[0][refunded]=10.00" +
				"&lines[1][key]=K2&lines[1][sku]=B&lines[1][paid]=10&lines[1][refunded]=0", "accepted", "by line", "", []string{"K1 A h"},
		},
		"in part":                     {"total=20&refunded=10", "unmappable", "odd", deactivation.CodeReview, nil},
		"an amount that is no number": {"total=NaN&refunded=NaN&custom[license_key]=K&custom[product]=P&custom[hardware_id]=h", "unmappable", "odd", deactivation.CodeReview, nil},
		"an amount named twice":       {"total=20&refunded=10&refunded=20&custom[license_key]=K&custom[product]=P&custom[hardware_id]=h", "unmappable", "odd", deactivation.CodeReview, nil},
		"no license":                  {"total=9&refunded=9", "unmappable", "in full", "", nil},
		"a contradiction":             {"total=9&refunded=9&custom=x&custom[license_key]=K", "unmappable", "", deactivation.CodeUnreadable, nil},
		"an escape that is none":      {"total=9&refunded=9&note=100%", "unmappable", "", deactivation.CodeUnreadable, nil},
		"another charset":             {"total=9&refunded=9&name=Ren%E9", "unmappable", "", deactivation.CodeUnreadable, nil},
		"a test":                      {"total=9&refunded=9&test=1&custom[license_key]=K", "ignored", "test event", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mapped(t, "tiny", formFile, formHeader(), formHead+c.body)[0]
			var requests []string
			for _, r := range got.Requests {
				requests = append(requests, strings.Join([]string{r.LicenseKey, r.Product, r.HardwareID}, " "))
			}
			if string(got.Answer) != c.answer || got.Rule != c.rule || got.Code != c.code || !cmp.Equal(requests, c.requests) {
				t.Errorf("%s by %q, code %q: %q (%v %s)\nwant %s by %q, code %q: %q", got.Answer, got.Rule, got.Code, requests, got.Missing, got.Problem,
					c.answer, c.rule, c.code, c.requests)
			}
		})
	}
}

// TestAFormIsParkedAsItsBytes parks forms that cannot be read or mapped, in any charset, and maps them again.
func TestAFormIsParkedAsItsBytes(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, formFile), "tiny")
	for name, c := range map[string]struct{ contentType, body, code string }{
		"no license":           {"application/x-www-form-urlencoded", "shop=ours&type=refund&total=1&refunded=1&name=Ren%C3%A9", ""},
		"Latin-1, as it says":  {"application/x-www-form-urlencoded; charset=ISO-8859-1", "shop=ours&type=refund&total=1&refunded=1&name=Ren\xE9", ""},
		"Latin-1, not said":    {"application/x-www-form-urlencoded", "shop=ours&type=refund&total=1&refunded=1&name=Ren\xE9", deactivation.CodeUnreadable},
		"another format":       {"application/json", "shop=ours&type=refund", deactivation.CodeUnreadable},
		"an unfinished escape": {"", "shop=ours&type=refund&name=%", deactivation.CodeUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := map[string]string{}
			if c.contentType != "" {
				headers["content-type"] = c.contentType
			}
			verified := assumed(t, s, headers, c.body)
			mappings, err := s.Map(verified, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if mappings[0].Answer != deactivation.Unmappable || mappings[0].Code != c.code {
				t.Fatalf("%s, code %q: %s", mappings[0].Answer, mappings[0].Code, mappings[0].Problem)
			}
			event, restored := parkAndRestore(t, s, verified, mappings)
			if !bytes.Equal(event.Body, []byte(c.body)) {
				t.Errorf("kept as %q, want %q", event.Body, c.body)
			}
			again, err := s.Map(restored, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(mappings, again); diff != "" {
				t.Errorf("mapped again: (-before +after)\n%s", diff)
			}
		})
	}
}

func TestAFormIsExplained(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, formFile), "tiny")
	body := formHead + "total=9.90&refunded=9.90&custom[license_key]=K1&custom[product]=P&custom[hardware_id]=h"
	events, err := s.Explain(assumed(t, s, formHeader(), body), source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := events[0]
	if diff := cmp.Diff([]source.Fact{{"id", "m-1", "message"}, {"type", "refund", "type"}, {"time", "2026-11-22 11:00:00 UTC", "at"}}, got.About); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]source.Fact{{"refunded", "'9.90'", ""}, {"total", "'9.90'", ""}}, got.Rules[0].Tests[0].Reads); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if from := got.Licenses[0].From["license_key"][0].Where; from != "custom.license_key" {
		t.Errorf("the key is from %q", from)
	}
}

// partlySigned is a sender that signs three of its fields, and names no license in them.
const partlySigned = `
verify:
  field: SIGNATURE
  form: "{signature}"
  signed: "{field:ORDER_ID}{field:ORDER_STATUS}{secret}{field:IPN_TYPE_NAME}"
  covers: [ORDER_ID, ORDER_STATUS, IPN_TYPE_NAME]
  mac: sha256
  encoding: hex
body: form
event: {id: "join('-', [ORDER_ID, IPN_TYPE_NAME])", type: IPN_TYPE_NAME}
lookup: {order: [ORDER_ID]}
rules:
  - {name: refunded, type: OrderRefunded, when: ORDER_STATUS == 'Refunded', cause: refund}
`

// TestAFieldThatIsNotSignedChangesNothing replaces, adds, repeats and removes the unsigned fields of a genuine delivery.
// It is mapped to the same each time, and a field that is signed cannot be changed.
func TestAFieldThatIsNotSignedChangesNothing(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, partlySigned), "tiny")
	const signed = "ORDER_ID=12345678&ORDER_STATUS=Refunded&IPN_TYPE_NAME=OrderRefunded"
	const unsigned = "&ORDER_ITEM_LICENSES=AAAA-BBBB&CUSTOMER_ID=7&license_key=K&lines[0][license_key]=K&name=%C3%A9"
	d := signing.Delivery{Method: "POST", Header: formHeader(), Body: []byte(signed + unsigned)}
	if err := s.Sign(&d, clock, "validation-key-canary"); err != nil {
		t.Fatal(err)
	}
	signature := strings.TrimPrefix(string(d.Body), signed+unsigned)
	outcome := func(body string) ([]source.Mapping, error) {
		changed := d
		changed.Body = []byte(body)
		verified, err := s.Verify(changed, clock, []string{"validation-key-canary"})
		if err != nil {
			return nil, err
		}
		verified.ReceivedAt = clock
		mappings, err := s.Map(verified, source.Options{LookUp: true})
		if err != nil {
			t.Fatal(err)
		}
		return mappings, nil
	}
	want, err := outcome(string(d.Body))
	if err != nil || len(want) != 1 || len(want[0].Requests) != 1 || want[0].Requests[0].Lookup.Order[0].ID != "12345678" {
		t.Fatalf("%+v, %v", want, err)
	}
	for _, changed := range []string{
		signed + signature,
		signature[1:] + "&" + signed,
		signed + strings.Replace(unsigned, "AAAA-BBBB", "CCCC-DDDD", 1) + signature,
		signed + unsigned + "&license_key=L&hardware_id=h&product=P&lookup[order]=2" + signature,
		signed + unsigned + "&ORDER_ID[]=2&ORDER_ID[x]=3&order_id=4" + signature,
		signed + "&name=%E9&a=1&a[b]=2" + signature,
		signed + "&HASH=00&" + strings.Repeat("a", 50) + signature,
	} {
		got, err := outcome(changed)
		if err != nil {
			t.Errorf("%s: %v", changed, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", changed, diff)
		}
	}
	for _, changed := range []string{
		strings.Replace(string(d.Body), "12345678", "12345679", 1),
		string(d.Body) + "&ORDER_ID=12345679",
		"ORDER_ID=12345679&" + string(d.Body),
		strings.Replace(string(d.Body), "IPN_TYPE_NAME=", "ipn_type_name=", 1),
		strings.Replace(string(d.Body), "=Refunded", "=Processed", 1),
	} {
		if got, err := outcome(changed); err == nil {
			t.Errorf("%s: verified, and mapped to %+v", changed, got)
		}
	}
}

// TestTheSignatureOfAFormIsNotKept: who may read a dead letter must not try keys against it, and a second signature of
// the same event gives it no other id.
func TestTheSignatureOfAFormIsNotKept(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, strings.Replace(signedWhole, "id: IPN, ", "", 1)), "tiny") // the id is the body's SHA-256
	const body = "REFNO=12345678&SIGNATURE_SHA3_256=%s&TYPE=REFUND"
	one := assumed(t, s, formHeader(), strings.Replace(body, "%s", "signature-canary", 1))
	other := assumed(t, s, formHeader(), strings.Replace(body, "%s", "00", 1))
	mappings, err := s.Map(one, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	event, restored := parkAndRestore(t, s, one, mappings)
	if want := strings.Replace(body, "%s", "", 1); string(event.Body) != want {
		t.Errorf("kept as %s, want %s", event.Body, want)
	}
	for name, v := range map[string]source.Verified{"again": restored, "under another signature": other} {
		got, err := s.Map(v, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(mappings, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestRequireReadsAForm(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, formFile), "tiny")
	verified, err := s.Assume(signing.Delivery{Header: formHeader(), Body: []byte("shop=other&type=refund")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Map(verified, source.Options{}); err == nil {
		t.Error("a form of another shop was mapped")
	}
}
