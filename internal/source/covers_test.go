package source_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"license-deactivator/internal/source"
)

// partly is a sender like PayPro: a plain hash of four fields of a form. Its rules read nothing else.
const partly = `verify:
  field: SIGNATURE
  form: "{signature}"
  signed: "{field:ORDER_ID}{field:STATUS}{secret}{field:TEST}{field:TYPE}"
  covers: [ORDER_ID, STATUS, TEST, TYPE]
  mac: sha256
  encoding: hex
body: form
event: {id: "join('-', [ORDER_ID, TYPE])", type: TYPE, test: TEST == '1'}
license: [{license_key: ORDER_ID}]
lookup: {order: ORDER_ID}
rules:
  - {name: refunded, type: Refund, when: STATUS == 'Refunded', cause: refund}
`

// signedWhole is a sender like 2Checkout: every value is signed, except those of the signatures.
const signedWhole = `verify:
  field: SIGNATURE_SHA3_256
  skip: [HASH]
  form: "{signature}"
  canonical: length-prefixed-values
  mac: hmac-sha3-256
  encoding: hex
body: form
event: {id: IPN, type: TYPE}
license: ["{license_key: KEY, hardware_id: DEVICE, product: PRODUCT}"]
lookup: {order: REFNO}
rules:
  - {name: refunded, type: REFUND, cause: refund}
`

func TestAFileThatReadsWhatIsNotSignedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, from, to, want string }{
		"a license":                   {partly, "license_key: ORDER_ID", "license_key: LICENSE_KEY", "tiny.yaml:10: license reads LICENSE_KEY, which is not signed: anybody who has seen a delivery could change it. Signed are ORDER_ID, STATUS, TEST, TYPE"},
		"an object of licenses":       {partly, "{license_key: ORDER_ID}", "CUSTOM", "tiny.yaml:10: license reads CUSTOM"},
		"pairs":                       {partly, "{license_key: ORDER_ID}", "{pairs: ITEMS, name: n, value: v}", "tiny.yaml:10: license reads ITEMS"},
		"the whole form":              {partly, "{license_key: ORDER_ID}", `"@"`, "tiny.yaml:10: license reads the whole form (@)"},
		"lines":                       {partly, "lookup:", "lines: {each: ITEMS, license: [{product: SKU}]}\nlookup:", "tiny.yaml:11: lines.each reads ITEMS"},
		"joined parts":                {partly, "lookup:", "lines: {each: TEST, join: {refunds: REFUNDS, on: id, is: id}, license: [{product: SKU}]}\nlookup:", "tiny.yaml:11: lines.join reads REFUNDS"},
		"a candidate":                 {partly, "order: ORDER_ID", "order: [ORDER_ID, {weak: INVOICE}]", "tiny.yaml:11: lookup reads INVOICE"},
		"a subscription":              {partly, "order: ORDER_ID", "order: ORDER_ID, subscription: {id: SUB}", "tiny.yaml:11: lookup reads SUB"},
		"an address":                  {partly, "order: ORDER_ID", "order: ORDER_ID, email: EMAIL", "tiny.yaml:11: lookup.email reads EMAIL"},
		"a condition of the look-up":  {partly, "order: ORDER_ID", "order: ORDER_ID, when: SKU == 'a'", "tiny.yaml:11: lookup.when reads SKU"},
		"a rule's candidate":          {partly, "cause: refund}", "cause: refund, lookup: {order: INVOICE}}", `tiny.yaml:13: rule "refunded" in its lookup reads INVOICE`},
		"a rule":                      {partly, "STATUS == 'Refunded'", "SKU == 'a' && STATUS == 'Refunded'", `tiny.yaml:13: rule "refunded" reads SKU`},
		"a rule that ignores":         {partly, "rules:\n", "rules:\n  - {name: other goods, type: Refund, when: SKU == 'a', ignore: true}\n", `tiny.yaml:13: rule "other goods" reads SKU`},
		"the id":                      {partly, "[ORDER_ID, TYPE]", "[ORDER_ID, RETRY]", "tiny.yaml:9: event.id reads RETRY"},
		"the body's hash as id":       {partly, `id: "join('-', [ORDER_ID, TYPE])", `, "", "tiny.yaml:2: event.id is missing: "},
		"a header as id":              {partly, `id: "join('-', [ORDER_ID, TYPE])"`, "id: {header: X-Id}", "tiny.yaml:2: event.id comes from an unsigned header"},
		"the type":                    {partly, "type: TYPE,", "type: KIND,", "tiny.yaml:9: event.type reads KIND"},
		"the time":                    {partly, "type: TYPE,", "type: TYPE, time: AT,", "tiny.yaml:9: event.time reads AT"},
		"the time, in a header":       {partly, "type: TYPE,", "type: TYPE, time: {header: X-At},", "tiny.yaml:2: event.time comes from an unsigned header"},
		"the test mode":               {partly, "TEST == '1'", "SANDBOX == '1'", "tiny.yaml:9: event.test reads SANDBOX"},
		"records":                     {partly, "type: TYPE,", "type: TYPE, records: ROWS,", "tiny.yaml:9: event.records reads ROWS"},
		"what is required":            {partly, "  mac: sha256", "  require: SHOP == 'a'\n  mac: sha256", "tiny.yaml:6: verify.require reads SHOP"},
		"the signature":               {partly, "license_key: ORDER_ID", "license_key: SIGNATURE", "tiny.yaml:10: license reads SIGNATURE"},
		"the signature of all values": {signedWhole, "order: REFNO", "order: SIGNATURE_SHA3_256", "tiny.yaml:11: lookup reads SIGNATURE_SHA3_256, a field of a signature, which is not signed itself"},
		"a skipped field":             {signedWhole, "order: REFNO", "order: HASH", "tiny.yaml:11: lookup reads HASH, a field of a signature"},
		"a field of no form":          {partly, "body: form", "body: json", "tiny.yaml:2: verify reads fields of a form, so body must be form"},
		"one of no format":            {signedWhole, "body: form\n", "", "tiny.yaml:2: verify reads fields of a form, so body must be form"},
		"covers of something else":    {partly, "covers: [ORDER_ID,", "covers: [", "tiny.yaml:2: signing: covers: [STATUS, TEST, TYPE] is not what signed covers: [ORDER_ID, STATUS, TEST, TYPE]"},
		"no covers":                   {partly, "  covers: [ORDER_ID, STATUS, TEST, TYPE]\n", "", "tiny.yaml:2: signing: covers: is missing"},
		"MD5":                         {partly, "mac: sha256", "mac: md5", `tiny.yaml:2: signing: mac: "md5" is broken and is not supported`},
		"SHA-1":                       {signedWhole, "mac: hmac-sha3-256", "mac: hmac-sha1", `tiny.yaml:2: signing: mac: "hmac-sha1" is broken and is not supported`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.Replace(c.file, c.from, c.to, 1)
			if file == c.file {
				t.Fatal("nothing was changed")
			}
			_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(file)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s…", err, c.want)
			}
		})
	}
	for name, file := range map[string]string{
		"what is signed":        partly,
		"every value":           signedWhole,
		"the whole of a form":   strings.Replace(signedWhole, `"{license_key: KEY, hardware_id: DEVICE, product: PRODUCT}"`, `"@"`, 1),
		"a header, if unsigned": strings.Replace(partly, "rules:\n", "rules:\n  - {name: other, when: {header: X-Kind, is: a}, ignore: true}\n", 1),
	} {
		if _, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(file)}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPublicKeyBesideASecretNeedsItsMark: without it the public key, which anybody may know, would be a secret.
func TestAPublicKeyBesideASecretNeedsItsMark(t *testing.T) {
	t.Parallel()
	const file = `verify:
  - {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex, key: base64}
  - {header: X-Key, form: "{signature}", signed: "{body}", mac: ed25519, encoding: hex, key: base64}
license: [data]
rules: [{name: r, when: a == 'b'}]
`
	for to, want := range map[string]string{
		"key: base64}":                      "tiny.yaml:3: a public key next to a scheme with a secret needs key: pem or key_prefix: whpk_",
		"key: hex}":                         "tiny.yaml:3: a public key next to",
		"key: base64, key_prefix: whsec_}":  "tiny.yaml:3: a public key next to",
		"key: base64, key_prefix: 'whpk_'}": "",
		"key: pem}":                         "",
	} {
		at := strings.LastIndex(file, "key: base64}")
		_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(file[:at] + to + file[at+len("key: base64}"):])}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", to, err, want)
		}
	}
}
