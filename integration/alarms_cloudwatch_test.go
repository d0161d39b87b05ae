package integration

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cloudWatch keeps metrics and evaluates alarms by CloudWatch's documented rules:
//
//   - A data point of an alarm is the statistic of one period. The window slides: the alarm is evaluated every minute, and
//     its newest period ends then. (One whose periods span more than a day is evaluated every hour; there is none.)
//     https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
//   - What is missing: CloudWatch retrieves some more data points than EvaluationPeriods. Where enough of them exist, the
//     most recent ones decide, however old they are. Else missing ones are filled in as TreatMissingData says, as few as
//     possible. ALARM where at least DatapointsToAlarm breach, else OK.
//     https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
//   - Actions are run when the state changes, and not again while it lasts.
//
// CloudWatch documents neither how many more data points it retrieves nor how long a metric takes to arrive. A scenario
// is therefore evaluated under several values of both (conditions), and every one must give the same result.
type cloudWatch struct {
	start time.Time

	mu      sync.Mutex
	samples map[string][]datum
}

type datum struct {
	after time.Duration // since start
	value float64
}

func newCloudWatch() *cloudWatch {
	return &cloudWatch{start: time.Now(), samples: map[string][]datum{}}
}

// metricKey names a metric: namespace, name and dimensions, "service=WorkerFunction".
func metricKey(namespace, name string, dimensions ...string) string {
	slices.Sort(dimensions)
	return strings.Join(append([]string{namespace, name}, dimensions...), " ")
}

// put records a value of a metric at the present time.
func (c *cloudWatch) put(metric string, value float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[metric] = append(c.samples[metric], datum{time.Since(c.start), value})
}

// Write receives what a function writes to its log, one line at a time, and extracts the metrics of embedded metric
// format
// as CloudWatch Logs does. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func (c *cloudWatch) Write(line []byte) (int, error) {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(line, &root); err != nil {
		return 0, fmt.Errorf("a log line that is not JSON: %w", err)
	}
	var metadata struct {
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name string }
		}
	}
	if root["_aws"] == nil {
		return len(line), nil
	}
	if err := json.Unmarshal(root["_aws"], &metadata); err != nil {
		return 0, err
	}
	for _, d := range metadata.CloudWatchMetrics {
		for _, set := range d.Dimensions {
			var dimensions []string
			for _, name := range set {
				var value string
				if err := json.Unmarshal(root[name], &value); err != nil {
					return 0, fmt.Errorf("dimension %s: %w", name, err)
				}
				dimensions = append(dimensions, name+"="+value)
			}
			for _, m := range d.Metrics {
				var values []float64
				if json.Unmarshal(root[m.Name], &values) != nil {
					values = make([]float64, 1)
					if err := json.Unmarshal(root[m.Name], &values[0]); err != nil {
						return 0, fmt.Errorf("metric %s: %w", m.Name, err)
					}
				}
				for _, value := range values {
					c.put(metricKey(d.Namespace, m.Name, dimensions...), value)
				}
			}
		}
	}
	return len(line), nil
}

// minutes are a metric's samples of each minute since start.
type minutes struct {
	max    []float64 // -Inf where there is none
	before []total   // of the minutes before that one, so that a period of a day costs no more than one of a minute
}

type total struct {
	n   int
	sum float64
}

// conditions are what CloudWatch does not document, or what depends on chance.
type conditions struct {
	phase time.Duration // from the full minute to the scenario's start
	delay int           // minutes until a metric is there
	more  int           // data points retrieved beyond EvaluationPeriods
}

func (c conditions) String() string {
	return fmt.Sprintf("%v after the full minute, metrics %d min late, %d more data points", c.phase, c.delay, c.more)
}

// allConditions combine a few of each. No alarm of one minute would see a metric that arrives later than the data
// points that are retrieved; CloudWatch retrieves more of them for that reason.
func allConditions() []conditions {
	var all []conditions
	for _, phase := range []time.Duration{0, 41 * time.Second} {
		for _, more := range []int{0, 2, 5} {
			for delay := range min(more, 2) + 1 {
				all = append(all, conditions{phase, delay, more})
			}
		}
	}
	return all
}

// byMinute arranges the samples of a scenario of that length. Times stay relative to the scenario's start. A phase
// moves the boundaries between minutes.
func (c *cloudWatch) byMinute(phase, length time.Duration) map[string]*minutes {
	c.mu.Lock()
	defer c.mu.Unlock()
	arranged := map[string]*minutes{}
	for metric, samples := range c.samples {
		n := int((length+phase)/time.Minute) + 1
		m := &minutes{max: make([]float64, n), before: make([]total, n+1)}
		for i := range m.max {
			m.max[i] = math.Inf(-1)
		}
		for _, s := range samples {
			i := int((s.after + phase) / time.Minute)
			if i >= n {
				continue // the sample of the scenario's end
			}
			m.max[i] = max(m.max[i], s.value)
			m.before[i+1].n, m.before[i+1].sum = m.before[i+1].n+1, m.before[i+1].sum+s.value
		}
		for i := range n {
			m.before[i+1].n, m.before[i+1].sum = m.before[i+1].n+m.before[i].n, m.before[i+1].sum+m.before[i].sum
		}
		arranged[metric] = m
	}
	return arranged
}

// statistic is the data point of the minutes [from, to), or missing.
func (m *minutes) statistic(name string, from, to int) (value float64, missing bool) {
	if m == nil {
		return 0, true
	}
	from, to = max(from, 0), min(to, len(m.max))
	if from >= to {
		return 0, true
	}
	n, sum := m.before[to].n-m.before[from].n, m.before[to].sum-m.before[from].sum
	switch name {
	case "Sum":
		return sum, n == 0
	case "SampleCount":
		return float64(n), n == 0
	}
	return slices.Max(m.max[from:to]), n == 0
}

