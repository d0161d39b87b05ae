package signing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

func TestNewSchemeRefusesEachBadFieldByName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from   string
		change func(*signing.Spec)
		want   string
	}{
		"nowhere":                     {"stripe", func(s *signing.Spec) { s.Header = nil }, "header: neither"},
		"in two places":               {"stripe", func(s *signing.Spec) { s.Query = "sig" }, "query: stands beside header"},
		"header with a blank":         {"stripe", func(s *signing.Spec) { s.Header = []string{"Stripe Signature"} }, "header: "},
		"empty header":                {"stripe", func(s *signing.Spec) { s.Header = []string{""} }, "header: "},
		"second header with a break":  {"shopify", func(s *signing.Spec) { s.Header = append(s.Header, "X\r\nY") }, "header: "},
		"no form":                     {"shopify", func(s *signing.Spec) { s.Form = "" }, "form: empty"},
		"form without a placeholder":  {"shopify", func(s *signing.Spec) { s.Form = "sha256=" }, "form: each part"},
		"form with text at its end":   {"shopify", func(s *signing.Spec) { s.Form = "{signature};" }, "form: each part"},
		"form not closed":             {"shopify", func(s *signing.Spec) { s.Form = "{signature" }, "form: each part"},
		"form with two in one part":   {"stripe", func(s *signing.Spec) { s.Separator = "" }, "form: each part"},
		"form with an empty part":     {"stripe", func(s *signing.Spec) { s.Form += "," }, "form: each part"},
		"form of something else":      {"shopify", func(s *signing.Spec) { s.Form = "{body}" }, "form: {body}"},
		"form without signature":      {"stripe", func(s *signing.Spec) { s.Form = "t={timestamp}" }, "form: must hold {signature}"},
		"two signatures":              {"stripe", func(s *signing.Spec) { s.Form += ",v0={signature}" }, "form: must hold"},
		"two timestamps":              {"stripe", func(s *signing.Spec) { s.Form += ",ts={timestamp}" }, "form: must hold"},
		"form of many parts":          {"stripe", func(s *signing.Spec) { s.Form = strings.Repeat("{signature},", 30) }, "form: empty, longer"},
		"form with a break":           {"bearer", func(s *signing.Spec) { s.Form = "Bearer\r\n{secret}" }, "form: empty, longer than 256 bytes or not printable"},
		"text like a value":           {"recurly", func(s *signing.Spec) { s.Form = "{timestamp},1{signature}" }, "form: the text"},
		"one text begins another":     {"stripe", func(s *signing.Spec) { s.Form = "v=={timestamp},v={signature}" }, "form: the text of one part"},
		"one text begins the other":   {"stripe", func(s *signing.Spec) { s.Form = "v={timestamp},v=={signature}" }, "form: the text of one part"},
		"timestamp beside a secret":   {"bearer", func(s *signing.Spec) { s.Separator, s.Form = ",", "{timestamp},{secret}" }, "separator: a secret"},
		"timestamp, no secret":        {"bearer", func(s *signing.Spec) { s.Form = "{timestamp}" }, "form: must hold {secret}"},
		"separator that is a break":   {"shopify", func(s *signing.Spec) { s.Separator = "\n" }, "separator: "},
		"secret with a mac":           {"shopify", func(s *signing.Spec) { s.Form = "{secret}" }, "form: {secret}"},
		"signature without a mac":     {"bearer", func(s *signing.Spec) { s.Form = "{signature}" }, "form: {signature}"},
		"separator within base64":     {"stripe", func(s *signing.Spec) { s.Separator, s.Form = "=", "{timestamp}={signature}" }, "separator: "},
		"separator within hex":        {"stripe", func(s *signing.Spec) { s.Separator, s.Form = "a", "{timestamp}a{signature}" }, "form: "},
		"separator that is a digit":   {"shopify", func(s *signing.Spec) { s.Separator = "1" }, "separator: "},
		"separator of a secret":       {"bearer", func(s *signing.Spec) { s.Separator = "," }, "separator: a secret"},
		"timestamp in two places":     {"stripe", func(s *signing.Spec) { s.Timestamp = "X-Time" }, "timestamp: the form"},
		"timestamp of a bad name":     {"svix", func(s *signing.Spec) { s.Timestamp = "a b" }, "timestamp: "},
		"timestamp in the same place": {"svix", func(s *signing.Spec) { s.Timestamp = "Svix-Signature" }, "timestamp: "},
		"timestamp without a mac":     {"bearer", func(s *signing.Spec) { s.Timestamp, s.Tolerance = "X-Time", 1 }, "timestamp: nothing signs it"},
		"timestamp not signed":        {"stripe", func(s *signing.Spec) { s.Signed = "{body}" }, "signed: does not hold {timestamp}"},
		"no tolerance":                {"stripe", func(s *signing.Spec) { s.Tolerance = 0 }, "tolerance: must be above 0"},
		"negative tolerance":          {"stripe", func(s *signing.Spec) { s.Tolerance = -1 }, "tolerance: must be above 0"},
		"tolerance of nothing":        {"shopify", func(s *signing.Spec) { s.Tolerance = 1 }, "tolerance: has no timestamp"},
		"unit of a minute":            {"stripe", func(s *signing.Spec) { s.Unit = time.Minute }, "unit: "},
		"nothing signed":              {"shopify", func(s *signing.Spec) { s.Signed = "" }, "signed: does not hold {body}"},
		"body not signed":             {"stripe", func(s *signing.Spec) { s.Signed = "{timestamp}" }, "signed: does not hold {body}"},
		"signed not closed":           {"shopify", func(s *signing.Spec) { s.Signed = "{body}{" }, "signed: a { without"},
		"signed not opened":           {"shopify", func(s *signing.Spec) { s.Signed = "{body}}" }, "signed: a } without"},
		"signed a bad name":           {"shopify", func(s *signing.Spec) { s.Signed = "{body}{a b}" }, "signed: "},
		"signed an empty name":        {"shopify", func(s *signing.Spec) { s.Signed = "{body}{}" }, "signed: "},
		"signed too long":             {"shopify", func(s *signing.Spec) { s.Signed += strings.Repeat("x", 300) }, "signed: longer"},
		"signed the signature":        {"shopify", func(s *signing.Spec) { s.Signed += "{signature}" }, "signed: {signature}"},
		"signed its own header":       {"shopify", func(s *signing.Spec) { s.Signed += "{Shopify-Hmac-Sha256}" }, "signed: {shopify-hmac-sha256}"},
		"signed its own address":      {"signed query", func(s *signing.Spec) { s.Signed += "{url}" }, "signed: {url}"},
		"signed no timestamp":         {"shopify", func(s *signing.Spec) { s.Signed += "{timestamp}" }, "signed: {timestamp}"},
		"signed without a mac":        {"bearer", func(s *signing.Spec) { s.Signed = "{body}" }, "signed: nothing"},
		"no mac":                      {"shopify", func(s *signing.Spec) { s.MAC = "" }, "mac: "},
		"broken mac":                  {"shopify", func(s *signing.Spec) { s.MAC = "hmac-sha1" }, "mac: "},
		"no encoding":                 {"shopify", func(s *signing.Spec) { s.Encoding = "" }, "encoding: "},
		"upper-case encoding":         {"shopify", func(s *signing.Spec) { s.Encoding = "HEX" }, "encoding: "},
		"secret in hex":               {"bearer", func(s *signing.Spec) { s.Encoding = "hex" }, "encoding: "},
		"key of words":                {"shopify", func(s *signing.Spec) { s.Key = "words" }, "key: "},
		"prefix of a text key":        {"stripe", func(s *signing.Spec) { s.KeyPrefix = "whsec_" }, "key_prefix: "},
	} {
		spec := specs()[test.from]
		test.change(&spec)
		scheme, err := signing.NewScheme(spec)
		if scheme != nil || err == nil || !strings.Contains(err.Error(), "signing: "+test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestNewSchemeReportsEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, err := signing.NewScheme(signing.Spec{Unit: time.Hour, Key: "x", KeyPrefix: "y", Tolerance: -1})
	for _, field := range []string{"header", "form", "tolerance", "unit", "signed", "mac", "key", "key_prefix"} {
		if err == nil || !strings.Contains(err.Error(), "signing: "+field+": ") {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}

func TestNewSchemeKeepsNothingOfTheCallers(t *testing.T) {
	t.Parallel()
	spec := specs()["shopify"]
	scheme := mustScheme(t, spec)
	spec.Header[0] = "X-Other"
	scheme.SecretHeaders()[0] = "x-other"
	if got, want := scheme.SecretHeaders(), []string{"x-shopify-hmac-sha256", "shopify-hmac-sha256"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSignsTellsWhichHeadersCanBeReliedOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ signed, unsigned []string }{
		"stripe":            {nil, []string{"Stripe-Signature", "timestamp", "body", ""}},
		"shopify":           {nil, []string{"X-Shopify-Topic", ""}},
		"standard-webhooks": {[]string{"webhook-id", "Webhook-Id", "webhook-timestamp"}, []string{"webhook-signature", "svix-id"}},
		"hubspot-v3":        {[]string{"X-HubSpot-Request-Timestamp"}, []string{"X-HubSpot-Signature-v3", "method", "url"}},
		"query":             {nil, []string{"token", ""}},
	} {
		scheme := mustScheme(t, specs()[name])
		for _, header := range test.signed {
			if !scheme.Signs(header) {
				t.Errorf("%s: %q is signed", name, header)
			}
		}
		for _, header := range test.unsigned {
			if scheme.Signs(header) {
				t.Errorf("%s: %q is not signed", name, header)
			}
		}
	}
	if got := mustScheme(t, specs()["query"]).SecretHeaders(); len(got) != 0 {
		t.Errorf("a query parameter's scheme has secret headers %v", got)
	}
}

func TestNewKeyReadsItsFormAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	const malformed, white = "not standard base64", "white space at its ends"
	for _, test := range []struct{ scheme, text, want string }{
		{"stripe", "whsec_anything at all", ""},
		{"stripe", "", "key: empty"},
		{"stripe", " canary", white},
		{"stripe", "canary\n", white},
		{"stripe", "can\nary", "a control character"},
		{"stripe", strings.Repeat("canary", 200), "longer than 1024 bytes"},
		{"svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""},
		{"svix", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""},
		{"svix", "whsec_MfKQ9g==", ""},
		{"svix", "whsec_MfKQ9g", ""},
		{"svix", "whsec_MfKQ9g=", malformed},
		{"svix", "whsec_MfKQ9h==", malformed}, // stray bits
		{"svix", "whsec_MfKQ9h", malformed},
		{"svix", "whsec_MfKQ_-8G", malformed}, // URL alphabet
		{"svix", "whsec_MfKQ 9r8", malformed},
		{"svix", "whsec_whsec_MfKQ", malformed},
		{"svix", "WHSEC_MfKQ", malformed},
		{"svix", "whsec_", "key: empty"},
		{"svix", "whsec_=", malformed},
		{"svix", "whsec_ MfKQ", malformed},
		{"svix", "\twhsec_MfKQ", white},
	} {
		key, err := mustScheme(t, specs()[test.scheme]).NewKey(test.text)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s, %q: got %v, want %q", test.scheme, test.text, err, test.want)
		}
		if err == nil {
			continue
		}
		if err := mustScheme(t, specs()["stripe"]).Verify(signing.Delivery{}, time.Time{}, key); !errors.Is(err, signing.ErrNoKey) {
			t.Errorf("%s, %q: a refused key can be used: %v", test.scheme, test.text, err)
		}
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "MfK") {
			t.Errorf("%s: the error shows the key", fmt.Sprint(err))
		}
	}
}

// With and without padding and prefix it is the same key.
func TestEveryFormOfAKeyIsTheSameKey(t *testing.T) {
	t.Parallel()
	scheme := mustScheme(t, specs()["svix"])
	d := signing.Delivery{Header: map[string]string{"svix-id": "msg_1"}, Body: []byte("{}")}
	now := time.Unix(1_700_000_000, 0)
	if err := scheme.Sign(&d, now, mustKey(t, scheme, "whsec_MfKQ9r8GKQ==")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"whsec_MfKQ9r8GKQ==", "whsec_MfKQ9r8GKQ", "MfKQ9r8GKQ==", "MfKQ9r8GKQ"} {
		if err := scheme.Verify(d, now, mustKey(t, scheme, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
