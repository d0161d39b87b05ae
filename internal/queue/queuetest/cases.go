package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/queue"
)

func cases() []testCase {
	return []testCase{
		{name: "a message arrives unchanged", run: arrivesUnchanged},
		{name: "every allowed character arrives", run: charactersArrive},
		{name: "more than ten arrive once each", run: manyArrive},
		{name: "more than 1 MiB arrives in several batches", run: largeArrive},
		{name: "bad entries are refused by index and the others sent", run: badEntries},
		{name: "an empty slice is no call", run: nothingToDo},
		{name: "receive arguments beyond the limits are an error", run: receiveLimits},
		{name: "a cancelled context reports every element", run: cancelled},
		{name: "a message is hidden and received again", run: receivedAgain},
		{name: "a deleted message is not received again", run: deleted},
		{name: "a stale receipt deletes nothing and is no failure", unless: StaleReceipt, run: staleDelete},
		{name: "defer hides longer", run: deferLonger},
		{name: "defer by zero hands out at once", run: deferZero},
		{name: "defer counts from the call", run: deferSooner},
		{name: "defer past 12 hours from the receive is refused", run: deferPast},
		{name: "an invalid receipt is reported by index and the others deferred", run: badReceipts},
		{name: "a message received too often becomes a dead letter", run: redrive},
		{name: "a long poll returns a new message", run: longPoll},
	}
}

func arrivesUnchanged(h *harness) {
	before := time.Now()
	sent := queue.Entry{
		Body:       `{"v":1,"id":"stripe.evt_1.0"}`,
		Group:      "stripe",
		Attributes: map[string]string{"reason": "rejected", "code": "license_not_found", "detail": "Not found: “x”\n"},
	}
	h.send(sent)
	got := h.one(long)

	if diff := cmp.Diff(sent, queue.Entry{Body: got.Body, Group: got.Group, Attributes: got.Attributes}); diff != "" {
		h.Errorf("received entry (-sent +got):\n%s", diff)
	}
	if got.ID == "" || got.Receipt == "" {
		h.Errorf("id %q, receipt %q: want both", got.ID, got.Receipt)
	}
	if got.SentAt.Before(before.Add(-time.Second)) || got.SentAt.After(time.Now().Add(time.Second)) {
		h.Errorf("sent at %v, want about %v", got.SentAt, before)
	}
	h.wantReceiveCount(got, 1)
}

func charactersArrive(h *harness) {
	body := "\t\n\r \u007f\u0085\u2028\ud7ff\ue000\ufffd\U00010000\U0010ffff&<>\"\\"
	h.send(queue.Entry{Body: body, Attributes: map[string]string{"a": body}})
	got := h.one(long)
	if got.Body != body {
		h.Errorf("body is %q, want %q", got.Body, body)
	}
	if got.Attributes["a"] != body {
		h.Errorf("attribute is %q, want %q", got.Attributes["a"], body)
	}
}

func manyArrive(h *harness) {
	var entries []queue.Entry
	var want []string
	for i := range 23 {
		want = append(want, fmt.Sprintf("message %02d", i))
		entries = append(entries, queue.Entry{Body: want[i]})
	}
	h.send(entries...)

	var got []string
	for _, m := range h.poll(h.Queue, len(want), long) {
		got = append(got, m.Body)
		h.wantReceiveCount(m, 1)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		h.Errorf("bodies (-sent +got):\n%s", diff)
	}
	h.wantNone(h.Queue, shortly)
}

