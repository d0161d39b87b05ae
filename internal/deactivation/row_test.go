package deactivation_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

func TestARowIsReadWithEveryFieldOfALicense(t *testing.T) {
	t.Parallel()
	kinds := []reflect.Type{reflect.TypeFor[deactivation.Row](), reflect.TypeFor[deactivation.License]()}
	n := 0
	for _, kind := range kinds {
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name == "" {
				continue // License itself
			}
			n++
			if _, err := deactivation.ReadRow([]byte(`{"` + name + `":null}`)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := deactivation.ReadRow([]byte(`{"` + strings.ToUpper(name) + `":null}`)); err == nil {
				t.Errorf("%s in capitals is read", name)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d fields: the test looked in the wrong place", n)
	}
}

func TestWhatARowCannotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ row, field, why string }{
		"unknown field":          {`{"licence_id":"canary"}`, "licence_id", "is not a known field"},
		"a field twice":          {`{"product":"A","license_key":"canary 1","license_key":"canary 2"}`, "license_key", "appears twice"},
		"a field twice, escaped": {`{"license_key":"canary 1","license\u005fkey":"canary 2"}`, "license_key", "appears twice"},
		"unknown and odd":        {`{"canary field":1}`, "request", "is not a known field"},
		"a text":                 {`"canary"`, "request", "is not an object"},
		"not JSON":               {`{"canary`, "request", "is not an object"},
		"a key that is a number": {`{"license_key":12345}`, "license_key", "has the wrong type"},
		"a letter's field":       {`{"product":"XY","rule":"canary"}`, "rule", "is not a known field"},
		"a parked event":         {golden(t, "event.json"), "kind", "is an event that names no license"},
		"a letter of another v":  {strings.Replace(golden(t, "request.json"), `"v":1`, `"v":2`, 1), "v", "version 2 is not known"},
		"a letter, mistyped":     {strings.Replace(golden(t, "request.json"), `"rule"`, `"licence_id"`, 1), "licence_id", "is not a known field"},
		"a letter, invalid":      {strings.Replace(golden(t, "request.json"), `"refund"`, `"canary"`, 1), "cause", "must be one of"},
		"an order with a part":   {`{"order":1.5}`, "order", "has the wrong type"},
		"an order of an object":  {`{"order":{"canary":1}}`, "order", "has the wrong type"},
		"an order of a list":     {`{"order":["a",["canary"]]}`, "order", "has the wrong type"},
		"a time that is none":    {`{"occurred_at":"canary"}`, "request", "is not an object"},
	} {
		_, err := deactivation.ReadRow([]byte(c.row))
		problem, ok := errors.AsType[*deactivation.FieldError](err)
		if !ok || problem.Code != deactivation.CodeInvalidField || problem.Field != c.field || !strings.HasPrefix(problem.Why, c.why) || strings.Contains(err.Error(), "canary ") {
			t.Errorf("%s: got %v, want %s: %s …", name, err, c.field, c.why)
		}
	}
}

func TestTheOrderOfARowIsATextANumberOrAList(t *testing.T) {
	t.Parallel()
	for order, want := range map[string][]string{
		`"1001"`:                       {"1001"},
		`820982911946154508`:           {"820982911946154508"}, // beyond 2^53
		`["a",7,"b"]`:                  {"a", "7", "b"},
		`["","a",null]`:                {"a"},
		`null`:                         nil,
		`""`:                           nil,
		`[]`:                           nil,
		`"\u0041 \ud83d\ude00 \u00e4"`: {"A 😀 ä"},
	} {
		row, err := deactivation.ReadRow([]byte(`{"order":` + order + `}`))
		if err != nil {
			t.Errorf("%s: %v", order, err)
		}
		if diff := cmp.Diff(want, []string(row.Order)); diff != "" {
			t.Errorf("%s: %s", order, diff)
		}
	}
}

func TestARowBecomesARequestOfItsSource(t *testing.T) {
	t.Parallel()
	row, err := deactivation.ReadRow([]byte(`{"id":"mine","cause":"refund","event":"e","order":"1001","occurred_at":"2026-01-02T03:04:05Z","product":"XY","license_key":"K1","hardware_id":"h1"}`))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	want := deactivation.Request{
		ID: "mine", Source: "ops", Origin: "direct", Cause: "refund", Event: "e", Order: []string{"1001"},
		OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ReceivedAt: at,
		License: deactivation.License{Product: "XY", LicenseKey: "K1", HardwareID: "h1"},
	}
	if diff := cmp.Diff(want, row.Request("ops", at), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error("the request differs") // its values are not printed
	}
	row.Cause = ""
	if got := row.Request("ops", at).Cause; got != deactivation.CauseManual {
		t.Errorf("without a cause: %q", got)
	}
}

func TestTheBodyOfADeadLetterIsARow(t *testing.T) {
	t.Parallel()
	row, err := deactivation.ReadRow([]byte(golden(t, "request.json")))
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := deactivation.Parse(golden(t, "request.json"))
	if err != nil {
		t.Fatal(err)
	}
	want.Origin = deactivation.OriginDirect // a person asks for it now, so the brake does not hold it
	if diff := cmp.Diff(want, row.Request("ops", time.Now()), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error("the request differs") // its values are not printed
	}
}

// TestTheIDOfARowComesFromItsContent uses ids of the previous release, so that a file that is sent again after an
// update makes the same requests.
func TestTheIDOfARowComesFromItsContent(t *testing.T) {
	t.Parallel()
	id := func(row string, at time.Time) string {
		r, err := deactivation.ReadRow([]byte(row))
		if err != nil {
			t.Fatal(err)
		}
		return r.Request("ops", at).ID
	}
	monday, tuesday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	const row = `{"product":"XY","license_key":"K1","hardware_id":"h1"}`
	if got, want := id(row, monday), "ops.689fe57396c66cd7a245b76e59f92e53"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if id(row, monday) != id(` { "hardware_id" : "h1", "license_key":"K1","product":"XY"}`, tuesday) {
		t.Error("the same row has another id at another time")
	}
	if id(row, monday) == id(strings.Replace(row, "h1", "h2", 1), monday) {
		t.Error("another device has the same id")
	}
	withPassword := `{"product":"XY","username":"u","password":"%s","hardware_id":"h1"}`
	if id(fmt.Sprintf(withPassword, "one"), monday) != id(fmt.Sprintf(withPassword, "two"), monday) {
		t.Error("an id depends on a password, which could then be guessed from the log")
	}
}

func TestNamesOfSources(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"stripe": true, "salesforce-flow": true, "a1": true, "2checkout": true, strings.Repeat("a", 32): true,
		"": false, "Stripe": false, "-a": false, "a b": false, "a\n": false, strings.Repeat("a", 33): false,
	} {
		if got := deactivation.IsSourceName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func FuzzReadRow(f *testing.F) {
	for _, seed := range []string{`{"product":"XY","license_key":"K1","hardware_id":"h1","order":[1,"a"]}`, `{"order":{}}`, `[]`, `{"license_id":1e400}`, `{"variables":{"a":1}}`, `{"v":1,"id":"a","source":"ops","cause":"manual","product":"XY","license_key":"K1"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		row, err := deactivation.ReadRow(raw)
		if err != nil {
			if _, ok := errors.AsType[*deactivation.FieldError](err); !ok {
				t.Fatalf("%v is no FieldError", err)
			}
			return
		}
		if id := row.Request("ops", time.Time{}).ID; id == "" {
			t.Fatal("a request without an id")
		}
	})
}
