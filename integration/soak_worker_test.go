//go:build integration && soak

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

const (
	// workerVariable holds a workerSpec as JSON: then the test binary is a worker process.
	workerVariable = "SOAK_WORKER"

	// soakShared is the shared key of apiKey in a soak.
	soakShared = "shared-key-of-the-soak"

	// soakBatch is template.yaml's WorkerBatchSize; soakCallsInFlight and soakTimeout are shorter than it says. visibility is
	// longer than the time-out, so that a batch is given to nobody else while it is worked.
	soakBatch         = 20
	soakCallsInFlight = 10
	soakTimeout       = 8 * time.Second

	// soakCalls is the pace of one worker, a second: faster than two cores serve, so that it does not decide.
	soakCalls = 1000

	// Production's 30 s and 15 min, so that a storm is over in a minute.
	soakFirst = time.Second
	soakCap   = 4 * time.Second

	// hesitation is how long the dead-letter queue lets a worker wait that dies meanwhile. Longer than a batch takes
	// that does not wait for it and is acknowledged.
	hesitation = 500 * time.Millisecond

	// How often a queue does not do what it is asked, and says so.
	sendFails, deferFails, deleteFails = 0.2, 0.1, 0.05
)

// errInjected is what a queue says that does not do what it is asked.
var errInjected = errors.New("not done, as the soak wants it")

// workerSpec is what a worker process is told.
type workerSpec struct {
	Name                              string
	Endpoint, Queue, DeadLetters, API string
	Seed                              uint64
	Death                             death
	DeathAt                           int // the how many-th time
}

// runWorker is the worker process: an event source mapping over SQS with the very handler that runs in Lambda. It ends
// when its standard input does, and so never outlives who started it.
func runWorker(text string) error {
	var spec workerSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return fmt.Errorf("%s: %w", workerVariable, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	dice := diceOf(spec.Seed, 0)
	jobs := faultyQueue{queue.OpenSQS(awsConfig(), spec.Endpoint, spec.Queue), dice}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: spec.API, CallsInFlight: soakCallsInFlight, UserAgent: spec.Name})
	if err != nil {
		return err
	}
	recorder := telemetry.New(os.Stdout, slog.LevelInfo, "")
	handler, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCache(soakSecret{}, secrets.ParseLicense), Recorder: recorder, Queue: jobs,
		DeadLetters:   &deadLetterBox{faultyQueue{queue.OpenSQS(awsConfig(), spec.Endpoint, spec.DeadLetters), dice}, spec, 0},
		CallsInFlight: soakCallsInFlight, CallsPerSecond: soakCalls, Backoff: worker.Backoff{First: soakFirst, Cap: soakCap},
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := mapBatch(ctx, jobs, handler); err != nil && ctx.Err() == nil {
			recorder.Logger().WarnContext(ctx, "event source mapping", "error", err.Error())
		}
	}
	return nil
}

// mapBatch is one round of Lambda's event source mapping: receive, invoke, delete what the worker did not list.
func mapBatch(ctx context.Context, jobs faultyQueue, handler *worker.Handler) error {
	first, err := jobs.Receive(ctx, perBatch, longPoll, visibility)
	if err != nil || len(first) == 0 {
		return err
	}
	more, err := jobs.Receive(ctx, soakBatch-perBatch, 0, visibility)
	if err != nil {
		more = nil // they come again
	}
	event, receipts, ids := events.SQSEvent{}, map[string]string{}, []string{}
	for _, m := range append(first, more...) {
		event.Records = append(event.Records, record(m))
		receipts[m.ID] = m.Receipt
		ids = append(ids, m.ID)
	}

	invocation, cancel := context.WithTimeout(context.WithoutCancel(ctx), soakTimeout)
	defer cancel()
	response, err := handler.Handle(invocation, event)
	if err != nil {
		return err
	}
	answer, err := json.Marshal(response)
	if err != nil {
		return err
	}
	done, err := settled(answer, ids)
	if err != nil {
		return fmt.Errorf("answer %s: %w", answer, err)
	}
	finished := make([]string, len(done))
	for i, id := range done {
		finished[i] = receipts[id]
	}
	for _, f := range jobs.Delete(invocation, finished) {
		return fmt.Errorf("delete: %w", f.Err) // what was not deleted comes again
	}
	return nil
}

// soakSecret is the secret store.
type soakSecret struct{}

func (soakSecret) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: fmt.Sprintf(`{"api_key":%q,"shared_key":%q}`, apiKey, soakShared), Version: "1"}, nil
}

// faultyQueue is a queue that now and then does not do what it is asked, and says so. It is for one goroutine.
type faultyQueue struct {
	*queue.SQS
	dice *rand.Rand
}

// Send leaves out some entries of some calls.
func (q faultyQueue) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if q.dice.Float64() >= sendFails {
		return q.SQS.Send(ctx, entries)
	}
	var failed []queue.Failure
	for i, entry := range entries {
		if q.dice.IntN(2) == 0 || len(q.SQS.Send(ctx, []queue.Entry{entry})) > 0 {
			failed = append(failed, queue.Failure{Index: i, Err: errInjected})
		}
	}
	return failed
}

// Defer leaves out whole calls.
func (q faultyQueue) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	if q.dice.Float64() >= deferFails {
		return q.SQS.Defer(ctx, deferrals)
	}
	return allFailed(len(deferrals))
}

// Delete leaves out whole calls.
func (q faultyQueue) Delete(ctx context.Context, receipts []string) []queue.Failure {
	if q.dice.Float64() >= deleteFails {
		return q.SQS.Delete(ctx, receipts)
	}
	return allFailed(len(receipts))
}

func allFailed(n int) []queue.Failure {
	failed := make([]queue.Failure, n)
	for i := range failed {
		failed[i] = queue.Failure{Index: i, Err: errInjected}
	}
	return failed
}

// deadLetterBox is the dead-letter queue of a worker that may die at it, at the worst moments that there are.
type deadLetterBox struct {
	faultyQueue
	spec  workerSpec
	sends int
}

// Send implements worker.DeadLetters.
func (b *deadLetterBox) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	b.sends++
	if b.sends == b.spec.DeathAt {
		switch b.spec.Death {
		case deathBeforeTaken:
			<-time.After(hesitation) // nothing waits for it but the fault itself
			dieNow()
		case deathOnceTaken:
			_ = b.SQS.Send(ctx, entries)
			dieNow()
		}
	}
	return b.faultyQueue.Send(ctx, entries)
}

// dieNow is kill -9 by its own hand.
func dieNow() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
