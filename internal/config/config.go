// Package config reads the environment of the two functions, once, in main:
//
//	cfg, err := config.ReadWebhook(os.Getenv)
//
// All problems are reported at once, one per line, as "NAME: what is wrong; what to set". No value is quoted: a variable
// may hold a secret by mistake. An empty variable counts as absent. The names equal those in template.yaml: each
// function's list is exported, and a test compares the two.
package config

import (
	"fmt"
	"strings"
	"time"
)

// Variables of the functions.
const (
	queueURL            = "QUEUE_URL"
	deadLetterQueueURL  = "DEAD_LETTER_QUEUE_URL"
	webhookSecretsARN   = "WEBHOOK_SECRETS_ARN"
	publicURL           = "PUBLIC_URL"
	testEvents          = "TEST_EVENTS"
	maxEventAge         = "MAX_EVENT_AGE"
	licenseAPIURL       = "LICENSE_API_URL"
	licenseAPISecretARN = "LICENSE_API_SECRET_ARN" //nolint:gosec // a name, no credential
	callsPerSecond      = "CALLS_PER_SECOND"
	workerInstances     = "WORKER_INSTANCES"
	callsInFlight       = "CALLS_IN_FLIGHT"
	planCallsPerMinute  = "PLAN_CALLS_PER_MINUTE"
	liveShare           = "LIVE_SHARE"
	surgeLimit          = "SURGE_LIMIT"
	mode                = "MODE"
	lookUp              = "LOOK_UP"
	managementAPIURL    = "MANAGEMENT_API_URL"
	managementCalls     = "MANAGEMENT_CALLS_PER_MINUTE"
)

// WebhookVariables lists the variables of the webhook function alone, without LambdaVariables.
func WebhookVariables() []string {
	return []string{queueURL, deadLetterQueueURL, webhookSecretsARN, publicURL, testEvents, lookUp, maxEventAge}
}

// WorkerVariables lists the variables of the worker function alone, without LambdaVariables.
func WorkerVariables() []string {
	return []string{
		queueURL, deadLetterQueueURL, licenseAPIURL, licenseAPISecretARN,
		callsPerSecond, workerInstances, callsInFlight, planCallsPerMinute, liveShare,
		surgeLimit, mode, lookUp, managementAPIURL, managementCalls,
	}
}

const (
	// defaultCallsPerSecond is half of the rate that the License API allows one address (200 requests in 10 s): live
	// license checks need the other half. https://docs.licensespring.com/license-api/rate-limiting
	defaultCallsPerSecond = 10

	// maxCallsPerSecond is twenty times the rate that the License API allows one key: a higher value is a typing error.
	maxCallsPerSecond = 1000

	// minCallsPerSecond is the lowest rate of one instance: one call in 50 s. An invocation has 60 s, the token bucket
	// starts empty, and the last seconds are for the call itself. Below this rate no call would ever be made, while
	// the messages use up their receives.
	minCallsPerSecond = 0.02

	defaultInstances = 1
	maxInstances     = 1000 // Lambda's largest MaximumConcurrency

	defaultCallsInFlight = 10
	maxCallsInFlight     = 100 // each takes a connection and memory

	maxPlanCallsPerMinute = 999_999 // as in template.yaml; the vendor's largest public plan has 18,000
	defaultLiveShare      = 0.5

	// defaultSurgeLimit is more than a shop with a thousand refunds a day has in an hour, and few enough to be looked at and
	// given back by hand.
	defaultSurgeLimit = 50
	maxSurgeLimit     = 100_000 // more is no brake: set 0

	defaultManagementAPIURL = "https://saas.licensespring.com/api/v1"

	// defaultManagementCalls is less than a third of the smallest plan's 600: LicenseSpring's store integrations and the
	// vendor's own tools need the others. https://docs.licensespring.com/license-api/rate-limiting
	defaultManagementCalls = 180

	// maxManagementCalls is ten times the largest plan: a higher value is a typing error.
	maxManagementCalls = 24_000

	// defaultMaxEventAge is 14 days: the sender that retries longest does so for 12.
	defaultMaxEventAge = 14 * 24 * time.Hour

	// minMaxEventAge: with less, the first retries of a delivery would find its event too old.
	minMaxEventAge = time.Hour
)

// Webhook is the webhook function's configuration.
type Webhook struct {
	QueueURL           string
	DeadLetterQueueURL string
	WebhookSecretsARN  string
	PublicURL          string // the URL that senders call, up to "/webhooks/", without a slash at its end; "" when unset
	AcceptTestEvents   bool
	LookUp             bool          // an event without license data is sent on, and the worker looks its licenses up
	MaxEventAge        time.Duration // an event that was older when it was received is not acted on; 0: no limit
	AWS
}

