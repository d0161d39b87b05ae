package telemetry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// published holds what CloudWatch extracts from metric lines: for each namespace, metric and set of dimensions the
// values.
type published map[string][]float64

// publish reads metric lines as CloudWatch does, by the specification of the embedded metric format, and refuses what
// CloudWatch refuses:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func publish(t *testing.T, written string) published {
	t.Helper()
	got := published{}
	for line := range strings.Lines(written) {
		var root map[string]json.RawMessage
		var metadata struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		}
		if err := json.Unmarshal([]byte(line), &root); err != nil {
			t.Fatalf("not a line of JSON: %v", err)
		}
		if root["_aws"] == nil {
			continue // a log line
		}
		strict := json.NewDecoder(bytes.NewReader(root["_aws"]))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&metadata); err != nil {
			t.Fatalf("_aws: %v", err)
		}
		if age := time.Since(time.UnixMilli(metadata.Timestamp)); age < -time.Minute || age > time.Hour {
			t.Errorf("timestamp %d is not the time in milliseconds", metadata.Timestamp)
		}
		if root["level"] != nil {
			t.Error("a metric line has a level, so that a log level could drop it")
		}
		for _, d := range metadata.CloudWatchMetrics {
			if len(d.Metrics) == 0 || len(d.Metrics) > 100 || len(d.Dimensions) == 0 {
				t.Errorf("%d metrics, %d sets of dimensions", len(d.Metrics), len(d.Dimensions))
			}
			for _, set := range d.Dimensions {
				var names []string
				for _, dimension := range set {
					var value string
					if err := json.Unmarshal(root[dimension], &value); err != nil || value == "" || len(value) > 1024 {
						t.Errorf("dimension %s is %s", dimension, root[dimension])
					}
					names = append(names, dimension+"="+value)
				}
				for _, metric := range d.Metrics {
					if !slices.Contains([]string{"Count", "Milliseconds"}, metric.Unit) {
						t.Errorf("unit of %s is %q", metric.Name, metric.Unit)
					}
					key := fmt.Sprintf("%s %s %s", d.Namespace, metric.Name, strings.Join(names, " "))
					got[key] = append(got[key], numbers(t, root[metric.Name])...)
				}
			}
		}
	}
	return got
}

func numbers(t *testing.T, text json.RawMessage) []float64 {
	t.Helper()
	var one float64
	if json.Unmarshal(text, &one) == nil {
		return []float64{one}
	}
	var many []float64
	if err := json.Unmarshal(text, &many); err != nil || len(many) == 0 || len(many) > 100 {
		t.Errorf("a metric is %.60s: a number or up to 100 of them", text)
	}
	return many
}

func TestFlushTellsCloudWatchWhatWasCounted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "stack-worker")
	for range 2 {
		recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Deactivated, Latency: 20 * time.Millisecond})
	}
	recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Deferred, Class: "rate_limited"})
	recorder.Delivery(t.Context(), telemetry.Delivery{Answer: deactivation.Accepted, Requests: []string{"a", "b", "c"}})
	recorder.Delivery(t.Context(), telemetry.Delivery{Answer: deactivation.Ignored, Code: "a code without an alarm"})
	recorder.Delivery(t.Context(), telemetry.Delivery{Answer: deactivation.Refused, Code: deactivation.CodeTooLarge})
	recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Rejected, Reason: deactivation.ReasonInvalid})
	recorder.DeadLetter(deactivation.ReasonUnmappable)
	recorder.DeadLetter(deactivation.ReasonHeld) // these two are not under service alone
	recorder.DeadLetter(deactivation.ReasonWatched)
	recorder.Fault(t.Context(), "what", nil)
	recorder.Flush()

	want := published{
		"LicenseDeactivator Messages service=stack-worker":                      {2, 1, 1},
		"LicenseDeactivator Messages service=stack-worker outcome=deactivated":  {2},
		"LicenseDeactivator Messages service=stack-worker outcome=deferred":     {1},
		"LicenseDeactivator Messages service=stack-worker outcome=rejected":     {1},
		"LicenseDeactivator Answers service=stack-worker":                       {1},
		"LicenseDeactivator Answers service=stack-worker outcome=rate_limited":  {1},
		"LicenseDeactivator Latency service=stack-worker":                       {20, 20},
		"LicenseDeactivator Latency service=stack-worker outcome=deactivated":   {20, 20},
		"LicenseDeactivator Deliveries service=stack-worker":                    {1, 1, 1},
		"LicenseDeactivator Deliveries service=stack-worker outcome=accepted":   {1},
		"LicenseDeactivator Deliveries service=stack-worker outcome=ignored":    {1},
		"LicenseDeactivator Deliveries service=stack-worker outcome=refused":    {1},
		"LicenseDeactivator Deliveries service=stack-worker code=too_large":     {1},
		"LicenseDeactivator DeadLetters service=stack-worker":                   {1, 1},
		"LicenseDeactivator DeadLetters service=stack-worker reason=invalid":    {1},
		"LicenseDeactivator DeadLetters service=stack-worker reason=unmappable": {1},
		"LicenseDeactivator DeadLetters service=stack-worker reason=held":       {1},
		"LicenseDeactivator DeadLetters service=stack-worker reason=watched":    {1},
		"LicenseDeactivator Requests service=stack-worker":                      {3},
		"LicenseDeactivator Requests service=stack-worker outcome=accepted":     {3},
		"LicenseDeactivator ConfigurationFaults service=stack-worker":           {1},
	}
	if diff := cmp.Diff(want, publish(t, out.String())); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

