//go:build integration

package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/telemetry"
)

// The dashboard's own file of its layout: -dashboard.draw writes it again.
var drawDashboard = flag.Bool("dashboard.draw", false, "write testdata/dashboard.svg") //nolint:gochecknoglobals // a flag

// dashboard is the body of the dashboard in template.yaml.
type dashboard struct {
	Widgets []struct {
		Type                string
		X, Y, Width, Height int
		Properties          struct {
			Title, Query, Region, Markdown string
			Metrics                        []json.RawMessage
			Annotations                    struct {
				Horizontal []struct{ Value float64 }
			}
		}
	}
}

var substitution = regexp.MustCompile(`\$\{([A-Za-z:.]+)\}`)

// readDashboard reads the dashboard of the transformed template, with what CloudFormation puts in: values of parameters, and
// for resources what give returns.
func readDashboard(t *testing.T, s stack, give func(id string) string) dashboard {
	t.Helper()
	body, _ := at(s.properties("Dashboard"), "DashboardBody", "Fn::Sub").(string)
	body = substitution.ReplaceAllStringFunc(body, func(match string) string {
		name := substitution.FindStringSubmatch(match)[1]
		if value, ok := s.parameter(name)["Default"]; ok {
			return strings.Trim(text(value), `"`)
		}
		return give(name)
	})
	var d dashboard
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatalf("the dashboard is not JSON: %v\n%s", err, body)
	}
	return d
}

// ownNames are the names of our functions in the emulator, and of other resources their logical ids.
func ownNames(id string) string {
	names := map[string]string{
		"WebhookFunction": "webhook", "WorkerFunction": "worker", "AWS::Region": region, "AWS::StackName": "shop",
		"WebhookLogGroup": "/aws/lambda/shop-webhook", "WorkerLogGroup": "/aws/lambda/shop-worker",
	}
	if name, ok := names[id]; ok {
		return name
	}
	return id
}

var search = regexp.MustCompile(`^SEARCH\('\{(\w+),(\w+),(\w+)\} MetricName="(\w+)" service="(\w+)"', 'Sum', 300\)$`)

// metrics are the metrics that the dashboard shows, and its searches as a metric whose second dimension is "*". The short
// forms of a row are written out: "." repeats the value above it, "..." all of them.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
func (d dashboard) metrics(t *testing.T) (keys []string) {
	t.Helper()
	for _, w := range d.Widgets {
		var above []string
		for _, raw := range w.Properties.Metrics {
			var row []any
			if err := json.Unmarshal(raw, &row); err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, item := range row {
				switch item := item.(type) {
				case string:
					texts = append(texts, item)
				case map[string]any:
					if expression, _ := item["expression"].(string); strings.HasPrefix(expression, "SEARCH") {
						found := search.FindStringSubmatch(expression)
						if found == nil {
							t.Fatalf("%s: the search %s is none that this test reads", w.Properties.Title, expression)
						}
						keys = append(keys, metricKey(found[1], found[4], found[2]+"="+found[5], found[3]+"=*"))
					}
				}
			}
			if len(texts) == 0 {
				continue // an expression over other rows
			}
			if texts[0] == "..." {
				texts = append(slices.Clone(above[:len(above)-len(texts)+1]), texts[1:]...)
			}
			for i := range texts {
				if texts[i] == "." {
					texts[i] = above[i]
				}
			}
			above = texts
			var dimensions []string
			for pair := range slices.Chunk(texts[2:], 2) {
				dimensions = append(dimensions, strings.Join(pair, "="))
			}
			keys = append(keys, metricKey(texts[0], texts[1], dimensions...))
		}
	}
	return keys
}

// ofAWS are the metrics of AWS's own that the dashboard shows.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
func ofAWS() []string {
	return []string{
		"AWS/ApiGateway 5xx ApiId=WebhookApi",
		"AWS/Lambda Errors FunctionName=webhook", "AWS/Lambda Errors FunctionName=worker", "AWS/Lambda Throttles FunctionName=worker",
		"AWS/SQS ApproximateAgeOfOldestMessage QueueName=Queue.QueueName", "AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName=Queue.QueueName",
		"AWS/SQS ApproximateNumberOfMessagesVisible QueueName=DeadLetterQueue.QueueName", "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=Queue.QueueName",
	}
}

