package licenseapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

func TestDeactivateByEachIdentity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		d    Deactivation
	}{
		{"license key", keyBased()},
		{"username and password",
			Deactivation{Product: "US", Username: "test@example.com", Password: "some_password123", HardwareID: "some-unique-id"}},
		{"username alone", Deactivation{Product: "US", Username: "test@example.com", HardwareID: "some-unique-id"}},
		{"id_token", Deactivation{Product: "SS", IDToken: "token-4711", CustomerAccountCode: "account-1", HardwareID: "some-unique-id"}},
		{"code", Deactivation{Product: "SS", Code: "code-4711", CustomerAccountCode: "account-1", HardwareID: "some-unique-id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, url := testAPI(t)
			client, log := testClient(t, url)
			if err := client.Deactivate(t.Context(), c.d); err != nil {
				t.Fatal(err)
			}
			if err := client.Deactivate(t.Context(), c.d); KindOf(err) != KindAlreadyInactive {
				t.Errorf("the second time: got %v, want already inactive", err)
			}
			if log.Len() != 0 {
				t.Errorf("the documented body was logged: %s", log)
			}
		})
	}
}

func TestDeactivateTakesTheQuotedBody(t *testing.T) {
	t.Parallel()
	_, url := testAPI(t, licenseapitest.Quoted())
	client, log := testClient(t, url+"/")
	if err := client.Deactivate(t.Context(), keyBased()); err != nil || log.Len() != 0 {
		t.Errorf("got %v, log %q; want nil and no log", err, log)
	}
}

func TestDeactivateSendsEveryFieldAndNoOther(t *testing.T) {
	t.Parallel()
	yes := true
	full := Deactivation{
		Product: "XY", Username: "test@example.com", Password: "some_password123", LicenseID: "17", BundleCode: "B1",
		HardwareID: "some-unique-id", SDKVer: "1.0", Consumptions: "-2", Variables: json.RawMessage(`{"a":"b & c"}`), IsVM: &yes,
		VMInfo: "vm", OSVer: "os", Hostname: "host", OSHostname: "oshost", IP: "192.0.2.1", IPLocal: "192.0.2.2", AppVer: "2",
		MACAddress: "00-00-5E-00-53-01",
	}
	for _, c := range []struct {
		name, want string
		d          Deactivation
	}{
		{"documented minimum", `{"hardware_id":"some-unique-id","product":"XY","license_key":"AAAA-BBBB-CCCC-DDDD"}`, keyBased()},
		{"all", `{"product":"XY","username":"test@example.com","password":"some_password123","license_id":17,"bundle_code":"B1",
			"hardware_id":"some-unique-id","sdk_ver":"1.0","consumptions":-2,"variables":{"a":"b & c"},"is_vm":true,"vm_info":"vm",
			"os_ver":"os","hostname":"host","os_hostname":"oshost","ip":"192.0.2.1","ip_local":"192.0.2.2","app_ver":"2",
			"mac_address":"00-00-5E-00-53-01"}`, full},
		{"id_token", `{"product":"XY","hardware_id":"h1","id_token":"t","customer_account_code":"c"}`,
			Deactivation{Product: "XY", HardwareID: "h1", IDToken: "t", CustomerAccountCode: "c"}},
		{"code", `{"product":"XY","hardware_id":"h1","code":"t","customer_account_code":"c"}`,
			Deactivation{Product: "XY", HardwareID: "h1", Code: "t", CustomerAccountCode: "c"}},
	} {
		client, _ := testClient(t, "https://api.licensespring.com/api/v4/")
		var sent map[string]any
		client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPost || r.URL.String() != "https://api.licensespring.com/api/v4/deactivate_license" {
				t.Errorf("%s: %s %s", c.name, r.Method, r.URL)
			}
			if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("%s: Content-Type and Accept are %q and %q", c.name, r.Header.Get("Content-Type"), r.Header.Get("Accept"))
			}
			if r.ContentLength <= 0 {
				t.Errorf("%s: no Content-Length", c.name)
			}
			return confirmed(), json.NewDecoder(r.Body).Decode(&sent)
		})
		if err := client.Deactivate(t.Context(), c.d); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestDeactivateBundle shows that product is the bundle's code, and that only this identity's licenses of the bundle
