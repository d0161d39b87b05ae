package simulation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/lookup"
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

// TestSimulation runs one scenario for each seed and validates the result. doc.go describes both.
func TestSimulation(t *testing.T) {
	t.Parallel()
	files, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	var total stats
	t.Cleanup(func() {
		t.Logf("in all: %s", &total)
		if *simSeed == 0 && *simSeeds >= 6 && (total.held == 0 || total.watched == 0) {
			t.Errorf("%d messages were held and %d watched: the seeds do not try the guards", total.held, total.watched)
		}
		if *simSeed == 0 && *simSeeds >= 6 && (total.namedFirst == 0 || total.mismatched == 0) {
			t.Errorf("%d look-ups waited after their named device, %d letters of a mismatch: the seeds do not try the look-up", total.namedFirst, total.mismatched)
		}
		for _, call := range []string{"licenses", "devices", "probe", "disable", "reset"} {
			if *simSeed == 0 && *simSeeds**simMessages >= 100_000 && (total.killedIn["in "+call] == 0 || total.killedIn["after "+call] == 0) {
				t.Errorf("no worker was killed in or after a call of the kind %s", call)
			}
		}
	})
	first, last := uint64(1), uint64(*simSeeds) //nolint:gosec // a count of seeds
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, newScenario(seed, *simMessages), files)
				h.run(t.Context())
				h.validate()
				total.add(&h.stats)
				h.report(t)
			})
		})
	}
}

// harness is one seed's system under test and everything around it.
type harness struct {
	scenario scenario
	begin    time.Time

	api            *licenseapitest.Server
	monitor        *apiMonitor   // in front of api
	jobs           *queue.Memory // the queue
	deadLetters    *queue.Memory // its dead-letter queue
	secretsManager *secretsManager
	workers        *lambdaPool
	files          *source.Sources
	receiver       *webhook.Handler
	lookUpReceiver *webhook.Handler // with LOOK_UP on: a stack whose senders were switched over one by one

	history
	stats
}

func newHarness(t *testing.T, s scenario, files *source.Sources) *harness {
	t.Helper()
	h := &harness{scenario: s, begin: time.Now(), files: files}
	h.history.now = h.now
	h.deadLetters = queue.NewMemory(queue.MemoryConfig{Visibility: lambdaemu.VisibilityTimeout})
	h.jobs = queue.NewMemory(queue.MemoryConfig{
		Visibility: lambdaemu.VisibilityTimeout, MaxReceiveCount: lambdaemu.MaxReceiveCount, DeadLetter: h.deadLetters,
	})
	first := keys{firstKey, firstManagementKey}
	h.secretsManager = &secretsManager{h: h, versions: []keys{first}, accepted: first}

	options := []licenseapitest.Option{licenseapitest.KeepLedger(), licenseapitest.Clock(func() time.Time { return time.Now().Add(s.skewAt(h.now())) })}
	if s.quoted {
		options = append(options, licenseapitest.Quoted())
	}
	var err error
	state := licenseapitest.State{
		APIKeys: map[string]string{apiKey: firstKey}, Clients: map[string]string{clientID: firstKey}, ManagementAPIKeys: []string{firstManagementKey},
	}
	for i, l := range s.licenses {
		if _, later := s.fulfilled[i]; !later {
			state.Licenses = append(state.Licenses, l)
		}
	}
	h.api, err = licenseapitest.New(state, options...)
	if err != nil {
		t.Fatal(err)
	}
	limits := licenseapitest.Published()
	limits.PerMinute = s.stack.PlanCallsPerMinute
	h.api.Limit(limits)
	h.api.OnCall(h.apiFault)
	h.api.LimitManagement(licenseapitest.ManagementPlan())
	h.api.OnManagementCall(h.managementFault)
	h.api.SetHabits(s.habits)
	h.monitor = newAPIMonitor(h)
	h.workers = &lambdaPool{h: h}

	receiver := webhook.Config{
		Sources: files, Secrets: secrets.NewCache(senderSecrets{}, secrets.ParseWebhooks), PublicURL: publicURL,
		Queue: &faultySender{h: h, label: "enqueue", to: h.jobs}, DeadLetters: &faultySender{h: h, label: "keep", to: h.deadLetters},
		Recorder: silent(),
	}
	if h.receiver, err = webhook.New(receiver); err != nil {
		t.Fatal(err)
	}
	receiver.LookUp = true
	if h.lookUpReceiver, err = webhook.New(receiver); err != nil {
		t.Fatal(err)
	}
	return h
}