// Worker is the worker function's configuration.
type Worker struct {
	QueueURL            string
	DeadLetterQueueURL  string
	LicenseAPIURL       string // with "/api/v4"
	LicenseAPISecretARN string
	CallsPerSecond      float64 // of the whole stack; each of WorkerInstances has an equal share
	WorkerInstances     int
	CallsInFlight       int     // calls at the same time
	PlanCallsPerMinute  int     // the vendor's plan; 0 when unknown
	LiveShare           float64 // the part of the plan that is kept free for live checks, 0 to below 1
	SurgeLimit          int     // licenses per source and hour for the whole stack; 0: no brake
	Watch               bool    // decide, and act on nothing

	LookUp                   bool   // find licenses and devices with the Management API, whose key is in the same secret
	ManagementAPIURL         string // with "/api/v1"
	ManagementCallsPerMinute int    // of the whole stack; each of WorkerInstances has an equal share

	AWS
}

// ReadWebhook reads the webhook function's configuration with getenv (os.Getenv). The error joins every problem, in
// the order of WebhookVariables, then of LambdaVariables. Do not use the result when there is an error.
func ReadWebhook(getenv func(name string) string) (Webhook, error) {
	e := &environment{getenv: getenv}
	var w Webhook
	w.QueueURL, w.DeadLetterQueueURL = e.queues()
	w.WebhookSecretsARN = e.required(webhookSecretsARN, secretARN, setSecretARN)
	w.PublicURL = strings.TrimRight(e.optional(publicURL, httpURL, setPublicURL), "/")
	w.AcceptTestEvents = e.choice(testEvents, "ignore", "accept") == "accept"
	w.LookUp = e.lookUp()
	w.MaxEventAge = e.age(maxEventAge, defaultMaxEventAge, minMaxEventAge)
	w.AWS = readAWS(e)
	return w, e.err()
}

// ReadWorker reads the worker function's configuration with getenv (os.Getenv). The error joins every problem, in
// the order of WorkerVariables, then of LambdaVariables. Do not use the result when there is an error.
func ReadWorker(getenv func(name string) string) (Worker, error) {
	e := &environment{getenv: getenv}
	var w Worker
	w.QueueURL, w.DeadLetterQueueURL = e.queues()
	w.LicenseAPIURL = e.required(licenseAPIURL, apiBaseURL, setLicenseAPIURL)
	w.LicenseAPISecretARN = e.required(licenseAPISecretARN, secretARN, setSecretARN)
	w.CallsPerSecond, w.WorkerInstances = e.rate()
	w.CallsInFlight = e.integer(callsInFlight, defaultCallsInFlight, maxCallsInFlight)
	w.PlanCallsPerMinute = e.integer(planCallsPerMinute, 0, maxPlanCallsPerMinute)
	w.LiveShare = e.number(liveShare, defaultLiveShare, func(x float64) bool { return x >= 0 && x < 1 }, "set 0 to below 1")
	w.SurgeLimit = e.integerFrom(0, surgeLimit, defaultSurgeLimit, maxSurgeLimit)
	w.Watch = e.choice(mode, "act", "watch") == "watch"
	w.LookUp = e.lookUp()
	w.ManagementAPIURL = firstNonEmpty(e.optional(managementAPIURL, apiBaseURL, setManagementAPIURL), defaultManagementAPIURL)
	w.ManagementCallsPerMinute = e.integer(managementCalls, defaultManagementCalls, maxManagementCalls)
	w.AWS = readAWS(e)
	return w, e.err()
}

// queues reads both queues' URLs. They must differ: otherwise the worker would receive its own dead letters.
func (e *environment) queues() (queue, deadLetters string) {
	queue = e.required(queueURL, httpURL, setQueueURL)
	deadLetters = e.required(deadLetterQueueURL, httpURL, setDeadLetterQueueURL)
	if queue != "" && queue == deadLetters {
		e.problem(deadLetterQueueURL, "is the same as "+queueURL, setDeadLetterQueueURL)
	}
	return queue, deadLetters
}

func (e *environment) lookUp() bool { return e.choice(lookUp, "off", "on") == "on" }

// rate reads the call rate and the number of instances. The rate of one instance must not be below minCallsPerSecond.
func (e *environment) rate() (calls float64, instances int) {
	calls = e.number(callsPerSecond, defaultCallsPerSecond, func(x float64) bool { return x > 0 && x <= maxCallsPerSecond },
		fmt.Sprintf("set above 0 to %d", maxCallsPerSecond))
	instances = e.integer(workerInstances, defaultInstances, maxInstances)
	if calls/float64(instances) < minCallsPerSecond {
		e.problem(callsPerSecond, fmt.Sprintf("is too little for WORKER_INSTANCES: %v ÷ %d is one call in %.1f s for each, and more than 50 s",
			calls, instances, float64(instances)/calls),
			"set more calls per second or fewer instances")
	}
	return calls, instances
}
