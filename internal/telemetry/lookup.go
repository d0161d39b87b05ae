package telemetry

import (
	"time"

	"license-deactivator/internal/deactivation"
)

// Ends of a look-up that are neither a code nor a reason of a dead letter.
const (
	LookupFound       = "found"
	LookupStillUsable = "still_usable" // found, and the request does not disable it
	LookupNotFound    = "not_found"
)

// Answer counts an answer of the License API that is not the deciding one of a message: those for the devices of a
// look-up.
func (r *Recorder) Answer(class string, latency time.Duration) {
	r.add(series{metric: MetricAnswers, dimension: DimensionOutcome, value: class}, 1, latency)
}

// ManagementAnswer counts an answer of the Management API, by its kind.
func (r *Recorder) ManagementAnswer(kind string, latency time.Duration) {
	r.add(series{metric: MetricManagementAnswers, dimension: DimensionOutcome, value: kind}, 1, latency)
}

// countLookup counts the end of a look-up.
func (r *Recorder) countLookup(m Message) {
	r.add(series{metric: metricLookups, dimension: DimensionOutcome, value: m.LookupEnd}, 1, 0)
	if m.LookupMapped && deactivation.IsSourceName(m.Source) {
		r.addValue(series{metric: metricNotFound, dimension: dimensionSource, value: m.Source, detailed: true},
			float64(truth(m.LookupEnd == LookupNotFound)))
	}
}
