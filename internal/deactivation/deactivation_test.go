package deactivation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

func refund() deactivation.Request {
	return deactivation.Request{
		ID: "stripe.evt_3Nx.0", Source: "stripe", Cause: deactivation.CauseRefund, Rule: "refunded in full", Event: "evt_3Nx",
		Order: []string{"pi_3Nx"}, OccurredAt: time.Date(2026, 9, 21, 14, 13, 20, 0, time.UTC),
		ReceivedAt: time.Date(2026, 9, 21, 14, 13, 21, 500_000_000, time.UTC),
		License:    deactivation.License{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "hw<1>&"},
	}
}

// refundOfABundle names the bundle instead of the product.
func refundOfABundle() deactivation.Request {
	r := refund()
	r.Action, r.Product = deactivation.ActionDeactivateBundle, "BUNDLE"
	return r
}

func golden(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(content), "\n")
}

func TestTheWireFormIsTheGoldenFile(t *testing.T) {
	t.Parallel()
	got, err := refund().Wire()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "request.json"), got); diff != "" {
		t.Error(diff)
	}
	if got, err = refundOfABundle().Wire(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "bundle.json"), got); diff != "" {
		t.Error(diff)
	}
	event := deactivation.Event{
		Source: "stripe", ID: "evt_3Nx", ReceivedAt: refund().ReceivedAt, Scheme: "stripe-signature",
		Headers: map[string]string{"content-type": "application/json"}, Body: []byte(`{"id":"evt_3Nx"}`),
		Order: []string{"pi_3Nx", "ch_3Nx"}, Missing: []string{"hardware_id"},
	}
	if got, err = event.Wire(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "event.json"), got); diff != "" {
		t.Error(diff)
	}
}

func TestParseReadsWhatWireWrites(t *testing.T) {
	t.Parallel()
	want := refund()
	want.Action, want.Origin = deactivation.ActionDeactivateLicense, deactivation.OriginEvent
	got, event, err := deactivation.Parse(golden(t, "request.json"))
	if err != nil || event != nil {
		t.Fatal(err, event)
	}
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error("the request that was read differs") // its values are not printed
	}
	if got, _, err = deactivation.Parse(golden(t, "bundle.json")); err != nil || got.Action != "deactivate_bundle" || got.Product != "BUNDLE" {
		t.Error(err, got)
	}
	_, event, err = deactivation.Parse(golden(t, "event.json"))
	if err != nil || event == nil || string(event.Body) != `{"id":"evt_3Nx"}` || event.Missing[0] != "hardware_id" {
		t.Error(err, event)
	}
}

func TestAMessageOfAnOlderVersionIsOfAnEvent(t *testing.T) {
	t.Parallel()
	older := strings.Replace(golden(t, "request.json"), `"origin":"event",`, "", 1)
	got, _, err := deactivation.Parse(older)
	if err != nil || got.Origin != deactivation.OriginEvent {
		t.Errorf("origin %q, error %v; want %q", got.Origin, err, deactivation.OriginEvent)
	}
	got, _, err = deactivation.Parse(golden(t, "offline.json"))
	if err != nil || got.Origin != deactivation.OriginDirect || got.Run != "2026-11-campus" {
		t.Errorf("origin %q, run %q, error %v; want those of the message", got.Origin, got.Run, err)
	}
}

func TestWhatIsNoMessageOfOursIsInvalid(t *testing.T) {
	t.Parallel()
	valid := golden(t, "request.json")
	for name, c := range map[string]struct{ body, want string }{
		"unknown fields are ignored":     {strings.Replace(valid, `{`, `{"new":{"a":[1]},`, 1), ""},
		"no action is a license's":       {strings.Replace(valid, `"action":"deactivate_license",`, ``, 1), ""},
		"empty":                          {"", "not JSON"},
		"not JSON":                       {"hello canary", "not JSON"},
		"a list":                         {"[]", "wrong type"},
		"another version":                {strings.Replace(valid, `"v":1`, `"v":2`, 1), "version 2 is not known"},
		"no version":                     {strings.Replace(valid, `"v":1,`, ``, 1), "version 0 is not known"},
		"another kind":                   {strings.Replace(valid, `"v":1`, `"v":1,"kind":"canary"`, 1), "kind is not known"},
		"another action":                 {strings.Replace(valid, `deactivate_license`, `canary`, 1), "action: must be one of deactivate_license, deactivate_bundle"},
		"a bundle":                       {strings.Replace(valid, `deactivate_license`, `deactivate_bundle`, 1), ""},
		"one product of a whole bundle":  {strings.Replace(golden(t, "bundle.json"), `"product"`, `"bundle_code":"canary","product"`, 1), "bundle_code: means one product"},
		"no device":                      {strings.Replace(valid, `"hardware_id"`, `"x"`, 1), ""},
		"another origin":                 {strings.Replace(valid, `"origin":"event"`, `"origin":"canary"`, 1), "origin: must be one of event, direct"},
		"a run with a line break":        {strings.Replace(valid, `"origin"`, `"run":"canary\n","origin"`, 1), "run: holds the character U+000A"},
		"no id":                          {strings.Replace(valid, `"id"`, `"x"`, 1), "id: is missing"},
		"no source":                      {strings.Replace(valid, `"source"`, `"x"`, 1), "source: is missing"},
		"a cause that is none":           {strings.Replace(valid, `"refund"`, `"canary"`, 1), "cause: must be one of"},
		"two identities":                 {strings.Replace(valid, `"product"`, `"username":"canary","product"`, 1), "username: names a second license"},
		"a key that is a number":         {strings.Replace(valid, `"AAAA-BBBB-CCCC-DDDD"`, `7`, 1), "license_key has the wrong type"},
		"an event whose body is no text": {`{"v":1,"kind":"event","body":7}`, "body has the wrong type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := deactivation.Parse(c.body)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, deactivation.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want ErrInvalid, …%s… and nothing of the text", err, c.want)
			}
		})
	}
}

