package history_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

func TestAMemoryAnswersFromTheLinesAlone(t *testing.T) {
	t.Parallel()
	var m history.Memory
	for _, text := range []string{"", "not JSON", `{"message":"breaker"}`, `{"_aws":{},"service":"worker"}`, `["message"]`, message(t, noon(), "a", "r"), message(t, noon().Add(-time.Hour), "b", "r")} {
		if n, err := m.Write([]byte(text + "\n")); err != nil || n != len(text)+1 {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for since, want := range map[time.Duration][]string{0: {"a"}, time.Hour: {"b", "a"}} {
		found, err := m.Find(t.Context(), history.OfRun("r"), noon().Add(-since))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, line := range found.Lines {
			ids = append(ids, line.ID)
		}
		if !slices.Equal(ids, want) || found.Scan.Records != 2 || found.Scan.Dollars != 0 {
			t.Errorf("since %v: %v of %+v, want %v of two records", since, ids, found.Scan, want)
		}
	}
}

// TestAMemoryForgetsTheOldestAndSaysSo: licensectl local may run for weeks.
func TestAMemoryForgetsTheOldestAndSaysSo(t *testing.T) {
	t.Parallel()
	var m history.Memory
	long := strings.Repeat("x", 1<<20)
	for i := range 70 {
		_, _ = m.Write([]byte(fmt.Sprintf(`{"timestamp":%q,"message":"message","id":"m%d","run":"r","detail":%q}`, noon().Format(time.RFC3339), i, long)))
	}
	found, err := m.Find(t.Context(), history.OfRun("r"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found.Lines); n == 0 || n >= 64 || found.Lines[n-1].ID != "m69" || !found.Scan.Incomplete || found.Scan.Bytes > 64<<20 {
		t.Errorf("%d lines, %d bytes, incomplete %v", n, found.Scan.Bytes, found.Scan.Incomplete)
	}
}

// TestALineIsReadWithEveryFieldThatIsWritten: a field without its part of Line would be lost.
func TestALineIsReadWithEveryFieldThatIsWritten(t *testing.T) {
	t.Parallel()
	lines := written(t, func(r *telemetry.Recorder) {
		r.Message(t.Context(), filled[telemetry.Message](t))
		r.Delivery(t.Context(), filled[telemetry.Delivery](t))
		r.WebhookDeadLetter(t.Context(), filled[telemetry.DeadLetter](t))
	})
	checked := 0
	for _, text := range lines[:3] {
		var line history.Line
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&line); err != nil {
			t.Errorf("%v: %s", err, text)
		}
		again, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]any
		if json.Unmarshal([]byte(text), &want) != nil || json.Unmarshal(again, &got) != nil {
			t.Fatal("no JSON")
		}
		for name, value := range want {
			checked++
			if !reflect.DeepEqual(got[name], value) {
				t.Errorf("%s: written %v, read %v", name, value, got[name])
			}
		}
	}
	if checked < 60 {
		t.Errorf("%d fields: the test looked in the wrong place", checked)
	}
}

// filled returns a struct with a value in every field.
func filled[T any](t *testing.T) (value T) {
	t.Helper()
	fill(t, reflect.ValueOf(&value).Elem())
	if m, ok := any(&value).(*telemetry.Message); ok {
		m.Outcome = deactivation.Deferred // alone it has retry_in_s
	}
	return value
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(noon()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Slice:
		v.Set(reflect.ValueOf([]string{"one", "two"}))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(7_000_000)
	default:
		t.Fatalf("a field of %s", v.Type())
	}
}
