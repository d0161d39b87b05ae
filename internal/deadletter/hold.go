package deadletter

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/queue"
)

const (
	// visibility is how long a receive hides a letter: after a kill, letters are visible again within this time.
	visibility = 30 * time.Second

	// extendEvery is how often the letters are looked for whose visibility timeout is to be extended, and extendBefore how
	// long before its end. An extension that takes ten seconds, for tens of thousands of letters, is still in time.
	extendEvery  = 5 * time.Second
	extendBefore = 15 * time.Second

	// closeTimeout and closeTimeoutEach bound how long Close makes letters visible again: some seconds, and for 100,000
	// letters three minutes, seven times what SQS needs. A letter that is left is visible after visibility.
	closeTimeout     = 20 * time.Second
	closeTimeoutEach = 2 * time.Millisecond
)

// hold keeps received letters hidden until they are released or deleted.
type hold struct {
	queue Queue

	mu   sync.Mutex
	held map[string]held // by the queue's message id
}

// held is one letter that this process has received.
type held struct {
	receipt string
	until   time.Time // when it becomes visible again, at the earliest
}

// add holds a received message. It reports whether the message is new: one that came back, because its extension was late,
// has a new receipt.
func (h *hold) add(m queue.Received, until time.Time) (isNew bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.held[m.ID]
	h.held[m.ID] = held{m.Receipt, until}
	return !known
}

// keep extends the visibility of the held letters until ctx ends.
func (h *hold) keep(ctx context.Context) {
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.extend(ctx, h.endingBefore(now.Add(extendBefore)))
		}
	}
}

// endingBefore returns the held letters whose visibility timeout ends before a time.
func (h *hold) endingBefore(end time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	for id, one := range h.held {
		if one.until.Before(end) {
			ids = append(ids, id)
		}
	}
	return ids
}

// extend hides letters for another 30 seconds. It returns those for which that failed: another consumer may have them.
func (h *hold) extend(ctx context.Context, ids []string) (failed []string) {
	until := time.Now().Add(visibility)
	pairs, failed := h.pairs(ids)
	failures := h.change(ctx, pairs, visibility)

	h.mu.Lock()
	defer h.mu.Unlock()
	for i, p := range pairs {
		current, ok := h.held[p.id]
		if !ok || current.receipt != p.receipt { // deleted, or received again meanwhile
			continue
		}
		switch err := failures[i]; {
		case err == nil:
			h.held[p.id] = held{p.receipt, until}
			continue
		case errors.Is(err, queue.ErrRefused):
			delete(h.held, p.id)
		}
		failed = append(failed, p.id)
	}
	return failed
}

// release makes letters visible at once. One that it cannot release is visible within 30 seconds.
func (h *hold) release(ctx context.Context, ids []string) {
	pairs, _ := h.pairs(ids)
	h.forget(ids)
	_ = h.change(ctx, pairs, 0)
}

// forget stops holding letters.
func (h *hold) forget(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.held, id)
	}
}

// all returns the ids of the held letters.
func (h *hold) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.held))
}

// pair is a held letter's id and its latest receipt.
type pair struct{ id, receipt string }

// pairs returns the receipts of letters, and the letters that are not held.
func (h *hold) pairs(ids []string) (pairs []pair, missing []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if one, ok := h.held[id]; ok {
			pairs = append(pairs, pair{id, one.receipt})
		} else {
			missing = append(missing, id)
		}
	}
	return pairs, missing
}

// change sets the visibility of letters and returns the errors by index.
func (h *hold) change(ctx context.Context, pairs []pair, after time.Duration) map[int]error {
	deferrals := make([]queue.Deferral, len(pairs))
	for i, p := range pairs {
		deferrals[i] = queue.Deferral{Receipt: p.receipt, After: after}
	}
	failures := map[int]error{}
	for _, f := range h.queue.Defer(ctx, deferrals) {
		failures[f.Index] = f.Err
	}
	return failures
}

// delete deletes letters and stops holding them. The error is that of the first one that it could not delete.
func (h *hold) delete(ctx context.Context, ids []string) (deleted int, err error) {
	pairs, _ := h.pairs(ids)
	receipts := make([]string, len(pairs))
	for i, p := range pairs {
		receipts[i] = p.receipt
	}
	failures := h.queue.Delete(ctx, receipts)
	h.forget(ids)
	if len(failures) > 0 {
		err = failures[0].Err
	}
	return len(pairs) - len(failures), err
}
