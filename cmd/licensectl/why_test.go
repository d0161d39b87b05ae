package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
)

// told returns the answer of a running local to a question.
func told(t *testing.T, address string, q history.Question) history.Answer {
	t.Helper()
	source := &localHistory{address}
	found, err := source.Find(t.Context(), q, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return history.Tell(q, found)
}

// has reports whether an answer has a request with that id and one of the outcomes, and the code unless it is "". Nothing in
// an answer may still wait.
func has(a history.Answer, id, code string, outcomes ...string) bool {
	return a.Counts[history.OutcomeWaiting] == 0 && slices.ContainsFunc(a.Requests, func(r history.Request) bool {
		return r.ID == id && slices.Contains(outcomes, r.Outcome) && (r.Code == code || code == "") && len(r.Steps) > 1
	})
}

// TestWhyIsRightForEverySample asks a running local about every request and event of events/, by each id of its order and the
// one of its subscription, by its license's key and by its id.
func TestWhyIsRightForEverySample(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick)
	r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "Listening on") })
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	sources := builtInSources(t)
	asked, uses := map[string]int{}, map[string]int{} // of each license: a second sample finds it inactive
	for i, s := range samples {
		samples[i] = s.Expected(true) // local looks up
		for _, r := range samples[i].Requests {
			uses[cmp.Or(r.Finds.LicenseKey, r.LicenseKey)]++
		}
	}
	for _, s := range samples {
		from, _ := sources.Get(s.Source)
		for _, e := range webhook.Explain(from, delivery(s.Body, s.Headers), time.Now(), nil, webhook.Policy{LookUp: true}).Events {
			for _, want := range wantsOf(s, e) {
				questions := map[string][]history.Question{"id": {history.OfID(want.id)}}
				for _, id := range e.Order {
					questions["order"] = append(questions["order"], history.OfOrder(id))
				}
				for _, made := range e.Requests {
					if id := made.Lookup.Subscription.ID; made.ID == want.id && id != "" {
						questions["subscription"] = append(questions["subscription"], history.OfOrder(id))
					}
				}
				if want.key != "" {
					questions["license"] = append(questions["license"], history.OfLicense(want.key))
				}
				for by, all := range questions {
					for _, q := range all {
						asked[by]++
						outcomes := []string{want.outcome}
						switch {
						case want.outcome == string(deactivation.Deactivated) && uses[want.key] > 1:
							outcomes = append(outcomes, string(deactivation.AlreadyInactive))
						case want.code == deactivation.CodeNoLicense: // it waits for its order, or has waited long enough
							outcomes = append(outcomes, string(deactivation.Deferred), string(deactivation.Rejected))
						}
						if a := told(t, r.address, q); !has(a, want.id, want.code, outcomes...) {
							t.Errorf("%s, asked by %s: %s is not %s (%s) in %s", s.Name(), q, want.id, want.outcome, want.code, summary(a))
						}
					}
				}
			}
		}
	}
	for by, least := range map[string]int{"id": 150, "order": 150, "license": 80, "subscription": 10} {
		if asked[by] < least {
			t.Errorf("%d questions by %s: the test looked in the wrong place", asked[by], by)
		}
	}
}

// want is what must have become of one request, or of one event that made none.
type want struct{ id, outcome, code, key string }

func wantsOf(s sample.Sample, e source.ExplainedEvent) (wants []want) {
	for _, made := range e.Requests {
		for _, r := range s.Requests {
			if r.ID == made.ID {
				wants = append(wants, want{r.ID, string(r.Outcome), r.Code, cmp.Or(made.LicenseKey, r.Finds.LicenseKey)})
			}
		}
	}
	if len(e.Requests) == 0 {
		wants = append(wants, want{id: deactivation.EventRequestID(s.Source, e.EventID()), outcome: string(e.Answer)})
	}
	return wants
}

func summary(a history.Answer) string {
	var texts []string
	for _, r := range a.Requests {
		texts = append(texts, fmt.Sprintf("%s %s (%s), %d steps", r.ID, r.Outcome, r.Code, len(r.Steps)))
	}
	return "[" + strings.Join(texts, "; ") + "]"
}

const askedKey = "AAAA-BBBB-CCCC-DDDD"

// logsOf serves a fake of CloudWatch Logs with the lines of one refund, in the groups of the stack shop.
func logsOf(t *testing.T, looks int) (*historytest.Logs, string) {
	t.Helper()
	groups := []string{"/aws/lambda/shop-webhook", "/aws/lambda/shop-worker"}
	logs := historytest.New(historytest.Config{
		Groups: groups, Indexed: deactivation.IndexedLogFields(), Looks: looks,
		Fields: []string{deactivation.LogOrder, deactivation.LogLicenseHash, deactivation.LogID, deactivation.LogRun},
	})
	now := time.Now()
	put := func(group int, write func(r *telemetry.Recorder)) {
		var out bytes.Buffer
		write(telemetry.New(&out, slog.LevelInfo, ""))
		logs.Put(groups[group], now, out.String())
	}
	hash := deactivation.HashLicense(askedKey)
	put(0, func(r *telemetry.Recorder) {
		r.Delivery(t.Context(), telemetry.Delivery{
			ID: "stripe.evt_1", Source: "stripe", Event: "evt_1", Cause: "refund", Rule: "refunded in full", Answer: deactivation.Accepted, Status: 200,
			Order: []string{"pi_1", "1001"}, Requests: []string{"stripe.evt_1.0"}, LicenseHashes: []string{hash}, ReceivedAt: now,
		})
	})
	put(1, func(r *telemetry.Recorder) {
		r.Message(t.Context(), telemetry.Message{
			ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Decision: deactivation.DecisionAct, Outcome: deactivation.Deactivated, Class: "deactivated",
			Order: []string{"pi_1", "1001"}, Attempts: 1, Run: "campus", License: "…DDDD", LicenseHashes: []string{hash},
		})
	})
	server := httptest.NewServer(logs)
	t.Cleanup(server.Close)
	return logs, server.URL
}

