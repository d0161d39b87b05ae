package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

var consoleLine = regexp.MustCompile(`Console +(http://127\.0\.0\.1:[0-9]+)/#([A-Z2-7]{26})\n`)

// consolePage is a running licensectl console.
type consolePage struct {
	address, token string
	stdout, stderr *buffer
	stop           func() int
}

// startConsole runs licensectl console until the end of the test.
func startConsole(t *testing.T, args ...string) *consolePage {
	t.Helper()
	p := &consolePage{stdout: newBuffer(), stderr: newBuffer()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- fast().run(ctx, append([]string{"console"}, args...), strings.NewReader(""), p.stdout, p.stderr)
	}()
	p.stop = func() int {
		cancel()
		return <-ended
	}
	t.Cleanup(cancel)
	text := p.stdout.await(t, "address", consoleLine.MatchString)
	p.address, p.token = consoleLine.FindStringSubmatch(text)[1], consoleLine.FindStringSubmatch(text)[2]
	return p
}

// get returns a view of the page.
func (p *consolePage) get(t *testing.T, path string, form url.Values) (status int, text string) {
	t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Console-Token", p.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// shopQueues are those of the stack shop, with its worker's variables.
func shopQueues(t *testing.T) *deadQueues {
	t.Helper()
	q := newDeadQueues(t).fill(t)
	q.aws.variables = map[string]map[string]string{"shop-worker": {
		"QUEUE_URL": "https://sqs.example/1/shop", "DEAD_LETTER_QUEUE_URL": "https://sqs.example/1/shop-dead", "LICENSE_API_URL": "https://api.example/api/v4",
		"LICENSE_API_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:license-AbCdEf", "MODE": "watch", "SURGE_LIMIT": "77",
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	}}
	return q
}

func TestTheConsoleShowsAStack(t *testing.T) {
	t.Parallel()
	q := shopQueues(t)
	q.log = []string{`{"timestamp":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","message":"delivery","id":"stripe.evt_1","source":"stripe","event":"evt_1","order":"pi_1","answer":"ignored","status":200}`}
	p := startConsole(t, "--stack", "shop", "--endpoint-url", q.endpoint)
	for path, wants := range map[string][]string{
		"/view/overview":                       {"stack shop at " + q.endpoint + " in us-east-1", "watch", "77", "dead letters wait"},
		"/view/events":                         {"stripe.evt_1", "pi_1", "ignored"},
		"/view/event?id=stripe.evt_1":          {"no rule matches", "Its body is not kept"},
		"/view/letters":                        {"16 letters by reason", "held", "read-only"},
		"/view/letter?id=stripe.held.0":        {"the brake", "…1234", "licensectl dlq redrive --id stripe.held.0"},
		"/view/letter?id=" + noHardwareID:      {"Complete it", "It lacks hardware_id", "RULES", "refunded in full"},
		"/view/letters?reason=rejected&code=x": {"No letter matches."},
	} {
		status, text := p.get(t, path, nil)
		for _, want := range wants {
			if status != http.StatusOK || !strings.Contains(text, want) {
				t.Errorf("%s: status %d, want %q in\n%s", path, status, want, text)
			}
		}
		noCanary(t, text)
	}
	if status, text := p.get(t, "/view/plan", url.Values{"do": {"purge"}, "reason": {"held"}}); status != http.StatusOK || !strings.Contains(text, "This page is read-only") {
		t.Errorf("status %d\n%s", status, text)
	}
	if n := len(q.left(t)); n != allLetters {
		t.Errorf("%d letters are left, want all %d", n, allLetters)
	}
	if code := p.stop(); code != exitDone {
		t.Errorf("after Ctrl-C: exit code %d\n%s", code, p.stderr)
	}
	for _, text := range []string{p.stdout.String(), p.stderr.String()} {
		noCanary(t, text)
	}
}

var planName = regexp.MustCompile(`name="plan" value="([A-Z2-7]+)"`)

// TestTheConsoleWritesItsAuditIntoTheLogGroupOfTheStack: who redrives on the page leaves what licensectl dlq leaves.
func TestTheConsoleWritesItsAuditIntoTheLogGroupOfTheStack(t *testing.T) {
	t.Parallel()
	q := shopQueues(t)
	p := startConsole(t, "--stack", "shop", "--endpoint-url", q.endpoint, "--allow-writes")
	_, text := p.get(t, "/view/plan", url.Values{"do": {"redrive"}, "reason": {"held"}})
	plan := planName.FindStringSubmatch(text)
	if plan == nil || !strings.Contains(text, "Warning: the stack is in watch mode.") && q.aws.stacks["shop"]["Mode"] == "watch" {
		t.Fatalf("no plan:\n%s", text)
	}
	status, text := p.get(t, "/view/act", url.Values{"plan": {plan[1]}, "count": {"2"}, "comment": {"checked"}})
	if status != http.StatusOK || !strings.Contains(text, "2 of 2 letters redriven") {
		t.Fatalf("status %d\n%s", status, text)
	}
	q.aws.mu.Lock()
	defer q.aws.mu.Unlock()
	lines := strings.Join(q.aws.logged, "\n")
	for _, want := range []string{`"command":"licensectl console redrive"`, `"phase":"begin"`, `"phase":"end"`, `"actor":"arn:aws:sts::1:assumed-role/ops/ada"`, `"--reason=[held]"`} {
		if !strings.Contains(lines, want) {
			t.Errorf("%s is not in the audit lines\n%s", want, lines)
		}
	}
	if len(q.sent(t)) != 2 {
		t.Error("not both letters were sent")
	}
}

func TestWhatTheConsoleRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no place":       {nil, exitUsage, "--stack"},
		"all addresses":  {[]string{"--stack", "shop", "--addr", "0.0.0.0:0"}, exitUsage, "can be reached from other machines"},
		"no address":     {[]string{"--stack", "shop", "--addr", "8080"}, exitUsage, `--addr "8080" is not an address`},
		"local":          {[]string{"--endpoint-url", "http://127.0.0.1:8080"}, exitUsage, "open the address that licensectl local prints first"},
		"one queue":      {[]string{"--queue-url", "http://127.0.0.1:1/q", "--endpoint-url", "http://127.0.0.1:1"}, exitUsage, "--dead-letter-queue-url"},
		"unknown stack":  {[]string{"--stack", "nobody", "--endpoint-url", newDeadQueues(t).endpoint}, exitFailed, "there is no stack nobody"},
		"a further word": {[]string{"shop"}, exitUsage, "unknown command"},
	} {
		code, stdout, stderr := command(t, append([]string{"console"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q\n%s", name, code, stdout, stderr)
		}
	}
}

func TestTheExamplesOfTheConsoleRun(t *testing.T) {
	t.Parallel()
	ran := 0
	for line := range strings.Lines(newConsole(&files{}, clock{}).Example) {
		_, line, _ = strings.Cut(line, "licensectl console ")
		q := shopQueues(t)
		q.aws.stacks["license-deactivator"] = outputsOf("shop")
		args := strings.Fields(strings.ReplaceAll(line, ":8070", ":0"))
		p := startConsole(t, append(args, "--endpoint-url", q.endpoint)...)
		status, text := p.get(t, "/view/letters", nil)
		if status != http.StatusOK || strings.Contains(text, "read-only") == strings.Contains(line, "--allow-writes") {
			t.Errorf("%s: status %d\n%s", line, status, text)
		}
		if code := p.stop(); code != exitDone {
			t.Errorf("%s: exit code %d\n%s", line, code, p.stderr)
		}
		ran++
	}
	if ran < 3 {
		t.Errorf("%d examples were run", ran)
	}
}

// TestTheLatestEventsAreReadOnce: a query costs what it scans, so the log is asked for what is new alone.
func TestTheLatestEventsAreReadOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	line := func(id string, at time.Time) history.Line {
		return history.Line{Time: at, Text: deactivation.LogDelivery, ID: id, Source: "stripe", Answer: "ignored"}
	}
	log := &fakeLog{now: func() time.Time { return now }, lines: []history.Line{line("a", now.Add(-2*time.Hour)), line("b", now.Add(-time.Minute))}}
	h := &stackHistory{logs: log, now: log.now}
	ask := func(back time.Duration) int {
		a, err := h.Ask(t.Context(), history.OfLatest(), now.Add(-back))
		if err != nil {
			t.Fatal(err)
		}
		return len(a.Requests)
	}
	for _, step := range []struct {
		after time.Duration // since the step before
		back  time.Duration
		line  string // that arrives
		want  int    // events
		asked time.Duration
	}{
		{0, 24 * time.Hour, "", 2, 24 * time.Hour},
		{time.Second, 24 * time.Hour, "c", 2, 0},                             // the log is not asked again
		{time.Minute, 24 * time.Hour, "", 3, followOverlap + 61*time.Second}, // only for what is new
		{time.Minute, time.Hour, "", 2, followOverlap + time.Minute},         // a shorter time needs no more
		{time.Minute, 48 * time.Hour, "", 3, 48 * time.Hour},                 // a longer one does
	} {
		now = now.Add(step.after)
		if step.line != "" {
			log.lines = append(log.lines, line(step.line, now))
		}
		log.asked = 0
		if got := ask(step.back); got != step.want || log.asked != step.asked {
			t.Errorf("%+v: %d events, the log was asked for %v", step, got, log.asked)
		}
	}
}

