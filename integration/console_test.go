//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/telemetry"
)

// consoleStack is a stack on moto with letters, metrics and log lines, and one address for all of its services.
type consoleStack struct {
	*deadLetters
	name, endpoint string
	logs           *historytest.Logs
}

func newConsoleStack(t *testing.T) *consoleStack {
	t.Helper()
	s := &consoleStack{deadLetters: newDeadLetters(t, buildLicensectl(t), motoURL(t), 3)}
	function := "shop-" + rand.Text()
	s.name = stackAt(t, motoURL(t), map[string]string{
		"QueueUrl": s.jobs, "DeadLetterQueueUrl": s.dead, "WebhookFunctionName": function + "-webhook", "WorkerFunctionName": function + "-worker", "Mode": "act",
	})
	groups := []string{"/aws/lambda/" + s.name + "-webhook", "/aws/lambda/" + s.name + "-worker"}
	moto := cloudwatchlogs.NewFromConfig(awsConfig(), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = aws.String(motoURL(t)) })
	for _, group := range groups { // for the audit lines
		if _, err := moto.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
			t.Fatal(err)
		}
	}
	s.putLines(t, groups)
	s.endpoint = s.serve(t)
	s.putMetrics(t, function+"-worker")
	return s
}

// putLines writes the lines of a refund and of an event that no rule matches.
func (s *consoleStack) putLines(t *testing.T, groups []string) {
	t.Helper()
	s.logs = historytest.New(historytest.Config{
		Groups: groups, Indexed: deactivation.IndexedLogFields(), Looks: 1,
		Fields: []string{
			deactivation.LogOrder, deactivation.LogLicenseHash, deactivation.LogID, deactivation.LogRun, deactivation.LogText, deactivation.LogSource,
			deactivation.LogAnswer, deactivation.LogCommand, deactivation.LogPhase,
		},
	})
	now := time.Now().Add(-time.Minute)
	put := func(group int, write func(*telemetry.Recorder)) {
		var out bytes.Buffer
		write(telemetry.New(&out, slog.LevelInfo, ""))
		s.logs.Put(groups[group], now, out.String())
	}
	put(0, func(r *telemetry.Recorder) {
		r.Delivery(t.Context(), telemetry.Delivery{
			ID: "stripe.evt_1", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Answer: deactivation.Accepted, Status: 200,
			Order: []string{"pi_1", "1001"}, Requests: []string{"stripe.evt_1.0"}, ReceivedAt: now,
		})
	})
	put(0, func(r *telemetry.Recorder) {
		r.Delivery(t.Context(), telemetry.Delivery{ID: "paddle.ntf_1", Source: "paddle", Event: "ntf_1", Answer: deactivation.Ignored, Status: 200, ReceivedAt: now})
	})
	put(1, func(r *telemetry.Recorder) {
		r.Message(t.Context(), telemetry.Message{
			ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Decision: deactivation.DecisionAct, Outcome: deactivation.Deactivated,
			Class: "deactivated", Order: []string{"pi_1", "1001"}, Attempts: 1, License: "…DDDD",
		})
	})
}

// putMetrics writes metrics of two minutes, as the worker does.
func (s *consoleStack) putMetrics(t *testing.T, worker string) {
	t.Helper()
	client := cloudwatch.NewFromConfig(awsConfig(), func(o *cloudwatch.Options) {
		o.BaseEndpoint = &s.endpoint
		o.DisableRequestCompression = true
	})
	service := cwtypes.Dimension{Name: aws.String("service"), Value: &worker}
	outcome := func(name string) []cwtypes.Dimension {
		return []cwtypes.Dimension{service, {Name: aws.String("outcome"), Value: &name}}
	}
	var data []cwtypes.MetricDatum
	for _, at := range []time.Time{time.Now().Add(-5 * time.Minute), time.Now().Add(-3 * time.Minute)} {
		for _, d := range []cwtypes.MetricDatum{
			{MetricName: aws.String("Messages"), Dimensions: outcome("deactivated"), Value: aws.Float64(611)},
			{MetricName: aws.String("Messages"), Dimensions: outcome("rejected"), Value: aws.Float64(17)},
			{MetricName: aws.String("Messages"), Dimensions: []cwtypes.Dimension{service}, Value: aws.Float64(9999)}, // is not counted
			{MetricName: aws.String("Answers"), Dimensions: []cwtypes.Dimension{service}, Value: aws.Float64(432)},
		} {
			d.Timestamp = aws.Time(at)
			data = append(data, d)
		}
	}
	if _, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String(telemetry.Namespace), MetricData: data}); err != nil {
		t.Fatal(err)
	}
}