func TestWhyAsksTheLogGroupsOfAStack(t *testing.T) {
	t.Parallel()
	logs, address := logsOf(t, 1)
	for _, args := range [][]string{{"1001"}, {"pi_1"}, {"--id", "stripe.evt_1.0"}, {"--license", askedKey}, {"--run", "campus"}} {
		code, stdout, stderr := command(t, append([]string{"why", "--stack", "shop", "--endpoint-url", address}, args...)...)
		if code != exitDone || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
		for _, text := range []string{"stripe.evt_1.0: deactivated", "done       the device is deactivated", "1 request: 1 deactivated.", "of 2 log groups", "USD."} {
			if !strings.Contains(stdout, text) {
				t.Errorf("%v: %q is not in\n%s", args, text, stdout)
			}
		}
		if strings.Contains(stdout, askedKey) {
			t.Errorf("%v: the key is in the output", args)
		}
	}
	queries := strings.Join(logs.Queries(), "\n")
	if len(logs.Queries()) != 5 || strings.Contains(queries, askedKey) || !strings.Contains(queries, deactivation.HashLicense(askedKey)) {
		t.Errorf("queries, one for each question, without the key:\n%s", queries)
	}
}

func TestWhyGroupsMayBeNamed(t *testing.T) {
	t.Parallel()
	_, address := logsOf(t, 0)
	code, stdout, _ := command(t, "why", "1001", "--log-group", "/aws/lambda/shop-worker", "--endpoint-url", address)
	if code != exitDone || !strings.Contains(stdout, "of 1 log group in") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	code, _, stderr := command(t, "why", "1001", "--stack", "other", "--endpoint-url", address)
	if code != exitFailed || !strings.Contains(stderr, "no such log group") || !strings.Contains(stderr, "AWS_REGION") {
		t.Errorf("an unknown stack: exit code %d, %s", code, stderr)
	}
}

func TestWhyJSONIsOneObject(t *testing.T) {
	t.Parallel()
	_, address := logsOf(t, 0)
	code, stdout, stderr := command(t, "why", "1001", "--stack", "shop", "--endpoint-url", address, "--json")
	var a history.Answer
	if err := json.Unmarshal([]byte(stdout), &a); err != nil || code != exitDone || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("exit code %d, %v, %s\n%s", code, err, stderr, stdout)
	}
	if !a.Found || !has(a, "stripe.evt_1.0", "", "deactivated") || a.Question.Order != "1001" || a.Scan.Bytes == 0 || len(a.Lines) != 2 {
		t.Errorf("answer %s", stdout)
	}
}

// TestWhyThatFindsNothingSaysSoAndWhatItScanned: with --json the object says it, too.
func TestWhyThatFindsNothingSaysSoAndWhatItScanned(t *testing.T) {
	t.Parallel()
	_, address := logsOf(t, 0)
	code, stdout, stderr := command(t, "why", "100", "--stack", "shop", "--endpoint-url", address)
	if code != exitFailed || !strings.Contains(stderr, "nothing is known about order 100 since") || !strings.Contains(stdout, "Scanned ") {
		t.Errorf("exit code %d, stderr %s, stdout %s", code, stderr, stdout)
	}
	code, stdout, _ = command(t, "why", "100", "--stack", "shop", "--endpoint-url", address, "--json")
	if code != exitFailed || !strings.Contains(stdout, `"found":false,"requests":[],"counts":{},"lines":[]`) {
		t.Errorf("exit code %d, stdout %s", code, stdout)
	}
}

