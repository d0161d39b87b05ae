package deactivation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// requestFile is the text of a .req file, as the documentation's example has it.
const requestFile = "eyJyZXF1ZXN0IjoiZGVhY3RpdmF0aW9uIiwibGljZW5zZV9rZXkiOiJCU0s4LUNMQ1ktUEI1RS1CWEZPIn0="

// offline requests the license that a request file names.
func offline() deactivation.Request {
	r := refund()
	r.Source, r.ID, r.Cause, r.Rule, r.Event = "ops", "ops.1", deactivation.CauseManual, "", ""
	r.Origin, r.Run = deactivation.OriginDirect, "2026-11-campus"
	r.Action, r.RequestFile, r.License = deactivation.ActionDeactivateOffline, requestFile, deactivation.License{}
	return r
}

func TestTheWireFormOfARequestFileIsTheGoldenFile(t *testing.T) {
	t.Parallel()
	got, err := offline().Wire()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "offline.json"), got); diff != "" {
		t.Error(diff)
	}
	read, event, err := deactivation.Parse(golden(t, "offline.json"))
	if err != nil || event != nil {
		t.Fatal(err, event)
	}
	if !cmp.Equal(offline(), read, cmp.Exporter(func(reflect.Type) bool { return true })) {
		t.Error("the request that was read differs") // its values are not printed
	}
}

func TestARequestFileStandsInPlaceOfTheLicense(t *testing.T) {
	t.Parallel()
	yes := true
	for name, c := range map[string]struct {
		change      func(*deactivation.Request)
		code, field string
	}{
		"alone":                     {func(*deactivation.Request) {}, "", ""},
		"of a bundle":               {func(r *deactivation.Request) { r.Action = deactivation.ActionDeactivateBundleOffline }, "", ""},
		"in lines":                  {func(r *deactivation.Request) { r.RequestFile = requestFile[:40] + "\r\n" + requestFile[40:] }, "", ""},
		"as long as it may be":      {func(r *deactivation.Request) { r.RequestFile = strings.Repeat("A", deactivation.MaxRequestFileBytes) }, "", ""},
		"missing":                   {func(r *deactivation.Request) { r.RequestFile = "" }, "missing_field", "request_file"},
		"blank":                     {func(r *deactivation.Request) { r.RequestFile = "\r\n" }, "missing_field", "request_file"},
		"too long":                  {func(r *deactivation.Request) { r.RequestFile = strings.Repeat("A", deactivation.MaxRequestFileBytes+1) }, "invalid_field", "request_file"},
		"JSON":                      {func(r *deactivation.Request) { r.RequestFile = `{"a":1}` }, "invalid_field", "request_file"},
		"a character SQS refuses":   {func(r *deactivation.Request) { r.RequestFile += "\ufffe" }, "invalid_field", "request_file"},
		"for the online action":     {func(r *deactivation.Request) { r.Action = deactivation.ActionDeactivateLicense }, "invalid_field", "request_file"},
		"without an action":         {func(r *deactivation.Request) { r.Action = "" }, "invalid_field", "request_file"},
		"for the bundle's action":   {func(r *deactivation.Request) { r.Action = deactivation.ActionDeactivateBundle }, "invalid_field", "request_file"},
		"beside a license key":      {func(r *deactivation.Request) { r.LicenseKey = "K" }, "conflicting_identity", "license_key"},
		"beside a user":             {func(r *deactivation.Request) { r.Username = "u" }, "conflicting_identity", "username"},
		"beside a device":           {func(r *deactivation.Request) { r.HardwareID = "h" }, "conflicting_identity", "hardware_id"},
		"beside a product":          {func(r *deactivation.Request) { r.Product = "XY" }, "conflicting_identity", "product"},
		"beside a token":            {func(r *deactivation.Request) { r.IDToken = "t" }, "conflicting_identity", "id_token"},
		"beside variables":          {func(r *deactivation.Request) { r.Variables = json.RawMessage(`{}`) }, "conflicting_identity", "variables"},
		"beside is_vm":              {func(r *deactivation.Request) { r.IsVM = &yes }, "conflicting_identity", "is_vm"},
		"with something to look up": {func(r *deactivation.Request) { r.Lookup.Email = "a@b" }, "invalid_field", "lookup"},
		"with a scope":              {func(r *deactivation.Request) { r.Scope = deactivation.ScopeOrder }, "invalid_field", "lookup"},
		"with products":             {func(r *deactivation.Request) { r.Products = []deactivation.Product{{Product: "XY", Count: 1}} }, "invalid_field", "lookup"},
		"disabling":                 {func(r *deactivation.Request) { r.Disable = true }, "invalid_field", "disable"},
	} {
		r := offline()
		c.change(&r)
		err := r.Validate()
		if c.code == "" {
			if err != nil || r.CheckSendable() != nil {
				t.Errorf("%s: %v, %v", name, err, r.CheckSendable())
			}
			continue
		}
		field, ok := errors.AsType[*deactivation.FieldError](err)
		if !ok || field.Code != c.code || field.Field != c.field {
			t.Errorf("%s: got %v, want %s of %s", name, err, c.code, c.field)
		}
	}
}

// TestEveryLicenseFieldConflictsWithARequestFile fails when a field is added to License and not refused beside a file.
func TestEveryLicenseFieldConflictsWithARequestFile(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[deactivation.License]()
	for i := range kind.NumField() {
		r := offline()
		field := reflect.ValueOf(&r.License).Elem().Field(i)
		switch field.Kind() {
		case reflect.String:
			field.SetString("1")
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.Slice:
			field.SetBytes([]byte(`{}`))
		default:
			t.Fatalf("%s: this test has no value for the kind", kind.Field(i).Name)
		}
		got, ok := errors.AsType[*deactivation.FieldError](r.Validate())
		if !ok || got.Code != deactivation.CodeConflictingIdentity {
			t.Errorf("%s beside a request file: got %v", kind.Field(i).Name, got)
		}
	}
}

func TestARequestWithARequestFilePrintsNothingOfIt(t *testing.T) {
	t.Parallel()
	r := offline()
	held := struct {
		R deactivation.Request
		P *deactivation.Request
	}{r, &r}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb, r, held)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "r", r, "held", held)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "r", r, "held", held)
	raw, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	if text := out.String() + string(raw); strings.Contains(text, requestFile[:12]) || strings.Contains(text, fmt.Sprintf("%x", requestFile[:12])) {
		t.Errorf("a request file is in\n%s", text)
	}
}
