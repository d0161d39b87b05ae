package webhook

import (
	"fmt"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// checkAge returns the mapping of an event that may be too old to act on unasked: a year-old order that is edited today,
// or a replay to a sender without timestamps. An accepted event that was older than maxAge when it was received is stale,
// and keeps its requests. Its age is by its own time; an event without one, or from the future, is not stale. Time in our
// own queue does not count. maxAge 0: no limit.
func checkAge(m source.Mapping, maxAge time.Duration) source.Mapping {
	if maxAge == 0 || m.Answer != deactivation.Accepted || len(m.Requests) == 0 {
		return m
	}
	occurred := m.Requests[0].OccurredAt // all requests of an event have its times
	age := m.Requests[0].ReceivedAt.Sub(occurred)
	if occurred.IsZero() || age <= maxAge {
		return m
	}
	m.Answer = deactivation.Stale
	m.Problem = fmt.Sprintf("the event of %s was %s old when it was received, more than %s",
		occurred.UTC().Format(time.RFC3339), hours(age), hours(maxAge))
	return m
}

// hours writes a duration to the minute: "336h", "336h20m".
func hours(d time.Duration) string {
	d = d.Round(time.Minute)
	text := fmt.Sprintf("%dh", d/time.Hour)
	if minutes := d % time.Hour / time.Minute; minutes > 0 {
		text += fmt.Sprintf("%dm", minutes)
	}
	return text
}
