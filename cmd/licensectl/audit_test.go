package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
)

// fakeLogs is CloudWatch Logs as far as the audit uses it.
type fakeLogs struct {
	refuse bool
	drop   bool      // answer 200 and say that the lines were rejected
	date   time.Time // of the service's clock; zero: the true one

	mu      sync.Mutex
	streams []string // group and stream
	lines   []string
}

func (f *fakeLogs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.date.IsZero() {
		w.Header().Set("Date", f.date.UTC().Format(http.TimeFormat))
	}
	if f.refuse {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"no"}`)
		return
	}
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []struct{ Message string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("X-Amz-Target") == "Logs_20140328.CreateLogStream" {
		f.streams = append(f.streams, in.LogGroupName+" "+in.LogStreamName)
	}
	for _, e := range in.LogEvents {
		f.lines = append(f.lines, e.Message)
	}
	if f.drop && len(in.LogEvents) > 0 {
		_, _ = io.WriteString(w, `{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":0}}`)
		return
	}
	_, _ = io.WriteString(w, `{}`)
}

// auditedPlace is a stack whose log groups are those of the fake.
func auditedPlace(t *testing.T, logs http.Handler) *place {
	t.Helper()
	server := httptest.NewServer(logs)
	t.Cleanup(server.Close)
	return &place{
		target: &target{stack: "shop", endpoint: server.URL}, outputs: map[resource]string{webhookFunctionName: "shop-webhook"},
		config: aws.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), RetryMaxAttempts: 1},
	}
}

func auditedCommand(t *testing.T, flags ...string) (*cobra.Command, *strings.Builder) {
	t.Helper()
	cmd := &cobra.Command{Use: "purge"}
	cmd.Flags().String("reason", "", "")
	cmd.Flags().StringToString("set", nil, "")
	cmd.Flags().String("comment", "", "")
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.SetErr(&stderr)
	cmd.SetContext(t.Context())
	return cmd, &stderr
}

// TestTheAuditIsInTheJournalAndInTheLogGroup: one line at the beginning and one at the end, the same in both places, and
// no value that may be a license key.
func TestTheAuditIsInTheJournalAndInTheLogGroup(t *testing.T) {
	t.Parallel()
	logs := &fakeLogs{}
	cmd, _ := auditedCommand(t, "--reason", "held", "--set", "license_key=CANARY", "--comment", "ticket 1")
	var journal []deactivation.Audit
	a := newAudit(cmd, []string{"letter-1"}, auditedPlace(t, logs), "jo@host", "ticket 1")
	a.journal = func(line deactivation.Audit) error { journal = append(journal, line); return nil }

	if err := a.begin(t.Context(), map[string]int{"letters": 3}); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	if err := a.end(cmd, map[string]int{"done": 2}, stopped); !errors.Is(err, stopped) {
		t.Errorf("end returns %v, want the command's own error", err)
	}

	common := deactivation.Audit{Command: "purge", Actor: "jo@host", Comment: "ticket 1", Arguments: []string{"letter-1", "--reason=held", "--set=…"}}
	begin, end := common, common
	begin.Phase, begin.Counts = "begin", map[string]int{"letters": 3}
	end.Phase, end.Counts, end.Error = "end", map[string]int{"done": 2}, "stopped"
	var logged []deactivation.Audit
	for _, line := range logs.lines {
		var read struct {
			Message string
			deactivation.Audit
		}
		if err := json.Unmarshal([]byte(line), &read); err != nil || read.Message != "audit" {
			t.Fatalf("line %s: %v", line, err)
		}
		logged = append(logged, read.Audit)
	}
	if diff := cmp.Diff(journal, logged); diff != "" {
		t.Errorf("journal and log group differ: %s", diff)
	}
	for i := range journal {
		if journal[i].At.IsZero() {
			t.Error("a line has no time")
		}
		journal[i].At = common.At
	}
	if diff := cmp.Diff([]deactivation.Audit{begin, end}, journal); diff != "" {
		t.Error(diff)
	}
	if len(logs.streams) != 1 || !strings.HasPrefix(logs.streams[0], "/aws/lambda/shop-webhook licensectl/") {
		t.Errorf("streams %q, want one in the webhook function's group", logs.streams)
	}
	if slices.ContainsFunc(logs.lines, func(line string) bool { return strings.Contains(line, "CANARY") }) {
		t.Errorf("a line holds the value of --set: %s", logs.lines)
	}
}

func TestWithoutAnAuditLineNothingIsDone(t *testing.T) {
	t.Parallel()
	cmd, stderr := auditedCommand(t)
	a := newAudit(cmd, nil, auditedPlace(t, &fakeLogs{refuse: true}), "jo@host", "ticket 1")
	err := a.begin(t.Context(), nil)
	f, ok := errors.AsType[*failure](err)
	if !ok || f.code != exitFailed || f.hint != "the signed-in role needs the right logs:CreateLogStream and logs:PutLogEvents" {
		t.Errorf("begin returns %v, want a failure with the right that is missing", err)
	}
	if err := a.end(cmd, nil, nil); err != nil || !strings.HasPrefix(stderr.String(), "licensectl: warning: the audit line of the end cannot be written: ") {
		t.Errorf("end returns %v and prints %q, want a warning alone: the act is done", err, stderr)
	}
}
