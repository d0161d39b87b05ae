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
		{name: "a message arrives whole", run: arrivesWhole},
		{name: "every allowed character arrives", run: charactersArrive},
		{name: "more than ten arrive once each", run: manyArrive},
		{name: "more than 1 MiB arrives in several batches", run: largeArrive},
		{name: "bad entries are refused by index and the others sent", run: badEntries},
		{name: "nothing to do is done", run: nothingToDo},
		{name: "what SQS does not receive is an error", run: receiveLimits},
		{name: "a cancelled context reports everything", run: cancelled},
		{name: "a message is hidden and comes again", run: comesAgain},
		{name: "a deleted message does not come again", run: deleted},
		{name: "a stale receipt deletes nothing and is no failure", unless: StaleReceipt, run: staleDelete},
		{name: "defer hides longer", run: deferLonger},
		{name: "defer by zero hands out at once", run: deferZero},
		{name: "defer counts from the call", run: deferSooner},
		{name: "defer past 12 hours from the receive is refused", run: deferPast},
		{name: "a bad receipt is reported by index and the others deferred", run: badReceipts},
		{name: "a message received too often becomes a dead letter", run: redrive},
		{name: "a long poll hears of a new message", run: longPoll},
	}
}

func arrivesWhole(r *room) {
	before := time.Now()
	sent := queue.Entry{
		Body:       `{"v":1,"id":"stripe.evt_1.0"}`,
		Group:      "stripe",
		Attributes: map[string]string{"reason": "rejected", "code": "license_not_found", "detail": "Not found: “x”\n"},
	}
	r.send(sent)
	got := r.one(long)

	if diff := cmp.Diff(sent, queue.Entry{Body: got.Body, Group: got.Group, Attributes: got.Attributes}); diff != "" {
		r.Errorf("received entry (-sent +got):\n%s", diff)
	}
	if got.ID == "" || got.Receipt == "" {
		r.Errorf("id %q, receipt %q: want both", got.ID, got.Receipt)
	}
	if got.SentAt.Before(before.Add(-time.Second)) || got.SentAt.After(time.Now().Add(time.Second)) {
		r.Errorf("sent at %v, want about %v", got.SentAt, before)
	}
	r.counted(got, 1)
}

func charactersArrive(r *room) {
	body := "\t\n\r \u007f\u0085\u2028\ud7ff\ue000\ufffd\U00010000\U0010ffff&<>\"\\"
	r.send(queue.Entry{Body: body, Attributes: map[string]string{"a": body}})
	got := r.one(long)
	if got.Body != body {
		r.Errorf("body is %q, want %q", got.Body, body)
	}
	if got.Attributes["a"] != body {
		r.Errorf("attribute is %q, want %q", got.Attributes["a"], body)
	}
}

func manyArrive(r *room) {
	var entries []queue.Entry
	var want []string
	for i := range 23 {
		want = append(want, fmt.Sprintf("message %02d", i))
		entries = append(entries, queue.Entry{Body: want[i]})
	}
	r.send(entries...)

	var got []string
	for _, m := range r.poll(r.Queue, len(want), long) {
		got = append(got, m.Body)
		r.counted(m, 1)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("bodies (-sent +got):\n%s", diff)
	}
	r.quiet(r.Queue, shortly)
}

func largeArrive(r *room) {
	const mebibyte = 1 << 20
	whole := strings.Repeat("a", mebibyte)
	half := strings.Repeat("b", mebibyte/2+1)
	r.send(queue.Entry{Body: whole}, queue.Entry{Body: half}, queue.Entry{Body: half})

	var got []int
	for range 3 {
		m := r.one(long)
		got = append(got, len(m.Body))
		if failed := r.Queue.Delete(r.Context(), []string{m.Receipt}); failed != nil {
			r.Errorf("Delete: %v", failed)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{len(half), len(half), len(whole)}, got); diff != "" {
		r.Errorf("sizes (-sent +got):\n%s", diff)
	}
}

func badEntries(r *room) {
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
	failed := r.Queue.Send(r.Context(), entries)
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8, 9}, indexes(failed)); diff != "" {
		r.Errorf("indexes of failures (-want +got):\n%s", diff)
	}
	for _, f := range failed {
		if !errors.Is(f.Err, queue.ErrRefused) {
			r.Errorf("entry %d: %v, want ErrRefused", f.Index, f.Err)
		}
	}

	var got []string
	for _, m := range r.poll(r.Queue, 2, long) {
		got = append(got, m.Body)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"first", "last"}, got); diff != "" {
		r.Errorf("bodies (-want +got):\n%s", diff)
	}
	r.quiet(r.Queue, shortly)
}

func nothingToDo(r *room) {
	ctx := r.Context()
	if failed := r.Queue.Send(ctx, nil); failed != nil {
		r.Errorf("Send: %v", failed)
	}
	if failed := r.Queue.Defer(ctx, nil); failed != nil {
		r.Errorf("Defer: %v", failed)
	}
	if failed := r.Queue.Delete(ctx, nil); failed != nil {
		r.Errorf("Delete: %v", failed)
	}
	r.quiet(r.Queue, shortly)
}

func receiveLimits(r *room) {
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
		if _, err := r.Queue.Receive(r.Context(), c.max, c.wait, c.visibility); err == nil {
			r.Errorf("%s: no error", c.name)
		}
	}
}

func cancelled(r *room) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	entries := make([]queue.Entry, 12)
	for i := range entries {
		entries[i].Body = "x"
	}
	entries[3].Body = "" // refused all the same
	r.stopped("Send", r.Queue.Send(ctx, entries), 12)
	r.stopped("Defer", r.Queue.Defer(ctx, make([]queue.Deferral, 11)), 11)
	r.stopped("Delete", r.Queue.Delete(ctx, make([]string, 11)), 11)
	if _, err := r.Queue.Receive(ctx, 1, time.Second, 0); !errors.Is(err, context.Canceled) {
		r.Errorf("Receive: %v, want context.Canceled", err)
	}
	r.quiet(r.Queue, shortly)
}

func (r *room) stopped(what string, failed []queue.Failure, n int) {
	r.Helper()
	if len(failed) != n {
		r.Fatalf("%s: %d failures, want %d", what, len(failed), n)
	}
	for i, f := range failed {
		if f.Index != i {
			r.Errorf("%s: failure %d has index %d", what, i, f.Index)
		}
		if !errors.Is(f.Err, context.Canceled) && !errors.Is(f.Err, queue.ErrRefused) {
			r.Errorf("%s: %d: %v, want context.Canceled", what, i, f.Err)
		}
	}
}

func longPoll(r *room) {
	got := make(chan queue.Received, 1)
	go func() {
		defer close(got)
		for end := time.Now().Add(patience); time.Now().Before(end); {
			m, err := r.Queue.Receive(r.Context(), 1, 20*time.Second, shortly)
			if err == nil && len(m) > 0 {
				got <- m[0]
				return
			}
		}
	}()
	r.send(queue.Entry{Body: "news"})
	if m := <-got; m.Body != "news" {
		r.Errorf("received %q, want %q", m.Body, "news")
	}
}
