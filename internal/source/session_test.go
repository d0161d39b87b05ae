package source_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// TestAParkedNotificationHoldsNoSession parks notifications with a session and maps them again. A notification without
// an id is named by its body's hash, which does not depend on the session.
func TestAParkedNotificationHoldsNoSession(t *testing.T) {
	t.Parallel()
	const file = `
verify: {query: token, form: "{secret}", mac: none}
body: xml
event: {records: Envelope.Body.notifications.Notification, id: Id}
license: [sObject]
rules: [{name: sent, when: sObject.status == 'Refunded', cause: refund}]
`
	soap := func(session, id string) string {
		return `<?xml version="1.0"?>` + "\r\n" + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><notifications><!-- é -->` +
			`<SessionId>` + session + `</SessionId><Notification>` + id + `<sObject><status>Refunded</status>` +
			`<license_key>K &amp; 1</license_key><hardware_id>h1</hardware_id><product>P</product></sObject></Notification></notifications></s:Body></s:Envelope>`
	}
	s := get(t, load(t, file), "tiny")
	for name, id := range map[string]string{"an id": "<Id>n1</Id>", "no id": ""} {
		v := assumed(t, s, nil, soap("00D5e!canary", id))
		want, err := s.Map(v, source.Options{})
		if err != nil || len(want) != 1 || want[0].Answer != deactivation.Accepted || len(want[0].Requests) != 1 {
			t.Fatalf("%s: %v %+v", name, err, want)
		}
		event, restored := parkAndRestore(t, s, v, want)
		if got := string(event.Body); got != soap("", id) {
			t.Errorf("%s: parked is\n%s\nwant\n%s", name, got, soap("", id))
		}
		for again, v := range map[string]string{"mapped again": string(restored.Body), "with another session": soap("00D5e!other", id)} {
			got, err := s.Map(assumed(t, s, nil, v), source.Options{})
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, %s: %v (-before +again):\n%s", name, again, err, diff)
			}
		}
	}
}
