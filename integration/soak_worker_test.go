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
	"license-deactivator/pkg/managementapi"
)

const (
	// workerVariable holds a workerSpec as JSON. When it is set, the test binary runs as a worker process.
	workerVariable = "SOAK_WORKER"

	// soakShared is the shared key for apiKey in a soak.
	soakShared = "shared-key-of-the-soak"

	soakManagementKey = "management-key-of-the-soak"

	// soakBatch is template.yaml's WorkerBatchSize. soakCallsInFlight and soakTimeout are smaller than template.yaml's.
	// visibility is longer than the time-out, so that no other worker receives a batch while one works on it.
	soakBatch         = 20
	soakCallsInFlight = 10
	soakTimeout       = 8 * time.Second

	// soakCalls is the rate of one worker in calls per second, more than two cores can serve, so that it limits
	// nothing.
	soakCalls = 1000

	// soakLookUps is how many messages a worker looks up at the same time.
	soakLookUps = 4

	// Shorter than production's 30 s and 15 min, so that a storm ends within a minute.
	soakFirst = time.Second
	soakCap   = 4 * time.Second

	// hesitation is how long the dead-letter queue delays a worker that is to be killed meanwhile. It is longer than a
	// batch takes that does not wait for it and is acknowledged.
	hesitation = 500 * time.Millisecond

	// The chance that a queue returns an error in place of the effect.
	sendFails, deferFails, deleteFails = 0.2, 0.1, 0.05
)

// errInjected is the error of a queue that fails on purpose.
var errInjected = errors.New("injected fault")

// workerSpec is the configuration of a worker process.
type workerSpec struct {
	Name                              string
	Endpoint, Queue, DeadLetters, API string
	Management                        string // address of the Management API
	Seed                              uint64
	Death                             death
	DeathAt                           int // the number of the occurrence at which it is killed
}

// runWorker is the worker process: an event source mapping over SQS with the same handler that runs in Lambda. It ends
// when its standard input does, so it never outlives the process that started it.
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

	rng := rngOf(spec.Seed, 0)
	jobs := faultyQueue{queue.OpenSQS(awsConfig(), spec.Endpoint, spec.Queue), rng}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: spec.API, CallsInFlight: soakCallsInFlight, UserAgent: spec.Name})
	if err != nil {
		return err
	}
	recorder := telemetry.New(os.Stdout, slog.LevelInfo, "")
	handler, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCache(soakSecret{}, secrets.ParseLicense), Recorder: recorder, Queue: jobs,
		DeadLetters:   &deadLetterBox{faultyQueue{queue.OpenSQS(awsConfig(), spec.Endpoint, spec.DeadLetters), rng}, spec, 0},
		CallsInFlight: soakCallsInFlight, CallsPerSecond: soakCalls, Backoff: worker.Backoff{First: soakFirst, Cap: soakCap},
		LookUp: &worker.LookUp{
			API:  managementapi.Config{BaseURL: spec.Management, UserAgent: spec.Name},
			Keys: secrets.NewCache(soakSecret{}, secrets.ParseManagement), CallsPerSecond: soakCalls, AtOnce: soakLookUps,
		},
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
		more = nil // they are received again
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
		return fmt.Errorf("delete: %w", f.Err) // what was not deleted is received again
	}
	return nil
}

// soakSecret holds the secret of both APIs.
type soakSecret struct{}

func (soakSecret) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":%q}`, apiKey, soakShared, soakManagementKey), Version: "1"}, nil
}

// faultyQueue is a queue that now and then returns an error in place of the effect. It is for one goroutine.
type faultyQueue struct {
	*queue.SQS
	rng *rand.Rand
}

// Send leaves out some entries of some calls.
func (q faultyQueue) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if q.rng.Float64() >= sendFails {
		return q.SQS.Send(ctx, entries)
	}
	var failed []queue.Failure
	for i, entry := range entries {
		if q.rng.IntN(2) == 0 || len(q.SQS.Send(ctx, []queue.Entry{entry})) > 0 {
			failed = append(failed, queue.Failure{Index: i, Err: errInjected})
		}
	}
	return failed
}

// Defer leaves out whole calls.
func (q faultyQueue) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	if q.rng.Float64() >= deferFails {
		return q.SQS.Defer(ctx, deferrals)
	}
	return allFailed(len(deferrals))
}

// Delete leaves out whole calls.
func (q faultyQueue) Delete(ctx context.Context, receipts []string) []queue.Failure {
	if q.rng.Float64() >= deleteFails {
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

// deadLetterBox is the dead-letter queue of a worker that is to be killed in Send, before or after the queue accepted.
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
		case deathBeforeAccepted:
			<-time.After(hesitation) // only the fault needs this wait
			dieNow()
		case deathAfterAccepted:
			_ = b.SQS.Send(ctx, entries)
			dieNow()
		}
	}
	return b.faultyQueue.Send(ctx, entries)
}

// dieNow ends its own process with kill -9.
func dieNow() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
