package simulation

import (
	"context"
	"net"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/managementapi"
)

// boundary is a point at which an environment interacts with its surroundings. An environment may be killed at each.
type boundary int

const (
	nowhere           boundary = iota
	beforeDial                 // before a connection
	beforeSecret               // before a secret is read
	inCall                     // a call has reached the API, before the API's work
	afterCall                  // the API has done its work, before the client has the answer
	beforeDeadLetters          // before dead letters are sent
	afterDeadLetters           // they are sent, before anything is acknowledged
	beforeDefer                // before the visibility of deferred messages is changed
	afterDefer                 // it is changed
	beforeAnswer               // before the invocation's answer
	boundaries

	// Of the Management API, as inCall and afterCall.
	inManagement    = boundaries + 1
	afterManagement = boundaries + 2
)

// killPoint is how an invocation ends early: when it reaches a boundary for the nth time, by a crash, or by a freeze
// that lasts until Lambda's time-out. The zero killPoint does nothing.
type killPoint struct {
	at     boundary
	nth    int
	freeze bool
}

// environment is one execution environment of the worker function, with its own memory, secret cache and connections.
// Once killed it has no further effect; what it sent before may still have one.
type environment struct {
	h       *harness
	number  int
	handler *worker.Handler
	usedAt  time.Time
	killed  chan struct{} // closed when it is killed
	watch   bool          // it is in watch mode
	brake   *brakeMonitor

	mu        sync.Mutex
	cancel    context.CancelFunc // of the invocation; nil before the first
	killPoint killPoint
	frozen    bool
	dead      bool
	conns     map[net.Conn]bool
}

// newEnvironment is a cold start: it wires the same parts as functions/worker.
func newEnvironment(h *harness, number int) (*environment, error) {
	s := &h.scenario
	e := &environment{
		h: h, number: number, killed: make(chan struct{}), conns: map[net.Conn]bool{},
		watch: h.watches(), brake: newBrakeMonitor(s.stack.SurgePart()),
	}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: apiURL, CallsInFlight: s.callsInFlight, DialContext: e.dial})
	if err != nil {
		return nil, err
	}
	e.handler, err = worker.New(worker.Config{
		API: api, Secrets: secrets.NewCacheWithPrevious(envSecret{e, false}, envSecret{e, true}, secrets.ParseLicense),
		Queue:       envQueue{e, &faultyDeferrer{h}},
		DeadLetters: envDeadLetters{e, &faultySender{h: h, label: "dead letter", to: h.deadLetters}},
		Recorder:    silent(), OnOutcome: e.onOutcome,
		CallsInFlight: s.callsInFlight, CallsPerSecond: s.stack.PerInstance(), Limits: s.stack.Limits(),
		SurgeLimit: s.stack.SurgePart(), Watch: e.watch,
		LookUp: s.stack.LookUpPart(managementapi.Config{BaseURL: manageURL, DialContext: e.dialManagement},
			secrets.NewCache(envSecret{e, false}, secrets.ParseManagement), lambdaemu.WorkerTimeout),
		Backoff: worker.ProductionBackoff(),
	})
	h.count(&h.coldStarts)
	return e, err
}

// begin starts an invocation.
func (e *environment) begin(cancel context.CancelFunc, k killPoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel, e.killPoint = cancel, k
}

// pass passes a boundary. It returns false when the environment was killed. A frozen one blocks until it is killed.
func (e *environment) pass(at boundary) (alive bool) { return e.passAs(at, "") }

// passAs is pass with a name of the boundary for the report.
func (e *environment) passAs(at boundary, name string) (alive bool) {
	e.mu.Lock()
	if !e.dead && !e.frozen && e.killPoint.at == at {
		if e.killPoint.nth--; e.killPoint.nth == 0 {
			e.frozen = e.killPoint.freeze
			if !e.frozen {
				e.h.count(&e.h.kills)
				e.h.countKill(name)
				e.killLocked()
			}
		}
	}
	frozen, dead := e.frozen, e.dead
	e.mu.Unlock()
	if frozen && at != inCall && at != afterCall && at < inManagement { // the API passes these, and runs on without its client
		<-e.killed
		return false
	}
	return !dead
}

// timeOut kills an environment whose invocation took too long. Only a frozen one may take too long.
func (e *environment) timeOut(records int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.frozen && !e.dead {
		e.h.violation("an invocation of %d messages ran into Lambda's time-out without being frozen", records)
	}
	e.h.count(&e.h.timeouts)
	e.killLocked()
}

// kill ends the environment.
func (e *environment) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.killLocked()
}

func (e *environment) killLocked() {
	if e.dead {
		return
	}
	e.dead = true
	close(e.killed)
	if e.cancel != nil {
		e.cancel()
	}
	for conn := range e.conns {
		_ = conn.Close()
	}
}

// hold keeps a connection so that it ends with the environment, and drops those that are closed.
func (e *environment) hold(conn net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.conns) > 4*e.h.scenario.callsInFlight {
		for c := range e.conns {
			if c.SetDeadline(time.Time{}) != nil { // a closed pipe
				delete(e.conns, c)
			}
		}
	}
	e.conns[conn] = true
}

// onOutcome records the outcome of one receive. A message must not be deferred for a wrong key once the environment
// should have found the right one.
func (e *environment) onOutcome(m telemetry.Message) {
	e.mu.Lock()
	dead := e.dead
	e.mu.Unlock()
	if dead {
		return
	}
	e.h.countReceive(m.Attempts)
	switch q := e.brake.lookUpOf(m.ID); {
	case m.Outcome != deactivation.Deferred:
		e.h.recordOutcome(m)
		if name := e.brake.actedBefore(m.ID, &e.h.scenario); m.Reason == deactivation.ReasonHeld && name != "" {
			e.h.violation("%s is held, and this instance has acted on %s, which is one of its licenses", m.ID, name)
		}
	case q != nil && q.lookUp.named != "" && m.Lookup != "" && !e.watch:
		e.h.checkNamed(q, m)
	case q != nil && e.h.secretsManager.managementShouldBeFound(m.Code):
		e.h.violation("a look-up is deferred as %s although the right key has been in the secret for more than %v", m.Code, rereadLimit)
	case e.h.secretsManager.shouldBeFound(m.Code):
		e.h.violation("a message is deferred as %s although the right key has been in the secret for more than %v", m.Code, rereadLimit)
	}
}

// envSecret, envQueue and envDeadLetters are the ports of an environment.
type envSecret struct {
	env      *environment
	previous bool
}

// Read implements secrets.Reader.
func (s envSecret) Read(ctx context.Context) (secrets.Value, error) {
	if !s.env.pass(beforeSecret) {
		return secrets.Value{}, errKilled
	}
	return s.env.h.secretsManager.read(ctx, s.previous)
}

type envQueue struct {
	env *environment
	to  *faultyDeferrer
}

// Defer implements worker.Queue.
func (q envQueue) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	if !q.env.pass(beforeDefer) {
		return allFailed(len(deferrals), errKilled)
	}
	failures := q.to.Defer(ctx, deferrals)
	q.env.pass(afterDefer)
	return failures
}

type envDeadLetters struct {
	env *environment
	to  *faultySender
}

// Send implements worker.DeadLetters.
func (l envDeadLetters) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if !l.env.pass(beforeDeadLetters) {
		return allFailed(len(entries), errKilled)
	}
	failures := l.to.Send(ctx, entries)
	l.env.pass(afterDeadLetters)
	return failures
}