// are freed.
func TestDeactivateBundle(t *testing.T) {
	t.Parallel()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey},
		Licenses: []licenseapitest.License{
			{Product: "P1", Bundle: "BU", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"some-unique-id", "second-device"}},
			{Product: "P2", Bundle: "BU", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"some-unique-id"}},
			{Product: "P2", Bundle: "BU", LicenseKey: "EEEE-FFFF-GGGG-HHHH", Devices: []string{"some-unique-id"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client, log := testClient(t, url)
	bundle := keyBased()
	bundle.Product = "BU"

	if err := client.DeactivateBundle(t.Context(), bundle); err != nil || log.Len() != 0 {
		t.Fatalf("got %v, log %q; want nil and no log", err, log)
	}
	var left []int
	for _, l := range api.State().Licenses {
		left = append(left, len(l.Devices))
	}
	if diff := cmp.Diff([]int{1, 0, 1}, left); diff != "" {
		t.Errorf("devices left (-want +got):\n%s", diff)
	}
	err = client.DeactivateBundle(t.Context(), bundle)
	if answer, ok := errors.AsType[*Error](err); !ok || answer.Op != "deactivate_bundle" || KindOf(err) != KindAlreadyInactive {
		t.Errorf("the second time: got %v, want already inactive of deactivate_bundle", err)
	}
	bundle.BundleCode = "secret"
	if err := client.DeactivateBundle(t.Context(), bundle); !errors.Is(err, ErrInvalidField) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a bundle_code: got %v, want invalid field without its value", err)
	}
	if got := api.Counts().Calls; got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
	bundle.BundleCode, bundle.HardwareID = "", ""
	if err := client.DeactivateBundle(t.Context(), bundle); !errors.Is(err, ErrMissingField) {
		t.Errorf("without a device: got %v, want a missing field", err)
	}
}

func TestDeactivateRefusesBeforeSending(t *testing.T) {
	t.Parallel()
	client, _ := testClient(t, "https://api.licensespring.com/api/v4")
	client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, io.EOF
	})
	change := func(f func(*Deactivation)) Deactivation {
		d := keyBased()
		f(&d)
		return d
	}
	for _, c := range []struct {
		name string
		d    Deactivation
		want error
		code string
	}{
		{"empty", Deactivation{}, ErrIdentity, "conflicting_identity"},
		{"no identity", change(func(d *Deactivation) { d.LicenseKey = "" }), ErrIdentity, "conflicting_identity"},
		{"key and username", change(func(d *Deactivation) { d.Username = "u-secret" }), ErrIdentity, "conflicting_identity"},
		{"key and token", change(func(d *Deactivation) { d.IDToken = "t-secret" }), ErrIdentity, "conflicting_identity"},
		{"token and code", change(func(d *Deactivation) {
			d.LicenseKey, d.IDToken, d.Code, d.CustomerAccountCode = "", "t-secret", "c-secret", "acc"
		}), ErrIdentity, "conflicting_identity"},
		{"key and account", change(func(d *Deactivation) { d.CustomerAccountCode = "a-secret" }), ErrIdentity, "conflicting_identity"},
		{"key and password", change(func(d *Deactivation) { d.Password = "p-secret" }), ErrIdentity, "conflicting_identity"},
		{"token without account", change(func(d *Deactivation) { d.LicenseKey, d.IDToken = "", "t-secret" }), ErrMissingField, "missing_field"},
		{"no product", change(func(d *Deactivation) { d.Product = "" }), ErrMissingField, "missing_field"},
		{"no device", change(func(d *Deactivation) { d.HardwareID = "" }), ErrMissingField, "missing_field"},
		{"license id a word", change(func(d *Deactivation) { d.LicenseID = "l-secret" }), ErrInvalidField, "invalid_field"},
		{"license id a fraction", change(func(d *Deactivation) { d.LicenseID = "1.5" }), ErrInvalidField, "invalid_field"},
		{"license id with zeros", change(func(d *Deactivation) { d.LicenseID = "007" }), ErrInvalidField, "invalid_field"},
		{"consumptions a word", change(func(d *Deactivation) { d.Consumptions = "c-secret" }), ErrInvalidField, "invalid_field"},
		{"consumptions null", change(func(d *Deactivation) { d.Consumptions = "null" }), ErrInvalidField, "invalid_field"},
		{"variables a list", change(func(d *Deactivation) { d.Variables = json.RawMessage(`["v-secret"]`) }), ErrInvalidField, "invalid_field"},
		{"variables cut", change(func(d *Deactivation) { d.Variables = json.RawMessage(`{"v-secret":`) }), ErrInvalidField, "invalid_field"},
		{"not UTF-8", change(func(d *Deactivation) { d.HardwareID = "h-secret\xff" }), ErrInvalidField, "invalid_field"},
	} {
		err := client.Deactivate(t.Context(), c.d)
		if !errors.Is(err, c.want) || KindOf(err) != KindRejected || CodeOf(err) != c.code {
			t.Errorf("%s: got %v (%v, %s), want %v", c.name, err, KindOf(err), CodeOf(err), c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds a value: %v", c.name, err)
		}
	}
}

