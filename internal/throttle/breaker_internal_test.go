package throttle

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown, errRefused = errors.New("down"), errors.New("refused")

// circuit returns a breaker for that many calls in flight. Every error but a refusal means that the API is down.
func circuit(callsInFlight int) *Breaker {
	return NewBreaker(BreakerConfig{
		CallsInFlight: callsInFlight, ProbeEvery: time.Second, Logger: slog.New(slog.DiscardHandler),
		Unavailable: func(err error) bool { return err != nil && !errors.Is(err, errRefused) },
		Code:        func(err error) string { return err.Error() },
	})
}

// call makes one call with that result.
func call(b *Breaker, result error) error {
	return b.Call(context.Background(), func(context.Context) error { return result })
}

func TestBreakerOpensAfterConsecutiveUnavailableAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		results []error
		open    bool
	}{
		{"one too few", []error{errDown, errDown, errDown, errDown}, false},
		{"enough", []error{errDown, errDown, errDown, errDown, errDown}, true},
		{"of several kinds", []error{io.EOF, io.EOF, errDown, io.EOF, io.EOF}, true},
		{"one succeeds", []error{errDown, errDown, errDown, nil, errDown, errDown, errDown, errDown}, false},
		{"one is refused", []error{errDown, errDown, errDown, errRefused, errDown, errDown, errDown, errDown}, false},
		{"refusals alone", []error{errRefused, errRefused, errRefused, errRefused, errRefused}, false},
	} {
		b := circuit(4)
		for _, result := range test.results {
			if err := call(b, result); !errors.Is(err, result) {
				t.Errorf("%s: got %v, want the call's own error", test.name, err)
			}
		}
		if open := b.Allow() != nil; open != test.open {
			t.Errorf("%s: open is %v, want %v", test.name, open, test.open)
		}
	}
}

func TestBreakerWaitsForMoreThanTheCallsInFlight(t *testing.T) {
	t.Parallel()
	b := circuit(10)
	for range 10 {
		_ = call(b, io.EOF)
	}
	if b.Allow() != nil {
		t.Error("failures of one connection that ten calls share open it")
	}
	if _ = call(b, io.EOF); b.Allow() == nil {
		t.Error("the eleventh does not open it")
	}
}

func TestBreakerProbesWithOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := circuit(4)
		for range 5 {
			_ = call(b, errDown)
		}
		never := func(context.Context) error { t.Error("a call while it is open"); return nil }
		if err := b.Call(t.Context(), never); !errors.Is(err, ErrOpen) || !errors.Is(b.Allow(), ErrOpen) {
			t.Errorf("%v, want ErrOpen", err)
		}
		if got := b.LastCode(); got != "down" {
			t.Errorf("code %q, want that of the last call", got)
		}

		probes := func(result error) (calls int) {
			hang := make(chan struct{})
			var mu sync.Mutex
			var callers sync.WaitGroup
			for range 10 {
				callers.Go(func() {
					_ = b.Call(t.Context(), func(context.Context) error {
						mu.Lock()
						calls++
						mu.Unlock()
						<-hang
						return result
					})
				})
			}
			synctest.Wait()
			close(hang)
			callers.Wait()
			return calls
		}
		time.Sleep(999 * time.Millisecond)
		if n := probes(nil); n != 0 {
			t.Errorf("%d calls before the second is over", n)
		}
		time.Sleep(2 * time.Millisecond)
		if n := probes(io.EOF); n != 1 || b.Allow() == nil {
			t.Errorf("%d probes, want 1, and open again", n)
		}
		time.Sleep(1001 * time.Millisecond)
		if n := probes(errRefused); n != 1 || b.Allow() != nil {
			t.Errorf("%d probes, want 1, and closed after an answer", n)
		}
		if n := probes(nil); n != 10 {
			t.Errorf("%d calls after that, want 10", n)
		}
	})
}

func TestCallThatItsContextEndsDoesNotCount(t *testing.T) {
	t.Parallel()
	b := circuit(4)
	ended, end := context.WithCancel(t.Context())
	end()
	for range 10 {
		err := b.Call(ended, func(ctx context.Context) error { return ctx.Err() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the call's own error", err)
		}
	}
	if b.Allow() != nil {
		t.Error("it is open")
	}
}

func TestProbeThatPanicsIsNotTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := circuit(4)
		for range 5 {
			_ = call(b, io.EOF)
		}
		time.Sleep(2 * time.Second)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is swallowed")
				}
			}()
			_ = b.Call(t.Context(), func(context.Context) error { panic("canary") })
		}()
		time.Sleep(2 * time.Second)
		if err := call(b, nil); err != nil {
			t.Errorf("%v, want another probe", err)
		}
	})
}
