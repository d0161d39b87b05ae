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

// lookedUp names no license and no device, only ids by which the license can be found.
func lookedUp() deactivation.Request {
	r := refund()
	r.License = deactivation.License{}
	r.Lookup = deactivation.Lookup{
		Order:        []deactivation.Candidate{{ID: "pi_3Nx"}, {ID: "1001", Weak: true}, {ID: "A&B", Buyer: true}},
		Subscription: deactivation.Candidate{ID: "sub_3Nx"}, Email: "buyer@example.com", None: deactivation.NoneIgnore,
	}
	r.Scope, r.Products, r.Disable, r.Buyer = deactivation.ScopeItems, []deactivation.Product{{Product: "XY", Count: 2}}, true, true
	return r
}

func TestTheWireFormOfALookupIsTheGoldenFile(t *testing.T) {
	t.Parallel()
	got, err := lookedUp().Wire()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "lookup.json"), got); diff != "" {
		t.Error(diff)
	}
	want := lookedUp()
	want.Action, want.Origin = deactivation.ActionDeactivateLicense, deactivation.OriginEvent
	read, _, err := deactivation.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error("the request that was read differs") // its values are not printed
	}
}

func TestARequestToLookUpIsValidWithoutALicense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*deactivation.Request)
		want   string // field and reason; "": valid
	}{
		"by order":                    {func(*deactivation.Request) {}, ""},
		"by subscription":             {func(r *deactivation.Request) { r.Lookup.Order = nil }, ""},
		"by a license key alone":      {func(r *deactivation.Request) { r.Lookup, r.LicenseKey = deactivation.Lookup{}, "K" }, ""},
		"key and order":               {func(r *deactivation.Request) { r.LicenseKey = "K" }, ""},
		"a whole order":               {func(r *deactivation.Request) { r.Scope = deactivation.ScopeOrder }, ""},
		"no scope":                    {func(r *deactivation.Request) { r.Scope = "" }, ""},
		"by an e-mail alone":          {func(r *deactivation.Request) { r.Lookup = deactivation.Lookup{Email: "canary"} }, "license_key: is missing"},
		"by a product alone":          {func(r *deactivation.Request) { r.Lookup, r.Product = deactivation.Lookup{}, "XY" }, "license_key: is missing"},
		"by a user name alone":        {func(r *deactivation.Request) { r.Lookup, r.Username = deactivation.Lookup{}, "canary" }, "product: is missing"},
		"a blank key alone":           {func(r *deactivation.Request) { r.Lookup, r.LicenseKey = deactivation.Lookup{}, " " }, "license_key: is missing"},
		"two identities":              {func(r *deactivation.Request) { r.LicenseKey, r.Username = "K", "canary" }, "username: names a second license"},
		"a password without a user":   {func(r *deactivation.Request) { r.Password = "canary" }, "license_key: is missing"},
		"a device without a license":  {func(r *deactivation.Request) { r.HardwareID = "canary" }, "license_key: is missing"},
		"a device without a product":  {func(r *deactivation.Request) { r.HardwareID, r.LicenseKey = "canary", "K" }, "product: is missing"},
		"an empty candidate":          {func(r *deactivation.Request) { r.Lookup.Order[1].ID = " " }, "lookup.order: has an id that is empty"},
		"a candidate on two lines":    {func(r *deactivation.Request) { r.Lookup.Order[1].ID = "canary\n" }, "lookup.order: holds the character U+000A"},
		"a subscription on two lines": {func(r *deactivation.Request) { r.Lookup.Subscription.ID = "canary\n" }, "lookup.subscription: holds"},
		"an e-mail on two lines":      {func(r *deactivation.Request) { r.Lookup.Email = "canary\n" }, "lookup.email: holds"},
		"twenty-one candidates": {func(r *deactivation.Request) {
			r.Lookup.Order = append(r.Lookup.Order, make([]deactivation.Candidate, 18)...)
		}, "lookup.order: has more than 20 ids"},
		"another end":              {func(r *deactivation.Request) { r.Lookup.None = "canary" }, "lookup.none: must be ignore"},
		"another scope":            {func(r *deactivation.Request) { r.Scope = "canary" }, "scope: must be one of order, items"},
		"a product without a name": {func(r *deactivation.Request) { r.Products[0].Product = "" }, "products: needs a product and a count"},
		"none of a product":        {func(r *deactivation.Request) { r.Products[0].Count = 0 }, "products: needs a product and a count"},
		"a product on two lines":   {func(r *deactivation.Request) { r.Products[0].Product = "canary\n" }, "products: holds"},
		"twenty-one products": {func(r *deactivation.Request) {
			r.Products = make([]deactivation.Product, 21)
		}, "products: has more than 20"},
		"a bundle to look up": {func(r *deactivation.Request) {
			r.Disable, r.Action = false, deactivation.ActionDeactivateBundle
		}, "license_key: is missing"},
		"a bundle to disable": {func(r *deactivation.Request) {
			r.License, r.Action = refund().License, deactivation.ActionDeactivateBundle
		}, "disable: goes with deactivate_license alone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := lookedUp()
			c.change(&r)
			err := r.Validate()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			field, ok := errors.AsType[*deactivation.FieldError](err)
			if !ok || !strings.HasPrefix(field.Error(), c.want) || strings.Contains(field.Error(), "canary") {
				t.Errorf("got %v, want %s… and nothing of the value", err, c.want)
			}
		})
	}
}

func TestARequestToLookUpCannotBeSent(t *testing.T) {
	t.Parallel()
	byKey := deactivation.License{LicenseKey: "K"}
	for want, license := range map[string]deactivation.License{
		"license_key": {},
		"product":     byKey,
		"hardware_id": {LicenseKey: "K", Product: "XY"},
	} {
		field, ok := errors.AsType[*deactivation.FieldError](license.CheckSendable())
		if !ok || field.Code != deactivation.CodeMissingField || field.Field != want {
			t.Errorf("got %v, want a missing %s", license.CheckSendable(), want)
		}
	}
}

// TestALookupPrintsNoAddress prints a look-up in every possible way.
func TestALookupPrintsNoAddress(t *testing.T) {
	t.Parallel()
	r := lookedUp()
	r.Lookup.Email = "canary@example.com"
	type holder struct {
		L deactivation.Lookup
		P *deactivation.Lookup
	}
	held := holder{r.Lookup, &r.Lookup}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		for _, v := range []any{r, r.Lookup, &r.Lookup, held, []any{r.Lookup}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
		logger.Info("x", "r", r, "l", r.Lookup, "p", &r.Lookup, "held", held)
	}
	raw, err := json.Marshal([]any{r, r.Lookup, held})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	if strings.Contains(out.String(), "canary") {
		t.Errorf("the address is in\n%s", out.String())
	}
	if !strings.Contains(out.String(), "pi_3Nx") {
		t.Error("the order is not shown")
	}
}
