package licenseapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

const offlineDevice = "8b06c6053b7a2040f07c60b62f17f378ccc5030e21676f8a100a97ab36303ad0" // of the documentation's example

// sdkFile is a request file that the vendor's Python SDK wrote: it ends in a newline.
func sdkFile(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../signing/testdata/offline/python-4.0.0-api-key.req")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// offlineAPI starts the fake with the license of the SDK's file, also in a bundle.
func offlineAPI(t *testing.T, options ...licenseapitest.Option) (api *licenseapitest.Server, url string) {
	t.Helper()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey, "apikey": "sharedkey"},
		Licenses: []licenseapitest.License{
			{ID: 4711, Product: "fooapp", LicenseKey: "BSK8-CLCY-PB5E-BXFO", Devices: []string{offlineDevice}},
			{ID: 1, Product: "P1", Bundle: "BU", LicenseKey: "BSK8-CLCY-PB5E-BXFO", Devices: []string{offlineDevice}},
			{ID: 2, Product: "P2", Bundle: "BU", LicenseKey: "BSK8-CLCY-PB5E-BXFO", Devices: []string{offlineDevice}},
		},
	}, options...)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return api, url
}

func TestARequestFileIsSentByTextAndByForm(t *testing.T) {
	t.Parallel()
	for _, multipart := range []bool{false, true} {
		_, url := offlineAPI(t)
		client, log := testClient(t, url)
		file := RequestFile{Content: sdkFile(t), Multipart: multipart}
		if err := client.DeactivateOffline(t.Context(), file); err != nil {
			t.Errorf("multipart %t: %v", multipart, err)
		}
		if err := client.DeactivateOffline(t.Context(), file); KindOf(err) != KindAlreadyInactive || CodeOf(err) != "device_not_found" {
			t.Errorf("multipart %t, the second time: got %v, want already inactive", multipart, err)
		}
		if log.Len() != 0 {
			t.Errorf("the documented body was logged: %s", log)
		}
	}
}

// TestARequestFileIsPostedAsItIs shows that the file is trimmed and otherwise unchanged.
func TestARequestFileIsPostedAsItIs(t *testing.T) {
	t.Parallel()
	text := sdkFile(t)
	for _, c := range []struct {
		name, op, body string
		file           RequestFile
	}{
		{"text", "deactivate_offline", `license_deactivated`, RequestFile{Content: "\r\n" + text + "\n"}},
		{"form", "deactivate_offline", `"license_deactivated"`, RequestFile{Content: text, Multipart: true}},
		{"bundle, text", "deactivate_bundle_offline", `license_deactivated`, RequestFile{Content: text}},
		{"bundle, form", "deactivate_bundle_offline", `[{"product":"P1"}]`, RequestFile{Content: text, Multipart: true}},
	} {
		client, log := testClient(t, "https://api.licensespring.com/api/v4/")
		client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPost || r.URL.String() != "https://api.licensespring.com/api/v4/"+c.op || r.ContentLength <= 0 {
				t.Errorf("%s: %s %s of %d bytes", c.name, r.Method, r.URL, r.ContentLength)
			}
			if r.Header.Get("Accept") != "application/json" || r.Header.Get("Date") == "" || !strings.HasPrefix(r.Header.Get("Authorization"), "algorithm=") {
				t.Errorf("%s: it is not signed as other calls are", c.name)
			}
			if got := posted(t, r, c.file.Multipart); got != strings.TrimSpace(text) {
				t.Errorf("%s: the file was changed", c.name)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(c.body))}, nil
		})
		call := client.DeactivateOffline
		if strings.HasPrefix(c.name, "bundle") {
			call = client.DeactivateBundleOffline
		}
		if err := call(t.Context(), c.file); err != nil || log.Len() != 0 {
			t.Errorf("%s: %v, log %q", c.name, err, log)
		}
	}
}

