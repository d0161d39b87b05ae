package simulation

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

type environmentKey struct{}

// apiMonitor is in front of the fake API and checks each call while it happens: the rate of all workers, and one call
// at a time for a license within an invocation.
type apiMonitor struct {
	h        *harness
	listener *pipeListener

	mu     sync.Mutex
	second slidingWindow // arrivals
	ten    slidingWindow
	minute slidingWindow
	resets slidingWindow  // connections in a minute that the API ended without an answer
	calls  map[string]int // calls in flight, by environment and license

	management managementMonitor
}

func newAPIMonitor(h *harness) *apiMonitor {
	return &apiMonitor{
		h: h, listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}, calls: map[string]int{},
		second: slidingWindow{size: time.Second}, ten: slidingWindow{size: 10 * time.Second}, minute: slidingWindow{size: time.Minute},
		resets: slidingWindow{size: time.Minute}, management: newManagementMonitor(),
	}
}

// serve starts the API's HTTP server.
func (m *apiMonitor) serve(all *sync.WaitGroup) *http.Server {
	server := &http.Server{
		Handler: m, ReadHeaderTimeout: time.Minute, IdleTimeout: m.h.scenario.idleClose, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, environmentKey{}, c.(apiConn).env)
		},
	}
	all.Go(func() { _ = server.Serve(m.listener) })
	return server
}

// ServeHTTP implements http.Handler.
func (m *apiMonitor) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	env := r.Context().Value(environmentKey{}).(*environment)
	if r.URL.Path == licenseapitest.TokenPath {
		m.h.api.ServeHTTP(rw, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, licenseapitest.ManagementBase) {
		m.serveManagement(rw, r, env)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m.arrive(r)
	if env.watch {
		m.h.violation("a call in watch mode")
	}
	if n := env.brake.call(r.Header.Get("X-Request-Id"), identity(body)); n > 0 {
		m.h.violation("one instance acts on %d licenses of a source and hour; its part of the limit is %d", n, env.brake.limit)
	}
	license := strconv.Itoa(env.number) + identity(body)
	defer m.leave(license)
	if m.enter(license) {
		time.Sleep(time.Nanosecond) // virtual time: a call that is just ending ends
		if m.concurrent(license) {
			m.h.violation("two calls at the same time for one license, in one invocation")
		}
	}
	if !env.pass(inCall) {
		if rng(m.h.scenario.seed, "killed call", uint64(env.number)).IntN(2) == 0 { //nolint:gosec // a number
			return
		}
		r = r.WithContext(context.WithoutCancel(r.Context())) // it reached the API, and no client gets the answer
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m.h.count(&m.h.reached)
	m.h.api.ServeHTTP(rw, r)
	env.pass(afterCall)
}

// identity finds the license key or user name of a call without decoding its body.
func identity(body []byte) string {
	for _, name := range []string{`"license_key":"`, `"username":"`} {
		if _, rest, ok := bytes.Cut(body, []byte(name)); ok {
			value, _, _ := bytes.Cut(rest, []byte(`"`))
			return string(value)
		}
	}
	return ""
}

// enter counts a call and reports whether another one for the license is in flight.
func (m *apiMonitor) enter(license string) (concurrent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[license]++
	return m.calls[license] > 1
}

func (m *apiMonitor) concurrent(license string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[license] > 1
}

func (m *apiMonitor) leave(license string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls[license]--; m.calls[license] == 0 {
		delete(m.calls, license)
	}
}

// connectionLost records a connection that the API ends without an answer. The HTTP transport repeats such a call at
// once if the connection was reused, since it may have closed while the function was frozen. The worker's limiter
// cannot see that repeat.
func (m *apiMonitor) connectionLost() {
	m.h.count(&m.h.connectionsLost)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets.add(m.h.now())
}

// arrive counts a call and checks the rate: each window holds at most the calls that the rate allows and a margin. The
// margin is half a second of the rate, which an instance may catch up on; one call for each instance and call in
// flight, which may wait for a secret or a connection after the limiter; and one for each lost connection.
func (m *apiMonitor) arrive(r *http.Request) {
	now := m.h.now()
	m.h.count(&m.h.stats.calls)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.h.scenario
	m.resets.forget(now)
	m.countAddress(r, now)
	for _, window := range []*slidingWindow{&m.second, &m.ten, &m.minute} {
		n := window.add(now) - m.resets.within(now, window.size)
		rate := s.stack.CallsPerSecond
		if plan := s.stack.PlanCallsPerMinute; plan > 0 {
			rate = min(rate, float64(plan)*(1-s.stack.LiveShare)/60)
		}
		margin := rate/2 + float64(s.stack.Instances*(s.callsInFlight+1))
		paced := rate * window.size.Seconds()
		if float64(n) > paced+margin {
			m.h.violation("%d calls within %v; the pace allows %.0f, the margin is %.0f", n, window.size, paced, margin)
			window.times = nil // report it once
		}
		if window == &m.minute {
			m.h.countMinute(float64(n) / paced)
		}
	}
}

// slidingWindow holds the times of the last calls.
type slidingWindow struct {
	size  time.Duration
	times []time.Duration
}

// add adds a time and returns how many times the window holds.
func (w *slidingWindow) add(now time.Duration) int {
	w.forget(now)
	w.times = append(w.times, now)
	return len(w.times)
}

// within returns how many times a shorter window holds.
func (w *slidingWindow) within(now, size time.Duration) int {
	n := 0
	for n < len(w.times) && w.times[len(w.times)-1-n] > now-size {
		n++
	}
	return n
}

func (w *slidingWindow) forget(now time.Duration) {
	n := 0
	for n < len(w.times) && w.times[n] <= now-w.size {
		n++
	}
	w.times = w.times[n:]
}
