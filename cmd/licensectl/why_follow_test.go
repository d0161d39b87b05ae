package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// looks is a history.Source with the lines of each look; the last one again for every further look.
type looks struct {
	found [][]history.Line
	since []time.Time // of each look

	incomplete bool
}

func (l *looks) Find(_ context.Context, _ history.Question, since time.Time) (history.Found, error) {
	n := min(len(l.since), len(l.found)-1)
	l.since = append(l.since, since)
	return history.Found{Lines: l.found[n], Scan: history.Scan{From: since, To: time.Now(), Groups: []string{"g"}, Queries: 1, Incomplete: l.incomplete}}, nil
}

// follow follows the order 1001 since a year, in virtual time.
func follow(t *testing.T, l *looks) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	cmd.SetContext(ctx)
	o := &whyOptions{groups: []string{"g"}}
	err = o.followOutcomes(cmd, l, history.OfOrder("1001"), time.Now().AddDate(-1, 0, 0))
	return out.String(), err
}

func received(id string, at time.Time, outcome deactivation.Outcome, attempts int) history.Line {
	return history.Line{Time: at, Text: deactivation.LogMessage, ID: id, Order: "1001", Outcome: string(outcome), Attempts: attempts}
}

// TestFollowScansTheOldLogOnce: a question by order reads every line of its time, and is charged for that.
func TestFollowScansTheOldLogOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		done := []history.Line{received("a.0", now.Add(time.Minute), deactivation.Deactivated, 1)}
		l := &looks{found: [][]history.Line{nil, nil, nil, nil, nil, nil, nil, done}}
		if stdout, err := follow(t, l); err != nil || !strings.Contains(stdout, "1 request: 1 deactivated.") {
			t.Fatalf("%v\n%s", err, stdout)
		}
		for i, since := range l.since {
			if age := now.Sub(since); (i == 0) != (age > time.Hour) {
				t.Errorf("look %d begins %v before the command", i+1, age)
			}
		}
		if len(l.since) != 8 {
			t.Errorf("%d looks, want 8", len(l.since))
		}
	})
}

// TestFollowEndsAlsoWhenAnOlderLineShowsLater: the log groups of two functions, and two streams of one, show their lines in
// any order.
func TestFollowEndsAlsoWhenAnOlderLineShowsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := []history.Line{received("a.0", now.Add(-time.Minute), deactivation.Deactivated, 2), received("b.0", now.Add(-time.Minute), deactivation.Deferred, 1)}
		b := []history.Line{received("a.0", now.Add(-2*time.Minute), deactivation.Deferred, 1), received("b.0", now, deactivation.Deactivated, 2)}
		if stdout, err := follow(t, &looks{found: [][]history.Line{a, b}}); err != nil || !strings.Contains(stdout, "2 requests: 2 deactivated.") {
			t.Errorf("%v\n%s", err, stdout)
		}
	})
}

// TestFollowSaysThatLinesAreMissing: else a run would look complete.
func TestFollowSaysThatLinesAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &looks{found: [][]history.Line{{received("a.0", time.Now(), deactivation.Deactivated, 1)}}, incomplete: true}
		if _, err := follow(t, l); err == nil || !strings.Contains(err.Error(), "more lines match than could be read") {
			t.Errorf("error %v", err)
		}
	})
}

// TestFollowSeesNewLinesWithAClockThatIsAhead: the looks begin by this machine's clock, and lines have that of Lambda.
func TestFollowSeesNewLinesWithAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &looks{found: [][]history.Line{nil, nil, {received("a.0", time.Now(), deactivation.Deactivated, 1)}}}
		if stdout, err := follow(t, l); err != nil {
			t.Fatalf("%v\n%s", err, stdout)
		}
		written := time.Now().Add(-clockSkew) // by Lambda's clock, at the time of the last look
		if begins := l.since[len(l.since)-1]; !begins.Before(written) {
			t.Errorf("the last look begins at %v, after a line of %v", begins, written)
		}
	})
}
