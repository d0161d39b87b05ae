package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

// TestLinesAreToldInTheirOrderWhateverTheOrderInWhichTheyCame: a log group may show a line after one that was written later.
func TestLinesAreToldInTheirOrderWhateverTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.delivery(event(deactivation.Accepted))
	s.message(received(deactivation.Deferred, 1))
	s.message(received(deactivation.Deactivated, 2))
	found, err := s.memory.Find(t.Context(), history.OfOrder("1001"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := timeline(history.Tell(history.OfOrder("1001"), found))
	came := slices.Clone(found.Lines)
	slices.Reverse(came)
	a := history.Tell(history.OfOrder("1001"), history.Found{Lines: came})
	if got := timeline(a); got != want || a.Requests[0].Outcome != "deactivated" || a.Finished() != 1 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if came[0].Outcome != "deactivated" {
		t.Error("the caller's lines were changed")
	}
}

// TestABatchThatWasSentTwiceIsExpectedOnce: its line lists the first ids alone, and why --follow ends when as many requests
// as are expected have left the queue.
func TestABatchThatWasSentTwiceIsExpectedOnce(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	const rows = 500
	batch := func(first int) telemetry.Delivery {
		d := telemetry.Delivery{Source: "ops", Run: "r", Answer: deactivation.Accepted}
		for i := range rows {
			d.Requests = append(d.Requests, fmt.Sprintf("row-%d", first+i))
		}
		return d
	}
	s.delivery(batch(0))
	s.delivery(batch(0))
	if got := s.tell(history.OfRun("r")).Expected(); got != rows {
		t.Errorf("one batch, sent twice: %d, want %d", got, rows)
	}
	s.delivery(batch(rows))
	a := s.tell(history.OfRun("r"))
	if got := a.Expected(); got != 2*rows {
		t.Errorf("two batches: %d, want %d", got, 2*rows)
	}
}
