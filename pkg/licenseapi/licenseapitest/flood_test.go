package licenseapitest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// limited is a server with its own clock.
type limited struct {
	t   *testing.T
	api *Server
	now time.Time
}

func newLimited(t *testing.T, limits Limits) *limited {
	t.Helper()
	l := &limited{t: t, now: noon()}
	l.api = newServer(t, Clock(func() time.Time { return l.now }))
	l.api.Limit(limits)
	return l
}

// refused returns how many of so many calls from that address are answered 429.
func (l *limited) refused(calls int, address string) (refused int) {
	l.t.Helper()
	for range calls {
		r := newRequest(l.t, oneDevice, nil)
		r.RemoteAddr = address + ":1"
		w := httptest.NewRecorder()
		l.api.ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	return refused
}

func TestEachAddressHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{PerAddress: 5})
	if got := l.refused(7, "127.0.0.1"); got != 2 {
		t.Errorf("%d of 7 calls are refused, want 2", got)
	}
	if got := l.refused(7, "127.0.0.2"); got != 2 {
		t.Errorf("from another address %d of 7 calls are refused, want 2", got)
	}
	l.now = l.now.Add(addressWindow - 1)
	if got := l.refused(1, "127.0.0.1"); got != 1 {
		t.Error("a call is accepted before the window has passed")
	}
	l.now = l.now.Add(1)
	if got := l.refused(6, "127.0.0.1"); got != 1 {
		t.Errorf("ten seconds later %d of 6 calls are refused, want 1: refused ones do not count", got)
	}
}

func TestCompanyHasOneLimitForAllAddresses(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{PerMinute: 10})
	if got := l.refused(6, "127.0.0.1") + l.refused(6, "127.0.0.2"); got != 2 {
		t.Errorf("%d of 12 calls are refused, want 2", got)
	}
	l.now = l.now.Add(30 * time.Second)
	if got := l.refused(1, "127.0.0.3"); got != 1 {
		t.Error("a call is accepted within the minute")
	}
	l.now = l.now.Add(30 * time.Second)
	if got := l.refused(11, "127.0.0.3"); got != 1 {
		t.Errorf("a minute later %d of 11 calls are refused, want 1", got)
	}
}

func TestLimitCanBeTakenAway(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{PerAddress: 1, PerAuthorization: 1, PerMinute: 1})
	if got := l.refused(2, "127.0.0.1"); got != 1 {
		t.Errorf("%d of 2 calls are refused, want 1", got)
	}
	l.api.Limit(Limits{})
	if got := l.refused(300, "127.0.0.1"); got != 0 {
		t.Errorf("%d calls are refused without limits", got)
	}
}

func TestPauseThatIsAskedForIsTheSpan(t *testing.T) {
	t.Parallel()
	for want, limits := range map[string]Limits{
		"10": {PerAddress: 1}, "1": {PerAuthorization: 1}, "60": {PerMinute: 1},
	} {
		l := newLimited(t, limits)
		l.refused(1, "127.0.0.1")
		w := httptest.NewRecorder()
		r := newRequest(t, oneDevice, nil)
		r.RemoteAddr = "127.0.0.1:1"
		l.api.ServeHTTP(w, r)
		if got := w.Header().Get("Retry-After"); w.Code != http.StatusTooManyRequests || got != want {
			t.Errorf("%+v: %d after %q, want 429 after %q", limits, w.Code, got, want)
		}
	}
}
