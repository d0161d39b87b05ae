// Package config reads the environment of the two functions, once, in main:
//
//	cfg, err := config.ReadWebhook(os.Getenv)
//
// Every problem is reported at once, one a line, as "NAME: what is wrong; what to set", and no value is quoted: a
// variable may hold a secret that should not be there. An empty variable is as good as none. The names are those of
// template.yaml; each function's list is exported, so that a test holds the two equal.
package config

import (
	"fmt"
	"strings"
)

// The functions' own variables.
const (
	queueURL            = "QUEUE_URL"
	deadLetterQueueURL  = "DEAD_LETTER_QUEUE_URL"
	webhookSecretsARN   = "WEBHOOK_SECRETS_ARN"
	publicURL           = "PUBLIC_URL"
	testEvents          = "TEST_EVENTS"
	licenseAPIURL       = "LICENSE_API_URL"
	licenseAPISecretARN = "LICENSE_API_SECRET_ARN" //nolint:gosec // a name, no credential
	callsPerSecond      = "CALLS_PER_SECOND"
	workerInstances     = "WORKER_INSTANCES"
	workerCallsInFlight = "CALLS_IN_FLIGHT"
	planCallsPerMinute  = "PLAN_CALLS_PER_MINUTE"
	liveShare           = "LIVE_SHARE"
)

// WebhookVariables lists the webhook function's own variables.
func WebhookVariables() []string {
	return []string{queueURL, deadLetterQueueURL, webhookSecretsARN, publicURL, testEvents}
}

// WorkerVariables lists the worker function's own variables.
func WorkerVariables() []string {
	return []string{
		queueURL, deadLetterQueueURL, licenseAPIURL, licenseAPISecretARN,
		callsPerSecond, workerInstances, workerCallsInFlight, planCallsPerMinute, liveShare,
	}
}

const (
	// defaultCallsPerSecond is half of what the License API allows one address (200 requests in 10 s), since live
	// license checks need their part. https://docs.licensespring.com/license-api/rate-limiting
	defaultCallsPerSecond = 10

	// maxCallsPerSecond is twenty times what the License API allows one key: more is a slip of the finger.
	maxCallsPerSecond = 1000

	// slowestShare is the fewest calls per second of one instance: one in 50 s. An instance has 60 s, its bucket
	// begins empty, and its last seconds are for the call itself; below it no call would ever be made, while the
	// messages use up their receives.
	slowestShare = 0.02

	defaultInstances = 1
	maxInstances     = 1000 // Lambda's largest MaximumConcurrency

	defaultCallsInFlight = 10
	maxCallsInFlight     = 100 // each is a connection, and memory

	maxPlanCallsPerMinute = 9_999_999 // as template.yaml has it; the vendor's largest public plan is 18,000
	defaultLiveShare      = 0.5
)

// Webhook is the webhook function's configuration.
type Webhook struct {
	QueueURL           string
	DeadLetterQueueURL string
	WebhookSecretsARN  string
	PublicURL          string // what senders call, before "/webhooks/", without a slash at its end; "" where it is not said
	AcceptTestEvents   bool
	AWS
}

// Worker is the worker function's configuration.
type Worker struct {
	QueueURL            string
	DeadLetterQueueURL  string
	LicenseAPIURL       string // with "/api/v4"
	LicenseAPISecretARN string
	CallsPerSecond      float64 // of the whole stack; each instance takes its share of WorkerInstances
	WorkerInstances     int
	CallsInFlight       int     // calls at the same time
	PlanCallsPerMinute  int     // the vendor's plan; 0 where it is not known
	LiveShare           float64 // the part of the plan kept free for live checks, 0 to below 1
	AWS
}

// ReadWebhook reads the webhook function's configuration with getenv (os.Getenv). The error joins every problem, in
// the order of WebhookVariables, then of LambdaVariables; the result beside an error is not to be used.
func ReadWebhook(getenv func(name string) string) (Webhook, error) {
	e := &environment{getenv: getenv}
	var w Webhook
	w.QueueURL, w.DeadLetterQueueURL = e.queues()
	w.WebhookSecretsARN = e.required(webhookSecretsARN, secretARN, setSecretARN)
	w.PublicURL = strings.TrimRight(e.optional(publicURL, address, setPublicURL), "/")
	w.AcceptTestEvents = e.choice(testEvents, "ignore", "accept") == "accept"
	w.AWS = readAWS(e)
	return w, e.err()
}

// ReadWorker reads the worker function's configuration with getenv (os.Getenv). The error joins every problem, in
// the order of WorkerVariables, then of LambdaVariables; the result beside an error is not to be used.
func ReadWorker(getenv func(name string) string) (Worker, error) {
	e := &environment{getenv: getenv}
	var w Worker
	w.QueueURL, w.DeadLetterQueueURL = e.queues()
	w.LicenseAPIURL = e.required(licenseAPIURL, licenseAPI, setLicenseAPIURL)
	w.LicenseAPISecretARN = e.required(licenseAPISecretARN, secretARN, setSecretARN)
	w.CallsPerSecond, w.WorkerInstances = e.pace()
	w.CallsInFlight = e.whole(workerCallsInFlight, defaultCallsInFlight, maxCallsInFlight)
	w.PlanCallsPerMinute = e.whole(planCallsPerMinute, 0, maxPlanCallsPerMinute)
	w.LiveShare = e.number(liveShare, defaultLiveShare, func(x float64) bool { return x >= 0 && x < 1 }, "set 0 to below 1")
	w.AWS = readAWS(e)
	return w, e.err()
}

// queues catches one queue in both variables: the worker's dead letters would come back to it.
func (e *environment) queues() (queue, deadLetters string) {
	queue = e.required(queueURL, address, setQueueURL)
	deadLetters = e.required(deadLetterQueueURL, address, setDeadLetterQueueURL)
	if queue != "" && queue == deadLetters {
		e.problem(deadLetterQueueURL, "is the same as "+queueURL, setDeadLetterQueueURL)
	}
	return queue, deadLetters
}

// pace catches a share with which no instance would ever call.
func (e *environment) pace() (calls float64, instances int) {
	calls = e.number(callsPerSecond, defaultCallsPerSecond, func(x float64) bool { return x > 0 && x <= maxCallsPerSecond },
		fmt.Sprintf("set above 0 to %d", maxCallsPerSecond))
	instances = e.whole(workerInstances, defaultInstances, maxInstances)
	if calls/float64(instances) < slowestShare {
		e.problem(callsPerSecond, "is too little for WORKER_INSTANCES: each would wait more than 50 s for its first call",
			"set more calls per second or fewer instances")
	}
	return calls, instances
}
