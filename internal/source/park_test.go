package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// twoSchemes signs in two ways, each with its own id, and reads headers wherever a file can.
const twoSchemes = `
verify:
  - {header: X-Sig, form: "{signature}", signed: "{X-Id}.{body}", mac: hmac-sha256, encoding: hex}
  - {header: [X-Other-Sig, X-Older-Sig], form: "{signature}", signed: "{X-Other-Id}.{body}", mac: hmac-sha256, encoding: hex}
  - {header: X-Sig, form: "v2={signature}", signed: "{X-Id}.{body}", mac: hmac-sha256, encoding: hex}
  - {query: token, form: "{secret}", mac: none}
event:
  id: [{signed: X-Id}, {signed: X-Other-Id}]
license: [order]
lines:
  each: lines
  license: [own]
  refunded: whole
lookup: {order: [{header: X-Order}, number]}
rules:
  - {name: left out, when: {header: X-Kind, is: none}, ignore: true}
  - name: by line
    when: kind == 'lines'
    lines: refunded
    cause: refund
    lookup: {order: [{header: X-Line-Order}]}
  - name: whole
    when: state == 'refunded'
    cause: refund
`

// parkAndRestore parks a delivery and restores it.
func parkAndRestore(t *testing.T, s *source.Source, v source.Verified, mappings []source.Mapping) (deactivation.Event, source.Verified) {
	t.Helper()
	body, err := s.Park(v, mappings).Wire()
	if err != nil {
		t.Fatal(err)
	}
	_, event, err := deactivation.Parse(body)
	if err != nil || event == nil {
		t.Fatalf("%v: %s", err, body)
	}
	restored, err := s.Restore(*event)
	if err != nil {
		t.Fatal(err)
	}
	return *event, restored
}

func TestAParkedEventIsMappedAgainToTheSame(t *testing.T) {
	t.Parallel()
	const body = `{"state":"refunded","kind":"lines","number":7,"order":{"license_key":"K0","hardware_id":"h0","product":"P"},"lines":[{"whole":true,"own":{"license_key":"K1","hardware_id":"h1","product":"P"}}]}`
	headers := map[string]string{
		"x-id": "one", "x-other-id": "other", "x-order": "o-1", "x-line-order": "line-1", "x-kind": "some", "x-not-read": "canary",
	}
	s := get(t, load(t, twoSchemes), "tiny")
	for name, c := range map[string]struct {
		sign       func(d *signing.Delivery)
		scheme, id string
		order      []string
		rule       string
	}{
		"the first scheme":  {func(*signing.Delivery) {}, "x-sig", "one", []string{"line-1"}, "by line"},
		"the second scheme": {func(d *signing.Delivery) { delete(d.Header, "x-id") }, "x-other-sig", "other", []string{"line-1"}, "by line"},
		"the third scheme":  {func(*signing.Delivery) {}, "x-sig#2", "one", []string{"line-1"}, "by line"},
		"in the query": {func(d *signing.Delivery) {
			d.Body = []byte(strings.Replace(body, "lines", "whole", 1))
		}, "?token", "", []string{"o-1", "7"}, "whole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/tiny", Header: map[string]string{}, Body: []byte(body)}
			for name, text := range headers {
				d.Header[name] = text
			}
			c.sign(&d)
			signAs(t, s, &d, c.scheme)
			verified, err := s.Verify(d, clock, []string{"secret-canary"})
			if err != nil {
				t.Fatal(err)
			}
			verified.ReceivedAt = clock
			want, err := s.Map(verified, source.Options{})
			if err != nil || want[0].Rule != c.rule || len(want[0].Requests) == 0 {
				t.Fatalf("%v: %+v", err, want)
			}
			if c.id != "" && want[0].Event != c.id {
				t.Errorf("the event's id is %s, want %s", want[0].Event, c.id)
			}
			event, restored := parkAndRestore(t, s, verified, want)
			got, err := s.Map(restored, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("mapped again (-before +again):\n%s", diff)
			}
			if event.Scheme != c.scheme || !cmp.Equal(event.Order, c.order) {
				t.Errorf("scheme %q and order %q, want %q and %q", event.Scheme, event.Order, c.scheme, c.order)
			}
			if event.Headers["x-kind"] != "some" {
				t.Error("the header that a rule reads is not kept")
			}
			for name, text := range event.Headers {
				if strings.Contains(text, "canary") {
					t.Errorf("the header %s is kept", name)
				}
			}
		})
	}
}

// signAs signs by one of the schemes of twoSchemes.
func signAs(t *testing.T, s *source.Source, d *signing.Delivery, scheme string) {
	t.Helper()
	if scheme == "?token" {
		d.URL += "?token=secret-canary"
		return
	}
	if err := s.Sign(d, clock, "secret-canary"); err != nil {
		t.Fatal(err)
	}
	if scheme == "x-sig#2" {
		d.Header["x-sig"] = "v2=" + d.Header["x-sig"]
	}
}

func TestAnEventOfAnOlderVersionIsRestoredByTheSchemeOfItsHeaders(t *testing.T) {
	t.Parallel()
	s := get(t, load(t, ""), "standard")
	const body = `{"type":"order.refunded"}`
	for header, want := range map[string]string{"webhook-id": "msg_webhook", "svix-id": "msg_svix"} {
		restored, err := s.Restore(deactivation.Event{Source: "standard", Headers: map[string]string{strings.ToUpper(header): want}, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		mappings, err := s.Map(restored, source.Options{})
		if err != nil || len(mappings) != 1 || mappings[0].Event != want {
			t.Errorf("%s: %v %+v", header, err, mappings)
		}
	}
}

func TestAnEventOfASchemeThatTheFileDoesNotHaveIsNotRestored(t *testing.T) {
	t.Parallel()
	_, err := get(t, load(t, ""), "standard").Restore(deactivation.Event{Source: "standard", Scheme: "x-sig", Body: []byte(`{}`)})
	if err == nil || !strings.Contains(err.Error(), `"x-sig"`) || !strings.Contains(err.Error(), "svix-signature, webhook-signature") {
		t.Errorf("got %v", err)
	}
}

func TestAParkedDeliveryNamesTheOrdersOfItsEventsAndNoMoreThanTheQueueTakes(t *testing.T) {
	t.Parallel()
	const file = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {records: events, id: id}
license: [data]
lookup: {order: [order, other]}
rules: [{name: r, when: matters, cause: refund}]
`
	s := get(t, load(t, file), "tiny")
	var events []string
	for _, n := range numbered("o", 300) {
		events = append(events, `{"id":"`+n+`","matters":true,"order":"`+n+`","other":"x`+n+`"}`)
	}
	v := assumed(t, s, nil, `{"events":[`+strings.Join(events, ",")+`]}`)
	mappings, err := s.Map(v, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	event, restored := parkAndRestore(t, s, v, mappings)
	if len(event.Order) != 100 || event.Order[0] != "o0" || event.Order[1] != "xo0" || event.ID != "o0" {
		t.Errorf("%d ids of orders, of the event %s: %q", len(event.Order), event.ID, event.Order[:2])
	}
	if again, err := s.Map(restored, source.Options{}); err != nil || !cmp.Equal(mappings, again) {
		t.Errorf("mapped again: %v, %d events", err, len(again))
	}
}
