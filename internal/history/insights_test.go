package history_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

// message is a line of a message with that id in a run.
func message(t *testing.T, when time.Time, id, run string) string {
	t.Helper()
	return at(t, when, written(t, func(r *telemetry.Recorder) {
		r.Message(t.Context(), telemetry.Message{ID: id, Run: run, Outcome: deactivation.Deactivated, Attempts: 1})
	})[0])
}

func TestAQuestionIsAskedOfBothGroupsAndSaysWhatItScanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.looks = 2
		begin := time.Now()
		f.Put(groups()[1], begin, message(t, begin.Add(time.Second), "a", "r"))
		f.Put(groups()[0], begin, message(t, begin, "b", "r"))
		f.Put(groups()[0], begin, message(t, begin, "c", "other"))
		found, err := f.insights().Find(t.Context(), history.OfRun("r"), begin.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Lines) != 2 || found.Lines[0].ID != "b" || found.Lines[1].ID != "a" {
			t.Errorf("lines %+v, want b and a, oldest first", found.Lines)
		}
		s := found.Scan
		if s.Queries != 1 || s.Matched != 2 || s.Bytes == 0 || s.Incomplete || !slices.Equal(s.Groups, groups()) {
			t.Errorf("scan %+v", s)
		}
		if want := 600 * time.Millisecond; s.Took != want { // 200 ms and 400 ms between three looks
			t.Errorf("took %v, want %v", s.Took, want)
		}
		if want := float64(s.Bytes) / (1 << 30) * 0.005; s.Dollars != want {
			t.Errorf("costs %v, want %v", s.Dollars, want)
		}
	})
}

// TestMoreLinesThanAQueryReturnsAreReadPageByPage: each once, also those of the second that two pages share.
func TestMoreLinesThanAQueryReturnsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	const lines = 12_000
	for i := range lines {
		when := noon().Add(time.Duration(i) * 10 * time.Millisecond)
		f.Put(groups()[1], when, fmt.Sprintf(`{"timestamp":%q,"message":"message","id":"m%d","run":"r","outcome":"deactivated","attempts":1}`, when.Format(time.RFC3339Nano), i))
	}
	i := f.insights()
	i.Now = func() time.Time { return noon().Add(time.Hour) }
	found, err := i.Find(t.Context(), history.OfRun("r"), noon())
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Lines) != lines || found.Scan.Queries != 2 || found.Scan.Incomplete {
		t.Errorf("%d lines in %d queries (incomplete %v), want %d in 2", len(found.Lines), found.Scan.Queries, found.Scan.Incomplete, lines)
	}
}

// TestLinesThatDoNotFitAreReported: ten thousand of them in one second cannot be paged.
func TestLinesThatDoNotFitAreReported(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for i := range 10_001 {
		f.Put(groups()[1], noon(), fmt.Sprintf(`{"timestamp":%q,"message":"message","id":"m%d","run":"r"}`, noon().Format(time.RFC3339Nano), i))
	}
	i := f.insights()
	i.Now = func() time.Time { return noon().Add(time.Hour) }
	found, err := i.Find(t.Context(), history.OfRun("r"), noon())
	if err != nil || !found.Scan.Incomplete || len(found.Lines) != 10_000 {
		t.Errorf("%d lines, incomplete %v (%v)", len(found.Lines), found.Scan.Incomplete, err)
	}
}

// TestAClockThatIsBehindDoesNotHideTheLatestLines: the service's own time is the end.
func TestAClockThatIsBehindDoesNotHideTheLatestLines(t *testing.T) {
	t.Parallel()
	for behind, want := range map[time.Duration]struct{ lines, queries int }{
		0: {1, 1}, 2 * time.Second: {1, 1}, time.Hour: {2, 2}, -time.Hour: {1, 1},
	} {
		f := newFake(t)
		f.Put(groups()[1], noon(), message(t, noon(), "early", "r"))
		f.Put(groups()[1], noon().Add(30*time.Minute), message(t, noon().Add(30*time.Minute), "late", "r"))
		i := f.insights()
		i.Now = func() time.Time { return noon().Add(time.Minute) }
		f.at = i.Now().Add(behind)
		found, err := i.Find(t.Context(), history.OfRun("r"), noon().Add(-time.Hour))
		if err != nil || len(found.Lines) != want.lines || found.Scan.Queries != want.queries {
			t.Errorf("%v behind: %d lines in %d queries (%v), want %+v", behind, len(found.Lines), found.Scan.Queries, err, want)
		}
	}
}

func TestAQueryThatNobodyWaitsForIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.looks = 1000
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.insights().Find(ctx, history.OfRun("r"), time.Now().Add(-time.Hour))
		if !errors.Is(err, context.DeadlineExceeded) || f.stopped != 1 {
			t.Errorf("error %v, stopped %d", err, f.stopped)
		}
	})
}

func TestAQueryThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.status = "Failed"
	if _, err := f.insights().Find(t.Context(), history.OfRun("r"), noon()); err == nil || !strings.Contains(err.Error(), "Failed") {
		t.Errorf("failed: %v", err)
	}
	for _, groups := range [][]string{nil, make([]string, history.MaxGroups+1)} {
		i := f.insights()
		i.Groups = groups
		if _, err := i.Find(t.Context(), history.OfRun("r"), noon()); err == nil {
			t.Errorf("%d groups are accepted", len(groups))
		}
	}
	i := f.insights()
	i.Groups = []string{"/aws/lambda/other"}
	if _, err := i.Find(t.Context(), history.OfRun("r"), noon()); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("an unknown group: %v", err)
	}
}

// TestOnlyQueriesByIDAndRunReadLittle: these are equalities on indexed fields.
func TestOnlyQueriesByIDAndRunReadLittle(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for i := range 100 {
		f.Put(groups()[1], noon(), message(t, noon(), fmt.Sprintf("stripe.evt_%d.0", i), fmt.Sprint("run", i%2)))
	}
	for q, want := range map[history.Question]int{
		history.OfID("stripe.evt_7.0"): 1, history.OfID("stripe.evt_7"): 1, history.OfRun("run1"): 50, history.OfOrder("1001"): 100, history.OfLicense(key): 100,
	} {
		id, err := f.Logs.Start(groups(), noon(), noon(), q.Query())
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Logs.Scanned(id); got != want {
			t.Errorf("%s: %d records scanned, want %d", q, got, want)
		}
	}
}
