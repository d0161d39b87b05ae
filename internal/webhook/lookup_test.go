package webhook_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/webhook"
)

func lookUpOn(c *webhook.Config) { c.LookUp = true }

// TestAnEventWithoutLicenseDataIsSentOnForLookUp with the switch, and kept for a person without it.
func TestAnEventWithoutLicenseDataIsSentOnForLookUp(t *testing.T) {
	t.Parallel()
	body := strings.NewReplacer(`"metadata":{"license_key":"AAAA-BBBB-CCCC-DDDD","product":"XY","hardware_id":"hw-canary-1"}`, `"receipt_email":"buyer-canary@example.com"`).Replace(refundBody)
	off := newHarness(t, "")
	if off.post(t, signed(t, off, "stripe", stripeSecret, body, clock, nil)); len(off.queue.taken) > 0 || !off.letters.hold("unmappable", "", body) {
		t.Errorf("off: %d messages, %d letters", len(off.queue.taken), len(off.letters.taken))
	}
	on := newHarness(t, "", lookUpOn)
	if reply := on.post(t, signed(t, on, "stripe", stripeSecret, body, clock, nil)); reply.StatusCode != 200 || len(on.letters.taken) > 0 {
		t.Errorf("on: %d %s, %d letters", reply.StatusCode, reply.Body, len(on.letters.taken))
	}
	requests := on.queue.requests(t)
	if len(requests) != 1 {
		t.Fatalf("%d requests", len(requests))
	}
	got := requests[0]
	want := deactivation.Lookup{Order: []deactivation.Candidate{{ID: "pi_1"}, {ID: "ch_1"}}, Email: "buyer-canary@example.com"}
	if diff := cmp.Diff(want, got.Lookup); diff != "" || got.Origin != "event" || got.Scope != "order" || !got.Disable || got.HardwareID != "" {
		t.Errorf("origin %s, scope %s, disable %t (-want +got):\n%s", got.Origin, got.Scope, got.Disable, diff)
	}
	if strings.Contains(on.log.String(), "canary") {
		t.Error("the e-mail address is in the log")
	}
}

