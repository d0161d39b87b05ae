package source_test

import (
	"slices"
	"testing"

	"license-deactivator/internal/deactivation"
)

// PayPal's custom_id is one text.
func TestALicenseIsReadFromJSONInAText(t *testing.T) {
	t.Parallel()
	const file = `verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
license:
  - {json: custom, by: buyer}
  - data
rules: [{name: r, when: "a == 'b'", cause: refund}]
`
	for body, c := range map[string]struct {
		key     string // "": unmappable
		missing []string
		problem string
	}{
		`{"a":"b","custom":"{\"license_key\":\"K-1\",\"hardware_id\":\"h1\",\"product\":\"P\"}"}`:                             {key: "K-1"},
		`{"a":"b","custom":"  {\"license_key\":123456789012345678,\"hardware_id\":\"h1\",\"product\":\"P\"}"}`:                {key: "123456789012345678"},
		`{"a":"b","custom":"ORDER-17","data":{"license_key":"K-2","hardware_id":"h1","product":"P"}}`:                         {key: "K-2"},
		`{"a":"b","custom":17,"data":{"license_key":"K-2","hardware_id":"h1","product":"P"}}`:                                 {key: "K-2"},
		`{"a":"b","custom":{"license_key":"K-1","hardware_id":"h1","product":"P"}}`:                                           {missing: []string{"license_key", "product", "hardware_id"}},
		`{"a":"b","custom":"[{\"license_key\":\"K-1\",\"hardware_id\":\"h1\",\"product\":\"P\"}]"}`:                           {missing: []string{"license_key", "product", "hardware_id"}},
		`{"a":"b","custom":"{\"license_key\":\"K-1\",\"hardw","data":{"license_key":"K-2","hardware_id":"h1","product":"P"}}`: {problem: "custom: a text that begins as a JSON object and is none"},
		`{"a":"b","custom":"{\"license_key\":\"K-1\"} x"}`:                                                                    {problem: "custom: a text that begins as a JSON object and is none"},
	} {
		m := one(t, file, body)
		switch {
		case c.key != "" && (m.Answer != deactivation.Accepted || m.Requests[0].LicenseKey != c.key || m.Requests[0].Buyer != (c.key != "K-2")):
			t.Errorf("%s: %+v", body, m)
		case c.key == "" && (m.Answer != deactivation.Unmappable || !slices.Equal(m.Missing, c.missing) || m.Problem != c.problem):
			t.Errorf("%s: %s, missing %v, problem %q", body, m.Answer, m.Missing, m.Problem)
		}
	}
}
