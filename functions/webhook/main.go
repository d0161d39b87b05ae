// Command webhook is the Lambda function behind POST /webhooks/{source}: it verifies a sender's delivery and enqueues
// the requests that it makes from it. It also accepts requests by direct invocation.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	"license-deactivator/internal/certificate"
	"license-deactivator/internal/config"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/sources"
)

const warmUpTime = 2 * time.Second // of the 10 s that Lambda gives to init

func main() {
	cfg, err := config.ReadWebhook(os.Getenv)
	recorder := telemetry.New(os.Stdout, cfg.LogLevel, cfg.FunctionName)
	recorder.SetDefault() // for log.Fatal, here and in aws-lambda-go
	if err != nil {
		log.Fatal(err)
	}
	jobs := queue.OpenSQS(cfg.Config, cfg.SQSEndpoint, cfg.QueueURL)
	held := secrets.NewCache(secrets.OpenSecretsManager(cfg.Config, cfg.SecretsManagerEndpoint, cfg.WebhookSecretsARN), secrets.ParseWebhooks)
	known, err := source.Open(sources.FS())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := webhook.New(webhook.Config{
		Sources: known, Secrets: held, Queue: jobs, Recorder: recorder, Certificates: certificate.New(certificate.Config{}),
		DeadLetters: queue.OpenSQS(cfg.Config, cfg.SQSEndpoint, cfg.DeadLetterQueueURL),
		PublicURL:   cfg.PublicURL, AcceptTestEvents: cfg.AcceptTestEvents, MaxEventAge: cfg.MaxEventAge, LookUp: cfg.LookUp,
	})
	if err != nil {
		log.Fatal(err)
	}

	// Open the connection, read the secret and compile the files of the senders in it while Lambda does not throttle the
	// function: the first event then takes 2 ms instead of 95. After a failure the first event tries again.
	ctx, cancel := context.WithTimeout(context.Background(), warmUpTime)
	var warm errgroup.Group
	warm.Go(func() error { return jobs.Warm(ctx) })
	warm.Go(func() error { return handler.Warm(ctx) })
	if err := warm.Wait(); err != nil {
		recorder.Logger().WarnContext(ctx, "warm-up failed", "error", err)
	}
	cancel()
	lambda.Start(handler)
}