// TestALookUpAddsToWhatWorks: a request that names its device is the same, and disables the license after a refund.
func TestALookUpAddsToWhatWorks(t *testing.T) {
	t.Parallel()
	off, on := newHarness(t, ""), newHarness(t, "", lookUpOn)
	off.post(t, signed(t, off, "stripe", stripeSecret, refundBody, clock, nil))
	on.post(t, signed(t, on, "stripe", stripeSecret, refundBody, clock, nil))
	want, got := off.queue.requests(t)[0], on.queue.requests(t)[0]
	if want.Disable || !want.Lookup.IsZero() || want.Scope != "" {
		t.Error("the look-up is off, and the request is looked up")
	}
	want.Lookup.Order, want.Scope, want.Disable = []deactivation.Candidate{{ID: "pi_1"}, {ID: "ch_1"}}, "order", true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWithLookUpAnOrderOrAKeyAloneIsEnough in a row, and a row never widens what it names.
func TestWithLookUpAnOrderOrAKeyAloneIsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row     string
		off, on string // code and field of the rejection; "": accepted
		order   []deactivation.Candidate
		disable bool
	}{
		"an order":                       {row: `{"order":"pi_1"}`, off: "missing_field license_key", order: []deactivation.Candidate{{ID: "pi_1"}}},
		"several":                        {row: `{"order":["pi_1","x",1001]}`, off: "missing_field license_key", order: []deactivation.Candidate{{ID: "pi_1"}, {ID: "1001"}}},
		"an order, to be disabled":       {row: `{"order":"pi_1","disable":true}`, off: "invalid_field disable", order: []deactivation.Candidate{{ID: "pi_1"}}, disable: true},
		"a key":                          {row: `{"license_key":"KEY1"}`, off: "missing_field product"},
		"a key and its product":          {row: `{"license_key":"KEY1","product":"XY"}`, off: "missing_field hardware_id"},
		"a key, and an order for people": {row: `{"license_key":"KEY1","order":"pi_1"}`, off: "missing_field product"},
		"complete":                       {row: `{"license_key":"KEY1","product":"XY","hardware_id":"h1","order":"pi_1"}`},
		"complete, to be disabled":       {row: `{"license_key":"KEY1","product":"XY","hardware_id":"h1","disable":true}`, off: "invalid_field disable", disable: true},
		"not to be disabled":             {row: `{"license_key":"KEY1","product":"XY","hardware_id":"h1","disable":false}`},
		"a user on a device":             {row: `{"username":"ada","product":"XY","hardware_id":"h1","order":"pi_1","disable":true}`, off: "invalid_field disable", order: []deactivation.Candidate{{ID: "pi_1"}}, disable: true},
		"a user without an order":        {row: `{"username":"ada","product":"XY","hardware_id":"h1","disable":true}`, off: "invalid_field disable", on: "invalid_field disable"},
		"a user without a device":        {row: `{"username":"ada","product":"XY","order":"pi_1"}`, off: "missing_field hardware_id", on: "missing_field hardware_id"},
		"an order of one product":        {row: `{"order":"pi_1","product":"XY"}`, off: "missing_field license_key", on: "missing_field license_key"},
		"an order and a device":          {row: `{"order":"pi_1","hardware_id":"h1"}`, off: "missing_field license_key", on: "missing_field license_key"},
		"a key and a device":             {row: `{"license_key":"KEY1","hardware_id":"h1"}`, off: "missing_field product", on: "missing_field product"},
		"too short an order":             {row: `{"order":"1"}`, off: "missing_field license_key", on: "invalid_field order"},
		"a placeholder":                  {row: `{"order":["{{order}}","order_empty"]}`, off: "missing_field license_key", on: "invalid_field order"},
		"too short a key":                {row: `{"license_key":"K1"}`, off: "missing_field product", on: "invalid_field license_key"},
		"nothing":                        {row: `{}`, off: "missing_field license_key", on: "missing_field license_key"},
		"a bundle":                       {row: `{"action":"deactivate_bundle","order":"pi_1"}`, off: "missing_field license_key", on: "missing_field license_key"},
		"a text":                         {row: `{"order":"pi_1","disable":"yes"}`, off: "invalid_field disable", on: "invalid_field disable"},
	} {
		for _, lookUp := range []bool{false, true} {
			b, want := newHarness(t, ""), c.off
			if lookUp {
				b, want = newHarness(t, "", lookUpOn), c.on
			}
			got, raw := direct(t, b, "["+c.row+"]")
			if want != "" {
				if len(got.Rejected) != 1 || !strings.HasPrefix(got.Rejected[0].Code+" "+got.Rejected[0].Message, want) {
					t.Errorf("%s, look-up %t: %s, want %s", name, lookUp, raw, want)
				}
				continue
			}
			requests := b.queue.requests(t)
			if got.Accepted != 1 || len(requests) != 1 {
				t.Errorf("%s, look-up %t: %s", name, lookUp, raw)
				continue
			}
			if diff := cmp.Diff(c.order, requests[0].Lookup.Order); lookUp && diff != "" || requests[0].Disable != c.disable {
				t.Errorf("%s: disable %t (-want +got):\n%s", name, requests[0].Disable, diff)
			}
		}
	}
}

func TestADryRunWithLookUpSaysWhatWouldBeEnqueued(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "", lookUpOn)
	out, err := b.Invoke(t.Context(), []byte(`{"source":"ops","dry_run":true,"requests":[{"order":"pi_1"},{"order":"1"}]}`))
	if err != nil || !strings.HasPrefix(string(out), `{"accepted":1,"ids":["ops.`) || !strings.Contains(string(out), `"rejected":[{"index":1,"code":"invalid_field"`) || len(b.queue.taken) > 0 {
		t.Errorf("%s, %d messages: %v", out, len(b.queue.taken), err)
	}
}

// TestTheIdOfARowDoesNotDependOnTheLookUp, so that a row that is sent again after the switch is one request.
func TestTheIdOfARowDoesNotDependOnTheLookUp(t *testing.T) {
	t.Parallel()
	const rows = `[{"license_key":"KEY1","product":"XY","hardware_id":"h1","order":"pi_1"}]`
	off, _ := direct(t, newHarness(t, ""), rows)
	on, _ := direct(t, newHarness(t, "", lookUpOn), rows)
	other, _ := direct(t, newHarness(t, "", lookUpOn), strings.Replace(rows, "}]", `,"disable":true}]`, 1))
	if diff := cmp.Diff(off.IDs, on.IDs); diff != "" || on.IDs[0] == other.IDs[0] {
		t.Errorf("off %q, on %q, to be disabled %q", off.IDs, on.IDs, other.IDs)
	}
}
