package worker_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestNothingSecretOfALookupIsLogged: neither the Management key nor a license key, a device, a user or an e-mail address, in
// whatever way the APIs answer.
func TestNothingSecretOfALookupIsLogged(t *testing.T) {
	t.Parallel()
	fake := func(fault string) http.Handler {
		api := bothAPIs(t,
			licenseapitest.License{ID: 1, Product: "XY", LicenseKey: "canary-license-key-0001", Order: "pi_1", CustomerEmail: "canary@example.com",
				Devices: []string{"canary-hardware-0001", "canary-hardware-0002"}},
			licenseapitest.License{ID: 2, Product: "US", Username: "canary@example.com", Order: "pi_2", CustomerEmail: "canary@example.com",
				Devices: []string{"canary-hardware-0003"}})
		if fault == "" {
			return api
		}
		if err := api.Fail(fault); err != nil {
			t.Fatal(err)
		}
		return api
	}
	for name, api := range map[string]http.Handler{
		"found":                   fake(""),
		"the key is refused":      fake("management-403"),
		"filters are ignored":     fake("management-filters-ignored"),
		"filters are refused":     fake("management-filters-refused"),
		"no keys":                 fake("management-null-keys"),
		"writes are ignored":      fake("management-writes-ignored"),
		"the API is down":         fake("management-down"),
		"echo of 200":             echoing(200, ""),
		"echo of 400":             echoing(400, ""),
		"echo of 403":             echoing(403, ""),
		"echo of 403 as JSON":     echoing(403, "odd_code"),
		"echo of 404":             echoing(404, ""),
		"echo of 429":             echoing(429, ""),
		"echo of 503 as JSON":     echoing(503, "odd_code"),
		"echo of 302":             echoing(302, ""),
		"devices are refused":     fake("echo"),
		"the License API is down": fake("503"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, api, lookingUp)
			byKey, named := refund(3), request(5)
			byKey.LicenseKey = "canary-license-key-0001"
			byKey.Lookup.Email = "canary@example.com"
			named.License = deactivation.License{Product: "XY", LicenseKey: "canary-license-key-0001", HardwareID: "canary-hardware-0001"}
			named.Disable = true
			r.work(wire(refund(1, "pi_1")), wire(refund(2, "pi_2")), wire(byKey), wire(named))
			check := func(where, text string) {
				if at := strings.Index(strings.ToLower(text), "canary"); at >= 0 {
					t.Errorf("%s: …%.120s", where, text[max(at-60, 0):])
				}
			}
			check("log and metrics", string(r.log.Bytes()))
			for _, m := range r.logged() {
				check("logged", fmt.Sprintf("%+v", m))
			}
			for _, letter := range r.letters() {
				for name, value := range letter.Attributes {
					check("attribute "+name, value)
				}
			}
			if len(r.logged()) != 4 {
				t.Errorf("%d outcomes: the test did not go through everything", len(r.logged()))
			}
		})
	}
}
