package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// idleLimit is how long Lambda keeps an environment that nobody needs; the real one says nothing and keeps it longer.
const idleLimit = 10 * time.Minute

// fleet is what Lambda does with a function: it uses the environment that was used last, starts one when all are busy,
// takes away those that are idle for long, and those that crashed or were timed out.
type fleet struct {
	w *world

	mu     sync.Mutex
	idle   []*environment
	starts int
	runs   uint64
}

// invoke runs one invocation. Its error is what Lambda says to the event source mapping.
func (f *fleet) invoke(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	env, run, err := f.take()
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	env.enter(cancel, f.doomOf(run, len(e.Records)))
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
	case <-env.gone:
		return events.SQSEventResponse{}, errKilled
	case r := <-results:
		if r.err != nil {
			f.w.violate("the worker failed: %v", r.err)
		}
		if !env.step(atEnd) || r.err != nil {
			env.die()
			return events.SQSEventResponse{}, errKilled
		}
		f.give(env)
		return r.answer, nil
	}
}

// doomOf decides about an invocation.
func (f *fleet) doomOf(run uint64, records int) doom {
	r := dice(f.w.plan.seed, "doom", run)
	if f.w.calm() || r.Float64() >= f.w.plan.killChance {
		return doom{}
	}
	d := doom{at: 1 + point(r.IntN(int(points)-1)), nth: 1, freeze: r.IntN(4) == 0}
	if d.at == atCall || d.at == atAnswer {
		d.nth = 1 + r.IntN(records)
	}
	return d
}

// take returns a warm environment or a new one.
func (f *fleet) take() (*environment, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs++
	for len(f.idle) > 0 && time.Since(f.idle[0].usedAt) > idleLimit {
		f.idle[0].die()
		f.idle = f.idle[1:]
	}
	if last := len(f.idle) - 1; last >= 0 {
		env := f.idle[last]
		f.idle = f.idle[:last]
		return env, f.runs, nil
	}
	f.starts++
	env, err := f.start(f.starts)
	return env, f.runs, err
}

func (f *fleet) give(env *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	env.usedAt = time.Now()
	f.idle = append(f.idle, env)
}

func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, env := range f.idle {
		env.die()
	}
}