// silent returns a Recorder that writes nothing.
func silent() *telemetry.Recorder { return telemetry.New(io.Discard, slog.LevelError+1, "") }

// now is the virtual time since the start.
func (h *harness) now() time.Duration { return time.Since(h.begin) }

// sleepUntil waits for a virtual time since the start.
func (h *harness) sleepUntil(at time.Duration) { time.Sleep(at - h.now()) }

// recovered reports whether the last failpoint has ended.
func (h *harness) recovered() bool { return h.now() >= h.scenario.end }

const (
	// pollerDelay is the time between the starts of two pollers of the event source mapping.
	pollerDelay = 12 * time.Second

	// drainLimit is how long the queue may still hold messages after the last failpoint. A backlog is processed at the
	// limited rate, a deferred message waits up to 15 minutes, and the slowest scenario has 5 calls per second.
	drainLimit = 24 * time.Hour
)

// run runs the scenario and returns when the queue is empty and every goroutine has ended.
func (h *harness) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	server := h.monitor.serve(&all)
	for n := range h.scenario.stack.Instances {
		all.Go(func() {
			h.sleepUntil(time.Duration(n) * pollerDelay)
			mapping := lambdaemu.EventSource{
				Queue: &faultySourceQueue{h: h}, Function: h.workers.invoke, BatchSize: h.scenario.batchSize, Concurrency: 1,
				OnError: h.onBatchError,
			}
			mapping.Run(ctx)
		})
	}
	all.Go(h.rotateKeys)
	all.Go(h.changeHabits)
	h.fulfil(&all)
	var senders sync.WaitGroup
	h.send(&senders)
	senders.Wait()

	h.sleepUntil(h.scenario.end)
	h.drain()
	h.redrive()
	h.drain()
	for range 2 { // what was watched may be held, and is released then
		h.redriveGuarded()
		h.drain()
	}

	stop()
	h.workers.close()
	_ = server.Close()
	all.Wait()
}

// onBatchError checks why a batch failed as a whole. Lambda and SQS may cause that; the worker's answer must not.
func (h *harness) onBatchError(err error) {
	h.count(&h.failedBatches)
	if !errors.Is(err, errKilled) && !errors.Is(err, errUnavailable) && !strings.Contains(err.Error(), "time-out") {
		h.violation("a batch failed: %v", err)
	}
}

// drain waits until the queue is empty.
func (h *harness) drain() {
	for limit := h.now() + drainLimit; h.jobs.Len() > 0; time.Sleep(time.Minute) {
		if h.now() > limit {
			h.violation("%d messages are still in the queue %v after the last failpoint", h.jobs.Len(), drainLimit)
			return
		}
	}
}

// redrive moves dead letters back to the queue, as an operator does: all that the queue did not accept in time, those
// that got a wrong answer of the Management API, and three that were rejected and will be rejected again.
func (h *harness) redrive() {
	again := 3
	for _, letter := range h.takeDeadLetters() {
		entry := queue.Entry{Body: letter.Body, Group: letter.Group, Attributes: letter.Attributes}
		to := h.deadLetters
		switch reason := letter.Attributes["reason"]; {
		case reason == "undelivered":
			to = h.jobs
		case reason == "rejected" && letter.Attributes["code"] == lookup.CodeMismatch:
			h.count(&h.mismatched)
			to = h.jobs
		case reason == "rejected" && slices.Contains([]string{lookup.CodeTooMany, lookup.CodePartial}, letter.Attributes["code"]):
			to = h.jobs // a list that matches in part may be longer than what is read of it
		case reason == "rejected" && again > 0:
			again--
			to = h.jobs
		}
		to.Send(context.Background(), []queue.Entry{entry})
	}
}

// takeDeadLetters empties the dead-letter queue.
func (h *harness) takeDeadLetters() []queue.Received {
	const atOnce = 10 // messages of one ReceiveMessage
	var all []queue.Received
	for {
		received, err := h.deadLetters.Receive(context.Background(), atOnce, 0, 0)
		if err != nil || len(received) == 0 {
			return all
		}
		var receipts []string
		for _, m := range received {
			receipts = append(receipts, m.Receipt)
		}
		h.deadLetters.Delete(context.Background(), receipts)
		all = append(all, received...)
	}
}

var (
	_ lambdaemu.Queue = (*queue.Memory)(nil)
	_ http.Handler    = (*apiMonitor)(nil)
)