// dashboardShowsWhatIsWritten runs the built functions through every kind of answer and outcome. Each metric of the dashboard
// must be one that they wrote, or one of AWS's own; each query must find something in what they wrote.
func dashboardShowsWhatIsWritten(t *testing.T, bootstraps map[string]string) {
	output := everyOutcome(t, bootstraps)
	cloud := newCloudWatch()
	logs := historytest.New(historytest.Config{
		Groups: []string{ownNames("WebhookLogGroup"), ownNames("WorkerLogGroup")}, Fields: append(logFields(), "type", "record.metrics.initDurationMs"),
	})
	for group, text := range output {
		for line := range strings.Lines(text) {
			if !json.Valid([]byte(line)) {
				continue // the emulator's own
			}
			if _, err := cloud.Write([]byte(line)); err != nil {
				t.Error(err)
			}
			logs.Put(group, cloud.start, strings.TrimSpace(line))
		}
		// Lambda itself writes this one; the emulator does not.
		logs.Put(group, cloud.start, `{"time":"2026-11-29T12:00:00.000Z","type":"platform.report","record":{"metrics":{"durationMs":12.3,"initDurationMs":140.5},"status":"success"}}`)
	}
	written := slices.Collect(maps.Keys(cloud.samples))

	s := decode(t, transform(t))
	d := readDashboard(t, s, ownNames)
	shown := d.metrics(t)
	for _, key := range shown {
		found := slices.Contains(written, key) || slices.Contains(ofAWS(), key)
		if before, after, isSearch := strings.Cut(key, "=*"); isSearch {
			found = slices.ContainsFunc(written, func(w string) bool {
				return strings.HasPrefix(w, before+"=") && strings.HasSuffix(w, after)
			})
		}
		if !found {
			t.Errorf("the dashboard shows %s, which nothing writes", key)
		}
	}
	for _, metric := range telemetry.Metrics() {
		if !slices.ContainsFunc(shown, func(key string) bool { return strings.HasPrefix(key, telemetry.Namespace+" "+metric+" ") }) {
			t.Errorf("the dashboard does not show %s, which the functions write", metric)
		}
	}
	if len(shown) < 30 {
		t.Errorf("%d metrics: the test looked in the wrong place", len(shown))
	}
	for name, query := range queriesOf(s, d) {
		id, err := logs.Start([]string{ownNames("WebhookLogGroup"), ownNames("WorkerLogGroup")}, cloud.start, cloud.start, query)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rows := logs.Result(id); len(rows) == 0 && !strings.HasPrefix(name, "LicenseQuery") && !strings.HasPrefix(name, "OrderQuery") { // these hold an example
			t.Errorf("%s finds nothing:\n%s", name, query)
		}
	}
	if t.Failed() {
		t.Logf("written:\n%s", strings.Join(slices.Sorted(slices.Values(written)), "\n"))
	}
}

// queriesOf are the queries of the dashboard's widgets and the saved ones, by name.
func queriesOf(s stack, d dashboard) map[string]string {
	queries := map[string]string{}
	for _, w := range d.Widgets {
		if w.Type == "log" {
			query := w.Properties.Query
			for strings.HasPrefix(query, "SOURCE ") { // the log groups, for the widget alone
				_, query, _ = strings.Cut(query, " | ")
			}
			queries[w.Properties.Title] = query
		}
	}
	for _, id := range s.ids("AWS::Logs::QueryDefinition") {
		queries[id], _ = s.properties(id)["QueryString"].(string)
	}
	return queries
}

