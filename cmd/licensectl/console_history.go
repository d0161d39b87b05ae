package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"license-deactivator/internal/history"
)

const (
	// latestFor is how long the latest events are shown before the log is asked again: several windows ask once.
	latestFor = 10 * time.Second

	// maxLatestLines bounds the lines of the latest events, as licensectl local does.
	maxLatestLines = 20_000
)

// stackHistory is console.History of a deployed stack: it asks the log as licensectl why does.
type stackHistory struct {
	why  whyOptions
	logs history.Source // nil: no log group is known
	now  func() time.Time

	mu     sync.Mutex // held while the log is asked
	latest latestLines
}

// latestLines are the lines of the latest events that were read so far. The log is asked for the new ones alone: a query scans,
// and costs, all of its time.
type latestLines struct {
	from, to time.Time // of the log
	lines    []history.Line
	seen     map[string]bool
	scan     history.Scan
}

// Ask implements console.History.
func (h *stackHistory) Ask(ctx context.Context, q history.Question, since time.Time) (history.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	if h.logs == nil {
		return history.Answer{}, failed(errors.New("no log group is known: it says what arrived and what became of it"), "name the stack with --stack")
	}
	if q != history.OfLatest() {
		return h.why.ask(ctx, h.logs, q, since)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.readLatest(ctx, since); err != nil {
		return history.Answer{}, h.why.notAnswered(err)
	}
	return history.Tell(q, history.Found{Lines: h.latest.since(since), Scan: h.latest.scan}), nil
}

// readLatest reads the lines that came since the log was read last.
func (h *stackHistory) readLatest(ctx context.Context, since time.Time) error {
	l := &h.latest
	if l.seen == nil || since.Before(l.from) {
		*l = latestLines{from: since, seen: map[string]bool{}}
	}
	if !l.to.IsZero() && h.now().Sub(l.to) < latestFor {
		return nil
	}
	found, err := h.logs.Find(ctx, history.OfLatest(), maxTime(since, l.to.Add(-followOverlap)))
	if err != nil {
		return err
	}
	l.add(found)
	return nil
}

func (l *latestLines) add(found history.Found) {
	l.to = found.Scan.To
	l.scan.Incomplete = l.scan.Incomplete || found.Scan.Incomplete
	l.scan.Add(found.Scan)
	l.scan.From, l.scan.To = l.from, l.to
	for _, line := range found.Lines {
		if key := line.Key(); !l.seen[key] {
			l.seen[key] = true
			l.lines = append(l.lines, line)
		}
	}
	if more := len(l.lines) - maxLatestLines; more > 0 {
		l.drop(more)
		l.scan.Incomplete = true
	}
}

// since returns the lines since that time, and forgets those before it.
func (l *latestLines) since(since time.Time) []history.Line {
	n := 0
	for n < len(l.lines) && l.lines[n].Time.Before(since) {
		n++
	}
	l.drop(n)
	return l.lines
}

// drop forgets the oldest lines.
func (l *latestLines) drop(n int) {
	for _, line := range l.lines[:n] {
		delete(l.seen, line.Key())
	}
	l.lines = l.lines[n:]
}
