package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/telemetry"
)

// groups are the log groups of a stack.
func groups() []string { return []string{"/aws/lambda/s-webhook", "/aws/lambda/s-worker"} }

// fields are the fields that our lines have, by their constants.
func fields() []string {
	return []string{
		deactivation.LogTime, deactivation.LogText, deactivation.LogID, deactivation.LogSource, deactivation.LogEvent, deactivation.LogCause,
		deactivation.LogRule, deactivation.LogOrder, deactivation.LogRun, deactivation.LogLicenseHash, deactivation.LogReason, deactivation.LogCode,
		deactivation.LogOutcome, deactivation.LogAnswer, deactivation.LogCommand, deactivation.LogPhase,
	}
}

// fakeLogs is history.Logs over the fake, without HTTP.
type fakeLogs struct {
	*historytest.Logs
	looks   int // how many results say that the query still runs
	status  history.Status
	stopped int
	at      time.Time // of the service's clock
}

func newFake(t *testing.T) *fakeLogs {
	t.Helper()
	config := historytest.Config{Groups: groups(), Fields: fields(), Indexed: deactivation.IndexedLogFields()}
	return &fakeLogs{Logs: historytest.New(config), status: history.Complete}
}

func (f *fakeLogs) Start(_ context.Context, groups []string, from, to time.Time, query string) (string, error) {
	return f.Logs.Start(groups, from, to, query)
}

func (f *fakeLogs) Result(_ context.Context, id string) (history.Result, error) {
	if f.looks--; f.looks >= 0 {
		return history.Result{Status: history.Running}, nil
	}
	result := history.Result{Status: f.status, At: f.at}
	for _, row := range f.Logs.Result(id) {
		if _, isLine := row["@message"]; !isLine {
			result.Rows = append(result.Rows, row)
			continue
		}
		result.Lines = append(result.Lines, row["@message"])
		result.Bytes += int64(len(row["@message"]))
	}
	return result, nil
}

func (f *fakeLogs) Stop(context.Context, string) error {
	f.stopped++
	return nil
}

func (f *fakeLogs) insights() *history.Insights {
	return &history.Insights{Logs: f, Groups: groups(), Now: time.Now}
}

// written are the log lines that a recorder writes.
func written(t *testing.T, write func(r *telemetry.Recorder)) (lines []string) {
	t.Helper()
	var out bytes.Buffer
	r := telemetry.New(&out, slog.LevelInfo, "f")
	write(r)
	r.Flush() // metrics are lines too, and no question is about them
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// at returns a line with that time in place of its own.
func at(t *testing.T, when time.Time, line string) string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		t.Fatal(err)
	}
	if object[deactivation.LogTime] == nil {
		return line // a metric
	}
	object[deactivation.LogTime] = when.UTC().Format(time.RFC3339Nano)
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// noon is the time of most tests.
func noon() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }
