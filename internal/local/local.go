// Package local is the whole system in one process, without AWS: the front door over net/http, SQS's rules in memory,
// Lambda's event source mapping, and the very handlers that run in Lambda. The License API that it calls is an
// address. `licensectl local` stands on it.
//
// It differs from production in its clock alone: the first retry waits a second and not thirty, and so does every
// later one in proportion, so that a person can watch.
package local

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// Back-off: production's thirty seconds and fifteen minutes, thirty times faster.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// batchPerLane is how many messages a batch holds for each lane, so that a slow call holds up its own lane alone.
const batchPerLane = 4

// Config says what a Stack is made of. All fields but TokenURL, OnOutcome and OnDelivery are required.
type Config struct {
	Sources        *webhook.Sources
	LicenseSecret  secrets.Reader // the two secrets, in the forms that Secrets Manager holds
	WebhookSecrets secrets.Reader
	LicenseAPI     string // address of the License API, with /api/v4
	TokenURL       string // where an OAuth client gets its tokens, whatever its secret says; "": as the secret says
	CallsPerSecond float64
	Lanes          int
	Recorder       *telemetry.Recorder
	OnOutcome      func(telemetry.Message)  // a message was worked once
	OnDelivery     func(telemetry.Delivery) // an event was answered
}

// Stack is the system: an http.Handler for the senders, and Run for the worker. Make it with New.
type Stack struct {
	Queue       *queue.Memory
	DeadLetters *queue.Memory

	door   frontDoor
	source eventSource
}

// New wires the rooms as the two mains do.
func New(c Config) (*Stack, error) {
	s := &Stack{DeadLetters: queue.NewMemory(queue.MemoryConfig{Visibility: visibilityTimeout})}
	s.Queue = queue.NewMemory(queue.MemoryConfig{
		Visibility: visibilityTimeout, MaxReceiveCount: maxReceiveCount, DeadLetter: s.DeadLetters,
	})
	front, err := webhook.New(webhook.Config{
		Sources: c.Sources, Secrets: secrets.NewCache(c.WebhookSecrets, secrets.ParseWebhooks),
		Queue: s.Queue, DeadLetters: s.DeadLetters, Recorder: c.Recorder, OnDelivery: c.OnDelivery,
		PublicURL: "http://",
	})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: c.LicenseAPI, CallsInFlight: c.Lanes})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	back, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCache(c.LicenseSecret, c.parseLicense),
		Queue: s.Queue, DeadLetters: s.DeadLetters, Recorder: c.Recorder, OnOutcome: c.OnOutcome,
		CallsInFlight: c.Lanes, CallsPerSecond: c.CallsPerSecond,
		Backoff: worker.Backoff{First: firstRetry, Cap: lastRetry},
	})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	s.door = frontDoor{front}
	s.source = eventSource{
		queue: s.Queue, handle: back.Handle, batchSize: batchPerLane * c.Lanes, concurrency: 1,
		onFault: func(err error) { c.Recorder.Logger().Error("event source mapping", "error", err.Error()) },
	}
	return s, nil
}

// parseLicense reads the License API's secret. A client secret must not go to the vendor when the API is a fake.
func (c Config) parseLicense(text string) (secrets.License, error) {
	l, err := secrets.ParseLicense(text)
	if err == nil && c.TokenURL != "" {
		l.TokenURL = c.TokenURL
	}
	return l, err
}

// ServeHTTP takes deliveries at /webhooks/{source} and direct invocations at Lambda's own address.
func (s *Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.door.ServeHTTP(w, r) }

// Run works the queue until ctx ends, and finishes the batch that is under way.
func (s *Stack) Run(ctx context.Context) { s.source.run(ctx) }