func TestDeactivateReturnsTheAuthorizersFault(t *testing.T) {
	t.Parallel()
	client, _ := testClient(t, "https://api.licensespring.com/api/v4")
	cause := errors.New("no token")
	err := client.With(authorizerFunc(func(context.Context, string) (string, error) { return "", cause })).
		Deactivate(t.Context(), keyBased())
	if !errors.Is(err, cause) || KindOf(err) != KindUnavailable {
		t.Errorf("got %v (%v), want the cause, unavailable", err, KindOf(err))
	}
}

type authorizerFunc func(context.Context, string) (string, error)

func (f authorizerFunc) Authorize(ctx context.Context, date string) (string, error) {
	return f(ctx, date)
}

// canary returns a Deactivation in which every text is recognizable, and the texts that must never be seen.
func canary(t *testing.T) (d Deactivation, secrets []string) {
	t.Helper()
	v := reflect.ValueOf(&d).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i); {
		case name == "Product":
			f.SetString("XY")
		case name == "LicenseID" || name == "Consumptions":
			f.SetString("31415926")
		case name == "Variables":
			d.Variables = json.RawMessage(`{"canary-Variables":"canary-inside"}`)
		case f.Kind() == reflect.String:
			f.SetString("canary-" + name + "-TAIL")
		}
	}
	return d, []string{"canary", "31415926"}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	d, secrets := canary(t)
	nested := struct {
		Request Deactivation
		More    []Deactivation
		Behind  *Deactivation
	}{d, []Deactivation{d}, &d}
	printed := map[string]string{}
	for _, value := range []any{d, &d, nested, &nested, []Deactivation{d}, map[string]Deactivation{"k": d}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			printed[fmt.Sprintf("%s of %T", verb, value)] = fmt.Sprintf(verb, value)
		}
		var text, lines bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "d", value)
		slog.New(slog.NewJSONHandler(&lines, nil)).Info("x", "d", value)
		printed[fmt.Sprintf("slog text of %T", value)] = text.String()
		printed[fmt.Sprintf("slog JSON of %T", value)] = lines.String()
		out, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		printed[fmt.Sprintf("JSON of %T", value)] = string(out)
	}
	for how, text := range printed {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", how)
			}
		}
		if text == "" {
			t.Errorf("%s shows nothing at all", how)
		}
	}
	if got, want := fmt.Sprint(d), "deactivation of license …TAIL of XY"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
