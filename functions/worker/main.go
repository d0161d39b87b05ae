// Command worker is the Lambda function behind the queue: it calls the License API, at its share of the stack's rate.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	"license-deactivator/internal/config"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/managementapi"
)

const warmUpTime, timeout = 2 * time.Second, 60 * time.Second // of the 10 s that Lambda gives to init; of an invocation: the template's

func main() {
	cfg, badConfig := config.ReadWorker(os.Getenv)
	recorder := telemetry.New(os.Stdout, cfg.LogLevel, cfg.FunctionName)
	recorder.SetDefault() // for log.Fatal, here and in aws-lambda-go
	api, badAPI := licenseapi.New(licenseapi.Config{BaseURL: cfg.LicenseAPIURL, CallsInFlight: cfg.CallsInFlight, Logger: recorder.Logger()})
	if err := errors.Join(badConfig, badAPI); err != nil {
		log.Fatal(err)
	}
	jobs := queue.OpenSQS(cfg.Config, cfg.SQSEndpoint, cfg.QueueURL)
	stored := secrets.OpenSecretsManager(cfg.Config, cfg.SecretsManagerEndpoint, cfg.LicenseAPISecretARN)
	held, keys := secrets.NewCacheWithPrevious(stored, stored.Previous(), secrets.ParseLicense), secrets.NewCacheWithPrevious(stored, stored.Previous(), secrets.ParseManagement)
	stack := worker.Stack{CallsPerSecond: cfg.CallsPerSecond, Instances: cfg.WorkerInstances, PlanCallsPerMinute: cfg.PlanCallsPerMinute,
		LiveShare: cfg.LiveShare, SurgeLimit: cfg.SurgeLimit, LookUp: cfg.LookUp, ManagementCallsPerMinute: cfg.ManagementCallsPerMinute}
	handler, err := worker.New(worker.Config{
		API: api, Secrets: held, Queue: jobs, DeadLetters: queue.OpenSQS(cfg.Config, cfg.SQSEndpoint, cfg.DeadLetterQueueURL),
		Recorder: recorder, CallsInFlight: cfg.CallsInFlight, CallsPerSecond: stack.PerInstance(), Limits: stack.Limits(),
		SurgeLimit: stack.SurgePart(), Watch: cfg.Watch, Backoff: worker.ProductionBackoff(),
		LookUp: stack.LookUpPart(managementapi.Config{BaseURL: cfg.ManagementAPIURL}, keys, timeout),
	})
	if err := errors.Join(stack.Check(timeout), err); err != nil {
		log.Fatal(err)
	}

	// Warm up while Lambda does not throttle: the first batch then starts in 2 ms, not 95. It repeats what fails here.
	ctx, cancel := context.WithTimeout(context.Background(), warmUpTime)
	var warm errgroup.Group
	warm.Go(func() error { return api.Warm(ctx) })
	warm.Go(func() error { return jobs.Warm(ctx) })
	warm.Go(func() error { _, err := held.Get(ctx); return err })
	if err := warm.Wait(); err != nil {
		recorder.Logger().WarnContext(ctx, "warm-up failed", "error", err)
	}
	cancel()
	lambda.Start(handler.Handle)
}
