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

// published is what CloudWatch makes of metric lines: for each namespace, metric and set of dimensions the values.
type published map[string][]float64

// publish reads metric lines as CloudWatch does, by the embedded metric format's specification, and refuses what
// it would refuse:
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
	recorder.Delivery(t.Context(), telemetry.Delivery{Answer: deactivation.Ignored})
	recorder.Fault(t.Context(), "what", nil)
	recorder.Flush()

	want := published{
		"LicenseDeactivator Messages service=stack-worker":                     {2, 1},
		"LicenseDeactivator Messages service=stack-worker outcome=deactivated": {2},
		"LicenseDeactivator Messages service=stack-worker outcome=deferred":    {1},
		"LicenseDeactivator Answers service=stack-worker":                      {1},
		"LicenseDeactivator Answers service=stack-worker outcome=rate_limited": {1},
		"LicenseDeactivator Latency service=stack-worker":                      {20, 20},
		"LicenseDeactivator Latency service=stack-worker outcome=deactivated":  {20, 20},
		"LicenseDeactivator Deliveries service=stack-worker":                   {1, 1},
		"LicenseDeactivator Deliveries service=stack-worker outcome=accepted":  {1},
		"LicenseDeactivator Deliveries service=stack-worker outcome=ignored":   {1},
		"LicenseDeactivator Requests service=stack-worker":                     {3},
		"LicenseDeactivator Requests service=stack-worker outcome=accepted":    {3},
		"LicenseDeactivator ConfigurationFaults service=stack-worker":          {1},
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
		t.Errorf("nothing was counted, and yet: %s", out.String())
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
