package deadletter_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

func TestALookHoldsWhatItChoosesAndReleasesTheRestAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := fill(t, 13)
		look := open(t, q, deadletter.Options{Filter: deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonHeld}}})
		if look.Seen != 7*13 || look.Matched != 13 || len(look.Chosen) != 13 || look.More {
			t.Errorf("seen %d, matched %d, chosen %d, more %v", look.Seen, look.Matched, len(look.Chosen), look.More)
		}
		if n := q.InFlight(); n != 13 {
			t.Errorf("%d letters are hidden, want the 13 chosen ones", n)
		}
		look.Close()
		if n := q.InFlight(); n != 0 || q.Len() != 7*13 {
			t.Errorf("%d of %d letters are hidden after Close", n, q.Len())
		}
	})
}

// TestAnOpenLookKeepsItsLetters: a person reads the plan for an hour, and nobody else receives a chosen letter meanwhile.
func TestAnOpenLookKeepsItsLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := fill(t, 3)
		look := open(t, q, deadletter.Options{Bodies: true})
		received, err := q.Receive(t.Context(), 10, 20*time.Second, 0)
		if err != nil || len(received) > 0 {
			t.Fatalf("%d letters are visible (%v)", len(received), err)
		}
		for range 3 * 60 {
			time.Sleep(20 * time.Second)
			if n := q.InFlight(); n != 21 {
				t.Fatalf("%d letters are hidden, want 21", n)
			}
		}
		if err := look.Confirm(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAMaxChoosesTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.MemoryConfig{})
		now := time.Now().Truncate(time.Second)
		for i, age := range []time.Duration{3 * time.Hour, 9 * time.Hour, time.Hour, 7 * time.Hour, 5 * time.Hour, 8 * time.Hour, 2 * time.Hour, 6 * time.Hour, 4 * time.Hour} {
			send(t, q, letter(t, string(rune('a'+i)), deactivation.DeadLetter{Reason: deactivation.ReasonHeld, FailedAt: now.Add(-age)}))
		}
		look := open(t, q, deadletter.Options{Filter: deadletter.Filter{Max: 3}, Bodies: true})
		got := ""
		for _, l := range look.Chosen {
			got += l.ID()
			if l.Body == "" {
				t.Errorf("%s has no body", l.ID())
			}
		}
		if got != "bfd" || look.Matched != 9 || q.InFlight() != 3 {
			t.Errorf("chosen %s of %d, %d hidden; want bfd of 9, 3", got, look.Matched, q.InFlight())
		}
	})
}

func TestALookEndsBeforeSQSsLimitOfMessagesInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := fill(t, 100)
		look := open(t, q, deadletter.Options{MaxSeen: 200})
		if !look.More || look.Seen < 200 || look.Seen > 200+8*10 {
			t.Errorf("seen %d, more %v", look.Seen, look.More)
		}
		if deadletter.MaxSeen > 120_000-8*10 {
			t.Error("MaxSeen is above the number of messages that SQS hands out at the same time")
		}
	})
}

func TestALookWithoutLettersIsEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		look := open(t, queue.NewMemory(queue.MemoryConfig{}), deadletter.Options{})
		if look.Seen != 0 || len(look.Chosen) != 0 || time.Since(begin) > 2*time.Second {
			t.Errorf("%d letters after %v", look.Seen, time.Since(begin))
		}
	})
}

func TestALookAtAQueueThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if _, err := deadletter.Open(t.Context(), refusing{}, deadletter.Options{}); err == nil {
			t.Error("no error")
		}
	})
}

