package telemetry

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
)

// Namespace and the names of the metrics, as the alarms of template.yaml use them. Every metric has the dimension
// service: the function's name, so that two stacks of one account do not mix. Most have a second one:
//
//	outcome  a message's Outcome, a delivery's Answer, the class of an API's answer, the result of a look-up
//	reason   of a dead letter
//	source   of an event that was looked up
//	code     what is wrong, where an alarm watches it: of a delivery one of deactivation.DeliveryCodes, of a
//	         message CodeStalled
//
// Every metric is also written under service alone, so that an alarm needs no sum over the second dimension. Exceptions are
// dead letters of the worker's guards, held and watched, and those of orders without a license: held and the latter have
// alarms of their own, and watch mode makes every message a watched one, so none of them may set off the alarm for new
// letters. NotFound, which only its alarms use, is another exception.
const (
	Namespace = "LicenseDeactivator"

	MetricMessages   = "Messages"   // messages, each receive counted
	metricDeliveries = "Deliveries" // deliveries and direct invocations
	metricRequests   = "Requests"   // requests enqueued
	metricLatency    = "Latency"    // of the License API's answers, for the messages of Messages and for a look-up's devices
	MetricAnswers    = "Answers"    // the License API's answers; outcome is the class of the code, for example rate_limited

	// metricFaults counts invocations that found a configuration fault: no message is lost, and no message proceeds
	// until a person corrects the fault.
	metricFaults = "ConfigurationFaults"

	// metricDeadLetters counts messages that the dead-letter queue has accepted.
	metricDeadLetters = "DeadLetters"

	// metricLookups counts messages whose look-up has ended, under outcome: found, still_usable (found, and not to be
	// disabled), not_found, or the code of a dead letter.
	metricLookups = "LookUps"

	// metricNotFound has a value for each look-up that has ended of an event, under its source alone: 1 where no license
	// was found, else 0. Its Sum and its SampleCount show a wrong mapping of a source.
	metricNotFound = "NotFound"

	// The Management API's answers, under outcome: the kind of the error, or ok.
	MetricManagementAnswers = "ManagementAnswers"
	metricManagementLatency = "ManagementLatency"

	dimensionSource  = "source"
	DimensionService = "service"
	DimensionOutcome = "outcome"
	dimensionReason  = "reason"
	dimensionCode    = "code"

	// CodeStalled counts messages that are still deferred at receive stalledReceives or later (isStalled). The alarm for an outage
	// of the License API watches it. SQS's own ApproximateAgeOfOldestMessage cannot be used: it leaves out messages
	// that were received more than three times, which happens in an outage after 210 s.
	CodeStalled = "stalled"

	// stalledReceives: by worker.Backoff the sixth receive of a message comes 465 to 930 s after its first. A short
	// outage has ended by then, and a single refund shows a long one within 16 minutes. A message that itself is at
	// fault was dead-lettered at the fifth receive.
	stalledReceives = 6

	// stalledAge is the age below which a message is not stalled, with any receive count: a Retry-After of a second uses six
	// of them in five seconds. The seventh receive comes 15 minutes after the sixth, so an outage shows within 17 minutes.
	stalledAge = 2 * time.Minute

	// maxValues is the most values that one metric may have in one line:
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
	maxValues = 100
)

// Metrics lists the names of the metrics that a Recorder writes, sorted.
func Metrics() []string {
	return []string{
		MetricAnswers, metricFaults, metricDeadLetters, metricDeliveries, metricLatency, metricLookups,
		MetricManagementAnswers, metricManagementLatency, MetricMessages, metricNotFound, metricRequests,
	}
}

// series is what is counted separately: a metric and its second dimension, if it has one. A detailed one is not written
// under service alone.
type series struct {
	metric, dimension, value string
	detailed                 bool
}

type count struct {
	n         int
	latencies []float64 // milliseconds
	values    []float64 // of a metric whose values are not all 1
}

// add counts n under a series.
func (r *Recorder) add(s series, n int, latency time.Duration) {
	if r.function == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of(s)
	c.n += n
	if latency > 0 {
		c.latencies = append(c.latencies, milliseconds(latency))
	}
}

// of returns the count of a series. r.mu is held.
func (r *Recorder) of(s series) *count {
	c := r.counts[s]
	if c == nil {
		c = &count{}
		r.counts[s] = c
	}
	return c
}