// fakeLog is a log in memory that notes how far back it was asked.
type fakeLog struct {
	now   func() time.Time
	lines []history.Line
	asked time.Duration
}

func (f *fakeLog) Find(_ context.Context, _ history.Question, since time.Time) (history.Found, error) {
	f.asked = f.now().Sub(since)
	found := history.Found{Scan: history.Scan{From: since, To: f.now(), Queries: 1}}
	for _, l := range f.lines {
		if !l.Time.Before(since) {
			found.Lines = append(found.Lines, l)
		}
	}
	return found, nil
}

// TestAPartThatCannotBeReadIsANote: somebody without the right to the metrics sees the rest.
func TestAPartThatCannotBeReadIsANote(t *testing.T) {
	t.Parallel()
	q := shopQueues(t)
	q.aws.fail = map[string]awsAnswer{"GetQueueAttributes": {400, "AccessDeniedException", "no"}}
	to := &target{stack: "shop", endpoint: q.endpoint}
	at, err := to.open(t.Context(), queueURL, deadLetterQueueURL)
	if err != nil {
		t.Fatal(err)
	}
	o, err := (&stackStatus{at: at, now: time.Now}).Overview(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || o.Mode != modeWatch || o.Brake == nil || *o.Brake != 77 || o.License == nil || o.License.Limit != 600 || o.DeadLetters == nil || o.DeadLetters.Visible != allLetters {
		t.Errorf("%v, %+v", err, o)
	}
	notes := strings.Join(o.Notes, "\n")
	for _, want := range []string{"The metrics cannot be read", "Deliveries are counted in the log: name the stack"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in\n%s", want, notes)
		}
	}
}

var _ console.Status = (*stackStatus)(nil)
