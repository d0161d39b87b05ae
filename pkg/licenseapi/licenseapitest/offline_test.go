package licenseapitest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const offlineDevice = "8b06c6053b7a2040f07c60b62f17f378ccc5030e21676f8a100a97ab36303ad0" // of the documentation's example

// newOfflineServer has the license, the user and the keys of the documentation's example.
func newOfflineServer(t *testing.T, options ...Option) *Server {
	t.Helper()
	s, err := New(State{
		APIKeys: map[string]string{apiKey: sharedKey, "apikey": "sharedkey"},
		Clients: map[string]string{"auth_company_1": "client-secret"},
		Licenses: []License{
			{ID: 4711, Product: "fooapp", Bundle: "BU", LicenseKey: "BSK8-CLCY-PB5E-BXFO", Devices: []string{offlineDevice}},
			{Product: "barapp", Bundle: "BU", LicenseKey: "BSK8-CLCY-PB5E-BXFO", Devices: []string{offlineDevice}},
			{Product: "fooapp", Username: "user@example.com", Devices: []string{offlineDevice}},
		},
	}, append([]Option{Clock(noon)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// postTo returns a well-signed POST of a body.
func postTo(t *testing.T, path, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	date := noon().Format(http.TimeFormat)
	r.Header.Set("Date", date)
	r.Header.Set("Authorization", authorization(sharedKey, date))
	r.Header.Set("Content-Type", contentType)
	return r
}

// publishedFile is a request file of schema v1 with the signature that the documentation prints; change alters its JSON.
func publishedFile(change ...string) string {
	text := `{"request":"deactivation","request_id":"1","date":"Fri, 29 Aug 2025 07:22:37 GMT","hardware_id":"` + offlineDevice +
		`","product":"fooapp","license_key":"BSK8-CLCY-PB5E-BXFO","api_key":"apikey","signature":"A7Tg3dBCc3OsegkPdPc6I1/sRqHj1uSuBR3ad8uaEnk="}`
	return base64.StdEncoding.EncodeToString([]byte(strings.NewReplacer(change...).Replace(text)))
}

// publishedV2 is the documentation's text of schema v2 for a deactivation, with the signature that is computed over it.
func publishedV2(signature string) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"request":{"schema_version":2,"api_key":"apikey","date":"Fri, 29 Aug 2025 07:22:37 GMT","hardware_id":"` +
		offlineDevice + `","ip_local":"192.168.1.226","license_key":"BSK8-CLCY-PB5E-BXFO","mac_address":"5A-8A-90-08-13-84","os_hostname":"Mac",` +
		`"os_ver":"Darwin 24.6.0","product":"fooapp","request":"deactivation","request_id":"D010714E-72DD-E4CF-BEBB-4105EC1B2A0F","sdk_lang":"cpp",` +
		`"sdk_ver":"7.41.1","signature":"A7Tg3dBCc3OsegkPdPc6I1/sRqHj1uSuBR3ad8uaEnk="},"signature":"` + signature + `"}`))
}

func sdkFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../signing/testdata/offline/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// form makes multipart/form-data with one part.
func form(t *testing.T, part, content string) (contentType, body string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.WriteField("note", "before the file"); err != nil {
		t.Fatal(err)
	}
	field, err := w.CreateFormFile(part, "ls_deactivation.req")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := field.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), out.String()
}

func TestRequestFilesThatAreTaken(t *testing.T) {
	t.Parallel()
	contentType, body := form(t, "file", publishedFile())
	for name, r := range map[string]*http.Request{
		"v1 of the documentation":   postTo(t, offlinePath, plainText, publishedFile()),
		"without a Content-Type":    postTo(t, offlinePath, "", publishedFile()),
		"a form":                    postTo(t, offlinePath, contentType, body),
		"v2 of the documentation":   postTo(t, offlinePath, plainText, publishedV2("99befb7fc1cb71138d981b6163cd55b92950e133ee102251c66a75620ae95d55")),
		"the Python SDK's":          postTo(t, offlinePath, plainText, sdkFile(t, "python-4.0.0-api-key.req")),
		"the Python SDK's, OAuth":   postTo(t, offlinePath, plainText, sdkFile(t, "python-4.0.0-oauth.req")),
		"the Node SDK's":            postTo(t, offlinePath, plainText, sdkFile(t, "node-1.4.17-api-key.req")),
		"the Node SDK's, OAuth":     postTo(t, offlinePath, plainText, sdkFile(t, "node-1.4.17-oauth.req")),
		"a bundle's":                postTo(t, bundleOfflinePath, plainText, publishedFile(`"fooapp"`, `"BU"`)),
		"a bundle's, as a form":     postTo(t, bundleOfflinePath, contentType, strings.Replace(body, publishedFile(), publishedFile(`"fooapp"`, `"BU"`), 1)),
		"with a newline at its end": postTo(t, offlinePath, plainText, publishedFile()+"\n"),
	} {
		s := newOfflineServer(t)
		before := devices(s)
		if status, code := said(t, s, r); status != http.StatusOK || code != success {
			t.Errorf("%s: %d %s", name, status, code)
		}
		freed := 1
		if r.URL.Path == bundleOfflinePath {
			freed = 2
		}
		if got := before - devices(s); got != freed {
			t.Errorf("%s: %d devices were freed, want %d", name, got, freed)
		}
	}
}

func devices(s *Server) (n int) {
	for _, l := range s.State().Licenses {
		n += len(l.Devices)
	}
	return n
}

func TestRequestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	otherPart, otherBody := form(t, "upload", publishedFile())
	emptyPart, emptyBody := form(t, "file", "")
	corruptPart, corruptBody := form(t, "file", "hello, this is no Base64")
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, c := range map[string]struct{ contentType, body, want string }{
		"no body":                  {plainText, "", "missing_parameters"},
		"a form without its file":  {otherPart, otherBody, "missing_parameters"},
		"a form that is none":      {"multipart/form-data; boundary=x", "hello", "missing_parameters"},
		"a form without boundary":  {"multipart/form-data", "hello", "missing_parameters"},
		"a form, its file empty":   {emptyPart, emptyBody, "missing_content"},
		"white space":              {plainText, " \n", "missing_content"},
		"an empty object":          {plainText, encode("{}"), "missing_content"},
		"no Base64":                {plainText, `{"license_key":"K1"}`, "authorization_missing_params"},
		"a form, its file corrupt": {corruptPart, corruptBody, "authorization_missing_params"},
		"no JSON":                  {plainText, encode("hello"), "authorization_missing_params"},
		"a list":                   {plainText, encode("[]"), "authorization_missing_params"},
		"a key of the wrong type":  {plainText, encode(`{"license_key":7}`), "validation_error"},
		"no license":               {plainText, publishedFile("license_key", "x"), "authorization_missing_params"},
		"no device":                {plainText, publishedFile("hardware_id", "x"), "authorization_missing_params"},
		"no account":               {plainText, publishedFile("api_key", "x"), "authorization_missing_params"},
		"no product":               {plainText, publishedFile("product", "x"), "missing_parameters"},
		"unknown API key":          {plainText, publishedFile(`"apikey"`, `"another"`), "invalid_api_key"},
		"unknown client":           {plainText, publishedFile(`"api_key":"apikey"`, `"client_id":"another"`), "invalid_api_key"},
		"another license":          {plainText, publishedFile("BSK8", "BSK9"), "signature_mismatch"},
		"another device":           {plainText, publishedFile("8b06", "8b07"), "signature_mismatch"},
		"another date":             {plainText, publishedFile("07:22:37", "07:22:36"), "signature_mismatch"},
		"no signature":             {plainText, publishedFile(`"signature"`, `"x"`), "signature_mismatch"},
		"a product that is none":   {plainText, publishedFile("fooapp", "nosuch"), "unknown_product"},
		"v2, hex in capitals":      {plainText, publishedV2("99BEFB7FC1CB71138D981B6163CD55B92950E133EE102251C66A75620AE95D55"), "signature_mismatch"},
		"v2, unsigned":             {plainText, publishedV2(""), "signature_mismatch"},
		"v2, changed": {plainText, encode(strings.Replace(string(mustDecode(t, publishedV2(
			"99befb7fc1cb71138d981b6163cd55b92950e133ee102251c66a75620ae95d55"))), "Mac", "Max", 1)), "signature_mismatch"},
		"v2, its inner signature changed": {plainText, resigned(t, strings.Replace(string(mustDecode(t, publishedV2(""))), "A7Tg", "B7Tg", 1)), "signature_mismatch"},
	} {
		s := newOfflineServer(t)
		before := devices(s)
		if status, code := said(t, s, postTo(t, offlinePath, c.contentType, c.body)); status != http.StatusBadRequest || code != c.want {
			t.Errorf("%s: %d %s, want 400 %s", name, status, code, c.want)
		}
		if devices(s) != before {
			t.Errorf("%s: a device was freed", name)
		}
	}

	s := newOfflineServer(t)
	r := postTo(t, offlinePath, plainText, publishedFile())
	r.Header.Del("Date")
	if status, code := said(t, s, r); status != http.StatusBadRequest || code != "missing_headers" {
		t.Errorf("without Date: %d %s", status, code)
	}
	r = postTo(t, offlinePath, plainText, "no Base64")
	r.Header.Set("Authorization", authorization("another", r.Header.Get("Date")))
	if status, code := said(t, s, r); status != http.StatusBadRequest || code != "signature_mismatch" {
		t.Errorf("the header comes first: %d %s", status, code)
	}
	s.Rotate("apikey", "")
	if _, code := said(t, s, postTo(t, offlinePath, plainText, publishedFile())); code != "revoked_api_key" {
		t.Errorf("a revoked key: %s", code)
	}
}

