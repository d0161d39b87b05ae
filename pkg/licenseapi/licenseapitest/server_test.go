package licenseapitest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	apiKey    = "api-key"
	sharedKey = "kw4qSnpSwXzgiv5yxYpZZmFEd9QAeiKTQ6OuyMja" // published example
)

// noon is a fixed time for a server with Clock.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func sign(shared, date string) string {
	mac := hmac.New(sha256.New, []byte(shared))
	mac.Write([]byte("licenseSpring\ndate: " + date))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func authorization(shared, date string) string {
	return `algorithm="hmac-sha256",headers="date",signature="` + sign(shared, date) + `",apikey="` + apiKey + `"`
}

// newServer returns a server whose clock always shows noon.
func newServer(t *testing.T, options ...Option) *Server {
	t.Helper()
	no := false
	s, err := New(State{
		APIKeys: map[string]string{apiKey: sharedKey},
		Licenses: []License{
			{Product: "XY", LicenseKey: "K1", Devices: []string{"hw1", "hw2"}},
			{Product: "XY", LicenseKey: "K-disabled", Devices: []string{"hw1"}, Enabled: &no},
			{Product: "XY", LicenseKey: "K-new", Devices: nil},
			{Product: "XY", Username: "test@example.com", Password: "some_password123", Devices: []string{"some-unique-id"}},
			{ID: 1, Product: "US", Username: "u", Devices: []string{"hw1"}, Bundle: "B1"},
			{ID: 2, Product: "US", Username: "u", Devices: []string{"hw1", "hw2"}},
			{Product: "SS", CustomerAccountCode: "acc", IDToken: "tok", Code: "cod", Devices: []string{"hw1", "hw2"}},
		},
	}, append([]Option{Clock(noon)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request returns a correctly signed POST; change may spoil it.
func newRequest(t *testing.T, body string, change func(*http.Request)) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v4/deactivate_license", strings.NewReader(body))
	date := noon().Format(http.TimeFormat)
	r.Header.Set("Date", date)
	r.Header.Set("Authorization", authorization(sharedKey, date))
	if change != nil {
		change(r)
	}
	return r
}

// said returns the status and the code of an answer, or the body of a 200.
func said(t *testing.T, s http.Handler, r *http.Request) (status int, code string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		return w.Code, w.Body.String()
	}
	var body struct {
		Status  int
		Code    string
		Message string
	}
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil || body.Status != w.Code || body.Message == "" {
		t.Errorf("status %d with a body that is not the documented one: %v %+v", w.Code, err, body)
	}
	return w.Code, body.Code
}

func TestHeadersAreChecked(t *testing.T) {
	t.Parallel()
	const body = `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	dated := func(date string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Date", date)
			r.Header.Set("Authorization", authorization(sharedKey, date))
		}
	}
	replaced := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), old, with))
		}
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"as documented", nil, success},
		{"space after commas", replaced(",", ", "), success},
		{"apiKey", replaced("apikey=", "apiKey="), success},
		{"14 minutes 59 old", dated(noon().Add(-899 * time.Second).Format(http.TimeFormat)), success},
		{"15 minutes old", dated(noon().Add(-900 * time.Second).Format(http.TimeFormat)), success},
		{"15 minutes 1 old", dated(noon().Add(-901 * time.Second).Format(http.TimeFormat)), "date_header_diff"},
		{"15 minutes ahead", dated(noon().Add(900 * time.Second).Format(http.TimeFormat)), success},
		{"15 minutes 1 ahead", dated(noon().Add(901 * time.Second).Format(http.TimeFormat)), "date_header_diff"},
		{"UTC for GMT", dated(noon().Format(time.RFC1123)), "date_header_diff"},
		{"RFC 3339", dated(noon().Format(time.RFC3339)), "date_header_diff"},
		{"wrong weekday", dated("Mon, 02 Jan 2026 12:00:00 GMT"), "date_header_diff"},
		{"no date", func(r *http.Request) { r.Header.Del("Date") }, "missing_headers"},
		{"no authorization", func(r *http.Request) { r.Header.Del("Authorization") }, "missing_headers"},
		{"two spaces", replaced(",", ",  "), "authorization_invalid_headers"},
		{"space before commas", replaced(",", " ,"), "authorization_invalid_headers"},
		{"no quotes", replaced(`"`, ""), "authorization_invalid_headers"},
		{"signature twice", replaced(`headers="date"`, `headers="date",headers="date"`), "authorization_invalid_headers"},
		{"Bearer", header("Authorization", "Bearer abc"), "oauth_token_malformed"},
		{"no algorithm", replaced(`algorithm="hmac-sha256",`, ""), "authorization_missing_params"},
		{"no signature", replaced(`signature="`, `sig="`), "authorization_missing_params"},
		{"no api key", replaced(`apikey="`, `key="`), "authorization_missing_params"},
		{"empty signature", header("Authorization", `algorithm="hmac-sha256",headers="date",signature="",apikey="api-key"`), "authorization_missing_params"},
		{"hmac-sha1", replaced("hmac-sha256", "hmac-sha1"), "hmac_required"},
		{"other headers", replaced(`headers="date"`, `headers="host"`), "authorization_invalid_headers"},
		{"unknown api key", replaced(`apikey="api-key"`, `apikey="other"`), "invalid_api_key"},
		{"wrong shared key", func(r *http.Request) { r.Header.Set("Authorization", authorization("x", r.Header.Get("Date"))) }, "signature_mismatch"},
		{"signature of another date", header("Date", noon().Add(time.Second).Format(http.TimeFormat)), "signature_mismatch"},
		{"signature in URL letters", func(r *http.Request) {
			date := dateWithPlus()
			r.Header.Set("Date", date)
			r.Header.Set("Authorization", strings.NewReplacer("+", "-", "/", "_").Replace(authorization(sharedKey, date)))
		}, "signature_mismatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, code := said(t, newServer(t), newRequest(t, body, c.change))
			if code != c.want {
				t.Errorf("got %d %s, want %s", status, code, c.want)
			}
			if code != success && status != http.StatusBadRequest {
				t.Errorf("got status %d, want 400", status)
			}
		})
	}
}

