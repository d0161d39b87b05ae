package history

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Bounds of a Memory: some ten thousand requests, and less than the memory of a small machine.
const (
	maxMemoryLines = 100_000
	maxMemoryBytes = 64 << 20

	// maxLatest is how many lines OfLatest returns: 10,000 events with a request each, in a tenth of a second.
	maxLatest = 20_000
)

// Memory keeps log lines in memory and answers questions about them. It implements io.Writer for what the functions log;
// each Write is one line. The oldest lines are dropped when there are too many. It is safe for concurrent use. Its zero
// value is ready.
type Memory struct {
	mu      sync.Mutex
	lines   []kept
	bytes   int
	dropped bool
}

// kept is a line with its size.
type kept struct {
	Line
	size int
}

// Write keeps a line that a question may be about, and ignores every other text.
func (m *Memory) Write(text []byte) (int, error) {
	line, ok := parse(bytes.TrimSpace(text))
	if !ok {
		return len(text), nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, kept{line, len(text)})
	m.bytes += len(text)
	for m.bytes > maxMemoryBytes || len(m.lines) > maxMemoryLines {
		m.bytes -= m.lines[0].size
		m.lines = m.lines[1:]
		m.dropped = true
	}
	return len(text), nil
}

// Find implements Source. It never fails.
func (m *Memory) Find(_ context.Context, q Question, since time.Time) (Found, error) {
	if err := q.Check(); err != nil {
		return Found{}, err
	}
	begin := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	found := Found{Scan: Scan{From: since, To: begin, Queries: 1, Bytes: int64(m.bytes), Records: int64(len(m.lines)), Incomplete: m.dropped}}
	for _, l := range m.lines {
		if !l.Time.Before(since) && q.matches(l.Line) {
			found.Lines = append(found.Lines, l.Line)
		}
	}
	byTime(found.Lines)
	if more := len(found.Lines) - maxLatest; q.latest && more > 0 {
		found.Lines, found.Scan.Incomplete = found.Lines[more:], true
	}
	found.Scan.Matched = int64(len(found.Lines))
	found.Scan.finish(time.Since(begin))
	found.Scan.Dollars = 0 // memory costs nothing
	return found, nil
}

// finish sets what follows from the other fields.
func (s *Scan) finish(took time.Duration) {
	s.Took, s.Seconds = took, took.Seconds()
	s.Dollars = float64(s.Bytes) / gigabyte * dollarsPerGigabyte
}