// resigned replaces the outer signature of a file of schema v2.
func resigned(t *testing.T, file string) string {
	t.Helper()
	inner := strings.TrimSuffix(strings.TrimPrefix(file, `{"request":`), `,"signature":""}`)
	mac := hmac.New(sha256.New, []byte("sharedkey"))
	mac.Write([]byte(inner))
	return base64.StdEncoding.EncodeToString([]byte(`{"request":` + inner + `,"signature":"` + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + `"}`))
}

func mustDecode(t *testing.T, text string) []byte {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestASecondFileOfOneDeviceFindsItInactive(t *testing.T) {
	t.Parallel()
	s := newOfflineServer(t)
	for _, want := range []string{success, "device_not_found"} {
		if _, code := said(t, s, postTo(t, offlinePath, plainText, publishedFile())); code != want {
			t.Errorf("got %s, want %s", code, want)
		}
	}
	if _, code := said(t, s, postTo(t, bundleOfflinePath, plainText, publishedFile())); code != "unknown_product" {
		t.Errorf("a product's file at the bundle's route: %s", code)
	}
}

func TestABundlesFileCanBeAnsweredWithAList(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	newOfflineServer(t, BundleList()).ServeHTTP(w, postTo(t, bundleOfflinePath, plainText, publishedFile(`"fooapp"`, `"BU"`)))
	if diff := cmp.Diff(`[{"product":"fooapp"},{"product":"barapp"}]`, w.Body.String()); w.Code != http.StatusOK || diff != "" {
		t.Errorf("%d (-want +got):\n%s", w.Code, diff)
	}
}

func TestAFloatingLicenseIsReleasedWithAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	s := newOfflineServer(t)
	body := `{"product":"fooapp","license_key":"BSK8-CLCY-PB5E-BXFO","hardware_id":"` + offlineDevice + `"}`
	w := httptest.NewRecorder()
	s.ServeHTTP(w, postTo(t, floatingReleasePath, jsonText, body))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || s.Counts().Answers["floating_released"] != 1 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if status, code := said(t, s, postTo(t, floatingReleasePath, jsonText, body)); status != http.StatusBadRequest || code != "device_not_found" {
		t.Errorf("the second time: %d %s", status, code)
	}
}

func TestTheAddressOfTheTokenEndpointIsTold(t *testing.T) {
	t.Parallel()
	s := newOfflineServer(t)
	for target, want := range map[string]string{
		"http://127.0.0.1:8090/api/v4/oauth_url?login_type=client_credentials": `{"url":"http://127.0.0.1:8090/realms/user-portal/protocol/openid-connect/token"}`,
		"https://fake.test/api/v4/oauth_url?login_type=client_credentials":     `{"url":"https://fake.test/realms/user-portal/protocol/openid-connect/token"}`,
		"http://127.0.0.1:8090/api/v4/oauth_url":                               "missing_parameters",
		"http://127.0.0.1:8090/api/v4/oauth_url?login_type=password":           "validation_error",
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", target, w.Code, w.Body, want)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, oauthURLPath, nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