func largeArrive(h *harness) {
	const mebibyte = 1 << 20
	whole := strings.Repeat("a", mebibyte)
	half := strings.Repeat("b", mebibyte/2+1)
	h.send(queue.Entry{Body: whole}, queue.Entry{Body: half}, queue.Entry{Body: half})

	var got []int
	for range 3 {
		m := h.one(long)
		got = append(got, len(m.Body))
		if failed := h.Queue.Delete(h.Context(), []string{m.Receipt}); failed != nil {
			h.Errorf("Delete: %v", failed)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{len(half), len(half), len(whole)}, got); diff != "" {
		h.Errorf("sizes (-sent +got):\n%s", diff)
	}
}

func badEntries(h *harness) {
	attributes := make(map[string]string)
	for i := range 11 {
		attributes[fmt.Sprint("a", i)] = "x"
	}
	entries := []queue.Entry{
		{Body: "first"},
		{Body: ""},
		{Body: "U+FFFE: \ufffe"},
		{Body: "NUL: \x00"},
		{Body: "not UTF-8: \xff"},
		{Body: strings.Repeat("x", 1<<20+1)},
		{Body: "empty attribute", Attributes: map[string]string{"reason": ""}},
		{Body: "eleven attributes", Attributes: attributes},
		{Body: "bad name", Attributes: map[string]string{"AWS.reason": "x"}},
		{Body: "long group", Group: strings.Repeat("g", 129)},
		{Body: "last"},
	}
	failed := h.Queue.Send(h.Context(), entries)
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8, 9}, indexes(failed)); diff != "" {
		h.Errorf("indexes of failures (-want +got):\n%s", diff)
	}
	for _, f := range failed {
		if !errors.Is(f.Err, queue.ErrRefused) {
			h.Errorf("entry %d: %v, want ErrRefused", f.Index, f.Err)
		}
	}

	var got []string
	for _, m := range h.poll(h.Queue, 2, long) {
		got = append(got, m.Body)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"first", "last"}, got); diff != "" {
		h.Errorf("bodies (-want +got):\n%s", diff)
	}
	h.wantNone(h.Queue, shortly)
}

func nothingToDo(h *harness) {
	ctx := h.Context()
	if failed := h.Queue.Send(ctx, nil); failed != nil {
		h.Errorf("Send: %v", failed)
	}
	if failed := h.Queue.Defer(ctx, nil); failed != nil {
		h.Errorf("Defer: %v", failed)
	}
	if failed := h.Queue.Delete(ctx, nil); failed != nil {
		h.Errorf("Delete: %v", failed)
	}
	h.wantNone(h.Queue, shortly)
}

func receiveLimits(h *harness) {
	for _, c := range []struct {
		name             string
		max              int
		wait, visibility time.Duration
	}{
		{"max 0", 0, 0, 0},
		{"max 11", 11, 0, 0},
		{"wait 21 s", 1, 21 * time.Second, 0},
		{"wait below 0", 1, -time.Second, 0},
		{"visibility 12 h 1 s", 1, 0, 12*time.Hour + time.Second},
		{"visibility below 0", 1, 0, -time.Second},
	} {
		if _, err := h.Queue.Receive(h.Context(), c.max, c.wait, c.visibility); err == nil {
			h.Errorf("%s: no error", c.name)
		}
	}
}

func cancelled(h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	entries := make([]queue.Entry, 12)
	for i := range entries {
		entries[i].Body = "x"
	}
	entries[3].Body = "" // refused whether or not the context has ended
	h.wantCancelled("Send", h.Queue.Send(ctx, entries), 12)
	h.wantCancelled("Defer", h.Queue.Defer(ctx, make([]queue.Deferral, 11)), 11)
	h.wantCancelled("Delete", h.Queue.Delete(ctx, make([]string, 11)), 11)
	if _, err := h.Queue.Receive(ctx, 1, time.Second, 0); !errors.Is(err, context.Canceled) {
		h.Errorf("Receive: %v, want context.Canceled", err)
	}
	h.wantNone(h.Queue, shortly)
}

func (h *harness) wantCancelled(what string, failed []queue.Failure, n int) {
	h.Helper()
	if len(failed) != n {
		h.Fatalf("%s: %d failures, want %d", what, len(failed), n)
	}
	for i, f := range failed {
		if f.Index != i {
			h.Errorf("%s: failure %d has index %d", what, i, f.Index)
		}
		if !errors.Is(f.Err, context.Canceled) && !errors.Is(f.Err, queue.ErrRefused) {
			h.Errorf("%s: %d: %v, want context.Canceled", what, i, f.Err)
		}
	}
}

func longPoll(h *harness) {
	got := make(chan queue.Received, 1)
	go func() {
		defer close(got)
		for end := time.Now().Add(patience); time.Now().Before(end); {
			m, err := h.Queue.Receive(h.Context(), 1, 20*time.Second, shortly)
			if err == nil && len(m) > 0 {
				got <- m[0]
				return
			}
		}
	}()
	h.send(queue.Entry{Body: "news"})
	if m := <-got; m.Body != "news" {
		h.Errorf("received %q, want %q", m.Body, "news")
	}
}