// posted returns the request file in a request.
func posted(t *testing.T, r *http.Request, form bool) string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var body io.Reader = r.Body
	if form {
		part, err := multipart.NewReader(r.Body, parameters["boundary"]).NextPart()
		if err != nil || kind != "multipart/form-data" || part.FormName() != "file" || part.FileName() == "" {
			t.Fatalf("%s: %v", kind, err)
		}
		body = part
	} else if kind != "text/plain" {
		t.Errorf("Content-Type %s", kind)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestABundlesRequestFileIsAnsweredByTheWordOrAList(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.FileV1(signing.OfflineRequest{
		RequestID: "1", Date: "Fri, 29 Aug 2025 07:22:37 GMT", Product: "BU", LicenseKey: "BSK8-CLCY-PB5E-BXFO", HardwareID: offlineDevice,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]licenseapitest.Option{"word": nil, "quoted": {licenseapitest.Quoted()}, "list": {licenseapitest.BundleList()}} {
		api, url := offlineAPI(t, options...)
		client, log := testClient(t, url)
		if err := client.DeactivateBundleOffline(t.Context(), RequestFile{Content: text}); err != nil || log.Len() != 0 {
			t.Errorf("%s: got %v, log %q; want nil and no log", name, err, log)
		}
		left := 0
		for _, l := range api.State().Licenses {
			left += len(l.Devices)
		}
		if left != 1 {
			t.Errorf("%s: %d devices are left, want that of the product outside the bundle", name, left)
		}
	}
}

func TestAListIsNotWhatADeactivatedLicenseIsAnsweredWith(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bundle   bool
		body     string
		expected bool
	}{
		{false, `license_deactivated`, true}, {false, `[{"product":"P1"}]`, false}, {true, `[{"product":"P1"}]`, true}, {true, `["P1"]`, true},
		{true, `[]`, false}, {true, `null`, false}, {true, `{"code":"license_not_found"}`, false}, {true, ``, false}, {true, `<html>`, false},
	} {
		known := saysDeactivated
		if c.bundle {
			known = saysBundleDeactivated
		}
		if got := known(c.body); got != c.expected {
			t.Errorf("bundle %t, %s: got %t", c.bundle, c.body, got)
		}
	}
}

func TestACorruptRequestFileIsRefusedWithItsReasonAndNotSent(t *testing.T) {
	t.Parallel()
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, c := range map[string]struct {
		content  string
		sentinel error
		code     string
		want     string
	}{
		"empty":    {" \n", ErrMissingField, "missing_field", "request_file"},
		"JSON":     {`{"license_key":"canary"}`, ErrInvalidField, "invalid_field", "JSON that is not in Base64"},
		"text":     {"canary, canary", ErrInvalidField, "invalid_field", "not Base64 (at byte 7"},
		"cut":      {sdkFile(t)[:400], ErrInvalidField, "invalid_field", "not of a JSON object (at byte"},
		"a list":   {encode(`["canary"]`), ErrInvalidField, "invalid_field", "not of a JSON object"},
		"twice":    {encode(sdkFile(t)), ErrInvalidField, "invalid_field", "Base64 of Base64"},
		"too long": {strings.Repeat("A", signing.MaxRequestFileBytes+1), ErrInvalidField, "invalid_field", "longer than"},
	} {
		client, _ := testClient(t, "https://api.licensespring.com/api/v4/")
		client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
			t.Errorf("%s: it was sent", name)
			return nil, io.EOF
		})
		err := client.DeactivateOffline(t.Context(), RequestFile{Content: c.content})
		if !errors.Is(err, c.sentinel) || KindOf(err) != KindRejected || CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTheKindOfAnOfflineAnswer: a file has its own signature, key and date, so their refusal is not a fault of the
// deployment, and a missing part is a fault of the file.
func TestTheKindOfAnOfflineAnswer(t *testing.T) {
	t.Parallel()
	other := map[string]Kind{
		"authorization_missing_params": KindRejected, "signature_mismatch": KindFileRefused, "invalid_api_key": KindFileRefused,
		"revoked_api_key": KindFileRefused, "date_header_diff": KindFileRefused,
	}
	for _, row := range Codes() {
		want, differs := other[row.Code]
		if !differs {
			want = row.Kind
		}
		for _, op := range []string{"deactivate_offline", "deactivate_bundle_offline"} {
			if got := KindOf(&Error{Op: op, Status: 400, Code: row.Code}); got != want {
				t.Errorf("%s: %s: got %v, want %v", op, row.Code, got, want)
			}
		}
		if got := KindOf(&Error{Op: "deactivate_license", Status: 400, Code: row.Code}); got != row.Kind {
			t.Errorf("deactivate_license: %s: got %v, want %v", row.Code, got, row.Kind)
		}
	}
	if KindFileRefused.String() != "file_refused" {
		t.Errorf("got %v", KindFileRefused)
	}
}

// TestAnErrorRepeatsNothingOfARequestFile uses a server that repeats the request.
func TestAnErrorRepeatsNothingOfARequestFile(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(sdkFile(t))
	inner, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]string{
		"the file": text, "its license": "no license BSK8-CLCY-PB5E-BXFO", "its device": "device " + offlineDevice,
		"its address": "from 192.168.1.226 (5A-8A-90-08-13-84)", "its signature": "Gdxl6TaKP6DUlXcZuFMkPpkFyKVE9/tYPubzaKLZfo0= is wrong",
		"its name": "host Mac <lab> & Zoë",
	} {
		client, log := testClient(t, "https://api.licensespring.com/api/v4/")
		client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
			body := licenseapitest.ErrorBody(400, "license_not_found", message)
			return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		err := client.DeactivateOffline(t.Context(), RequestFile{Content: text})
		if CodeOf(err) != "license_not_found" {
			t.Fatalf("%s: %v", name, err)
		}
		said := err.Error() + log.String()
		for _, secret := range []string{text[:40], string(inner)[:40], "BSK8", "8b06c6", "192.168", "5A-8A", "Gdxl6", "Zoë"} {
			if strings.Contains(said, secret) {
				t.Errorf("%s: %s", name, said)
			}
		}
	}
}

func TestARequestFilePrintsNothing(t *testing.T) {
	t.Parallel()
	file := RequestFile{Content: sdkFile(t)}
	held := struct {
		F RequestFile
		P *RequestFile
	}{file, &file}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, file, &file, []any{file, held})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "f", file, "p", &file, "held", held)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "f", file, "p", &file, "held", held)
	raw, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	if text := out.String() + string(raw); strings.Contains(text, file.Content[:16]) || strings.Contains(text, fmt.Sprintf("%x", file.Content[:16])) {
		t.Errorf("a request file is printed: %.200s", text)
	}
}
