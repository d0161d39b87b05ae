package main

import (
	"cmp"
	"context"
	"sync"
	"time"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

const (
	// localOverlap and logOverlap are how far a look goes back behind the last line of the look before. A log group may
	// show a line after one that was written later.
	localOverlap = 2 * time.Second
	logOverlap   = 2 * time.Minute

	// clockSkew is how much the clock of this machine, which dates the journal, may be ahead of that of the log.
	clockSkew = 10 * time.Minute

	// whileSending is the time between two looks while rows are sent, with --wait.
	whileSending = 2 * time.Second
)

// runHistory reads the outcomes of a run from the log, as licensectl why --run does. Each look reads only what is new. It
// is safe for concurrent use.
type runHistory struct {
	source  history.Source
	overlap time.Duration

	mu    sync.Mutex
	since time.Time
	tally bulk.Tally
}

// newRunHistory returns the history of a run that was previewed at that time; nil if the target's log is not known.
func newRunHistory(at *place, previewed time.Time) *runHistory {
	h := &runHistory{since: previewed.Add(-clockSkew), overlap: logOverlap}
	switch {
	case at.isLocal():
		h.source, h.overlap = &localHistory{at.endpoint}, localOverlap
	case at.stack != "":
		h.source = at.insights(at.logGroups())
	default:
		return nil
	}
	return h
}

// outcomes implements bulk.Outcomes.
func (h *runHistory) outcomes(ctx context.Context, run string) (bulk.Counts, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, err := h.source.Find(ctx, history.OfRun(run), h.since)
	if err != nil {
		return bulk.Counts{}, err
	}
	for _, line := range found.Lines {
		if line.Text != deactivation.LogMessage {
			continue
		}
		h.tally.Add(line.ID, deactivation.Outcome(line.Outcome), cmp.Or(line.Code, line.Reason))
		if next := line.Time.Add(-h.overlap); next.After(h.since) {
			h.since = next
		}
	}
	return h.tally.Counts(), nil
}

// follow looks until ctx ends, so that no look has many lines to read.
func (h *runHistory) follow(ctx context.Context, run string) {
	ticker := time.NewTicker(whileSending)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_, _ = h.outcomes(ctx, run) // the look that counts comes after the last row
		case <-ctx.Done():
			return
		}
	}
}
