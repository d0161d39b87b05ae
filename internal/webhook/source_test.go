package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"license-deactivator/internal/webhook"
)

// complete is a small file with everything in it that a file needs, so that each fault below is the only one.
const complete = `verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type}
license: [data]
`

func TestFaultsOfASourcesFileAreNamedByFileAndLine(t *testing.T) {
	t.Parallel()
	rules := func(rule string) string { return complete + "rules:\n" + rule }
	for name, c := range map[string]struct{ file, want string }{
		"empty":                        {"", "tiny.yaml:1:"},
		"not YAML":                     {"a: [", "tiny.yaml:1: not YAML: "},
		"not YAML further down":        {complete + "rules: [\n", "tiny.yaml:4: not YAML: "},
		"a second document":            {complete + "rules: [{name: r, when: a}]\n---\nrules: [{name: s, when: b}]\n", "tiny.yaml:5: a second YAML document"},
		"a list":                       {"- a", "tiny.yaml:1: a source's file must be a mapping"},
		"unknown key":                  {rules("  - {name: r, type: t}\n") + "tolerances: 5m\n", `tiny.yaml:6: unknown key "tolerances"`},
		"unknown key of a rule":        {rules("  - name: r\n    type: t\n    causes: refund\n"), `tiny.yaml:7: unknown key "causes" in a rule`},
		"a key twice":                  {rules("  - {name: r, type: t}\n") + "body: json\nbody: json\n", `tiny.yaml:7: key "body" is there twice`},
		"no verify":                    {"license: [data]\nrules: [{name: r, when: a}]\n", "tiny.yaml:1: verify is missing"},
		"no rules":                     {complete, "tiny.yaml:1: rules is missing"},
		"a rule without name":          {rules("  - {type: t}\n"), "tiny.yaml:5: the rule has no name"},
		"a rule that takes all":        {rules("  - {name: r, cause: refund}\n"), `tiny.yaml:5: rule "r" has neither type nor when`},
		"an empty when":                {rules("  - name: r\n    when:\n"), "tiny.yaml:6: a text is needed here"},
		"when: !a is an empty when":    {rules("  - name: r\n    when: !a\n"), "tiny.yaml:6: a text is needed here"},
		"an empty list":                {rules("  - name: r\n    when: []\n"), "tiny.yaml:6: the list is empty"},
		"cause and ignore":             {rules("  - {name: r, type: t, cause: refund, ignore: true}\n"), `tiny.yaml:5: rule "r" has a cause and ignores`},
		"unknown cause":                {rules("  - {name: r, type: t, cause: whim}\n"), `tiny.yaml:5: "whim" is not one of refund`},
		"the same name twice":          {rules("  - {name: r, type: t}\n  - {name: r, type: u}\n"), `tiny.yaml:6: a second rule has the name "r"`},
		"lines that are not there":     {rules("  - {name: r, type: t, lines: refunded}\n"), "tiny.yaml:5: rule \"r\" asks for lines refunded"},
		"expression does not compile":  {rules("  - name: r\n    when: a ==\n"), "tiny.yaml:6: not a JMESPath expression"},
		"unknown function":             {rules("  - name: r\n    when: foo(a)\n"), "tiny.yaml:6: unknown function"},
		"panics when evaluated":        {rules("  - name: r\n    when: \"@()\"\n"), "tiny.yaml:6: the expression makes the JMESPath library fail"},
		"panics when compiled":         {rules("  - name: r\n    when: \"A\u0080\"\n"), "tiny.yaml:"},
		"a condition with half":        {rules("  - name: r\n    when: {header: X-A}\n"), "tiny.yaml:6: header and is are needed"},
		"scheme without tolerance":     {strings.Replace(rules("  - {name: r, type: t}\n"), `form: "{signature}"`, `form: "{signature}", timestamp: X-Time`, 1), "tiny.yaml:1:"},
		"type from an unsigned header": {"verify: {header: X-Sig, form: \"{signature}\", signed: \"{body}\", mac: hmac-sha256, encoding: hex}\nevent: {type: {header: X-Topic}}\nlicense: [data]\nrules:\n  - {name: r, type: t}\n", `tiny.yaml:5: rule "r" asks for a type that comes from an unsigned header`},
		"a place of two fields":        {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{product: a, license_key: b}]", 1), "tiny.yaml:3: one field a place"},
		"pairs without value":          {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{pairs: a, name: b}]", 1), "tiny.yaml:3: value is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webhook.LoadSources(fstest.MapFS{"tiny.yaml": {Data: []byte(c.file)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s…", err, c.want)
			}
		})
	}
}

func TestAllFaultsOfAllFilesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	broken := complete + "rules:\n  - {name: r}\n  - {name: s, type: t, cause: whim}\n"
	_, err := webhook.LoadSources(fstest.MapFS{"one.yaml": {Data: []byte(broken)}, "two.yaml": {Data: []byte(complete)}, "Bad Name.yaml": {Data: []byte(complete)}})
	for _, want := range []string{`one.yaml:6: "whim"`, "two.yaml:1: rules is missing", "Bad Name.yaml:1: the file's name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestAFolderWithoutFilesIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := webhook.LoadSources(fstest.MapFS{}); err == nil {
		t.Error("no error")
	}
}

const salesforceLike = `
verify: {query: token, form: "{secret}", mac: none, require: "Envelope.Body.notifications.OrganizationId == '00D000000000062EAA'"}
body: xml
event:
  records: Envelope.Body.notifications.Notification
  id: Id
license:
  - {license_key: sObject.License_Key__c}
  - {hardware_id: sObject.Hardware_Id__c}
  - {product: sObject.Product_Code__c}
rules: [{name: sent, when: "sObject._type == 'sf:Order'", cause: refund}]
answer: salesforce
`

func notification(id, key string) string {
	return fmt.Sprintf(`<Notification><Id>%s</Id><sObject xsi:type="sf:Order" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>801</sf:Id>`+
		`<sf:License_Key__c>%s</sf:License_Key__c><sf:Product_Code__c>XY</sf:Product_Code__c><sf:Hardware_Id__c>h1</sf:Hardware_Id__c></sObject></Notification>`, id, key)
}

func soap(organization, inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Body>` +
		`<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>` + organization + `</OrganizationId><SessionId>session-canary</SessionId>` +
		inside + `</notifications></s:Body></s:Envelope>`
}

func TestASOAPBodyIsReadAndAcknowledged(t *testing.T) {
	t.Parallel()
	const organization = "00D000000000062EAA"
	post := func(b *bench, body string) reply {
		return b.post(t, delivery{source: "tiny", query: "token=tiny-secret-canary", body: body, base64: true, headers: map[string]string{"content-type": "text/xml"}})
	}
	b := newBench(t, salesforceLike)
	got := post(b, soap(organization, notification("n1", "K1")+notification("n2", "K2")))
	if got.StatusCode != 200 || !strings.Contains(got.Body, "<Ack>true</Ack>") || got.Headers["content-type"] != "text/xml; charset=utf-8" {
		t.Errorf("answer %d %s", got.StatusCode, got.Body)
	}
	if r := b.queue.requests(t); len(r) != 2 || r[1].ID != "tiny.n2.0" || r[1].LicenseKey != "K2" {
		t.Errorf("requests %v", r)
	}
	if got := post(b, soap("00D000000000099EAA", notification("n3", "K3"))); got.StatusCode != 401 {
		t.Errorf("of another organization: %d", got.StatusCode)
	}
	for name, body := range map[string]string{
		"document type": `<!DOCTYPE a [<!ENTITY x "y">]>` + soap(organization, ""), "unknown entity": soap(organization, "&x;"),
		"too deep": strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000), "cut": soap(organization, "")[:200],
		"two roots": "<a/><b/>", "not XML": "hello", "no notification": soap(organization, ""),
	} {
		if got := post(b, body); got.StatusCode != 400 && got.StatusCode != 401 {
			t.Errorf("%s: answer %d", name, got.StatusCode)
		}
	}
	down := newBench(t, salesforceLike)
	down.queue.refuse = refuseHolding("")
	if got := post(down, soap(organization, notification("n1", "K1"))); got.StatusCode != 503 || !strings.Contains(got.Body, "<Ack>false</Ack>") {
		t.Errorf("queue down: %d %s", got.StatusCode, got.Body)
	}
	if strings.Contains(b.log.String()+down.log.String(), "canary") {
		t.Error("a token or a session is in the log")
	}
}

const wooLike = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: base64, ping: 'webhook_id=\d+'}
event: {id: id}
license: [data]
rules: [{name: r, when: status == 'refunded', cause: refund}]
`

func TestAPingIsAnsweredAndNothingElseHappens(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"webhook_id=1": 200, "webhook_id=123456": 200, "webhook_id=1&x=2": 401, " webhook_id=1": 401, "webhook_id=": 401, "webhook_id=1\n": 401, "": 401,
	} {
		b := newBench(t, wooLike)
		if got := b.post(t, delivery{source: "tiny", body: body, headers: map[string]string{}}); got.StatusCode != want {
			t.Errorf("%q: %d, want %d", body, got.StatusCode, want)
		}
		if got := b.post(t, delivery{source: "tiny", body: body, headers: map[string]string{"x-sig": "Zm9v"}}); got.StatusCode != 401 {
			t.Errorf("%q with a signature: %d, want 401", body, got.StatusCode)
		}
		if len(b.queue.taken)+len(b.letters.taken) > 0 {
			t.Error("a ping is in a queue")
		}
	}
}
