package queue_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
)

// budget is the time in which a delivery tries to enqueue: internal/webhook.
const budget = 3500 * time.Millisecond

// openInMemory is open without a network, for a bubble.
func openInMemory(t *testing.T, answer func(c queuetest.Call, n int) (int, any)) (*queue.SQS, *queuetest.FakeSQS) {
	t.Helper()
	s := &queuetest.FakeSQS{Answer: answer}
	t.Cleanup(func() { wantValid(t, s) })
	return queue.OpenSQS(s.Config(), queuetest.FakeEndpoint, queuetest.FakeURL), s
}

// failFirst returns an answer that fails the first n calls with that status.
func failFirst(n, status int) func(c queuetest.Call, call int) (int, any) {
	return func(c queuetest.Call, call int) (int, any) {
		if call <= n {
			return status, nil
		}
		return http.StatusOK, queuetest.AllSucceed(c)
	}
}

// operations are the calls of a queue, each with one element.
func operations() map[string]func(ctx context.Context, q *queue.SQS) error {
	first := func(failed []queue.Failure) error {
		if failed == nil {
			return nil
		}
		return failed[0].Err
	}
	return map[string]func(ctx context.Context, q *queue.SQS) error{
		"Send":   func(ctx context.Context, q *queue.SQS) error { return first(q.Send(ctx, bodies(1))) },
		"Defer":  func(ctx context.Context, q *queue.SQS) error { return first(q.Defer(ctx, make([]queue.Deferral, 1))) },
		"Delete": func(ctx context.Context, q *queue.SQS) error { return first(q.Delete(ctx, make([]string, 1))) },
		"Receive": func(ctx context.Context, q *queue.SQS) error {
			_, err := q.Receive(ctx, 1, 0, 0)
			return err
		},
	}
}

func TestACallSucceedsWithinHalfASecondWhenSQSFailsAtFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(c queuetest.Call, n int) (int, any)
		calls  int
	}{
		{"503 twice", failFirst(2, http.StatusServiceUnavailable), 3},
		{"hangs once", failFirst(1, queuetest.Hang), 2},
	} {
		for name, operation := range operations() {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), budget)
					defer cancel()
					q, fake := openInMemory(t, c.answer)
					began := time.Now()
					err := operation(ctx, q)

					if took := time.Since(began); err != nil || took > 500*time.Millisecond {
						t.Errorf("took %v, error %v; want at most half a second and none", took, err)
					}
					if n := len(fake.Calls()); n != c.calls {
						t.Errorf("%d calls, want %d", n, c.calls)
					}
				})
			})
		}
	}
}

func TestHungCallsAreAbandonedSoThatEveryAttemptFitsIntoTheBudget(t *testing.T) {
	t.Parallel()
	for name, operation := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), budget)
				defer cancel()
				var mu sync.Mutex
				var times []time.Time
				q, _ := openInMemory(t, func(queuetest.Call, int) (int, any) {
					mu.Lock()
					defer mu.Unlock()
					times = append(times, time.Now())
					return queuetest.Hang, nil
				})
				began := time.Now()
				err := operation(ctx, q)
				took := time.Since(began)
				synctest.Wait() // for the answers' goroutines, which write times

				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want context.DeadlineExceeded", err)
				}
				if took != budget {
					t.Errorf("took %v, want %v", took, budget)
				}
				if len(times) != 4 {
					t.Fatalf("%d calls, want 4", len(times))
				}
				for i, timeout := range []time.Duration{350 * time.Millisecond, 700 * time.Millisecond, 1400 * time.Millisecond} {
					wait := 100 * time.Millisecond << i
					if gap := times[i+1].Sub(times[i]); gap < timeout+wait/2 || gap >= timeout+wait {
						t.Errorf("attempt %d began %v after the one before, want %v and a wait up to %v", i+2, gap, timeout, wait)
					}
				}
			})
		})
	}
}

// TestTheSDKDoesNotRetry checks that only one layer retries: three attempts of the SDK in each of ours would be twelve.
func TestTheSDKDoesNotRetry(t *testing.T) {
	t.Parallel()
	for name, operation := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := &queuetest.FakeSQS{Answer: failFirst(1000, http.StatusServiceUnavailable)}
				cfg := fake.Config()
				cfg.RetryMaxAttempts = 3
				began := time.Now()
				err := operation(t.Context(), queue.OpenSQS(cfg, queuetest.FakeEndpoint, queuetest.FakeURL))

				if err == nil || !strings.Contains(err.Error(), "503") {
					t.Errorf("error %v, want one that names the status 503", err)
				}
				if n := len(fake.Calls()); n != 4 {
					t.Errorf("%d calls, want 4", n)
				}
				if took := time.Since(began); took > 700*time.Millisecond {
					t.Errorf("took %v, want at most 0.7 s: our waits alone", took)
				}
			})
		})
	}
}

func TestALargeBatchHasTimeToBeUploaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), budget)
		defer cancel()
		q, fake := openInMemory(t, func(c queuetest.Call, _ int) (int, any) {
			time.Sleep(1200 * time.Millisecond) // of the bubble: 1 MiB at little less than 1 MiB a second
			return http.StatusOK, queuetest.AllSucceed(c)
		})
		if failed := q.Send(ctx, []queue.Entry{{Body: strings.Repeat("x", 1<<20)}}); failed != nil {
			t.Errorf("Send: %v", failed)
		}
		if n := len(fake.Calls()); n != 1 {
			t.Errorf("%d calls, want 1: the first is not abandoned", n)
		}
	})
}

func TestALongPollIsNotAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, fake := openInMemory(t, func(queuetest.Call, int) (int, any) {
			time.Sleep(20 * time.Second) // of the bubble
			return http.StatusOK, map[string]any{}
		})
		if got, err := q.Receive(t.Context(), 1, 20*time.Second, 0); got != nil || err != nil {
			t.Errorf("Receive: %v, %v; want nil, nil", got, err)
		}
		if n := len(fake.Calls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// TestWithoutADeadlineACallHasTime is for emulators and commands, which have no deadline.
func TestWithoutADeadlineACallHasTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, fake := openInMemory(t, func(c queuetest.Call, _ int) (int, any) {
			time.Sleep(29 * time.Second) // of the bubble
			return http.StatusOK, queuetest.AllSucceed(c)
		})
		if failed := q.Send(t.Context(), bodies(1)); failed != nil {
			t.Errorf("Send: %v", failed)
		}
		if n := len(fake.Calls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}
