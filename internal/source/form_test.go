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
