package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
)

func TestMemoryKeepsTheRulesOfSQS(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(*testing.T) queuetest.Pair {
		dead := queue.NewMemory(queue.MemoryConfig{})
		q := queue.NewMemory(queue.MemoryConfig{MaxReceiveCount: queuetest.MaxReceiveCount, DeadLetter: dead})
		return queuetest.Pair{Queue: q, DeadLetters: dead}
	}, queuetest.Server{Name: "Memory", Bubble: true})
}

func TestMemoryLongPollEndsWithTheFirstVisibleMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		act  func(t *testing.T, q *queue.Memory, receipt string) // 3 s after the poll began
		want time.Duration                                       // how long the poll takes
		n    int
	}{
		{"nothing", func(*testing.T, *queue.Memory, string) {}, 10 * time.Second, 1},
		{"a message that is sent", func(t *testing.T, q *queue.Memory, _ string) {
			send(t, q, "news")
		}, 3 * time.Second, 1},
		{"a message that is deferred by zero", func(t *testing.T, q *queue.Memory, receipt string) {
			deferBy(t, q, receipt, 0)
		}, 3 * time.Second, 1},
		{"a message that is deferred to earlier", func(t *testing.T, q *queue.Memory, receipt string) {
			deferBy(t, q, receipt, 2*time.Second)
		}, 5 * time.Second, 1},
		{"a message that is deferred to later", func(t *testing.T, q *queue.Memory, receipt string) {
			deferBy(t, q, receipt, time.Minute)
		}, 20 * time.Second, 0},
		{"a message that is deleted", func(t *testing.T, q *queue.Memory, receipt string) {
			if failed := q.Delete(t.Context(), []string{receipt}); failed != nil {
				t.Errorf("Delete: %v", failed)
			}
		}, 20 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := queue.NewMemory(queue.MemoryConfig{Visibility: 10 * time.Second})
				send(t, q, "in flight")
				receipt := receive(t, q, 0)[0].Receipt
				time.AfterFunc(3*time.Second, func() { c.act(t, q, receipt) })

				began := time.Now()
				got := receive(t, q, 20*time.Second)
				if took := time.Since(began); took != c.want {
					t.Errorf("the poll took %v, want %v", took, c.want)
				}
				if len(got) != c.n {
					t.Errorf("received %d messages, want %d", len(got), c.n)
				}
			})
		})
	}
}

func TestMemoryRedrivesAfterMaxReceiveCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead := queue.NewMemory(queue.MemoryConfig{})
		q := queue.NewMemory(queue.MemoryConfig{MaxReceiveCount: 3, DeadLetter: dead})
		send(t, q, "poison")
		for n := 1; n <= 3; n++ {
			got := receive(t, q, 0)
			if len(got) != 1 || got[0].ReceiveCount != n {
				t.Fatalf("receive %d: %v", n, got)
			}
			deferBy(t, q, got[0].Receipt, 0)
		}
		if q.Len() != 1 || dead.Len() != 0 {
			t.Errorf("before the fourth receive: %d in the queue, %d dead letters; want 1, 0", q.Len(), dead.Len())
		}
		if got := receive(t, q, 0); got != nil {
			t.Errorf("fourth receive: %v, want nothing", got)
		}
		if q.Len() != 0 || dead.Len() != 1 {
			t.Errorf("after the fourth receive: %d in the queue, %d dead letters; want 0, 1", q.Len(), dead.Len())
		}
	})
}

func TestMemoryCountsMessagesAndThoseInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.MemoryConfig{Visibility: time.Minute})
		want := func(when string, all, inFlight int) {
			t.Helper()
			if q.Len() != all || q.InFlight() != inFlight {
				t.Errorf("%s: %d messages, %d in flight; want %d, %d", when, q.Len(), q.InFlight(), all, inFlight)
			}
		}
		want("empty", 0, 0)
		send(t, q, "a", "b", "c")
		want("sent", 3, 0)
		got := receive(t, q, 0)
		want("received", 3, 3)
		deferBy(t, q, got[0].Receipt, 0)
		want("one deferred by zero", 3, 2)
		if failed := q.Delete(t.Context(), []string{got[1].Receipt}); failed != nil {
			t.Errorf("Delete: %v", failed)
		}
		want("one deleted", 2, 1)
		time.Sleep(time.Minute) // of the bubble
		want("visibility timeout ended", 2, 0)
	})
}

func TestMemoryRefusesReceiptsThatAreNotInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.MemoryConfig{Visibility: time.Second})
		other := queue.NewMemory(queue.MemoryConfig{})
		send(t, q, "a")
		send(t, other, "b")
		stale := receive(t, q, 0)[0].Receipt
		time.Sleep(time.Second) // of the bubble
		expired := queue.Deferral{Receipt: stale}
		if failed := q.Defer(t.Context(), []queue.Deferral{expired}); len(failed) != 1 {
			t.Errorf("Defer after the visibility timeout: %v, want a failure", failed)
		}
		receive(t, q, 0)
		foreign := receive(t, other, 0)[0].Receipt
		for name, receipt := range map[string]string{"stale": stale, "of another queue": foreign, "empty": ""} {
			if failed := q.Defer(t.Context(), []queue.Deferral{{Receipt: receipt}}); len(failed) != 1 {
				t.Errorf("Defer of a receipt %s: %v, want a failure", name, failed)
			}
		}
		if failed := q.Delete(t.Context(), []string{stale, foreign}); len(failed) != 1 || failed[0].Index != 1 {
			t.Errorf("Delete: %v, want a failure of index 1 alone", failed)
		}
		if q.Len() != 1 || q.InFlight() != 1 {
			t.Errorf("%d messages, %d in flight; want 1, 1", q.Len(), q.InFlight())
		}
	})
}

func TestMemoryCopiesAttributes(t *testing.T) {
	t.Parallel()
	q := queue.NewMemory(queue.MemoryConfig{})
	attributes := map[string]string{"a": "b"}
	if failed := q.Send(t.Context(), []queue.Entry{{Body: "x", Attributes: attributes}}); failed != nil {
		t.Fatalf("Send: %v", failed)
	}
	attributes["a"] = "changed"
	if got := receive(t, q, 0)[0].Attributes["a"]; got != "b" {
		t.Errorf("attribute is %q, want %q: a change of the sender's map must not reach the queue", got, "b")
	}
}

func send(t *testing.T, q queuetest.Queue, bodies ...string) {
	t.Helper()
	entries := make([]queue.Entry, len(bodies))
	for i, body := range bodies {
		entries[i].Body = body
	}
	if failed := q.Send(t.Context(), entries); failed != nil {
		t.Errorf("Send: %v", failed)
	}
}

func receive(t *testing.T, q queuetest.Queue, wait time.Duration) []queue.Received {
	t.Helper()
	got, err := q.Receive(t.Context(), 10, wait, 0)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return got
}

func deferBy(t *testing.T, q queuetest.Queue, receipt string, after time.Duration) {
	t.Helper()
	if failed := q.Defer(t.Context(), []queue.Deferral{{Receipt: receipt, After: after}}); failed != nil {
		t.Errorf("Defer: %v", failed)
	}
}