func TestARequestWithoutADeviceIsValidAndCannotBeSent(t *testing.T) {
	t.Parallel()
	if err := refund().CheckSendable(); err != nil {
		t.Error(err)
	}
	for _, device := range []string{"", " ", "\t"} {
		r := refund()
		r.HardwareID = device
		err := r.CheckSendable()
		field, ok := errors.AsType[*deactivation.FieldError](err)
		if !ok || field.Field != "hardware_id" || field.Code != deactivation.CodeMissingField {
			t.Errorf("%q: got %v, want a missing hardware_id", device, err)
		}
	}
}

// TestARequestPrintsNoSecret prints a request in every possible way.
func TestARequestPrintsNoSecret(t *testing.T) {
	t.Parallel()
	r := refund()
	r.LicenseKey, r.Username, r.Password, r.IDToken, r.Code = "KEY-CANARY-0000-1234", "user-canary", "password-canary", "token-canary", "code-canary"
	r.HardwareID, r.Variables = "device-canary", json.RawMessage(`{"a":"variable-canary"}`)
	type holder struct {
		R deactivation.Request
		P *deactivation.Request
		L []deactivation.License
		M map[string]deactivation.License
	}
	held := holder{r, &r, []deactivation.License{r.License}, map[string]deactivation.License{"l": r.License}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, v := range []any{r, &r, r.License, &r.License, held, []any{r}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
		logger.Info("x", "r", r, "p", &r, "l", r.License, "held", held, "list", []deactivation.Request{r}, slog.Group("g", "r", r))
	}
	for _, v := range []any{r, held, []any{&r}} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	if lower := strings.ToLower(out.String()); strings.Contains(lower, "canary") {
		t.Errorf("a secret is in\n%s", out.String())
	}
	if !strings.Contains(out.String(), "…1234") {
		t.Error("the license cannot be distinguished from another")
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"": "", "1": "…", "12345678": "…", "123456789": "…6789", "AAAA-BBBB-CCCC-DDDD": "…DDDD", "äöüäöüäöü": "…üäöü"} {
		if got := deactivation.Shorten(key); got != want {
			t.Errorf("Shorten(%q) = %q, want %q", key, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"request.json", "bundle.json", "offline.json", "event.json", "lookup.json", "released.json"} {
		content, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Add(`{"v":1,"license_id":1e400,"consumptions":-0.5,"variables":{"a":{}},"occurred_at":"9999-12-31T23:59:60Z"}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, event, err := deactivation.Parse(body)
		if err != nil {
			if !errors.Is(err, deactivation.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		var wire string
		if event != nil {
			wire, err = event.Wire()
		} else {
			wire, err = r.Wire()
		}
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, _, err := deactivation.Parse(wire); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}

// TestTheHashOfALicenseIsTheBeginningOfItsSHA256: printf %s AAAA-BBBB-CCCC-DDDD | sha256sum | cut -c1-16
func TestTheHashOfALicenseIsTheBeginningOfItsSHA256(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"AAAA-BBBB-CCCC-DDDD": "61333e5fc239239b", "": ""} {
		if got := deactivation.HashLicense(key); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
}

// TestTheWireFormSaysWhoAskedAndWhy: the line of the message then says it, also for the rows of a run.
func TestTheWireFormSaysWhoAskedAndWhy(t *testing.T) {
	t.Parallel()
	asked := refund()
	asked.By, asked.Comment = "ada@example.com", "ticket 7"
	body, err := asked.Wire()
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := deactivation.Parse(body)
	if err != nil || read.By != asked.By || read.Comment != asked.Comment {
		t.Errorf("read %q, %q (%v) from %s", read.By, read.Comment, err, body)
	}
	if row, err := deactivation.ReadRow([]byte(body)); err != nil || row.Request("ops", asked.ReceivedAt).By != asked.By {
		t.Errorf("as a row: %v", err)
	}
	asked.By = "two\nlines"
	if err := asked.Validate(); err == nil {
		t.Error("two lines are accepted")
	}
}
