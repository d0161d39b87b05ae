//go:build integration

package integration

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// everyOutcome runs the built functions through every kind of answer to a delivery, and every kind of outcome of a message. It
// returns what each function wrote to its log group.
func everyOutcome(t *testing.T, bootstraps map[string]string) map[string]string {
	t.Helper()
	endpoint := motoURL(t)
	url, deadURL := createQueues(t, endpoint, maxReceiveCount)
	queues := map[string]string{"QUEUE_URL": url, "DEAD_LETTER_QUEUE_URL": deadURL}
	key, shared := rand.Text(), rand.Text()
	run := func(name string, variables map[string]string) *function {
		return startFunction(t, name, bootstraps[map[string]string{"webhook": "WebhookFunction", "worker": "WorkerFunction"}[name]],
			with(queues, variables), key, shared, refundedKey)
	}
	output := map[string]string{}
	end := func(name string, f *function) {
		f.stop()
		output["/aws/lambda/shop-"+name] += f.output.String()
	}

	// The webhook: what is accepted, ignored, unmappable, reversed, refused; then stale; then a configuration fault.
	secret := createSecret(t, map[string][]string{"shopify": {key}})
	first := run("webhook", map[string]string{"WEBHOOK_SECRETS_ARN": secret, "AWS_LAMBDA_FUNCTION_TIMEOUT": "10", "MAX_EVENT_AGE": "0"})
	d := &deployment{webhook: first}
	for _, name := range []string{"full-refund", "cancelled-but-paid", "no-license-data", "chargeback-won"} {
		d.deliver(t, shopify(t, name, key), 200)
	}
	d.deliver(t, shopify(t, "full-refund", "forged "+key), 401)
	end("webhook", first)
	old := run("webhook", map[string]string{"WEBHOOK_SECRETS_ARN": secret, "AWS_LAMBDA_FUNCTION_TIMEOUT": "10", "MAX_EVENT_AGE": "1h"})
	(&deployment{webhook: old}).deliver(t, shopify(t, "full-refund", key), 200)
	end("webhook", old)
	client := secretsmanager.NewFromConfig(awsConfig(), func(o *secretsmanager.Options) { o.BaseEndpoint = &endpoint })
	empty, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("test-" + rand.Text())})
	if err != nil {
		t.Fatal(err)
	}
	faulty := run("webhook", map[string]string{"WEBHOOK_SECRETS_ARN": aws.ToString(empty.ARN), "AWS_LAMBDA_FUNCTION_TIMEOUT": "10", "MAX_EVENT_AGE": "0"})
	(&deployment{webhook: faulty}).deliver(t, shopify(t, "full-refund", key), 503)
	end("webhook", faulty)

	// The worker: deactivated, already inactive, rejected, deferred, rate limited, held; then a configuration fault.
	var licenses []licenseapitest.License
	for i := range 4 {
		licenses = append(licenses, licenseapitest.License{Product: "XY", LicenseKey: licenseKey(i), Devices: []string{"hw1"}})
	}
	const order = "pi_3NxLookedUp"
	licenses = append(licenses, licenseapitest.License{Product: "XY", LicenseKey: licenseKey(4), Devices: []string{"hw1"}, Order: order})
	management := rand.Text()
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{apiKey: shared}, ManagementAPIKeys: []string{management}, Licenses: licenses,
	})
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	worker := map[string]string{
		"LICENSE_API_URL": address, "AWS_LAMBDA_FUNCTION_TIMEOUT": "60", "CALLS_PER_SECOND": "50", "SURGE_LIMIT": "3",
		"LICENSE_API_SECRET_ARN": createSecret(t, map[string]string{"api_key": apiKey, "shared_key": shared}),
	}
	acting := run("worker", worker)
	for i, step := range []struct {
		license string
		status  int // of the API; 0: it is well
	}{{licenseKey(0), 0}, {licenseKey(0), 0}, {"ZZZZ-0000", 0}, {licenseKey(1), 503}, {licenseKey(1), 429}, {licenseKey(2), 0}} {
		api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { return licenseapitest.Fault{Status: step.status} })
		receive(t, acting, i, step.license)
	}
	end("worker", acting)
	worker["LICENSE_API_SECRET_ARN"] = createSecret(t, map[string]string{"api_key": apiKey, "shared_key": "wrong-" + rand.Text()})
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { return licenseapitest.Fault{} })
	wrong := run("worker", worker)
	receive(t, wrong, 99, licenseKey(3))
	end("worker", wrong)

	// With look-up: an order that is found, one without a license yet, and one while the Management API takes no more calls.
	looking := run("worker", with(worker, map[string]string{
		"LOOK_UP": "on", "MANAGEMENT_API_URL": licenseapitest.ManagementURL(address), "MANAGEMENT_CALLS_PER_MINUTE": "1200",
		"LICENSE_API_SECRET_ARN": createSecret(t, map[string]string{"api_key": apiKey, "shared_key": shared, "management_api_key": management}),
	}))
	lookUpOrder(t, looking, 200, order)
	lookUpOrder(t, looking, 201, "pi_3NxEarly")
	api.OnManagementCall(func(licenseapitest.ManagementCall) licenseapitest.Fault {
		return licenseapitest.Fault{Status: http.StatusTooManyRequests}
	})
	lookUpOrder(t, looking, 202, "pi_3NxLater")
	end("worker", looking)
	return output
}

// lookUpOrder gives the worker a batch of one message, two hours old, for the licenses of that order.
func lookUpOrder(t *testing.T, worker *function, n int, order string) {
	t.Helper()
	deliverTo(t, worker, n, deactivation.Request{
		Order: []string{order}, ReceivedAt: time.Now().Add(-2 * time.Hour), Lookup: deactivation.Lookup{Order: []deactivation.Candidate{{ID: order}}},
	})
}

// receive gives the worker a batch of one message for that license.
func receive(t *testing.T, worker *function, n int, license string) {
	t.Helper()
	deliverTo(t, worker, n, deactivation.Request{
		Order: []string{"1001"}, ReceivedAt: time.Now(), License: deactivation.License{Product: "XY", LicenseKey: license, HardwareID: "hw1"},
	})
}

// deliverTo gives the worker a batch of one message, which was sent when the request was received.
func deliverTo(t *testing.T, worker *function, n int, request deactivation.Request) {
	t.Helper()
	request.ID, request.Source, request.Cause = fmt.Sprintf("shopify.%d.0", n), "shopify", deactivation.CauseRefund
	request.Rule, request.Event = "refunded in full", fmt.Sprint(n)
	body, err := request.Wire()
	if err != nil {
		t.Fatal(err)
	}
	_, err = worker.invoke(t.Context(), marshal(t, events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: fmt.Sprint("message-", n), Body: body, EventSource: "aws:sqs", Attributes: map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(request.ReceivedAt.UnixMilli()),
		},
	}}}))
	if err != nil {
		t.Fatalf("worker: %v", err)
	}
}