// addValue records one value of a series.
func (r *Recorder) addValue(s series, v float64) {
	if r.function == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of(s)
	c.values = append(c.values, v)
}

// Flush writes the counts since the last Flush, one line for each series, and resets them to zero. Handlers call it at
// the end of every invocation: counts that are not written then are lost when Lambda ends the environment. A series
// without a count has no line.
func (r *Recorder) Flush() {
	r.mu.Lock()
	counted, faulty := r.counts, r.faulty
	r.counts, r.faulty = make(map[series]*count), false
	r.mu.Unlock()
	if faulty { // it has an alarm of its own, which says what to do
		delete(counted, series{metric: MetricMessages, dimension: dimensionCode, value: CodeStalled})
	}

	now := time.Now()
	order := func(a, b series) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.dimension, b.dimension), cmp.Compare(a.value, b.value),
			cmp.Compare(truth(a.detailed), truth(b.detailed)))
	}
	for _, s := range slices.SortedFunc(maps.Keys(counted), order) {
		c := counted[s]
		for several := range slices.Chunk(c.values, maxValues) {
			r.writeMetrics(now, s, []value{{definition{s.metric, "Count"}, several}})
		}
		var values []value
		if c.n > 0 {
			values = []value{{definition{s.metric, "Count"}, c.n}}
		}
		for latencies := range slices.Chunk(c.latencies, maxValues) {
			r.writeMetrics(now, s, append(values, value{definition{latencyOf(s.metric), "Milliseconds"}, latencies}))
			values = nil // the count is in the first line
		}
		if len(values) > 0 {
			r.writeMetrics(now, s, values)
		}
	}
}

// isStalled reports whether a message counts as stalled. Three kinds do not: one whose order is not in LicenseSpring yet, since
// a refund can be faster than the fulfilment of its order; one for which an invocation had no time left, since the calls
// of that invocation show how the API is, and a bulk run at a low rate returns many; and one with a configuration fault, which
// has an alarm of its own.
func isStalled(m Message) bool {
	return m.Outcome == deactivation.Deferred && m.Attempts >= stalledReceives && (m.Age == 0 || m.Age >= stalledAge) &&
		!m.Returned && !m.AtFault && m.Code != deactivation.CodeNoLicense
}

// hasOwnAlarm reports whether the alarm for new letters leaves out a letter: one that a guard of the worker put into the
// dead-letter queue, or one of an event whose order has no license in LicenseSpring. NotFound does not count direct
// invocations.
func hasOwnAlarm(m Message) bool {
	return m.Reason == deactivation.ReasonHeld || m.Reason == deactivation.ReasonWatched ||
		m.Reason == deactivation.ReasonRejected && m.Code == deactivation.CodeNoLicense && m.LookupMapped
}

// latencyOf is the metric of the latencies in a series of that metric.
func latencyOf(metric string) string {
	if metric == MetricManagementAnswers {
		return metricManagementLatency
	}
	return metricLatency
}

// value is one metric of a line: a number, or up to maxValues of them.
type value struct {
	definition
	value any
}

// directive says which members of the line are dimensions and which are metrics.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type definition struct{ Name, Unit string }

func (r *Recorder) writeMetrics(now time.Time, s series, values []value) {
	line := map[string]any{DimensionService: r.function}
	d := directive{Namespace: Namespace, Dimensions: [][]string{{DimensionService}}}
	if s.value != "" {
		line[s.dimension] = s.value
		d.Dimensions = append(d.Dimensions, []string{DimensionService, s.dimension})
	}
	if s.detailed || s.dimension == dimensionCode { // a code's message or delivery is already counted under service
		d.Dimensions = d.Dimensions[1:]
	}
	for _, v := range values {
		line[v.Name] = v.value
		d.Metrics = append(d.Metrics, v.definition)
	}
	line["_aws"] = map[string]any{"Timestamp": now.UnixMilli(), "CloudWatchMetrics": []directive{d}}

	// Neither error can be reported: the members are texts and numbers, and the writer is the log itself.
	if text, err := json.Marshal(line); err == nil {
		_, _ = r.w.Write(append(text, '\n'))
	}
}

func truth(holds bool) int {
	if holds {
		return 1
	}
	return 0
}
