// Package local is the whole system in one process, without AWS: the handlers that run in Lambda, behind the emulated
// API Gateway and event source mapping of lambdaemu, over a queue in memory. The License API and the Management API are
// addresses: those of the fake of NewFakeAPI, or real ones. `licensectl local` runs this package.
//
// Only its times differ from production: the first retry waits one second instead of thirty, and every later one is
// shorter in proportion, so that a person can watch.
package local

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"license-deactivator/internal/history"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// Back-off: production's 30 seconds and 15 minutes, divided by thirty.
const (
	defaultFirstRetry = time.Second
	lastRetryFactor   = 30 // the longest retry, as a multiple of the first
)

// batchPerCall is how many messages a batch holds for each call in flight. A slow call then delays only the messages
// after it, not the batch.
const batchPerCall = 4

// Config is the configuration of a Stack. A field is required unless its comment says otherwise.
type Config struct {
	Sources        *source.Sources
	LicenseSecret  secrets.Reader // in the form that Secrets Manager holds
	WebhookSecrets secrets.Reader // likewise
	LicenseAPI     string         // address of the License API, with /api/v4
	TokenURL       string         // where an OAuth client gets its tokens, overriding its secret; "": the secret decides
	CallsPerSecond float64

	// ManagementAPI is the address of the Management API, with /api/v1; "": no look-up. Its key is in LicenseSecret, or it is
	// ManagementAPIKey where the secret has none. ManagementCallsPerMinute is its rate, and required.
	ManagementAPI            string
	ManagementAPIKey         string
	ManagementCallsPerMinute float64

	CallsInFlight int           // calls at the same time
	SurgeLimit    int           // licenses of a source and hour, for events; 0: no brake
	Watch         bool          // decide, and act on nothing
	FirstRetry    time.Duration // back-off after the first failed attempt; 0: one second
	// AcceptTestEvents treats events of the senders' test modes as real ones.
	AcceptTestEvents bool
	// MaxEventAge is the age above which the requests of an event go to the dead-letter queue; 0: no limit.
	MaxEventAge time.Duration

	// Certificates are those of senders that sign with one (PayPal): SampleCertificates for the samples.
	Certificates webhook.Certificates

	// History has the lines of Recorder (NewRecorder): GET /history answers from it. Optional.
	History *history.Memory

	Recorder   *telemetry.Recorder      // log lines and metrics
	OnOutcome  func(telemetry.Message)  // optional; called after each receive of a message
	OnDelivery func(telemetry.Delivery) // optional; called after each event and each direct invocation
	OnRefused  func(error)              // optional; called for a payload that the webhook function refuses as a whole
}

// Stack is the system: an http.Handler for the senders, and Run for the worker. Make it with New.
type Stack struct {
	Queue       *queue.Memory
	DeadLetters *queue.Memory

	history   *history.Memory // nil: nothing answers GET /history
	gateway   lambdaemu.APIGateway
	functions lambdaemu.FunctionsAPI
	queues    lambdaemu.SQSAPI
	source    lambdaemu.EventSource
}

// Names of the worker function in Lambda's protocol, and of the queues in SQS's.
const (
	WorkerName = "worker"

	QueueName      = "jobs"
	DeadLetterName = "dead-letters"
)

