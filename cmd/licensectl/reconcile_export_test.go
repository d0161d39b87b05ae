package main

import (
	"strings"
	"testing"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestReconcileLeavesToAPersonWhatItCannotBeSureOf: nothing of it is in the file of the active devices.
func TestReconcileLeavesToAPersonWhatItCannotBeSureOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ export, state, reason string }{
		"another customer's number":         {"order,email\n1001,jo@example.com\n", "review", `"code":"unconfirmed"`},
		"another customer's number, as #":   {"order,Customer E-Mail\n#1002,jo@example.com\n", "review", `"code":"unconfirmed"`},
		"the customer's number":             {"order,email\n1001,Ann@Example.com\n", "active", `"devices":1`},
		"a number, no address":              {"order,email\n1001,\n", "active", `"devices":1`},
		"an id, another address":            {"order,email\nC-1001,jo@example.com\n", "active", `"devices":1`},
		"partly refunded":                   {"order,Financial Status\nC-1001,partially_refunded\n", "review", `"reason":"the export says that only a part of the order was refunded"`},
		"partly refunded, a row below":      {"order,sku,Status\nC-1001,XY,\nC-1001,,Partial refund\n", "review", `"code":"partial"`},
		"partly refunded, NDJSON":           {`{"order":"C-1001","type":"partial"}` + "\n", "review", `"code":"partial"`},
		"refunded":                          {"order,Financial Status\nC-1001,refunded\n", "active", `"devices":1`},
		"the key of another's order":        {"order,key\nC-1001,CANARY-KEY-0002\n", "review", `"code":"mismatch"`},
		"a key, an order unknown":           {"order,key\nC-9,CANARY-KEY-0002\n", "active", `"devices":1`},
		"a letter of a buyer's key":         {`{"v":1,"id":"stripe.evt_1.0","source":"stripe","cause":"refund","action":"deactivate_license","buyer":true,"order":["C-1001"],"lookup":{"order":[{"id":"C-1001"}],"email":"jo@example.com"},"product":"XY","license_key":"CANARY-KEY-0002","hardware_id":"canary-2"}` + "\n", "review", `"reason":"the key is none of the licenses that were found by the order"`},
		"a letter of a number":              {`{"v":1,"id":"shopify.1.0","source":"shopify","cause":"refund","action":"deactivate_license","order":["1001"],"lookup":{"order":[{"id":"1001","weak":true}],"email":"jo@example.com"}}` + "\n", "review", `"code":"unconfirmed"`},
		"a letter of a number, no address":  {`{"v":1,"id":"shopify.1.0","source":"shopify","cause":"refund","action":"deactivate_license","order":["1001"],"lookup":{"order":[{"id":"1001","weak":true}]}}` + "\n", "review", `"code":"unconfirmed"`},
		"a letter whose order is not an id": {`{"v":1,"id":"shopify.1.0","source":"shopify","cause":"refund","action":"deactivate_license","order":["1001"],"product":"XY","username":"jo","hardware_id":"hw"}` + "\n", "rejected", `"code":"missing_field"`},
		"an odd device":                     {"order\nC-ODD\n", "review", `"code":"odd_value"`},
		"an address alone":                  {"order,email\n,ann@example.com\n", "rejected", `"code":"missing_field"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReconcile(t, c.export,
				licenseapitest.License{ID: 1, Product: "XY", LicenseKey: "CANARY-KEY-0001", Order: "1001", CustomerEmail: "ann@example.com", Devices: []string{"canary-1"}},
				licenseapitest.License{ID: 2, Product: "XY", LicenseKey: "CANARY-KEY-0002", Order: "#1002", CustomerEmail: "ann@example.com", Devices: []string{"canary-2"}},
				licenseapitest.License{ID: 4, Product: "XY", LicenseKey: "CANARY-KEY-0004", Order: "C-ODD", Devices: []string{"=canary-4"}},
				licenseapitest.License{ID: 3, Product: "XY", LicenseKey: "CANARY-KEY-0003", Order: "C-1001", CustomerEmail: "ann@example.com", Devices: []string{"canary-3"}},
			)
			_, stdout, stderr := command(t, r.args("--json")...)
			first, _, _ := strings.Cut(stdout, "\n")
			if !strings.Contains(first, `"state":"`+c.state+`"`) || !strings.Contains(first, c.reason) {
				t.Errorf("no %s and %s in\n%s\n%s", c.state, c.reason, first, stderr)
			}
			if exists(r.path+".active.csv") != (c.state == "active") {
				t.Errorf("the file of active devices: exists is %v\n%s", exists(r.path+".active.csv"), stdout)
			}
		})
	}
}
