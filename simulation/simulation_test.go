package simulation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/sources"
)

// The size of TestSimulation.
//
//nolint:gochecknoglobals // the flags of a test binary are defined before it parses them, and nothing else changes them
var (
	simSeeds    = flag.Int("sim.seeds", 6, "how many seeds TestSimulation runs, from 1 on")
	simMessages = flag.Int("sim.messages", 200, "how many requests TestSimulation makes for each seed")
	simSeed     = flag.Uint64("sim.seed", 0, "run this seed of TestSimulation alone")
)

// TestSimulation runs the whole system for days of virtual time: senders, the webhook function, a queue with SQS's
// rules and faults, a fleet of workers that Lambda scales, kills and times out, and the fake License API with its
// limits, faults, clock and keys (sim_plan_test.go says what a seed decides). Afterwards each request that was
// accepted must be accounted for (sim_judge_test.go). Faults are keyed by seed, license and attempt; how goroutines
// interleave is not, so a failing seed is to be run a few times.
func TestSimulation(t *testing.T) {
	t.Parallel()
	files, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	var total tally
	t.Cleanup(func() { t.Logf("in all: %s", &total) })
	first, last := uint64(1), uint64(*simSeeds) //nolint:gosec // a count of seeds
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newPlan(seed, *simMessages), files)
				w.run(t.Context())
				w.judge()
				t.Logf("%s", &w.tally)
				total.add(&w.tally)
				if len(w.violations) == 0 {
					return
				}
				for _, v := range w.violations {
					t.Error(v)
				}
				t.Errorf("seed %d fails; alone: go test ./simulation -run '^TestSimulation$' -v -sim.messages=%d -sim.seed=%d",
					seed, *simMessages, seed)
			})
		})
	}
}

// world is one seed's system and what is outside of it.
type world struct {
	plan  plan
	begin time.Time

	api           *licenseapitest.Server
	door          *apiDoor // what stands before api: it watches the limits
	jobs, letters *queue.Memory
	vault         *vault
	fleet         *fleet
	files         *source.Sources
	front         *webhook.Handler

	ledger
}

func newWorld(t *testing.T, p plan, files *source.Sources) *world {
	t.Helper()
	w := &world{plan: p, begin: time.Now(), files: files}
	w.ledger.at = w.now
	w.letters = queue.NewMemory(queue.MemoryConfig{Visibility: lambdaemu.VisibilityTimeout})
	w.jobs = queue.NewMemory(queue.MemoryConfig{
		Visibility: lambdaemu.VisibilityTimeout, MaxReceiveCount: lambdaemu.MaxReceiveCount, DeadLetter: w.letters,
	})
	w.vault = &vault{w: w, keys: []string{firstKey}, at: firstKey}

	options := []licenseapitest.Option{licenseapitest.Clock(func() time.Time { return time.Now().Add(p.skew(w.now())) })}
	if p.quoted {
		options = append(options, licenseapitest.Quoted())
	}
	var err error
	state := licenseapitest.State{
		APIKeys: map[string]string{apiKey: firstKey}, Clients: map[string]string{clientID: firstKey}, Licenses: p.licenses,
	}
	w.api, err = licenseapitest.New(state, options...)
	if err != nil {
		t.Fatal(err)
	}
	limits := licenseapitest.Published()
	limits.PerMinute = p.stack.PlanCallsPerMinute
	w.api.Limit(limits)
	w.api.OnCall(w.fault)
	w.door = newAPIDoor(w)
	w.fleet = &fleet{w: w}

	w.front, err = webhook.New(webhook.Config{
		Sources: files, Secrets: secrets.NewCache(senderSecrets{}, secrets.ParseWebhooks), PublicURL: publicURL,
		Queue: &faultySender{w: w, about: "enqueue", to: w.jobs}, DeadLetters: &faultySender{w: w, about: "keep", to: w.letters},
		Recorder: silent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// silent is a Recorder that writes nothing.
func silent() *telemetry.Recorder { return telemetry.New(io.Discard, slog.LevelError+1, "") }

// now is the virtual time since the beginning.
func (w *world) now() time.Duration { return time.Since(w.begin) }

// until waits for a virtual time since the beginning.
func (w *world) until(at time.Duration) { time.Sleep(at - w.now()) }

// calm says that nothing goes wrong any more.
func (w *world) calm() bool { return w.now() >= w.plan.end }

const (
	// pollersApart is the time between one poller of the event source mapping and the next.
	pollersApart = 12 * time.Second

	// drainLimit is how long after the last fault the queue may still hold something. A backlog is worked off at the
	// pace, and what waits waits a quarter of an hour; the slowest plan has 5 calls a second.
	drainLimit = 24 * time.Hour
)

// run lets everything happen, and returns when the queue is empty and everybody has left.
func (w *world) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	server := w.door.serve(&all)
	for n := range w.plan.stack.Instances {
		all.Go(func() {
			w.until(time.Duration(n) * pollersApart)
			mapping := lambdaemu.EventSource{
				Queue: &faultyMapping{w: w}, Function: w.fleet.invoke, BatchSize: w.plan.batchSize, Concurrency: 1,
				OnError: w.batchFailed,
			}
			mapping.Run(ctx)
		})
	}
	all.Go(w.rotateKeys)
	var senders sync.WaitGroup
	w.send(&senders)
	senders.Wait()

	w.until(w.plan.end)
	w.drain()
	w.redrive()
	w.drain()

	stop()
	w.fleet.close()
	_ = server.Close()
	all.Wait()
}

// batchFailed hears of every batch that comes back whole. It may be Lambda's doing or SQS's, never the worker's answer.
func (w *world) batchFailed(err error) {
	w.count(&w.failedBatches)
	if !errors.Is(err, errKilled) && !errors.Is(err, errTrouble) && !strings.Contains(err.Error(), "time-out") {
		w.violate("a batch has failed: %v", err)
	}
}

// drain waits until the queue is empty.
func (w *world) drain() {
	for limit := w.now() + drainLimit; w.jobs.Len() > 0; time.Sleep(time.Minute) {
		if w.now() > limit {
			w.violate("%d messages are still in the queue %v after the last fault", w.jobs.Len(), drainLimit)
			return
		}
	}
}

// serve starts the API's HTTP server.
func (d *apiDoor) serve(all *sync.WaitGroup) *http.Server {
	server := &http.Server{
		Handler: d, ReadHeaderTimeout: time.Minute, IdleTimeout: d.w.plan.idleClose, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, environmentKey{}, c.(apiConn).env)
		},
	}
	all.Go(func() { _ = server.Serve(d.listener) })
	return server
}