// dateWithPlus finds a date within the tolerance whose signature the two alphabets of base64 write differently.
func dateWithPlus() string {
	for at := noon(); ; at = at.Add(time.Second) {
		if date := at.Format(http.TimeFormat); strings.ContainsAny(sign(sharedKey, date), "+/") {
			return date
		}
	}
}

// TestThePublishedSignatureIsTheFakesToo: https://docs.licensespring.com/license-api/license-api-authorization/request-signature
func TestThePublishedSignatureIsTheFakesToo(t *testing.T) {
	t.Parallel()
	const date = "Tue, 07 Jun 2011 20:51:35 GMT"
	s := newServer(t, Clock(func() time.Time { return time.Date(2011, 6, 7, 20, 52, 0, 0, time.UTC) }))
	_, code := said(t, s, newRequest(t, `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`, func(r *http.Request) {
		r.Header.Set("Date", date)
		r.Header.Set("Authorization",
			`algorithm="hmac-sha256", headers="date", signature="UDysfR6MndUZReo07Y9r+vErn8vSxrnQ5ulit18iJ/Q=", apikey="api-key"`)
	}))
	if code != success {
		t.Errorf("got %s", code)
	}
}

// TestThePublishedSampleIsTaken sends the same as the documentation's curl sample for user-based licenses, over HTTP,
// with the present date and its signature.
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-online-method
// (the page's edition of 22 September 2023)
func TestThePublishedSampleIsTaken(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]string{"no space after commas": ",", "space after commas": ", "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Clock(time.Now))
			url, stop, err := s.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			date := time.Now().UTC().Format(http.TimeFormat)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/deactivate_license", strings.NewReader(`{
    "username": "test@example.com",
    "password": "some_password123",
    "hardware_id": "some-unique-id",
    "product": "XY"
}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{
				"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}, "Content-Type": {"application/json"}, "Date": {date},
				"Authorization": {strings.ReplaceAll(authorization(sharedKey, date), ",", between)},
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || string(body) != "license_deactivated" {
				t.Errorf("got %d %s %v", resp.StatusCode, body, err)
			}
		})
	}
}

func TestBodiesAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want string }{
		{``, "missing_parameters"},
		{" \n", "missing_parameters"},
		{`{`, "invalid_json"},
		{`<html>`, "invalid_json"},
		{`[]`, "validation_error"},
		{`{"product":1,"license_key":"K1","hardware_id":"hw1"}`, "validation_error"},
		{`{"product":"XY","license_key":"K1","hardware_id":"hw1","is_vm":"Boolean"}`, "validation_error"},
		{`{"product":"XY","license_key":"K1","hardware_id":"hw1","license_id":"1"}`, "validation_error"},
		{`{"product":"XY","license_key":"K1","hardware_id":"hw1","variables":"x"}`, "validation_error"},
		{`{"product":"XY","license_key":"K1"}`, "missing_hardware_id"},
		{`{"product":"XY","license_key":"K1","hardware_id":""}`, "missing_hardware_id"},
		{`{"license_key":"K1","hardware_id":"hw1"}`, "missing_parameters"},
		{`{"product":"XY","hardware_id":"hw1"}`, "license_key_required"},
		{`{"product":"XY","hardware_id":"hw1","license_key":"K1","username":"u"}`, "validation_error"},
		{`{"product":"SS","hardware_id":"hw1","id_token":"tok"}`, "validation_error"},
		{`{"product":"ZZ","license_key":"K1","hardware_id":"hw1"}`, "unknown_product"},
		{`{"product":"US","license_key":"K1","hardware_id":"hw1"}`, "license_not_found"},
		{`{"product":"XY","license_key":"k1","hardware_id":"hw1"}`, "license_not_found"},
		{`{"product":"XY","license_key":"K-disabled","hardware_id":"hw1"}`, "license_not_enabled"},
		{`{"product":"XY","license_key":"K-new","hardware_id":"hw1"}`, "license_not_active"},
		{`{"product":"XY","license_key":"K1","hardware_id":"other"}`, "device_not_found"},
		{`{"product":"XY","username":"test@example.com","password":"wrong","hardware_id":"some-unique-id"}`, "license_not_found"},
		{`{"product":"XY","username":"test@example.com","hardware_id":"some-unique-id"}`, success},
		{`{"product":"SS","customer_account_code":"other","id_token":"tok","hardware_id":"hw1"}`, "customer_account_not_found"},
		{`{"product":"SS","customer_account_code":"acc","id_token":"other","hardware_id":"hw1"}`, "license_not_found"},
		{`{"product":"SS","customer_account_code":"acc","id_token":"tok","hardware_id":"hw1"}`, success},
		{`{"product":"SS","customer_account_code":"acc","code":"cod","hardware_id":"hw1"}`, success},
		{`{"product":"US","username":"u","hardware_id":"hw2"}`, success},
		{`{"product":"US","username":"u","hardware_id":"hw1","license_id":2}`, success},
		{`{"product":"US","username":"u","hardware_id":"hw2","license_id":1}`, "device_not_found"},
		{`{"product":"US","username":"u","hardware_id":"hw1","license_id":3}`, "license_not_found"},
		{`{"product":"US","username":"u","hardware_id":"hw1","bundle_code":"B1"}`, success},
		{`{"product":"US","username":"u","hardware_id":"hw1","bundle_code":"B2"}`, "license_not_found"},
		{`{"product":"XY","license_key":"K1","hardware_id":"hw1","consumptions":-1,"variables":{"a":1},"is_vm":true,"unknown":[]}`, success},
	} {
		t.Run(c.body, func(t *testing.T) {
			t.Parallel()
			if status, code := said(t, newServer(t), newRequest(t, c.body, nil)); code != c.want {
				t.Errorf("got %d %s, want %s", status, code, c.want)
			}
		})
	}
}

