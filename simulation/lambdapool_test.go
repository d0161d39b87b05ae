package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// idleLimit is how long an idle environment is kept. Lambda documents no limit and keeps it longer.
const idleLimit = 10 * time.Minute

// lambdaPool is Lambda for the worker function: it reuses the environment that was used last, starts one when all are
// busy, and removes those that were idle for long, crashed or timed out. A change of the mode is a deployment: it ends the
// environments of the one before.
type lambdaPool struct {
	h *harness

	mu          sync.Mutex
	idle        []*environment
	starts      int
	invocations uint64
}

// invoke runs one invocation. Its error is what Lambda reports to the event source mapping.
func (p *lambdaPool) invoke(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	env, invocation, err := p.take()
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	env.brake.receive(e.Records, &p.h.scenario)
	p.h.received(e.Records, &p.h.scenario)
	env.begin(cancel, p.killPointOf(invocation, len(e.Records), env.brake.lookUps()))
	stop := context.AfterFunc(ctx, func() { env.timeOut(len(e.Records)) })
	defer stop()

	type result struct {
		answer events.SQSEventResponse
		err    error
	}
	results := make(chan result, 1)
	go func() {
		defer func() {
			if crash := recover(); crash != nil {
				results <- result{err: fmt.Errorf("a panic: %v", crash)}
			}
		}()
		answer, err := env.handler.Handle(own, e)
		results <- result{answer, err}
	}()
	select {
	case <-env.killed:
		return events.SQSEventResponse{}, errKilled
	case r := <-results:
		if r.err != nil {
			p.h.violation("the worker failed: %v", r.err)
		}
		if !env.pass(beforeAnswer) || r.err != nil {
			env.kill()
			return events.SQSEventResponse{}, errKilled
		}
		p.give(env)
		return r.answer, nil
	}
}

// killPointOf decides whether and where an invocation ends early.
func (p *lambdaPool) killPointOf(invocation uint64, records, lookUps int) killPoint {
	r := rng(p.h.scenario.seed, "doom", invocation)
	if p.h.recovered() {
		return killPoint{}
	}
	if r := rng(p.h.scenario.seed, "doom of a look-up", invocation); lookUps > 0 && p.h.scenario.killChance > 0 && r.IntN(4) == 0 {
		return killPoint{
			at: []boundary{inManagement, afterManagement}[r.IntN(2)], freeze: r.IntN(4) == 0,
			nth: 1 + r.IntN(5*lookUps), // a look-up makes some five calls
		}
	}
	if r.Float64() >= p.h.scenario.killChance {
		return killPoint{}
	}
	k := killPoint{at: 1 + boundary(r.IntN(int(boundaries)-1)), nth: 1, freeze: r.IntN(4) == 0}
	if k.at == inCall || k.at == afterCall {
		k.nth = 1 + r.IntN(records)
	}
	return k
}

// take returns the environment that was used last, or a new one.
func (p *lambdaPool) take() (env *environment, invocation uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invocations++
	watch := p.h.watches()
	for len(p.idle) > 0 && (time.Since(p.idle[0].usedAt) > idleLimit || p.idle[0].watch != watch) {
		p.idle[0].kill()
		p.idle = p.idle[1:]
	}
	if last := len(p.idle) - 1; last >= 0 {
		env := p.idle[last]
		p.idle = p.idle[:last]
		return env, p.invocations, nil
	}
	p.starts++
	env, err = newEnvironment(p.h, p.starts)
	return env, p.invocations, err
}

func (p *lambdaPool) give(env *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if env.watch != p.h.watches() {
		env.kill()
		return
	}
	env.usedAt = time.Now()
	p.idle = append(p.idle, env)
}

func (p *lambdaPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, env := range p.idle {
		env.kill()
	}
}