// serve answers the queries of Logs Insights from the fake, which knows their language, and everything else from moto.
func (s *consoleStack) serve(t *testing.T) (endpoint string) {
	t.Helper()
	to, err := url.Parse(motoURL(t))
	if err != nil {
		t.Fatal(err)
	}
	moto, metrics := httputil.NewSingleHostReverseProxy(to), cloudWatchOfMoto(motoURL(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if slices.Contains([]string{"StartQuery", "GetQueryResults", "StopQuery"}, operation) {
			s.logs.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, cloudWatchPath) {
			metrics.ServeHTTP(w, r)
			return
		}
		moto.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

var consoleLine = regexp.MustCompile(`(http://127\.0\.0\.1:[0-9]+)/#([A-Z2-7]{26})`)

// console starts licensectl console on the stack. get returns a view of the page.
func (s *consoleStack) console(t *testing.T, args ...string) (get func(path string, form url.Values) (status int, text string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dlqPatience)
	cmd := command(ctx, t, s.licensectl, append([]string{"console", "--stack", s.name, "--endpoint-url", s.endpoint}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("licensectl console: %v", err)
		}
	})
	first, err := bufio.NewReader(out).ReadString('\n')
	page := consoleLine.FindStringSubmatch(first)
	if err != nil || page == nil {
		t.Fatalf("no address of the page: %v, %q", err, first)
	}
	return func(path string, form url.Values) (int, string) {
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, page[1]+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Console-Token", page[2])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
}

// TestTheConsoleShowsAStackOnMoto: its queues, its metrics and its log, on every view.
func TestTheConsoleShowsAStackOnMoto(t *testing.T) {
	t.Parallel()
	s := newConsoleStack(t)
	get := s.console(t)
	for _, c := range []struct {
		path  string
		form  url.Values
		wants []string
	}{
		{"/view/overview", nil, []string{">1 222<", ">34<", ">21<", "paddle", "stripe", "432"}},
		{"/view/events", nil, []string{"paddle.ntf_1", "stripe.evt_1.0", "deactivated", "ignored"}},
		{"/view/event?id=stripe.evt_1.0", nil, []string{"the device is deactivated", "refunded in full"}},
		{"/view/orders", url.Values{"by": {"order"}, "text": {"1001"}}, []string{"stripe.evt_1.0", "the device is deactivated"}},
		{"/view/letters", nil, []string{"21 letters by reason", "held", "read-only"}},
		{"/view/letter?id=" + letterID(deactivation.ReasonHeld, 1), nil, []string{"the brake", "…DDDD"}},
		{"/view/plan", url.Values{"do": {"redrive"}, "reason": {"held"}}, []string{"Redrive 3 letters", "This page is read-only"}},
	} {
		status, text := get(c.path, c.form)
		for _, want := range c.wants {
			if status != http.StatusOK || !strings.Contains(strings.ReplaceAll(text, "\u202f", " "), want) {
				t.Errorf("%s: status %d, want %q in\n%s", c.path, status, want, text)
			}
		}
		if strings.Contains(text, "AAAA-BBBB") {
			t.Errorf("%s shows a license key", c.path)
		}
	}
}

var planName = regexp.MustCompile(`name="plan" value="([A-Z2-7]+)"`)

// TestTheConsoleRedrivesOnMoto: a wrong count does nothing, the right one moves the letters and leaves audit lines.
func TestTheConsoleRedrivesOnMoto(t *testing.T) {
	t.Parallel()
	s := newConsoleStack(t)
	get := s.console(t, "--allow-writes")
	for _, c := range []struct {
		count  string
		status int
		want   string
		sent   int
	}{{"4", http.StatusConflict, "The count does not match", 0}, {"3", http.StatusOK, "3 of 3 letters redriven", 3}} {
		_, text := get("/view/plan", url.Values{"do": {"redrive"}, "reason": {"held"}})
		plan := planName.FindStringSubmatch(text)
		if plan == nil {
			t.Fatalf("no plan:\n%s", text)
		}
		status, text := get("/view/act", url.Values{"plan": {plan[1]}, "count": {c.count}, "comment": {"spring sale, checked"}})
		if status != c.status || !strings.Contains(text, c.want) || depthNow(t, s.deadLetters.endpoint, s.jobs) != c.sent {
			t.Errorf("count %s: status %d, want %d and %q; %d messages in the queue\n%s", c.count, status, c.status, c.want, depthNow(t, s.deadLetters.endpoint, s.jobs), text)
		}
	}
	s.check(t, 0)
	logs := cloudwatchlogs.NewFromConfig(awsConfig(), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = aws.String(motoURL(t)) })
	found, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + s.name + "-webhook")})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range found.Events {
		lines = append(lines, aws.ToString(e.Message))
	}
	const perLetter = 3 // of the plan, between the line of the begin and that of the end
	if text := strings.Join(lines, "\n"); len(lines) != 2+perLetter || strings.Count(text, `"command":"licensectl console redrive"`) != len(lines) ||
		strings.Count(text, `"decision":"released"`) != perLetter || strings.Count(text, "spring sale, checked") != len(lines) {
		t.Errorf("audit lines\n%s", text)
	}
}
