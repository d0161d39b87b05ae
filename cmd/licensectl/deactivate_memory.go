package main

import (
	"context"
	"runtime/debug"

	"license-deactivator/internal/bulk"
)

// What a preview has in memory, and what it may leave for the garbage collector. Its largest part is a hash of each row: a
// million of them take 20 MB, and the normal 100 % would double that. A low percentage from the first row on would collect every
// half megabyte, which took half of the preview's time.
const (
	previewBaseBytes    = 6 << 20
	previewBytesPerRow  = 24
	previewGarbageBytes = 6 << 20
	leastGCPercent      = 10
	mostGCPercent       = 100
)

// previewMemory lowers the garbage collector's percentage as a preview grows.
type previewMemory struct{ percent int }

// preview makes the plan of a run.
func (m *previewMemory) preview(ctx context.Context, r *bulk.Run) error {
	m.percent = mostGCPercent
	defer debug.SetGCPercent(debug.SetGCPercent(m.percent))
	return r.Preview(ctx)
}

// watch hands on the progress of a run.
func (m *previewMemory) watch(show func(bulk.Progress)) func(bulk.Progress) {
	return func(p bulk.Progress) {
		if percent := gcPercent(p.Rows); p.Phase == bulk.PhasePreview && 10*percent < 9*m.percent { // seldom: it stops all goroutines
			m.percent = percent
			debug.SetGCPercent(percent)
		}
		show(p)
	}
}

// gcPercent is the percentage with that many rows.
func gcPercent(rows int64) int {
	percent := 100 * previewGarbageBytes / (previewBaseBytes + previewBytesPerRow*rows)
	return int(min(max(percent, leastGCPercent), mostGCPercent))
}