func TestFlushCountsFromZeroAgain(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "worker")
	recorder.Fault(t.Context(), "what", nil)
	recorder.Flush()
	out.Reset()
	recorder.Flush()
	if out.Len() > 0 {
		t.Errorf("nothing was counted, but written: %s", out.String())
	}
}

func TestMoreThanAHundredLatenciesTakeSeveralLines(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 101, 250} {
		var out bytes.Buffer
		recorder := telemetry.New(&out, slog.LevelError, "worker")
		for range n {
			recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Deactivated, Latency: time.Millisecond})
		}
		recorder.Flush()
		got := publish(t, out.String())
		if diff := cmp.Diff([]float64{float64(n)}, got["LicenseDeactivator Messages service=worker"]); diff != "" {
			t.Errorf("%d messages (-want +got):\n%s", n, diff)
		}
		if got := len(got["LicenseDeactivator Latency service=worker"]); got != n {
			t.Errorf("%d latencies of %d messages", got, n)
		}
	}
}

func TestWithoutAFunctionNameThereAreNoMetrics(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "")
	recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Deactivated})
	recorder.Flush()
	if strings.Contains(out.String(), "_aws") || len(lines(t, out.String())) != 1 {
		t.Errorf("want the message's line alone, got %s", out.String())
	}
}

// TestAMessageThatIsStillDeferredIsStalled counts from the sixth receive on, unless the receives took seconds, the
// message's order may still arrive, there was no time for its call, or a configuration fault, which has its own alarm, is
// the cause.
func TestAMessageThatIsStillDeferredIsStalled(t *testing.T) {
	t.Parallel()
	deferred := func(attempts int) telemetry.Message {
		return telemetry.Message{Outcome: deactivation.Deferred, Class: "unavailable", Code: "http_503", Attempts: attempts}
	}
	waiting := deferred(9)
	waiting.Code = deactivation.CodeNoLicense
	aged := func(age time.Duration) telemetry.Message {
		m := deferred(6)
		m.Age = age
		return m
	}
	for _, test := range []struct {
		name     string
		messages []telemetry.Message
		fault    bool
		want     []float64
	}{
		{"early receives", []telemetry.Message{deferred(1), deferred(5)}, false, nil},
		{"from the sixth on", []telemetry.Message{deferred(5), deferred(6), deferred(200)}, false, []float64{2}},
		{"not called", []telemetry.Message{{Outcome: deactivation.Deferred, Attempts: 6}}, false, []float64{1}},
		{"no time left, in an invocation that called for others", []telemetry.Message{{Outcome: deactivation.Deferred, Attempts: 6, Returned: true}}, false, nil},
		{"six receives within seconds", []telemetry.Message{aged(1), aged(5 * time.Second), aged(119 * time.Second)}, false, nil},
		{"six receives within minutes", []telemetry.Message{aged(2 * time.Minute)}, false, []float64{1}},
		{"deactivated at last", []telemetry.Message{{Outcome: deactivation.Deactivated, Attempts: 6}}, false, nil},
		{"rejected at last", []telemetry.Message{{Outcome: deactivation.Rejected, Attempts: 6}}, false, nil},
		{"its order does not exist yet", []telemetry.Message{waiting}, false, nil},
		{"a configuration fault", []telemetry.Message{deferred(6)}, true, nil},
		{"a configuration fault of one message, and another message", []telemetry.Message{{Outcome: deactivation.Deferred, Attempts: 6, AtFault: true}, deferred(6)}, false, []float64{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			recorder := telemetry.New(&out, slog.LevelInfo, "worker")
			record := func(fault bool) published {
				out.Reset()
				for _, m := range test.messages {
					recorder.Message(t.Context(), m)
				}
				if fault {
					recorder.Fault(t.Context(), "what", nil)
				}
				recorder.Flush()
				return publish(t, out.String())
			}
			const key = "LicenseDeactivator Messages service=worker code=stalled"
			got := record(test.fault)
			if diff := cmp.Diff(test.want, got[key]); diff != "" {
				t.Errorf("stalled (-want +got):\n%s", diff)
			}
			var total float64
			for _, n := range got["LicenseDeactivator Messages service=worker"] {
				total += n
			}
			if total != float64(len(test.messages)) {
				t.Errorf("%v messages counted, want %d: a stalled one counts once", total, len(test.messages))
			}
			if test.fault && len(record(false)[key]) == 0 {
				t.Error("the fault of an invocation hides what is stalled in the next")
			}
		})
	}
}

// TestEveryMetricIsListed compares the written metrics with Metrics.
func TestEveryMetricIsListed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "stack")
	recorder.Message(t.Context(), telemetry.Message{Outcome: deactivation.Rejected, Class: "rejected", Latency: time.Millisecond,
		Source: "stripe", LookupEnd: telemetry.LookupFound, LookupMapped: true})
	recorder.ManagementAnswer("ok", time.Millisecond)
	recorder.Delivery(t.Context(), telemetry.Delivery{Answer: deactivation.Accepted, Code: deactivation.CodeUnknownShape, Requests: []string{"a"}})
	recorder.Fault(t.Context(), "what", nil)
	recorder.Flush()
	var got []string
	for key := range publish(t, out.String()) {
		got = append(got, strings.Fields(key)[1])
	}
	slices.Sort(got)
	if diff := cmp.Diff(telemetry.Metrics(), slices.Compact(got)); diff != "" {
		t.Errorf("metrics (-listed +written):\n%s", diff)
	}
}
