package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"license-deactivator/internal/config"
	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

const (
	// countsFor is how long counts of CloudWatch are used before they are asked for again. A metric has one value a minute, and
	// GetMetricData costs 0.01 USD for 1,000 metrics: an open page with 8 of them costs 0.005 USD an hour.
	countsFor = time.Minute

	// deliveriesFor is the same for the count of deliveries by source, which scans the log of the webhook function.
	deliveriesFor = 5 * time.Minute

	// rateSteps is how many minutes of calls the overview shows.
	rateSteps = 60
)

// stackStatus is console.Status of a deployed stack. Its zero values of at and logs are not usable.
type stackStatus struct {
	at   *place
	logs *history.Insights // nil: no log group is known
	now  func() time.Time

	mu         sync.Mutex // held while AWS is asked, so that two windows do not ask twice
	counts     fresh[metricCounts]
	deliveries fresh[[]console.Count]
	settings   fresh[config.Worker]
}

// fresh is a value that was read at a time, for counts since another.
type fresh[T any] struct {
	value       T
	read, since time.Time
	err         error
}

// get returns the value, and reads it again if it is older than that or for another time.
func (f *fresh[T]) get(now, since time.Time, age time.Duration, read func() (T, error)) (T, error) {
	if f.read.IsZero() || now.Sub(f.read) >= age || !f.since.Equal(since) {
		f.value, f.err = read()
		f.read, f.since = now, since
	}
	return f.value, f.err
}

// Overview implements console.Status. Counts are those of whole minutes.
func (s *stackStatus) Overview(ctx context.Context, since time.Time) (console.Overview, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	// A page asks for the last 24 hours again and again: the same minute is the same question.
	from := since.Truncate(countsFor)
	var o console.Overview
	o.Queue = s.depth(ctx, &o, "queue", queueURL)
	o.DeadLetters = s.depth(ctx, &o, "dead-letter queue", deadLetterQueueURL)
	s.addSettings(ctx, &o, now)
	s.addCounts(ctx, &o, now, from)
	s.addDeliveries(ctx, &o, now, from)
	if err := ctx.Err(); err != nil {
		return o, failed(err, "")
	}
	return o, nil
}

// depth returns how many messages a queue holds.
func (s *stackStatus) depth(ctx context.Context, o *console.Overview, name string, r resource) *console.Depth {
	if s.at.of(r) == "" {
		return nil
	}
	visible, hidden, err := s.at.queue(r).Depth(ctx)
	if err != nil {
		o.Notes = append(o.Notes, note("the depth of the "+name, err, "sqs:GetQueueAttributes"))
		return nil
	}
	return &console.Depth{Visible: visible, Hidden: hidden}
}

