package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/pkg/licenseapi"
)

// circuit is a breaker for four calls in flight, which opens at the fifth call in a row.
func circuit() *breaker {
	return newBreaker(4, production(), slog.New(slog.DiscardHandler))
}

// ask makes one call that is answered so.
func ask(b *breaker, answer error) error {
	return b.call(context.Background(), func(context.Context) error { return answer })
}

func answered(status int, code string) error {
	return &licenseapi.Error{Op: "deactivate_license", Status: status, Code: code}
}

func TestBreakerOpensAfterCallsInARowWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	down := answered(503, "")
	for _, test := range []struct {
		name    string
		answers []error
		open    bool
	}{
		{"one too few", []error{down, down, down, down}, false},
		{"enough", []error{down, down, down, down, down}, true},
		{"the network", []error{io.EOF, io.EOF, down, io.EOF, io.EOF}, true},
		{"one is answered", []error{down, down, down, nil, down, down, down, down}, false},
		{"one is rejected", []error{down, down, down, answered(400, "license_not_found"), down, down, down, down}, false},
		{"one is already inactive", []error{down, down, down, answered(400, "device_not_found"), down, down, down, down}, false},
		{"429 alone", []error{answered(429, ""), answered(429, ""), answered(429, ""), answered(429, ""), answered(429, "")}, false},
		{"a wrong key", []error{answered(401, "invalid_api_key"), answered(401, ""), answered(401, ""), answered(401, ""), answered(401, "")}, false},
	} {
		b := circuit()
		for _, answer := range test.answers {
			if err := ask(b, answer); !errors.Is(err, answer) {
				t.Errorf("%s: got %v, want the call's own error", test.name, err)
			}
		}
		if open := b.open() != nil; open != test.open {
			t.Errorf("%s: open is %v, want %v", test.name, open, test.open)
		}
	}
}

func TestBreakerWaitsForMoreThanTheCallsInFlight(t *testing.T) {
	t.Parallel()
	b := newBreaker(10, production(), slog.New(slog.DiscardHandler))
	for range 10 {
		_ = ask(b, io.EOF)
	}
	if b.open() != nil {
		t.Error("a connection that ten calls share opens it")
	}
	if _ = ask(b, io.EOF); b.open() == nil {
		t.Error("the eleventh does not open it")
	}
}

func TestBreakerProbesWithOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := circuit()
		for range 5 {
			_ = ask(b, answered(503, "internal_error"))
		}
		never := func(context.Context) error { t.Error("a call while it is open"); return nil }
		if err := b.call(t.Context(), never); !errors.Is(err, errSpared) || !errors.Is(b.open(), errSpared) {
			t.Errorf("%v, want errSpared", err)
		}
		if got := b.lastCode(); got != "internal_error" {
			t.Errorf("code %q, want that of the last call", got)
		}

		probes := func(answer error) (calls int) {
			hang := make(chan struct{})
			var mu sync.Mutex
			var callers sync.WaitGroup
			for range 10 {
				callers.Go(func() {
					_ = b.call(t.Context(), func(context.Context) error {
						mu.Lock()
						calls++
						mu.Unlock()
						<-hang
						return answer
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
		if n := probes(io.EOF); n != 1 || b.open() == nil {
			t.Errorf("%d probes, want 1, and open again", n)
		}
		time.Sleep(1001 * time.Millisecond)
		if n := probes(answered(400, "license_not_found")); n != 1 || b.open() != nil {
			t.Errorf("%d probes, want 1, and closed after an answer", n)
		}
		if n := probes(nil); n != 10 {
			t.Errorf("%d calls after that, want 10", n)
		}
	})
}

func TestCallThatTheInvocationEndsSaysNothingOfTheAPI(t *testing.T) {
	t.Parallel()
	b := circuit()
	ended, end := context.WithCancel(t.Context())
	end()
	for range 10 {
		err := b.call(ended, func(ctx context.Context) error { return ctx.Err() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the call's own error", err)
		}
	}
	if b.open() != nil {
		t.Error("it is open")
	}
}

func TestProbeThatPanicsIsNotTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := circuit()
		for range 5 {
			_ = ask(b, io.EOF)
		}
		time.Sleep(2 * time.Second)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is swallowed")
				}
			}()
			_ = b.call(t.Context(), func(context.Context) error { panic("canary") })
		}()
		time.Sleep(2 * time.Second)
		if err := ask(b, nil); err != nil {
			t.Errorf("%v, want another probe", err)
		}
	})
}
