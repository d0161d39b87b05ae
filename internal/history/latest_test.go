package history_test

import (
	"fmt"
	"testing"
	"time"

	"license-deactivator/internal/history"
)

// latestLine is a line of a message; its number gives its id and its time.
func latestLine(i int) (time.Time, string) {
	when := noon().Add(time.Duration(i) * 10 * time.Millisecond)
	return when, fmt.Sprintf(`{"timestamp":%q,"message":"message","id":"m%d","outcome":"deactivated","attempts":1}`, when.Format(time.RFC3339Nano), i)
}

// checkLatest checks that the lines are the newest ones, oldest first, and that the answer says that there are more.
func checkLatest(t *testing.T, found history.Found, want, written int) {
	t.Helper()
	if len(found.Lines) != want || !found.Scan.Incomplete {
		t.Fatalf("%d lines, incomplete %v, want %d of %d lines", len(found.Lines), found.Scan.Incomplete, want, written)
	}
	first, last := found.Lines[0].ID, found.Lines[want-1].ID
	if first != fmt.Sprintf("m%d", written-want) || last != fmt.Sprintf("m%d", written-1) {
		t.Errorf("lines %s to %s, want the last %d of %d", first, last, want, written)
	}
}

func TestTheLatestLinesOfAMemoryAreBounded(t *testing.T) {
	t.Parallel()
	var m history.Memory
	const lines = 20_500
	for i := range lines {
		_, text := latestLine(i)
		_, _ = m.Write([]byte(text))
	}
	found, err := m.Find(t.Context(), history.OfLatest(), noon())
	if err != nil {
		t.Fatal(err)
	}
	checkLatest(t, found, 20_000, lines)
}

// TestTheLatestLinesOfALogTakeOneQuery: every further page would cost its scan at each look of the page.
func TestTheLatestLinesOfALogTakeOneQuery(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	const lines = 10_500
	for i := range lines {
		when, text := latestLine(i)
		f.Put(groups()[1], when, text)
	}
	i := f.insights()
	i.Now = func() time.Time { return noon().Add(time.Hour) }
	found, err := i.Find(t.Context(), history.OfLatest(), noon())
	if err != nil {
		t.Fatal(err)
	}
	checkLatest(t, found, 10_000, lines)
	if found.Scan.Queries != 1 {
		t.Errorf("%d queries, want 1", found.Scan.Queries)
	}
}

// TestTheLatestLinesLeaveOutOtherLines: a metric or an audit line is no event.
func TestTheLatestLinesLeaveOutOtherLines(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	when, text := latestLine(0)
	f.Put(groups()[1], when, text)
	f.Put(groups()[0], when, `{"timestamp":"2026-11-29T12:00:00Z","message":"licensectl","command":"licensectl dlq redrive","phase":"begin"}`)
	f.Put(groups()[0], when, `{"timestamp":"2026-11-29T12:00:00Z","message":"dead letter","id":"stripe.evt_1","reason":"unmappable"}`)
	i := f.insights()
	i.Now = func() time.Time { return noon().Add(time.Hour) }
	found, err := i.Find(t.Context(), history.OfLatest(), noon().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Lines) != 2 || found.Scan.Incomplete {
		t.Errorf("lines %+v, incomplete %v, want the message and the dead letter", found.Lines, found.Scan.Incomplete)
	}
}