// note says what could not be read, why, and what to do.
func note(what string, err error, right string) string {
	text := what + " cannot be read: " + awsProblem(err)
	if hint := awsHint(err, right); hint != "" {
		text += ": " + hint
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// addSettings adds what the worker's variables say. They are read again with the counts: a deployment may change them.
func (s *stackStatus) addSettings(ctx context.Context, o *console.Overview, now time.Time) {
	o.Mode = s.at.of(stackMode)
	worker := s.at.of(workerFunctionName)
	if worker == "" {
		return
	}
	o.License = &console.Rate{Step: time.Minute, Counts: "answers"}
	w, err := s.settings.get(now, time.Time{}, countsFor, func() (config.Worker, error) {
		variables, err := s.at.variables(ctx, worker)
		if err != nil {
			return config.Worker{}, err
		}
		return config.ReadWorker(func(name string) string { return variables[name] })
	})
	if err != nil {
		o.Notes = append(o.Notes, note("the settings of the worker function", err, "lambda:GetFunctionConfiguration"))
		return
	}
	o.Mode, o.LookUp = modeAct, "off"
	if w.Watch {
		o.Mode = modeWatch
	}
	o.Brake = &w.SurgeLimit
	o.License.Limit = w.CallsPerSecond * time.Minute.Seconds()
	if w.LookUp {
		o.LookUp = "on"
		o.Management = &console.Rate{Limit: float64(w.ManagementCallsPerMinute), Step: time.Minute, Counts: "answers"}
	}
}

// metricCounts are the values of the metrics.
type metricCounts struct {
	outcomes            []console.Count
	license, management series
}

// addCounts adds what the metrics say.
func (s *stackStatus) addCounts(ctx context.Context, o *console.Overview, now, since time.Time) {
	if s.at.of(workerFunctionName) == "" {
		o.Notes = append(o.Notes, "Outcomes and calls are counted by the worker's metrics: name the stack with --stack to see them.")
		return
	}
	m, err := s.counts.get(now, since, countsFor, func() (metricCounts, error) { return s.measure(ctx, now, since) })
	if err != nil {
		o.Notes = append(o.Notes, note("the metrics", err, "cloudwatch:GetMetricData"))
		return
	}
	o.Outcomes, o.License.Calls = m.outcomes, m.license.calls
	if o.Management != nil {
		o.Management.Calls = m.management.calls
	}
}

// addDeliveries adds what the log says: a metric has no dimension for the source.
func (s *stackStatus) addDeliveries(ctx context.Context, o *console.Overview, now, since time.Time) {
	if s.logs == nil {
		o.Notes = append(o.Notes, "Deliveries are counted in the log: name the stack with --stack to see them.")
		return
	}
	counts, err := s.deliveries.get(now, since.Truncate(deliveriesFor), deliveriesFor, func() ([]console.Count, error) {
		counted, err := s.logs.CountDeliveries(ctx, since)
		counts := make([]console.Count, len(counted))
		for i, c := range counted {
			counts[i] = console.Count{Source: c.Source, Name: c.Answer, N: c.N}
		}
		return counts, err
	})
	if err != nil {
		o.Notes = append(o.Notes, note("the deliveries", err, "logs:StartQuery, logs:GetQueryResults and logs:StopQuery"))
		return
	}
	o.Deliveries = counts
	if age := now.Sub(s.deliveries.read); age >= countsFor {
		o.Notes = append(o.Notes, fmt.Sprintf("Deliveries were counted %s ago, in the log. They are counted again every %v.",
			age.Truncate(time.Minute), deliveriesFor))
	}
}

// outcomesOfMessages are those that the worker's metric has.
func outcomesOfMessages() []string {
	return []string{
		string(deactivation.Deactivated), string(deactivation.AlreadyInactive), string(deactivation.Deferred), string(deactivation.Rejected),
	}
}

// measure asks CloudWatch for all metrics at once.
func (s *stackStatus) measure(ctx context.Context, now, since time.Time) (metricCounts, error) {
	function, period := functionName(s.at.of(workerFunctionName)), periodFor(now.Sub(since))
	queries := []cwtypes.MetricDataQuery{
		sumOf(telemetry.MetricAnswers, function, "", period), sumOf(telemetry.MetricManagementAnswers, function, "", period),
	}
	for _, outcome := range outcomesOfMessages() {
		queries = append(queries, sumOf(telemetry.MetricMessages, function, outcome, period))
	}
	client := cloudwatch.NewFromConfig(s.at.config, func(o *cloudwatch.Options) { o.BaseEndpoint = s.at.endpointFor(o.BaseEndpoint) })
	m := metricCounts{license: newSeries(now), management: newSeries(now)}
	sums := map[string]float64{} // by outcome
	pages := cloudwatch.NewGetMetricDataPaginator(client, &cloudwatch.GetMetricDataInput{
		StartTime: &since, EndTime: aws.Time(now.Add(time.Minute)), MetricDataQueries: queries,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return m, err
		}
		for _, r := range page.MetricDataResults {
			for i, at := range r.Timestamps[:min(len(r.Timestamps), len(r.Values))] {
				switch label := aws.ToString(r.Label); label {
				case telemetry.MetricAnswers:
					m.license.add(at, r.Values[i])
				case telemetry.MetricManagementAnswers:
					m.management.add(at, r.Values[i])
				default:
					sums[label] += r.Values[i]
				}
			}
		}
	}
	for _, outcome := range outcomesOfMessages() {
		if n := sums[outcome]; n > 0 {
			m.outcomes = append(m.outcomes, console.Count{Name: outcome, N: int(n)})
		}
	}
	return m, nil
}

// periodFor returns the period of values in seconds: CloudWatch keeps those of a minute for 15 days, of five minutes for 63 days, and
// of an hour for 455 days.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
func periodFor(age time.Duration) int32 {
	const day = 24 * time.Hour
	switch {
	case age <= 15*day:
		return 60
	case age <= 63*day:
		return 300
	}
	return 3600
}

// sumOf asks for the sum of a function's metric, of all messages or of those with an outcome. The outcome is the label of the
// result, else the metric's name.
func sumOf(metric, function, outcome string, period int32) cwtypes.MetricDataQuery {
	label := cmp.Or(outcome, metric)
	dimensions := []cwtypes.Dimension{{Name: aws.String(telemetry.DimensionService), Value: &function}}
	if outcome != "" {
		dimensions = append(dimensions, cwtypes.Dimension{Name: aws.String(telemetry.DimensionOutcome), Value: &outcome})
	}
	return cwtypes.MetricDataQuery{
		Id: aws.String("m_" + label), Label: &label, MetricStat: &cwtypes.MetricStat{
			Stat: aws.String("Sum"), Period: &period,
			Metric: &cwtypes.Metric{Namespace: aws.String(telemetry.Namespace), MetricName: &metric, Dimensions: dimensions},
		},
	}
}

// series is the calls of each of the last rateSteps minutes.
type series struct {
	first time.Time
	calls []float64
}

func newSeries(now time.Time) series {
	return series{now.Truncate(time.Minute).Add(-(rateSteps - 1) * time.Minute), make([]float64, rateSteps)}
}

func (s series) add(at time.Time, calls float64) {
	if step := int(at.Sub(s.first) / time.Minute); !at.Before(s.first) && step < len(s.calls) {
		s.calls[step] += calls
	}
}
