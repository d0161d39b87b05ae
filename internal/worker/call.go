package worker

import (
	"context"
	"errors"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/licenseapi"
)

// response is what one call returned.
type response struct {
	err        error // nil for status 200
	kind       licenseapi.Kind
	started    time.Time
	latency    time.Duration
	version    string // of the secret that signed the call
	refreshErr error  // why the secret may be an old one: it could not be read or parsed again; else nil
}

// call calls the License API for a request of m, and again if a fresh signature could change the answer. The last response
// decides. The request is m's own, or one that a look-up of m makes. No other call for its license runs at the same time.
func (b *batch) call(m *message, r deactivation.Request) result {
	unlock, err := b.h.calling.Lock(b.mayCall, r.Identity())
	if err != nil {
		r := b.notCalled(m, err)
		r.notCalled = true
		return r
	}
	defer unlock()
	var signed signatures
	for {
		resp, err := b.attempt(r)
		if err != nil {
			r := b.notCalled(m, err)
			r.notCalled = true
			return r
		}
		if !b.shouldResign(&resp, &signed) {
			return b.resultOf(m, r, resp)
		}
	}
}

// errStopped means that no further call may start: too close to the deadline, after a configuration fault, or without a
// secret.
var errStopped = errors.New("worker: no further call")

// attempt waits for the limiter, then signs with the present secret and date and calls. An error means that there was
// no call: throttle.ErrOpen, the limiter's error, or errStopped.
func (b *batch) attempt(r deactivation.Request) (response, error) {
	if err := b.h.breaker.Allow(); err != nil { // before the limiter: an unused wait would cost a call of the rate
		return response{}, err
	}
	select {
	case b.slots <- struct{}{}: // before the limiter, which expects a call to be sent at once
		defer func() { <-b.slots }()
	case <-b.mayCall.Done():
		return response{}, b.mayCall.Err()
	}
	started, err := b.h.limiter.Wait(b.mayCall)
	if err != nil {
		return response{}, err
	}
	b.starts.Add(1)
	held, err := b.h.cfg.Secrets.Get(b.mayCall)
	if b.mayCall.Err() != nil {
		return response{}, errStopped
	}
	if errors.Is(err, secrets.ErrUnavailable) {
		b.setSecretErr(err)
		return response{}, errStopped
	}
	if err != nil {
		b.setFault(fault{what: secretUnreadable, evidence: err, stops: true})
		return response{}, errStopped
	}
	if held.RefreshErr != nil {
		b.warnRefresh.Do(func() {
			b.h.cfg.Recorder.Logger().WarnContext(b.calls, "secret refresh failed; using the cached value",
				"secret_version", held.Version, "error", deactivation.CleanText(held.RefreshErr.Error()))
		})
	}
	client, err := b.h.clientFor(held)
	if err != nil {
		b.setFault(fault{what: secretUnusable, evidence: err, stops: true})
		return response{}, errStopped
	}

	begin := time.Now()
	err = b.h.breaker.Call(b.calls, func(ctx context.Context) error { return send(ctx, client, r) })
	if errors.Is(err, throttle.ErrOpen) {
		return response{}, err
	}
	resp := response{err: err, kind: licenseapi.KindOf(err), started: begin, latency: time.Since(begin), version: held.Version}
	if resp.kind == licenseapi.KindRateLimited {
		b.slowDown(started, err)
	}
	return resp, nil
}

// send makes the call for the request's action.
func send(ctx context.Context, client *licenseapi.Client, r deactivation.Request) error {
	ctx = licenseapi.WithRequestID(ctx, r.ID) // so that both logs can be compared
	switch r.Action {
	case deactivation.ActionDeactivateBundle:
		return client.DeactivateBundle(ctx, licenseapi.Deactivation(r.License))
	case deactivation.ActionDeactivateOffline:
		return client.DeactivateOffline(ctx, licenseapi.RequestFile{Content: r.RequestFile})
	case deactivation.ActionDeactivateBundleOffline:
		return client.DeactivateBundleOffline(ctx, licenseapi.RequestFile{Content: r.RequestFile})
	}
	return client.Deactivate(ctx, licenseapi.Deactivation(r.License))
}

// slowDown reports a 429 to the limiter, for the call that started at that time.
func (b *batch) slowDown(started time.Time, err error) {
	refused, ok := errors.AsType[*licenseapi.Error](err)
	if !ok {
		return
	}
	if pause := b.h.limiter.On429(started, refused.RetryAfter, licenseapi.CodeOf(err)); pause > 0 {
		b.h.cfg.Recorder.Logger().WarnContext(b.calls, "rate limited, the pace is lowered",
			"pause_ms", pause.Milliseconds(), "calls_per_second", b.h.limiter.Rate())
	}
}

// notCalled decides a message without a call. Skipped by the open breaker or by a long pause: normal back-off, else it
// would burn its receives within minutes. Left over for lack of time: returned at once, for another invocation, but not
// twice in a row, and not by an invocation that could not start a single call: such returns take no time, and would use
// up 300 receives within the hour. No environment knows the result of the receive before, so an odd receive count
// returns at once and an even one backs off.
func (b *batch) notCalled(m *message, why error) result {
	b.mu.Lock()
	f, secretErr := b.fault, b.secretErr
	b.mu.Unlock()
	backoff := b.h.cfg.Backoff
	if f != nil && f.stops {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.Cap, code: f.code,
			detail: deactivation.CleanText("not called, the configuration is at fault: " + f.what),
		}
	}
	if secretErr != nil {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.wait(m.receives),
			detail: deactivation.CleanText("not called, the License API's secret cannot be read now: " + secretErr.Error()),
		}
	}
	if paused, ok := errors.AsType[*throttle.PausedError](why); ok {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.RateLimited(m.receives, paused.Left, random()), code: deactivation.CleanText(paused.Code),
			detail: "not called, the License API asked for a pause that is longer than this invocation",
		}
	}
	if errors.Is(why, throttle.ErrOpen) {
		return result{
			outcome: deactivation.Deferred, retryIn: backoff.wait(m.receives), code: deactivation.CleanText(b.h.breaker.LastCode()),
			detail: "not called, the License API did not answer the previous calls",
		}
	}
	return b.noTime(m)
}

// noTime decides a message for which no time is left, as notCalled says.
func (b *batch) noTime(m *message) result {
	called := b.starts.Load() > 0
	r := result{outcome: deactivation.Deferred, detail: "no time left for one more call", returned: called}
	if m.receives%2 == 0 || !called {
		r.retryIn = b.h.cfg.Backoff.wait(m.receives)
	}
	return r
}
