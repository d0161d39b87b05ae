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
//	outcome  a message's Outcome, a delivery's Answer, the class of the License API's answer
//	reason   of a dead letter
//	code     what is wrong, where an alarm watches it: of a delivery one of deactivation.DeliveryCodes, of a
//	         message CodeStalled
//
// Every metric is also written under service alone, so that an alarm needs no sum over the second dimension. The exception
// are dead letters of the worker's guards, held and watched: held has an alarm of its own, and watch mode makes every message
// a watched one, so neither may set off the alarm for new letters.
const (
	Namespace = "LicenseDeactivator"

	metricMessages   = "Messages"   // messages, each receive counted
	metricDeliveries = "Deliveries" // deliveries and direct invocations
	metricRequests   = "Requests"   // requests enqueued
	metricLatency    = "Latency"    // of the License API's answers, for the messages of Messages
	metricAnswers    = "Answers"    // the License API's answers; outcome is the class of the code, for example rate_limited

	// metricFaults counts invocations that found a configuration fault: no message is lost, and no message proceeds
	// until a person corrects the fault.
	metricFaults = "ConfigurationFaults"

	// metricDeadLetters counts messages that the dead-letter queue has accepted.
	metricDeadLetters = "DeadLetters"

	dimensionService = "service"
	dimensionOutcome = "outcome"
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
		metricAnswers, metricFaults, metricDeadLetters, metricDeliveries, metricLatency, metricMessages, metricRequests,
	}
}

// series is what is counted separately: a metric and its second dimension, if it has one.
type series struct{ metric, dimension, value string }

type count struct {
	n         int
	latencies []float64 // milliseconds
}

// add counts n under a series.
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

// Flush writes the counts since the last Flush, one line for each series, and resets them to zero. Handlers call it at
// the end of every invocation: counts that are not written then are lost when Lambda ends the environment. A series
// without a count has no line.
func (r *Recorder) Flush() {
	r.mu.Lock()
	counted, faulty := r.counts, r.faulty
	r.counts, r.faulty = make(map[series]*count), false
	r.mu.Unlock()
	if faulty { // it has an alarm of its own, which says what to do
		delete(counted, series{metricMessages, dimensionCode, CodeStalled})
	}

	now := time.Now()
	order := func(a, b series) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.dimension, b.dimension), cmp.Compare(a.value, b.value))
	}
	for _, s := range slices.SortedFunc(maps.Keys(counted), order) {
		c := counted[s]
		values := []value{{definition{s.metric, "Count"}, c.n}}
		for latencies := range slices.Chunk(c.latencies, maxValues) {
			r.writeMetrics(now, s, append(values, value{definition{metricLatency, "Milliseconds"}, latencies}))
			values = nil // the count is in the first line
		}
		if len(values) > 0 {
			r.writeMetrics(now, s, values)
		}
	}
}

// isStalled reports whether a message counts as stalled. Two kinds do not: one whose order is not in LicenseSpring yet, since
// a refund can be faster than the fulfilment of its order; and one for which an invocation had no time left, since the calls
// of that invocation show how the API is, and a bulk run at a low rate returns many.
func isStalled(m Message) bool {
	return m.Outcome == deactivation.Deferred && m.Attempts >= stalledReceives && (m.Age == 0 || m.Age >= stalledAge) &&
		!m.Returned && m.Code != deactivation.CodeNoLicense
}

// isGuarded reports whether a guard of the worker put a letter into the dead-letter queue, and no answer of the License API.
func isGuarded(reason deactivation.Reason) bool {
	return reason == deactivation.ReasonHeld || reason == deactivation.ReasonWatched
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
	line := map[string]any{dimensionService: r.function}
	d := directive{Namespace: Namespace, Dimensions: [][]string{{dimensionService}}}
	if s.value != "" {
		line[s.dimension] = s.value
		d.Dimensions = append(d.Dimensions, []string{dimensionService, s.dimension})
	}
	switch {
	case s.dimension == dimensionCode, // the line of the outcome already counts it under service
		s.dimension == dimensionReason && isGuarded(deactivation.Reason(s.value)):
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