func TestWhyFollowsARunUntilItIsDone(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick, "--fail", "503")
	row := func(n int) string {
		return fmt.Sprintf(`{"id":"ops.%d","product":"acme-pro","license_key":"AAAA-BBBB-CCCC-000%d","hardware_id":"hw-%d"}`, n, n, n)
	}
	status, body := r.post(t, "/2015-03-31/functions/webhook/invocations",
		`{"source":"ops","run":"campus","by":"ada","comment":"contract 7 ended","requests":[`+row(1)+","+row(2)+`]}`)
	if status != 200 || !strings.Contains(body, `"accepted":2`) {
		t.Fatalf("%d %s", status, body)
	}
	code, stdout, stderr := command(t, "why", "--run", "campus", "--follow", "--endpoint-url", r.address)
	if code != exitDone || !strings.Contains(stdout, "2 requests: 2 rejected.") || strings.Count(stdout, "license_not_found") != 2 {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = command(t, "why", "--run", "campus", "--follow", "--json", "--endpoint-url", r.address)
	last := map[string]string{}
	for line := range strings.Lines(stdout) {
		var o followed
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		last[o.ID] = o.Outcome
	}
	if code != exitDone || len(last) != 2 || last["ops.1"] != "rejected" {
		t.Errorf("exit code %d, %s: %v", code, stderr, last)
	}
	if a := told(t, r.address, history.OfRun("campus")); a.Requests[0].By != "ada" || a.Requests[0].Comment != "contract 7 ended" {
		t.Errorf("the request does not say who asked: %+v", a.Requests[0])
	}
}

func TestWhyThatIsInterruptedSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	r := start(t, "local", quick, "--fail", "503")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	cancel()
	if code := fast().run(ctx, []string{"why", "--run", "none", "--follow", "--endpoint-url", r.address}, strings.NewReader(""), &out, &errs); code != exitFailed {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

// TestAQuestionWithoutAnAnswerSaysWhatToDo: a slow query is no fault of the network.
func TestAQuestionWithoutAnAnswerSaysWhatToDo(t *testing.T) {
	t.Parallel()
	o := &whyOptions{groups: []string{"g"}}
	for want, err := range map[string]error{
		"the log was not read within 5m0s: ask for a shorter time with --since":                errors.Join(context.DeadlineExceeded, nil),
		"LimitExceededException: 30 queries: too many queries of this account run at once":     &smithy.GenericAPIError{Code: "LimitExceededException", Message: "30 queries"},
		"ThrottlingException: Rate exceeded: AWS throttles the calls of this account":          &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"},
		"AccessDeniedException: no: the signed-in role needs the right logs:StartQuery, logs:": &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"},
		"the query ended with the status Timeout: ":                                            errors.New("history: the query ended with the status Timeout"),
	} {
		var told *failure
		if !errors.As(o.notAnswered(fmt.Errorf("look 1: %w", err)), &told) || !strings.Contains(told.Error()+": "+told.hint, want) {
			t.Errorf("got %v, want %s", o.notAnswered(err), want)
		}
	}
}

func TestAQuestionThatWhyCannotAsk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"nothing":               {[]string{"--stack", "shop"}, "exactly one question"},
		"two things":            {[]string{"1001", "--run", "r", "--stack", "shop"}, "exactly one question"},
		"an empty key":          {[]string{"--license", "", "--stack", "shop"}, "exactly one question"},
		"two orders":            {[]string{"1001", "1002", "--stack", "shop"}, "licensectl why takes one ORDER, not 2 arguments"},
		"nowhere":               {[]string{"1001"}, "there is no log to read"},
		"two places":            {[]string{"1001", "--stack", "shop", "--log-group", "g"}, "--stack cannot be combined with --log-group"},
		"an address":            {[]string{"1001", "--endpoint-url", "http://example.com"}, "--endpoint-url is not a usable address"},
		"a time":                {[]string{"1001", "--since", "yesterday", "--stack", "shop"}, "error: --since \"yesterday\" is not a time\n"},
		"a time in the future":  {[]string{"1001", "--since", "2999-01-01", "--stack", "shop"}, "is not in the past"},
		"no length":             {[]string{"1001", "--since", "0d", "--stack", "shop"}, "is not in the past"},
		"before 1970":           {[]string{"1001", "--since", "99999d", "--stack", "shop"}, "is before 1970"},
		"a day before 1970":     {[]string{"1001", "--since", "1969-12-31", "--stack", "shop"}, "is before 1970"},
		"a length below zero":   {[]string{"1001", "--since", "-3h", "--stack", "shop"}, "is not in the past"},
		"more groups than read": {append([]string{"1001"}, strings.Fields(strings.Repeat("--log-group g ", 51))...), "at most 50 log groups"},
	} {
		code, stdout, stderr := command(t, append([]string{"why"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.text) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want %q", name, code, stdout, stderr, c.text)
		}
	}
}

func TestSinceIsALengthADayOrATime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": now.AddDate(0, 0, -400), "36h": now.Add(-36 * time.Hour), "30d": now.AddDate(0, 0, -30), "90m": now.Add(-90 * time.Minute),
		"2026-11-01": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), "2026-11-29T11:00:00+01:00": now.Add(-2 * time.Hour),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

// TestAKeyMayComeFromStdin: a command line is shown to every user of the machine.
func TestAKeyMayComeFromStdin(t *testing.T) {
	t.Parallel()
	_, address := logsOf(t, 0)
	var out, errs bytes.Buffer
	code := fast().run(t.Context(), []string{"why", "--license", "-", "--stack", "shop", "--endpoint-url", address}, strings.NewReader(askedKey+"\n"), &out, &errs)
	if code != exitDone || !strings.Contains(out.String(), "The license …DDDD") {
		t.Errorf("exit code %d, %s\n%s", code, errs.String(), out.String())
	}
}