// span is a time in which an alarm was in ALARM. Its action ran at from.
type span struct{ from, to time.Duration }

// play evaluates an alarm every minute and returns when it was in ALARM, in time since the scenario's start. A span
// that lasts to the end ends with the scenario.
func (a alarmDefinition) play(metrics map[string]*minutes, length time.Duration, c conditions) (spans []span) {
	known := false
	for _, m := range a.metrics {
		known = known || metrics[m.metric] != nil
	}
	if !known {
		return nil // without a data point it stays OK
	}
	period, end := int(a.period/time.Minute), int((length+c.phase)/time.Minute)
	pointOf := func(from, to int) point {
		value, missing := a.expression(func(id string) (float64, bool) {
			return metrics[a.metrics[id].metric].statistic(a.metrics[id].statistic, from, to)
		})
		return point{!missing && a.breaches(value), missing}
	}
	whole := make([]point, end+1) // the period that ends at that minute, once all of it has arrived
	for to := range whole {
		whole[to] = pointOf(to-period, to)
	}
	points := make([]point, a.evaluated+c.more)
	inAlarm := false
	for now := 1; now <= end; now++ {
		for i := range points { // newest first
			switch to := now - i*period; {
			case to <= 0:
				points[i] = point{missing: true}
			case to <= now-c.delay:
				points[i] = whole[to]
			default:
				points[i] = pointOf(to-period, now-c.delay)
			}
		}
		clock := time.Duration(now)*time.Minute - c.phase
		switch breaching := evaluate(points, a.evaluated) >= a.toAlarm; {
		case breaching && !inAlarm:
			spans = append(spans, span{clock, length})
		case !breaching && inAlarm:
			spans[len(spans)-1].to = clock
		}
		inAlarm = evaluate(points, a.evaluated) >= a.toAlarm
	}
	return spans
}

// point is one data point of an alarm.
type point struct{ breaches, missing bool }

// evaluate returns how many of the data points that decide are breaching. Missing data is not breaching, so a filled-in
// point never counts: evaluate only leaves out the oldest existing points beyond EvaluationPeriods.
func evaluate(points []point, evaluated int) (breaching int) {
	existing := 0
	for _, p := range points {
		if p.missing || existing == evaluated {
			continue
		}
		existing++
		if p.breaches {
			breaching++
		}
	}
	return breaching
}

// TestEvaluationOfMissingData uses the examples of AWS's page, column "not breaching": 0 is a data point within the
// threshold, X is one that breaches, - is a missing one. The newest is last; five were retrieved.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
func TestEvaluationOfMissingData(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		points  string
		toAlarm int // of 3
		want    bool
	}{
		{"0 - X - X", 3, false},
		{"0 - - - -", 3, false},
		{"- - - - -", 3, false},
		{"0 X X - X", 3, true},
		{"- - - - X", 3, false},
		{"X - - - -", 3, false},

		{"0 - X - X", 2, true},
		{"0 0 X 0 X", 2, true},
		{"0 - X - -", 2, false},
		{"- - - - 0", 2, false},
		{"- - - - X", 2, false},
	} {
		var points []point
		for _, letter := range slices.Backward(strings.Fields(test.points)) {
			points = append(points, point{breaches: letter == "X", missing: letter == "-"})
		}
		if got := evaluate(points, 3) >= test.toAlarm; got != test.want {
			t.Errorf("%s, %d of 3: in alarm is %v, want %v", test.points, test.toAlarm, got, test.want)
		}
	}
}

// TestPlaySlidesItsWindow shows that any five minutes form a window, that the state lasts as long as they hold the
// breach, and that later data points count from the time at which they arrive.
func TestPlaySlidesItsWindow(t *testing.T) {
	t.Parallel()
	alarm := alarmDefinition{
		expression: parseMath(t, theOneMetric), metrics: map[string]metricStat{theOneMetric: {"ns name", "Sum"}},
		period: 5 * time.Minute, evaluated: 1, toAlarm: 1, breaches: func(v float64) bool { return v > 2 },
	}
	at := func(minute float64) datum { return datum{time.Duration(minute * float64(time.Minute)), 1} }
	for _, test := range []struct {
		name       string
		samples    []datum
		conditions conditions
		want       []span
	}{
		{"across a multiple of five", []datum{at(3.5), at(5.5), at(7.5)}, conditions{}, []span{{8 * time.Minute, 9 * time.Minute}}},
		{"too far from each other", []datum{at(2.5), at(5.5), at(8.5)}, conditions{}, nil},
		{"late", []datum{at(3.5), at(4.5), at(5.5)}, conditions{delay: 2}, []span{{8 * time.Minute, 9 * time.Minute}}},
		{"off the full minute", []datum{at(3), at(4), at(5)}, conditions{phase: 30 * time.Second}, []span{{5*time.Minute + 30*time.Second, 8*time.Minute + 30*time.Second}}},
		// AWS's page describes this: after the last data points the alarm evaluates older ones again.
		{"the last existing data point decides", []datum{at(3.5), at(4.5), at(5.5)}, conditions{more: 1},
			[]span{{6 * time.Minute, 9 * time.Minute}, {11 * time.Minute, 14 * time.Minute}}},
		{"to the end", []datum{at(18.1), at(18.2), at(18.3)}, conditions{}, []span{{19 * time.Minute, 20 * time.Minute}}},
	} {
		c := &cloudWatch{samples: map[string][]datum{"ns name": test.samples}}
		const length = 20 * time.Minute
		if got := alarm.play(c.byMinute(test.conditions.phase, length), length, test.conditions); !slices.Equal(got, test.want) {
			t.Errorf("%s: in alarm %v, want %v", test.name, got, test.want)
		}
	}
}