func TestABundleIsDeactivatedOnEveryRow(t *testing.T) {
	t.Parallel()
	no := false
	const base = `{"product":"BU","license_key":"K1","hardware_id":"hw1"}`
	for _, c := range []struct {
		name, body, want string
		left             []int // devices of each row
	}{
		{"both rows of the key", base, success, []int{1, 0, 1, 1, 1}},
		{"one row has the device", strings.Replace(base, "hw1", "hw2", 1), success, []int{1, 1, 1, 1, 1}},
		{"none has it", strings.Replace(base, "hw1", "hw3", 1), "device_not_found", []int{2, 1, 1, 1, 1}},
		{"one row of two is disabled", strings.Replace(base, "BU", "B2", 1), success, []int{2, 1, 1, 1, 0}},
		{"license_id of one", strings.Replace(base, "{", `{"license_id":2,`, 1), success, []int{2, 0, 1, 1, 1}},
		{"another key", strings.Replace(base, "K1", "K9", 1), "license_not_found", []int{2, 1, 1, 1, 1}},
		{"a product", strings.Replace(base, "BU", "P1", 1), "unknown_product", []int{2, 1, 1, 1, 1}},
		{"no device", strings.Replace(base, "hw1", "", 1), "missing_hardware_id", []int{2, 1, 1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := New(State{APIKeys: map[string]string{apiKey: sharedKey}, Licenses: []License{
				{ID: 1, Product: "P1", Bundle: "BU", LicenseKey: "K1", Devices: []string{"hw1", "hw2"}},
				{ID: 2, Product: "P2", Bundle: "BU", LicenseKey: "K1", Devices: []string{"hw1"}},
				{ID: 3, Product: "P2", Bundle: "BU", LicenseKey: "K2", Devices: []string{"hw1"}},
				{ID: 4, Product: "P1", Bundle: "B2", LicenseKey: "K1", Devices: []string{"hw1"}, Enabled: &no},
				{ID: 5, Product: "P2", Bundle: "B2", LicenseKey: "K1", Devices: []string{"hw1"}},
			}}, Clock(noon))
			if err != nil {
				t.Fatal(err)
			}
			if _, code := said(t, s, newRequest(t, c.body, func(r *http.Request) { r.URL.Path = bundlePath })); code != c.want {
				t.Errorf("got %s, want %s", code, c.want)
			}
			var left []int
			for _, l := range s.State().Licenses {
				left = append(left, len(l.Devices))
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("devices left (-want +got):\n%s", diff)
			}
			if _, code := said(t, s, newRequest(t, base, nil)); code != "unknown_product" {
				t.Errorf("deactivate_license of the bundle: got %s, want unknown_product", code)
			}
		})
	}
}

func TestRoutesComeBeforeEverything(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{http.MethodPost, "/api/v4/deactivate_license/", 404, "not_found"},
		{http.MethodPost, "/api/v4/activate_license", 404, "not_found"},
		{http.MethodPost, "/deactivate_license", 404, "not_found"},
		{http.MethodGet, "/", 404, "not_found"},
		{http.MethodGet, "/api/v4/deactivate_license", 405, "method_not_allowed"},
		{http.MethodGet, "/api/v4/deactivate_bundle", 405, "method_not_allowed"},
		{http.MethodPost, "/api/v4/deactivate_bundle/", 404, "not_found"},
		{http.MethodPut, "/api/v4/deactivate_license", 405, "method_not_allowed"},
		{http.MethodPost, "/api/v4", 405, "method_not_allowed"},
		{http.MethodGet, TokenPath, 405, "method_not_allowed"},
		{http.MethodGet, "/api/v4", 200, "a fake of the License API\n"},
		{http.MethodHead, "/api/v4/", 200, "a fake of the License API\n"}, // net/http would not send the body
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		if status, code := said(t, newServer(t), r); status != c.status || code != c.code {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, status, code, c.status, c.code)
		}
	}
}

func TestDevicesAreFreedOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const body = `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`
	for i, want := range []string{success, "device_not_found", "device_not_found"} {
		if _, code := said(t, s, newRequest(t, body, nil)); code != want {
			t.Errorf("call %d: got %s, want %s", i+1, code, want)
		}
	}
	if diff := cmp.Diff([]string{"hw2"}, s.State().Licenses[0].Devices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	// The last device of a license: the license was active once, so the code is that of a device that is not found.
	last := strings.Replace(body, "hw1", "hw2", 1)
	for i, want := range []string{success, "device_not_found"} {
		if _, code := said(t, s, newRequest(t, last, nil)); code != want {
			t.Errorf("last device, call %d: got %s, want %s", i+1, code, want)
		}
	}
	want := Counts{Calls: 5, AtOnce: 1, Answers: map[string]int{success: 2, "device_not_found": 3}}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	const body = `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`
	s := newServer(t)
	s.Rotate(apiKey, "new")
	if _, code := said(t, s, newRequest(t, body, nil)); code != "signature_mismatch" {
		t.Errorf("the old key: got %s", code)
	}
	_, code := said(t, s, newRequest(t, body, func(r *http.Request) {
		r.Header.Set("Authorization", authorization("new", r.Header.Get("Date")))
	}))
	if code != success {
		t.Errorf("the new key: got %s", code)
	}
	s.Rotate(apiKey, "")
	if _, code := said(t, s, newRequest(t, body, nil)); code != "revoked_api_key" {
		t.Errorf("a revoked key: got %s", code)
	}
}

func TestTheSuccessCanBeQuoted(t *testing.T) {
	t.Parallel()
	_, body := said(t, newServer(t, Quoted()), newRequest(t, `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`, nil))
	if body != `"license_deactivated"` {
		t.Errorf("got %s", body)
	}
}

func TestAStateFileIsRead(t *testing.T) {
	t.Parallel()
	const file = `{"api_keys":{"key":"shared"},"licenses":[
		{"product":"XY","license_key":"K","devices":["hw1"],"enabled":true},
		{"id":7,"product":"US","bundle":"B","username":"u","password":"p","devices":["hw1"]}]}`
	var state State
	dec := json.NewDecoder(bytes.NewReader([]byte(file)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&state); err != nil {
		t.Fatal(err)
	}
	s, err := New(state)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, s.State()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	state.Licenses[0].Devices[0] = "changed"
	if s.State().Licenses[0].Devices[0] != "hw1" {
		t.Error("the server shares the caller's slice")
	}
}

func TestNewNamesEveryFaultOfAState(t *testing.T) {
	t.Parallel()
	_, err := New(State{
		APIKeys: map[string]string{"k-secret": ""},
		Clients: map[string]string{"c-secret": " "},
		Licenses: []License{
			{LicenseKey: "l-secret"},
			{Product: "XY"},
			{Product: "XY", LicenseKey: "l-secret", Username: "u-secret"},
			{Product: "XY", LicenseKey: "l-secret2", Password: "p-secret"},
			{Product: "XY", IDToken: "t-secret", Username: "x"},
			{Product: "XY", LicenseKey: "l-secret3", Devices: []string{"d-secret", "d-secret"}},
			{Product: "XY", LicenseKey: "l-secret4"},
			{Product: "XY", LicenseKey: "l-secret4"},
			{ID: 1, Product: "XY", LicenseKey: "l-secret4"},
		},
	})
	if err == nil {
		t.Fatal("got nil")
	}
	for _, want := range []string{"api_keys", "clients", "licenses[0]", "licenses[1]", "licenses[2]", "licenses[3]", "licenses[4]", "licenses[5]", "licenses[7]"} {
		if !strings.Contains(err.Error(), "licenseapitest: "+want+":") {
			t.Errorf("%s is not named in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "licenses[8]") {
		t.Errorf("a value, or a good row, is named in:\n%v", err)
	}
}