// New wires the handlers as the two mains do.
func New(c Config) (*Stack, error) {
	s := &Stack{history: c.History, DeadLetters: queue.NewMemory(queue.MemoryConfig{Visibility: lambdaemu.VisibilityTimeout})}
	s.Queue = queue.NewMemory(queue.MemoryConfig{
		Visibility: lambdaemu.VisibilityTimeout, MaxReceiveCount: lambdaemu.MaxReceiveCount, DeadLetter: s.DeadLetters,
	})
	receiver, err := webhook.New(webhook.Config{
		Sources: c.Sources, Secrets: secrets.NewCache(c.WebhookSecrets, c.parseWebhooks),
		Queue: s.Queue, DeadLetters: s.DeadLetters, Recorder: c.Recorder, OnDelivery: c.OnDelivery, Certificates: c.Certificates,
		PublicURL: "http://", AcceptTestEvents: c.AcceptTestEvents, MaxEventAge: c.MaxEventAge, LookUp: c.ManagementAPI != "",
	})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	api, err := licenseapi.New(licenseapi.Config{BaseURL: c.LicenseAPI, CallsInFlight: c.CallsInFlight})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	first := cmp.Or(c.FirstRetry, defaultFirstRetry)
	sender, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCache(c.LicenseSecret, c.parseLicense),
		Queue: s.Queue, DeadLetters: s.DeadLetters, Recorder: c.Recorder, OnOutcome: c.OnOutcome,
		CallsInFlight: c.CallsInFlight, CallsPerSecond: c.CallsPerSecond, SurgeLimit: c.SurgeLimit, Watch: c.Watch,
		LookUp:  c.lookUp(),
		Backoff: worker.Backoff{First: first, Cap: lastRetryFactor * first},
	})
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	s.gateway = lambdaemu.APIGateway{Function: c.observed(receiver.Invoke), MaxBodyBytes: webhook.MaxBodyBytes + 1}
	s.functions = lambdaemu.FunctionsAPI{Variables: map[string]map[string]string{WorkerName: c.workerVariables()}}
	s.queues = lambdaemu.SQSAPI{Queues: map[string]*queue.Memory{QueueName: s.Queue, DeadLetterName: s.DeadLetters}}
	s.source = lambdaemu.EventSource{
		Queue: s.Queue, Function: sender.Handle, BatchSize: batchPerCall * c.CallsInFlight, Concurrency: 1,
		OnError: func(err error) { c.Recorder.Logger().Error("event source mapping", "error", err.Error()) },
	}
	return s, nil
}

// workerVariables are the variables of the worker that a command beside it needs.
func (c Config) workerVariables() map[string]string {
	mode, lookUp := "act", "off"
	if c.Watch {
		mode = "watch"
	}
	if c.ManagementAPI != "" {
		lookUp = "on"
	}
	return map[string]string{"LICENSE_API_URL": c.LicenseAPI, "MANAGEMENT_API_URL": c.ManagementAPI, "LOOK_UP": lookUp, "MODE": mode}
}

// observed reports the errors of the webhook function: Lambda returns them to the caller, and no other code logs them.
func (c Config) observed(function lambdaemu.Function) lambdaemu.Function {
	if c.OnRefused == nil {
		return function
	}
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		answer, err := function(ctx, payload)
		if err != nil {
			c.OnRefused(err)
		}
		return answer, err
	}
}

// parseWebhooks reads the senders' secrets as the handler may hold them.
func (c Config) parseWebhooks(text string) (secrets.Webhooks, error) {
	stored, err := secrets.ParseWebhooks(text)
	if err != nil {
		return stored, err
	}
	return Verifying(c.Sources, stored), nil
}

// parseLicense reads the License API's secret. With TokenURL set, an OAuth client's secret is sent only
// there: with the fake API it must not reach the vendor.
func (c Config) parseLicense(text string) (secrets.License, error) {
	l, err := secrets.ParseLicense(text)
	if err == nil && c.TokenURL != "" {
		l.TokenURL = c.TokenURL
	}
	return l, err
}

// ServeHTTP serves deliveries at /webhooks/{source}, direct invocations at Lambda's own path, the worker's variables, both
// queues by SQS's protocol, questions at GET /history, and the log lines that licensectl writes.
func (s *Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.history != nil && r.URL.Path == HistoryPath {
		s.serveHistory(w, r)
		return
	}
	if s.history != nil && servesLogs(r) {
		s.serveLogs(w, r)
		return
	}
	if s.functions.Serves(r) {
		s.functions.ServeHTTP(w, r)
		return
	}
	if s.queues.Serves(r) {
		s.queues.ServeHTTP(w, r)
		return
	}
	s.gateway.ServeHTTP(w, r)
}

// Invoke is a direct invocation of the webhook function, in this process.
func (s *Stack) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return s.gateway.Function(ctx, payload)
}

// Run works on the queue until ctx ends, and finishes the running batch first.
func (s *Stack) Run(ctx context.Context) { s.source.Run(ctx) }
