package simulation

import (
	"context"
	"net"
	"sync"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// point is where an environment may end: every place where it and the world meet.
type point int

const (
	atNothing      point = iota
	atDial               // before a connection
	atSecret             // before a secret is read
	atCall               // a call has reached the API, and nothing is done
	atAnswer             // the API has done a call, and its answer is on the way
	atDeadLetter         // before dead letters are sent
	atDeadLettered       // they are sent, and nothing is acknowledged
	atDefer              // before the visibility of kept messages is set
	atDeferred           // it is set
	atEnd                // before the answer of the invocation
	points
)

// doom is how an invocation ends: when a point is passed for the nth time, by a crash, or by a freeze that lasts until
// Lambda's time-out. The zero doom is none.
type doom struct {
	at     point
	nth    int
	freeze bool
}

// environment is one instance of the worker function with everything of its own: memory, secret cache, connections.
// When it is dead nothing of it reaches the world any more; what it had sent before may.
type environment struct {
	w       *world
	number  int
	handler *worker.Handler
	usedAt  time.Time
	gone    chan struct{} // closed when it is dead

	mu     sync.Mutex
	cancel context.CancelFunc // of the invocation; nil before the first
	doom   doom
	frozen bool
	dead   bool
	conns  map[net.Conn]bool
}

// start is a cold start: what functions/worker does.
func (f *fleet) start(number int) (*environment, error) {
	w := f.w
	env := &environment{w: w, number: number, gone: make(chan struct{}), conns: map[net.Conn]bool{}}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: apiURL, CallsInFlight: w.plan.lanes, DialContext: env.dial})
	if err != nil {
		return nil, err
	}
	env.handler, err = worker.New(worker.Config{
		API: api, Secrets: secrets.NewCacheWithPrevious(envSecret{env, false}, envSecret{env, true}, secrets.ParseLicense),
		Queue:       envQueue{env, &faultyDefer{w}},
		DeadLetters: envLetters{env, &faultySender{w: w, about: "dead letter", to: w.letters}},
		Recorder:    silent(), OnOutcome: env.told,
		CallsInFlight: w.plan.lanes, CallsPerSecond: w.plan.stack.PerInstance(), Limits: w.plan.stack.Limits(),
		Backoff: worker.Backoff{First: 30 * time.Second, Cap: 15 * time.Minute},
	})
	w.count(&w.coldStarts)
	return env, err
}

// enter begins an invocation.
func (e *environment) enter(cancel context.CancelFunc, d doom) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel, e.doom = cancel, d
}

// step passes a point. It is false when the environment is dead; one that is frozen waits for its end.
func (e *environment) step(at point) (alive bool) {
	e.mu.Lock()
	if !e.dead && !e.frozen && e.doom.at == at {
		if e.doom.nth--; e.doom.nth == 0 {
			e.frozen = e.doom.freeze
			if !e.frozen {
				e.w.count(&e.w.kills)
				e.end()
			}
		}
	}
	frozen, dead := e.frozen, e.dead
	e.mu.Unlock()
	if frozen && at != atCall && at != atAnswer { // the API goes on whatever becomes of its client
		<-e.gone
		return false
	}
	return !dead
}

// timeOut ends an environment whose invocation took too long. One that was not frozen should never come to that.
func (e *environment) timeOut(records int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.frozen && !e.dead {
		e.w.violate("an invocation of %d messages ran into Lambda's time-out by itself", records)
	}
	e.w.count(&e.w.timeouts)
	e.end()
}

// die ends it.
func (e *environment) die() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end()
}

// end cuts everything off. e.mu is held.
func (e *environment) end() {
	if e.dead {
		return
	}
	e.dead = true
	close(e.gone)
	if e.cancel != nil {
		e.cancel()
	}
	for conn := range e.conns {
		_ = conn.Close()
	}
}

// hold keeps a connection, so that it ends with the environment, and forgets those that have ended.
func (e *environment) hold(conn net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.conns) > 4*e.w.plan.lanes {
		for c := range e.conns {
			if c.SetDeadline(time.Time{}) != nil { // a pipe that was closed
				delete(e.conns, c)
			}
		}
	}
	e.conns[conn] = true
}

// told hears what became of a message.
func (e *environment) told(m telemetry.Message) {
	e.mu.Lock()
	dead := e.dead
	e.mu.Unlock()
	if !dead {
		e.w.tell(m, e.w.vault.wrongFor(m.Code))
	}
}

// envSecret, envQueue and envLetters are the ports of an environment.
type envSecret struct {
	env      *environment
	previous bool
}

// Read implements secrets.Reader.
func (s envSecret) Read(ctx context.Context) (secrets.Value, error) {
	if !s.env.step(atSecret) {
		return secrets.Value{}, errKilled
	}
	return s.env.w.vault.read(ctx, s.previous)
}

type envQueue struct {
	env *environment
	to  *faultyDefer
}

// Defer implements worker.Queue.
func (q envQueue) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	if !q.env.step(atDefer) {
		return allFailed(len(deferrals), errKilled)
	}
	failures := q.to.Defer(ctx, deferrals)
	q.env.step(atDeferred)
	return failures
}

type envLetters struct {
	env *environment
	to  *faultySender
}

// Send implements worker.DeadLetters.
func (l envLetters) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if !l.env.step(atDeadLetter) {
		return allFailed(len(entries), errKilled)
	}
	failures := l.to.Send(ctx, entries)
	l.env.step(atDeadLettered)
	return failures
}