// logFields are the fields of our log lines.
func logFields() []string {
	return []string{
		deactivation.LogTime, deactivation.LogText, deactivation.LogID, deactivation.LogSource, deactivation.LogEvent, deactivation.LogCause,
		deactivation.LogRule, deactivation.LogOrder, deactivation.LogRun, deactivation.LogLicenseHash, deactivation.LogReason, deactivation.LogCode,
		deactivation.LogDetail, deactivation.LogBy, deactivation.LogComment, deactivation.LogDecision, deactivation.LogOutcome, deactivation.LogClass,
		deactivation.LogAttempts, deactivation.LogLatency, deactivation.LogRetryIn, deactivation.LogAction, deactivation.LogLicense, deactivation.LogUser,
		deactivation.LogDevice, deactivation.LogProduct, deactivation.LogSecretVersion, deactivation.LogLookup, deactivation.LogReceivedAt,
		deactivation.LogOccurredAt, deactivation.LogReleasedBy, deactivation.LogReleasedAt, deactivation.LogReleasedReason, deactivation.LogValues,
		deactivation.LogAnswer, deactivation.LogStatus, deactivation.LogRequestCount, deactivation.LogRequests, deactivation.LogMissing,
		deactivation.LogProblem, deactivation.LogDryRun,
	}
}

// TestTheDashboardIsDrawnAsItIsLaidOut compares the layout with the picture in testdata, at which somebody has looked: no
// widget overlaps another, and each row is full.
func TestTheDashboardIsDrawnAsItIsLaidOut(t *testing.T) {
	t.Parallel()
	d := readDashboard(t, decode(t, transform(t)), ownNames)
	taken := map[[2]int]string{}
	for _, w := range d.Widgets {
		for x := w.X; x < w.X+w.Width; x++ {
			for y := w.Y; y < w.Y+w.Height; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%q lies on %q", w.Properties.Title, other)
				}
				taken[[2]int{x, y}] = w.Properties.Title
			}
		}
		if w.X+w.Width > 24 {
			t.Errorf("%q goes beyond the 24 columns", w.Properties.Title)
		}
		if w.Type != "text" && (w.Properties.Title == "" || w.Properties.Region != region) {
			t.Errorf("a widget without a title or a region: %+v", w)
		}
	}
	if rows := len(taken) / 24; rows*24 != len(taken) {
		t.Error("the layout has holes")
	}
	const file = "testdata/dashboard.svg"
	picture := d.svg(t)
	if *drawDashboard {
		if err := os.WriteFile(file, []byte(picture), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != picture {
		t.Errorf("%s is not the dashboard (%v); look at it after: go test -tags integration ./integration -run Dashboard -dashboard.draw", file, err)
	}
}

// svg draws the layout: a box for each widget with its title and what it shows.
func (d dashboard) svg(t *testing.T) string {
	t.Helper()
	const column, row = 50, 42
	var out strings.Builder
	height := 0
	for _, w := range d.Widgets {
		height = max(height, w.Y+w.Height)
	}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">`+"\n", 24*column, height*row)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#f2f3f3"/>`+"\n", 24*column, height*row)
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	for _, w := range d.Widgets {
		x, y := w.X*column, w.Y*row
		fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%d" height="%d" fill="#ffffff" stroke="#879196"/>`+"\n", x+4, y+4, w.Width*column-8, w.Height*row-8)
		lines := []string{w.Properties.Title}
		if w.Type == "text" {
			lines = []string{strings.ReplaceAll(w.Properties.Markdown, "**", "")}
		}
		one := dashboard{Widgets: d.Widgets[:0:0]}
		one.Widgets = append(one.Widgets, w)
		lines = append(lines, one.metrics(t)...)
		if w.Type == "log" {
			lines = append(lines, strings.Split(w.Properties.Query, " | ")...)
		}
		for _, a := range w.Properties.Annotations.Horizontal {
			lines = append(lines, fmt.Sprintf("line at %v", a.Value))
		}
		for i, line := range lines {
			size, weight := 11, "normal"
			if i == 0 {
				size, weight = 13, "bold"
			}
			if most := (w.Width*column - 20) / 7; len(line) > most { // characters of the widest usual font
				line = line[:most-3] + "..."
			}
			fmt.Fprintf(&out, `<text x="%d" y="%d" font-size="%d" font-weight="%s">%s</text>`+"\n", x+12, y+24+i*19, size, weight, escape.Replace(line))
		}
	}
	out.WriteString("</svg>\n")
	return out.String()
}
