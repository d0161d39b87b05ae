//go:build integration && soak

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	fleetSize = 4

	// callsOfALife is the most calls of a life that is ended from outside. All lives together make fewer than the crowd
	// has messages, so that every death comes while there is work.
	callsOfALife = 500

	// agony is the most time between the call that decides a death from outside and the kill: long enough to fall
	// into any step of a batch, from its first call to the delete.
	agony = 60 * time.Millisecond

	// lastWords is how long a worker may take to finish its batch when it is asked to end.
	lastWords = soakTimeout + longPoll + 10*time.Second
)

// death is how a worker process ends. Always by kill -9.
type death string

const (
	deathFromOutside death = "from outside"                      // after DeathAt calls of the License API
	deathBeforeTaken death = "before the dead-letter queue took" // at its DeathAt-th hand-over
	deathOnceTaken   death = "after the dead-letter queue took"  // likewise, before the message is acknowledged
	noDeath          death = ""
)

// A fleet is several worker processes. Each dies as often as its plan says and is started again, then works on until
// the fleet is told to end. It stands in front of the License API to know who calls.
type fleet struct {
	spec    workerSpec // but for what differs
	api     http.Handler
	logs    string // a folder with the log of each worker
	workers map[string]*mortal

	mu     sync.Mutex
	deaths map[death]int
}

// mortal is one worker of the fleet.
type mortal struct {
	name  string
	lives []workerLife

	mu    sync.Mutex
	calls int           // left until hit is closed
	hit   chan struct{} // closed when the calls of this life are made
}

type workerLife struct {
	seed  uint64
	death death
	at    int
	agony time.Duration
}

// planFleet plans every life.
func planFleet(t *testing.T, dice *rand.Rand, spec workerSpec, api http.Handler) *fleet {
	t.Helper()
	f := &fleet{spec: spec, api: api, logs: t.TempDir(), workers: map[string]*mortal{}, deaths: map[death]int{}}
	for i := range fleetSize {
		deaths := []death{deathFromOutside, deathFromOutside, deathFromOutside, deathBeforeTaken, deathOnceTaken}
		dice.Shuffle(len(deaths), func(i, j int) { deaths[i], deaths[j] = deaths[j], deaths[i] })
		w := &mortal{name: fmt.Sprint("worker-", i)}
		for _, d := range append(deaths, noDeath) {
			life := workerLife{seed: dice.Uint64(), death: d, at: 1 + dice.IntN(3), agony: time.Duration(dice.Int64N(int64(agony)))}
			if d == deathFromOutside {
				life.at = 1 + dice.IntN(callsOfALife)
			}
			w.lives = append(w.lives, life)
		}
		f.workers[w.name] = w
	}
	return f
}

// ServeHTTP counts the call to its worker, then lets the License API answer.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if caller := f.workers[r.UserAgent()]; caller != nil {
		caller.called()
	}
	f.api.ServeHTTP(w, r)
}

func (m *mortal) called() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls--; m.calls == 0 {
		close(m.hit)
	}
}

// await returns a channel that is closed at that call; calls 0 is never.
func (m *mortal) await(calls int) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls, m.hit = calls, make(chan struct{})
	return m.hit
}

// run runs the fleet until ctx ends. Its error is a worker that ended otherwise than planned.
func (f *fleet) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range f.workers {
		group.Go(func() error {
			log, err := os.Create(filepath.Join(f.logs, w.name))
			if err != nil {
				return err
			}
			for i, life := range w.lives {
				if err := f.live(ctx, w, life, log); err != nil {
					return errors.Join(fmt.Errorf("%s, life %d: %w", w.name, i+1, err), log.Close())
				}
			}
			return log.Close()
		})
	}
	return group.Wait()
}

// live starts a worker process and sees it to its end: the planned one, or that of ctx, before which it may finish
// what it has begun.
func (f *fleet) live(ctx context.Context, w *mortal, life workerLife, log *os.File) error {
	if ctx.Err() != nil {
		return nil
	}
	spec := f.spec
	spec.Name, spec.Seed, spec.Death, spec.DeathAt = w.name, life.seed, life.death, life.at
	calls := 0
	if life.death == deathFromOutside {
		calls = life.at
	}
	hit := w.await(calls)
	cmd, leave, err := startWorker(spec, log)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()

	select {
	case <-hit:
		<-time.After(life.agony) // the moment is part of the fault
		_ = cmd.Process.Kill()
		<-ended
	case <-ended:
	case <-ctx.Done():
		_ = leave()
		defer time.AfterFunc(lastWords, func() { _ = cmd.Process.Kill() }).Stop()
		<-ended
		if !cmd.ProcessState.Success() {
			return fmt.Errorf("asked to end, it ended otherwise: %v", cmd.ProcessState)
		}
		return nil
	}
	if life.death == noDeath || !killed(cmd.ProcessState) {
		return fmt.Errorf("it ended by itself: %v", cmd.ProcessState)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaths[life.death]++
	return nil
}

func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// startWorker runs this test binary as a worker process. leave asks it to end.
func startWorker(spec workerSpec, log *os.File) (cmd *exec.Cmd, leave func() error, err error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(program, "-test.run=^TestSoakStorm$")
	cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	cmd.Stdout, cmd.Stderr = log, log
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, input.Close, cmd.Start()
}
