package managementapi

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"license-deactivator/pkg/internal/apihttp"
)

// FuzzReply answers a call with arbitrary bytes. It requires that a returned list is whole or says that it is not, that
// each record has its required fields, and that no error holds the key or the filter's value.
func FuzzReply(f *testing.F) {
	const all = "canary-order " + testKey
	for _, seed := range []struct {
		status     int
		retryAfter string
		body       string
	}{
		{200, "", `{"count":1,"next":null,"results":[{"id":7,"enabled":true,"order_store_id":"canary-order"}]}`},
		{200, "", `{"count":1,"results":[{"id":7,"hardware_id":"hw","device_active":true,"license":{"id":9}}]}`},
		{200, "", `{"count":2,"results":[{"id":7,"status":"Disabled"},{"id":7,"status":"Disabled"}]}`},
		{200, "", `{"count":500,"results":[{"id":"7","enabled":"false","created_at":"2026-01-02T03:04"}]}`},
		{200, "", `{"Count":0,"count":0,"RESULTS":[]}`},
		{200, "", all},
		{400, "", `{"order__store_id":["` + all + `"]}`},
		{403, "", `{"detail":"` + all + `\u0000"}`},
		{429, "30", `{"detail":["a"]}`},
		{503, "-1", strings.Repeat("[", 20_000)},
		{101, "", "\xff\xfe"},
	} {
		f.Add(seed.status, seed.retryAfter, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		client := answering(t, func(*http.Request) (*http.Response, error) {
			return response(status, http.Header{"Retry-After": {retryAfter}, "X-Request-Id": {all}}, string(body)), nil
		})
		licenses, err := client.Licenses(t.Context(), ByOrder("canary-order"), 10)
		checkFuzzed(t, err, status, "canary-order", licenses.Whole == (len(licenses.Records) == licenses.Count))
		for _, l := range licenses.Records {
			if l.ID < 1 {
				t.Errorf("a license without an id: %v", l)
			}
		}
		devices, err := client.Devices(t.Context(), 9, 10)
		checkFuzzed(t, err, status, testKey, devices.Whole == (len(devices.Records) == devices.Count))
		for _, d := range devices.Records {
			if d.ID < 1 || d.HardwareID == "" {
				t.Errorf("a device without an id: %v", d)
			}
		}
		checkFuzzed(t, client.Disable(t.Context(), 7), status, testKey, true)
	})
}

func checkFuzzed(t *testing.T, err error, status int, secret string, ok bool) {
	t.Helper()
	if err == nil {
		if status != http.StatusOK || !ok {
			t.Errorf("status %d is taken for a list", status)
		}
		return
	}
	if kind := KindOf(err); kind <= KindNone || kind > KindRejected || CodeOf(err) == "" {
		t.Errorf("kind %v, code %q", kind, CodeOf(err))
	}
	text := err.Error()
	if strings.Contains(strings.ToLower(text), secret) || strings.Contains(text, testKey) {
		t.Error("the error holds a value of the request")
	}
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 2*apihttp.MaxTextRunes {
		t.Error("the error is no line of a log")
	}
}
