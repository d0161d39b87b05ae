package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"license-deactivator/internal/expression"
	"license-deactivator/internal/queue"
)

func TestSeveralEventsOfOneDelivery(t *testing.T) {
	t.Parallel()
	const file = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id, type: type}
license: [data]
rules: [{name: r, type: r, cause: refund}]
answer: fastspring
`
	good := func(id string) string {
		return `{"id":"` + id + `","type":"r","data":{"license_key":"K-` + id + `","product":"XY","hardware_id":"h1"}}`
	}
	body := `{"events":[` + good("a") + `,{"id":"b","type":"other"},{"id":"c","type":"r","data":{}},` + good("d") + `]}`
	b := newHarness(t, file)
	got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", body, clock, nil))
	if got.StatusCode != 200 || len(b.queue.taken) != 2 || len(b.letters.taken) != 1 {
		t.Errorf("answer %d, %d messages, %d dead letters, want 200, 2 and 1", got.StatusCode, len(b.queue.taken), len(b.letters.taken))
	}

	part := newHarness(t, file)
	part.queue.refuse = refuseHolding("K-d")
	got = part.post(t, signed(t, part, "tiny", "tiny-secret-canary", body, clock, nil))
	if got.StatusCode != 202 || got.Body != "a\nb\nc\n" {
		t.Errorf("when one was not accepted: %d %q, want 202 and the ids that are done", got.StatusCode, got.Body)
	}
	down := newHarness(t, file)
	down.queue.refuse, down.letters.refuse = refuseHolding(""), refuseHolding("")
	got = down.post(t, signed(t, down, "tiny", "tiny-secret-canary", `{"events":[`+good("a")+`]}`, clock, nil))
	if got.StatusCode != 503 {
		t.Errorf("when none was accepted: %d %q, want 503", got.StatusCode, got.Body)
	}
	for name, body := range map[string]string{"null": `{}`, "no object": `{"events":["a"]}`, "a text": `{"events":"a"}`} {
		kept := newHarness(t, file)
		got := kept.post(t, signed(t, kept, "tiny", "tiny-secret-canary", body, clock, nil))
		if got.StatusCode != 200 || !kept.letters.hold("unmappable", "unreadable", body) {
			t.Errorf("%s: %d, letters %v, want 200 and the body kept", name, got.StatusCode, kept.letters.taken)
		}
	}
	if got := b.post(t, signed(t, b, "tiny", "tiny-secret-canary", `{"events":[]}`, clock, nil)); got.StatusCode != 200 {
		t.Errorf("no events: %d, want 200", got.StatusCode)
	}
}

func refuseHolding(text string) func(queue.Entry) bool {
	return func(e queue.Entry) bool { return strings.Contains(e.Body, text) }
}

func TestABodyWithSomethingBehindItIsKeptUnread(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	for _, after := range []string{"}", "]", "]]x", ",", "{}", "1", "\x00", " null"} {
		b := newHarness(t, "")
		got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody+after, clock, nil))
		if got.StatusCode != 200 || len(b.queue.taken) > 0 || !b.letters.hold("unmappable", "unreadable", refundBody+after) {
			t.Errorf("%q after it: status %d, %d messages, want it kept for a person", after, got.StatusCode, len(b.queue.taken))
		}
	}
	if got := b.post(t, signed(t, b, "stripe", stripeSecret, refundBody+" \r\n\t", clock, nil)); got.StatusCode != 200 {
		t.Errorf("white space after it: status %d, want 200", got.StatusCode)
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
	post := func(b *harness, body string) reply {
		return b.post(t, delivery{source: "tiny", query: "token=tiny-secret-canary", body: body, base64: true, headers: map[string]string{"content-type": "text/xml"}})
	}
	b := newHarness(t, salesforceLike)
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
		kept := newHarness(t, salesforceLike)
		got := post(kept, body)
		if got.StatusCode != 200 || !strings.Contains(got.Body, "<Ack>true</Ack>") || !kept.letters.hold("unmappable", "unreadable", string(expression.WithoutSession([]byte(body)))) {
			t.Errorf("%s: answer %d %s, want it kept for a person", name, got.StatusCode, got.Body)
		}
	}
	down := newHarness(t, salesforceLike)
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
		b := newHarness(t, wooLike)
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

// TestAppSumoIsAnsweredWithTheEventAndSuccess: without both, AppSumo does not save the address and sends the event again.
func TestAppSumoIsAnsweredWithTheEventAndSuccess(t *testing.T) {
	t.Parallel()
	const secret, license = "appsumo-canary", `{"license_key":"00000000-aaaa-1111-bbbb-abcdef012345","plan_id":"1510ad39","event":"%s","event_timestamp":1795348800000,%s"extra":{"reason":"%s"}}`
	b := newHarness(t, "")
	b.secrets.text = `{"appsumo":"` + secret + `"}`
	for _, c := range []struct {
		name, body     string
		signed         bool
		status         int
		answer, event  string
		queued, parked int
	}{
		{"a test request", fmt.Sprintf(license, "purchase", `"test":true,`, "Test event"), true, 200, "ignored", "purchase", 0, 0},
		{"a test request without a signature", fmt.Sprintf(license, "purchase", `"test": true,`, "Test event"), false, 200, "ignored", "purchase", 0, 0},
		{"an activation", fmt.Sprintf(license, "activate", `"test":false,`, "Purchased by the customer"), true, 200, "ignored", "activate", 0, 0},
		{"a refund", fmt.Sprintf(license, "deactivate", `"test":false,`, "Refunded by the user"), true, 200, "unmappable", "deactivate", 0, 1},
		{"a refund without a signature", fmt.Sprintf(license, "deactivate", `"test":false,`, "Refunded by the user"), false, 401, "", "", 0, 0},
		{"a refund that says test in its reason, without a signature", fmt.Sprintf(license, "deactivate", "", `\"test\":true`), false, 401, "", "", 0, 0},
	} {
		b.queue.taken, b.letters.taken = nil, nil
		d := delivery{source: "appsumo", body: c.body}
		if c.signed {
			d = signed(t, b, "appsumo", secret, c.body, clock, nil)
		}
		got := b.post(t, d)
		want := fmt.Sprintf(`{"answer":"%s","event":"%s","success":true}`, c.answer, c.event)
		if got.StatusCode != c.status || c.status == 200 && got.Body != want || c.status != 200 && strings.Contains(got.Body, "success") {
			t.Errorf("%s: answer %d %s, want %d %s", c.name, got.StatusCode, got.Body, c.status, want)
		}
		if len(b.queue.taken) != c.queued || len(b.letters.taken) != c.parked {
			t.Errorf("%s: %d messages and %d letters, want %d and %d", c.name, len(b.queue.taken), len(b.letters.taken), c.queued, c.parked)
		}
	}
}
