package simulation

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

type environmentKey struct{}

// apiDoor stands before the fake API. It hands over the connections, which are pipes, as a bubble of testing/synctest
// knows no sockets, and it watches what the fleet may do: its pace, and one call at a time for a license.
type apiDoor struct {
	w        *world
	listener *pipeListener

	mu     sync.Mutex
	second rolling // arrivals
	ten    rolling
	minute rolling
	resets rolling // connections that the API ended without an answer, of a minute
	inside map[string]int
}

func newAPIDoor(w *world) *apiDoor {
	return &apiDoor{
		w: w, listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}, inside: map[string]int{},
		second: rolling{window: time.Second}, ten: rolling{window: 10 * time.Second}, minute: rolling{window: time.Minute},
		resets: rolling{window: time.Minute},
	}
}

// ServeHTTP implements http.Handler.
func (d *apiDoor) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	env := r.Context().Value(environmentKey{}).(*environment)
	if r.URL.Path == licenseapitest.TokenPath {
		d.w.api.ServeHTTP(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.arrive()
	license := strconv.Itoa(env.number) + identity(body)
	defer d.leave(license)
	if d.enter(license) {
		time.Sleep(time.Nanosecond) // of virtual time, in which whoever is leaving leaves
		if d.twice(license) {
			d.w.violate("two calls at once for one license, of one invocation")
		}
	}
	if !env.step(atCall) {
		if dice(d.w.plan.seed, "killed call", uint64(env.number)).IntN(2) == 0 { //nolint:gosec // a number
			return
		}
		r = r.WithContext(context.WithoutCancel(r.Context())) // it reached the API, whose answer nobody hears
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	d.w.count(&d.w.reached)
	d.w.api.ServeHTTP(rw, r)
	env.step(atAnswer)
}

// identity finds who the license is of without decoding the body.
func identity(body []byte) string {
	for _, name := range []string{`"license_key":"`, `"username":"`} {
		if _, rest, ok := bytes.Cut(body, []byte(name)); ok {
			value, _, _ := bytes.Cut(rest, []byte(`"`))
			return string(value)
		}
	}
	return ""
}

func (d *apiDoor) enter(license string) (twice bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside[license]++
	return d.inside[license] > 1
}

func (d *apiDoor) twice(license string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside[license] > 1
}

func (d *apiDoor) leave(license string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside[license]--; d.inside[license] == 0 {
		delete(d.inside, license)
	}
}

// lost notes a connection that ends without an answer. The transport repeats such a call at once when the connection
// was a used one: it cannot know that it is not only dead since the function was frozen. The pace does not see that.
func (d *apiDoor) lost() {
	d.w.count(&d.w.lost)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resets.add(d.w.now())
}

// arrive counts a call and holds the pace: in each window no more calls than the pace allows. The margin is half a
// second of the pace, which an instance may make up for, one call for each lane and instance (those that waited for a
// secret or a connection after their turn had come), and one for each lost connection.
func (d *apiDoor) arrive() {
	now := d.w.now()
	d.w.count(&d.w.calls)
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &d.w.plan
	d.resets.forget(now)
	for _, window := range []*rolling{&d.second, &d.ten, &d.minute} {
		n := window.add(now) - d.resets.within(now, window.window)
		rate := p.stack.CallsPerSecond
		if plan := p.stack.PlanCallsPerMinute; plan > 0 {
			rate = min(rate, float64(plan)*(1-p.stack.LiveShare)/60)
		}
		margin := rate/2 + float64(p.stack.Instances*(p.lanes+1))
		paced := rate * window.window.Seconds()
		if float64(n) > paced+margin {
			d.w.violate("%d calls within %v; the pace allows %.0f, the margin is %.0f", n, window.window, paced, margin)
			window.times = nil // said once
		}
		if window == &d.minute {
			d.w.pace(float64(n) / paced)
		}
	}
}

// rolling holds the times within a window that moves.
type rolling struct {
	window time.Duration
	times  []time.Duration
}

func (r *rolling) add(now time.Duration) int {
	r.forget(now)
	r.times = append(r.times, now)
	return len(r.times)
}

// within is how many there are in a shorter window.
func (r *rolling) within(now, window time.Duration) int {
	n := 0
	for n < len(r.times) && r.times[len(r.times)-1-n] > now-window {
		n++
	}
	return n
}

func (r *rolling) forget(now time.Duration) {
	n := 0
	for n < len(r.times) && r.times[n] <= now-r.window {
		n++
	}
	r.times = r.times[n:]
}