// TestALetterOfAnotherHandIsKnownByItsBody: SQS itself moves a message without attributes.
func TestALetterOfAnotherHandIsKnownByItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.MemoryConfig{})
		event, err := deactivation.Event{Source: "shopify", ID: "e1", Headers: map[string]string{}, Body: []byte("{}"), Order: []string{"1001"}}.Wire()
		if err != nil {
			t.Fatal(err)
		}
		send(t, q, queue.Entry{Body: wire(t, request("r1"))}, queue.Entry{Body: event}, queue.Entry{Body: "not ours"})
		look := open(t, q, deadletter.Options{})
		got := map[string]string{}
		for _, l := range look.Chosen {
			if l.Reason != deactivation.ReasonExhausted || l.At().IsZero() {
				t.Errorf("%s: reason %s at %v", l.ID(), l.Reason, l.At())
			}
			got[l.ID()] = l.Source
			if !l.IsOurs() && l.ID() != l.MessageID {
				t.Errorf("a foreign letter has the id %s", l.ID())
			}
		}
		if got["r1"] != "stripe" || got["shopify.e1"] != "shopify" || len(got) != 3 {
			t.Errorf("got %v", got)
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	r := request("stripe.evt_1.0")
	r.Lookup.Order = []deactivation.Candidate{{ID: "1001", Weak: true}}
	l := &deadletter.Letter{
		DeadLetter: deactivation.DeadLetter{Reason: deactivation.ReasonHeld, Code: "surge", Source: "stripe", RequestID: r.ID, FailedAt: at},
		MessageID:  "m1", Request: &r,
	}
	for name, c := range map[string]struct {
		f    deadletter.Filter
		want bool
	}{
		"nothing":            {deadletter.Filter{}, true},
		"reason":             {deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonStale, deactivation.ReasonHeld}}, true},
		"another reason":     {deadletter.Filter{Reasons: []deactivation.Reason{deactivation.ReasonStale}}, false},
		"code":               {deadletter.Filter{Codes: []string{"surge"}}, true},
		"another code":       {deadletter.Filter{Codes: []string{"x"}}, false},
		"source":             {deadletter.Filter{Sources: []string{"stripe"}}, true},
		"another source":     {deadletter.Filter{Sources: []string{"shopify"}}, false},
		"order":              {deadletter.Filter{Orders: []string{"order-stripe.evt_1.0"}}, true},
		"order of a look-up": {deadletter.Filter{Orders: []string{"1001"}}, true},
		"another order":      {deadletter.Filter{Orders: []string{"1002"}}, false},
		"id":                 {deadletter.Filter{IDs: []string{"stripe.evt_1.0"}}, true},
		"the queue's id":     {deadletter.Filter{IDs: []string{"m1"}}, true},
		"a part of an id":    {deadletter.Filter{IDs: []string{"stripe.evt_1"}}, false},
		"before":             {deadletter.Filter{Before: at.Add(time.Second)}, true},
		"not before":         {deadletter.Filter{Before: at}, false},
		"after":              {deadletter.Filter{After: at}, true},
		"not after":          {deadletter.Filter{After: at.Add(time.Second)}, false},
		"one of two fails":   {deadletter.Filter{Codes: []string{"surge"}, Sources: []string{"shopify"}}, false},
	} {
		if got := c.f.Matches(l); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// watchedQueue notes whether a receive has a deadline.
type watchedQueue struct {
	*queue.Memory
	deadlines atomic.Int32
}

func (q *watchedQueue) Receive(ctx context.Context, n int, wait, visibility time.Duration) ([]queue.Received, error) {
	if _, has := ctx.Deadline(); has {
		q.deadlines.Add(1)
	}
	return q.Memory.Receive(ctx, n, wait, visibility)
}

// TestALookGivesItsReceivesTime: the queue abandons a call early where its context has a deadline, and the letters of an abandoned
// receive stay hidden. The look still ends with its context.
func TestALookGivesItsReceivesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &watchedQueue{Memory: fill(t, 3)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		look, err := deadletter.Open(ctx, q, deadletter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		look.Close()
		if n := q.deadlines.Load(); n != 0 || look.Seen != 21 {
			t.Errorf("%d receives with a deadline, %d letters seen", n, look.Seen)
		}
		empty := &watchedQueue{Memory: queue.NewMemory(queue.MemoryConfig{})}
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		begin := time.Now()
		if _, err := deadletter.Open(short, empty, deadletter.Options{Poll: 20 * time.Second}); !errors.Is(err, context.Canceled) || time.Since(begin) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}
