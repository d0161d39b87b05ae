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

	// callsOfALife is the most calls in a life that is ended from outside. All lives together make fewer calls than the
	// crowd has messages, so that every kill happens while there is work.
	callsOfALife = 500

	// killDelay is the longest time between the call that triggers a kill from outside and the kill: long enough to
	// reach any step of a batch, from its first call to the delete.
	killDelay = 60 * time.Millisecond

	// stopGrace is the longest time that a worker may take to finish its batch when it is asked to end.
	stopGrace = soakTimeout + longPoll + 10*time.Second
)

// death is how a worker process ends, always by kill -9.
type death string

const (
	deathFromOutside    death = "from outside"                          // after DeathAt calls of either API
	deathBeforeAccepted death = "before the dead-letter queue accepted" // at its DeathAt-th hand-over
	deathAfterAccepted  death = "after the dead-letter queue accepted"  // likewise, before the message is acknowledged
	noDeath             death = ""
)

// A fleet is several worker processes. Each is killed as often as its plan says and started again, and then works until
// the fleet is asked to end. The fleet stands in front of both APIs to know which worker calls.
type fleet struct {
	spec    workerSpec   // without what differs for each worker
	api     http.Handler // both APIs
	logs    string       // a folder with the log of each worker
	workers map[string]*plannedWorker

	mu     sync.Mutex
	deaths map[death]int
}

// plannedWorker is one worker of the fleet, with its lives.
type plannedWorker struct {
	name  string
	lives []workerLife

	mu    sync.Mutex
	calls int           // remaining until hit is closed
	hit   chan struct{} // closed when the calls of this life are made
}

type workerLife struct {
	seed      uint64
	death     death
	at        int
	killDelay time.Duration
}

// planFleet plans every life.
func planFleet(t *testing.T, rng *rand.Rand, spec workerSpec, api http.Handler) *fleet {
	t.Helper()
	f := &fleet{spec: spec, api: api, logs: t.TempDir(), workers: map[string]*plannedWorker{}, deaths: map[death]int{}}
	for i := range fleetSize {
		deaths := []death{deathFromOutside, deathFromOutside, deathFromOutside, deathBeforeAccepted, deathAfterAccepted}
		rng.Shuffle(len(deaths), func(i, j int) { deaths[i], deaths[j] = deaths[j], deaths[i] })
		w := &plannedWorker{name: fmt.Sprint("worker-", i)}
		for _, d := range append(deaths, noDeath) {
			life := workerLife{seed: rng.Uint64(), death: d, at: 1 + rng.IntN(3), killDelay: time.Duration(rng.Int64N(int64(killDelay)))}
			if d == deathFromOutside {
				life.at = 1 + rng.IntN(callsOfALife)
			}
			w.lives = append(w.lives, life)
		}
		f.workers[w.name] = w
	}
	return f
}

// ServeHTTP counts the call for its worker, then lets the APIs answer.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if caller := f.workers[r.UserAgent()]; caller != nil {
		caller.called()
	}
	f.api.ServeHTTP(w, r)
}

func (m *plannedWorker) called() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls--; m.calls == 0 {
		close(m.hit)
	}
}

// await returns a channel that is closed at that call; calls 0 is never.
func (m *plannedWorker) await(calls int) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls, m.hit = calls, make(chan struct{})
	return m.hit
}

// run runs the fleet until ctx ends. Its error is a worker that ended in another way than planned.
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

// live starts a worker process and waits for its end: the planned one, or the end of ctx, at which the worker may
// finish what it has started.
func (f *fleet) live(ctx context.Context, w *plannedWorker, life workerLife, log *os.File) error {
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
		_ = cmd.Wait() // cmd.ProcessState holds how it ended
	}()

	select {
	case <-hit:
		<-time.After(life.killDelay) // the moment of the kill is part of the fault
		_ = cmd.Process.Kill()
		<-ended
	case <-ended:
	case <-ctx.Done():
		_ = leave()
		defer time.AfterFunc(stopGrace, func() { _ = cmd.Process.Kill() }).Stop()
		<-ended
		if !cmd.ProcessState.Success() {
			return fmt.Errorf("after the request to end it ended in another way: %v", cmd.ProcessState)
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
