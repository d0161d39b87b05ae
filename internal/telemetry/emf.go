package telemetry

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Namespace and the names of the metrics, as template.yaml's alarms use them. Every metric has the dimension
// service (the function's name, so that two stacks of one account do not mix); all but ConfigurationFaults come
// once more under service and outcome, where outcome is a message's Outcome or a delivery's Answer.
const (
	Namespace = "LicenseDeactivator"

	// MetricConfigurationFaults counts invocations that found the deployment at fault: nothing is lost, and
	// nothing goes on until somebody mends it.
	MetricConfigurationFaults = "ConfigurationFaults"

	metricMessages   = "Messages"   // messages, each receive counted
	metricDeliveries = "Deliveries" // deliveries and direct invocations
	metricRequests   = "Requests"   // requests enqueued
	metricLatency    = "Latency"    // of the License API's answers, beside Messages
	metricAnswers    = "Answers"    // the License API's answers; outcome is the class of the code, rate_limited say

	dimensionService = "service"
	dimensionOutcome = "outcome"

	// maxValues is the most values that one metric may have in one line:
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
	maxValues = 100
)

// series is what is counted apart: a metric and, where it has one, the outcome.
type series struct{ metric, outcome string }

type count struct {
	n         int
	latencies []float64 // milliseconds
}

func (r *Recorder) add(s series, n int, latency time.Duration) {
	if r.function == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts[s]
	if c == nil {
		c = &count{}
		r.counts[s] = c
	}
	c.n += n
	if latency > 0 {
		c.latencies = append(c.latencies, milliseconds(latency))
	}
}

// Flush writes what was counted since the last Flush, one line for each metric and outcome, and counts from zero
// again. Handlers call it at the end of every invocation: what is not written then is lost when Lambda takes the
// environment away. Nothing is written where nothing was counted.
func (r *Recorder) Flush() {
	r.mu.Lock()
	counted := r.counts
	r.counts = make(map[series]*count)
	r.mu.Unlock()

	now := time.Now()
	order := func(a, b series) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.outcome, b.outcome))
	}
	for _, s := range slices.SortedFunc(maps.Keys(counted), order) {
		c := counted[s]
		values := []value{{definition{s.metric, "Count"}, c.n}}
		for latencies := range slices.Chunk(c.latencies, maxValues) {
			r.writeMetrics(now, s.outcome, append(values, value{definition{metricLatency, "Milliseconds"}, latencies}))
			values = nil // a count is told once
		}
		if len(values) > 0 {
			r.writeMetrics(now, s.outcome, values)
		}
	}
}

// value is one metric of a line: a number, or up to maxValues of them.
type value struct {
	definition
	value any
}

// directive tells CloudWatch which members of the line are dimensions and which are metrics.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type definition struct{ Name, Unit string }

func (r *Recorder) writeMetrics(now time.Time, outcome string, values []value) {
	line := map[string]any{dimensionService: r.function}
	d := directive{Namespace: Namespace, Dimensions: [][]string{{dimensionService}}}
	if outcome != "" {
		line[dimensionOutcome] = outcome
		d.Dimensions = append(d.Dimensions, []string{dimensionService, dimensionOutcome})
	}
	for _, v := range values {
		line[v.Name] = v.value
		d.Metrics = append(d.Metrics, v.definition)
	}
	line["_aws"] = map[string]any{"Timestamp": now.UnixMilli(), "CloudWatchMetrics": []directive{d}}

	// Neither can fail in a way that could be told: the members are texts and numbers, and the writer is the log.
	if text, err := json.Marshal(line); err == nil {
		_, _ = r.w.Write(append(text, '\n'))
	}
}
