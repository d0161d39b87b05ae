//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"license-deactivator/internal/queue"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	// apiKey and the shared key that each test makes are the credentials of the fake License API.
	apiKey = "00000000-test"

	// visibility hides a message from a second receive while the worker has it. It is short, since a receive whose
	// answer was lost hides its messages, too.
	visibility = 10 * time.Second

	// drainPatience is the longest wait until the queue is empty.
	drainPatience = time.Minute

	// maxReceiveCount is template.yaml's: in these tests SQS itself moves no message.
	maxReceiveCount = 300

	longPoll = time.Second
)

// A deployment is the stack of template.yaml from real programs: both functions as they are built, moto's queues and
// secrets, and a fake License API.
type deployment struct {
	webhook, worker *function
	api             *licenseapitest.Server
	url, deadURL    string
	sqs             *sqs.Client
}

// deploy starts everything. licenses are those of the API. sharedKey is what the worker signs with; "" is the API's
// own. webhooks is the senders' secret.
func deploy(t *testing.T, bootstraps map[string]string, licenses []licenseapitest.License, sharedKey string, webhooks map[string][]string) *deployment {
	t.Helper()
	return deployWith(t, bootstraps, licenses, sharedKey, webhooks, "off")
}

// deployWith is deploy with that value of the parameter LookUp.
func deployWith(
	t *testing.T, bootstraps map[string]string, licenses []licenseapitest.License, sharedKey string, webhooks map[string][]string, lookUp string,
) *deployment {
	t.Helper()
	known, managementKey := rand.Text(), rand.Text()
	if sharedKey == "" {
		sharedKey = known
	}
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{apiKey: known}, ManagementAPIKeys: []string{managementKey}, Licenses: licenses,
	})
	if err != nil {
		t.Fatal(err)
	}
	apiURL, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)

	endpoint := motoURL(t)
	d := &deployment{api: api, sqs: sqs.NewFromConfig(awsConfig(), func(o *sqs.Options) { o.BaseEndpoint = &endpoint })}
	d.url, d.deadURL = createQueues(t, endpoint, maxReceiveCount)
	queues := map[string]string{"QUEUE_URL": d.url, "DEAD_LETTER_QUEUE_URL": d.deadURL}

	hidden := []string{known, sharedKey, managementKey, refundedKey} // what no log may show
	for _, keys := range webhooks {
		hidden = append(hidden, keys...)
	}
	for _, license := range licenses {
		hidden = append(hidden, license.LicenseKey)
	}
	d.webhook = startFunction(t, "webhook", bootstraps["WebhookFunction"], with(queues, map[string]string{
		"WEBHOOK_SECRETS_ARN": createSecret(t, webhooks), "AWS_LAMBDA_FUNCTION_TIMEOUT": "10",
		"MAX_EVENT_AGE": "0", // samples are old
		"LOOK_UP":       lookUp,
	}), hidden...)
	d.worker = startFunction(t, "worker", bootstraps["WorkerFunction"], with(queues, map[string]string{
		"LICENSE_API_URL": apiURL, "AWS_LAMBDA_FUNCTION_TIMEOUT": "60", "CALLS_PER_SECOND": "50",
		"LICENSE_API_SECRET_ARN": createSecret(t, map[string]string{"api_key": apiKey, "shared_key": sharedKey, "management_api_key": managementKey}),
		"LOOK_UP":                lookUp, "MANAGEMENT_API_URL": licenseapitest.ManagementURL(apiURL), "MANAGEMENT_CALLS_PER_MINUTE": "1200",
	}), hidden...)
	return d
}

func with(first, second map[string]string) map[string]string {
	both := maps.Clone(first)
	maps.Copy(both, second)
	return both
}

// createSecret stores a value as JSON and returns its ARN.
func createSecret(t *testing.T, value any) string {
	t.Helper()
	endpoint := motoURL(t)
	client := secretsmanager.NewFromConfig(awsConfig(), func(o *secretsmanager.Options) { o.BaseEndpoint = &endpoint })
	out, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("test-" + rand.Text()), SecretString: aws.String(string(marshal(t, value))),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.ARN)
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// round is one round of the event source mapping: it receives a batch, gives it to the worker and deletes what the
// worker settled. It returns the number of messages. A failed receive is a round without messages.
func (d *deployment) round(t *testing.T) int {
	t.Helper()
	q := queue.OpenSQS(awsConfig(), motoURL(t), d.url)
	received, err := q.Receive(t.Context(), 10, longPoll, visibility)
	if err != nil || len(received) == 0 {
		return 0
	}
	event := events.SQSEvent{}
	receipts := map[string]string{}
	ids := []string{}
	for _, r := range received {
		event.Records = append(event.Records, record(r))
		receipts[r.ID] = r.Receipt
		ids = append(ids, r.ID)
	}
	answer, err := d.worker.invoke(t.Context(), marshal(t, event))
	if err != nil {
		t.Fatalf("worker: %v", err)
	}
	done, err := settled(answer, ids)
	if err != nil {
		t.Fatalf("worker's answer %s: %v", answer, err)
	}
	finished := []string{}
	for _, id := range done {
		finished = append(finished, receipts[id])
	}
	if failed := q.Delete(t.Context(), finished); len(failed) > 0 {
		t.Fatalf("delete: %v", failed)
	}
	return len(received)
}

// record is a message in the form in which Lambda hands it over.
func record(r queue.Received) events.SQSMessage {
	m := events.SQSMessage{
		MessageId: r.ID, ReceiptHandle: r.Receipt, Body: r.Body,
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(r.ReceiveCount),
			"SentTimestamp":           strconv.FormatInt(r.SentAt.UnixMilli(), 10),
			"MessageGroupId":          r.Group,
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSource:       "aws:sqs", EventSourceARN: "arn:aws:sqs:" + region + ":123456789012:jobs", AWSRegion: region,
	}
	for name, value := range r.Attributes {
		m.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: &value, DataType: "String"}
	}
	return m
}

// drain runs the mapping until the queue is empty.
func (d *deployment) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drainPatience)
	defer cancel()
	for {
		d.round(t)
		waiting, inFlight := d.count(t, d.url)
		if waiting+inFlight == 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("after %v %d messages wait and %d are in flight", drainPatience, waiting, inFlight)
		}
	}
}

// count returns how many messages of a queue can be received and how many are hidden.
func (d *deployment) count(t *testing.T, url string) (waiting, inFlight int) {
	t.Helper()
	out, err := d.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	number := func(name types.QueueAttributeName) int {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	return number(types.QueueAttributeNameApproximateNumberOfMessages), number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
}

// deadLetter receives the one message of the dead-letter queue.
func (d *deployment) deadLetter(t *testing.T) queue.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drainPatience)
	defer cancel()
	q := queue.OpenSQS(awsConfig(), motoURL(t), d.deadURL)
	for ctx.Err() == nil {
		if received, err := q.Receive(ctx, 10, longPoll, longPoll); err == nil && len(received) > 0 {
			if len(received) != 1 {
				t.Fatalf("%d dead letters, want one", len(received))
			}
			return received[0]
		}
	}
	t.Fatalf("no dead letter within %v", drainPatience)
	return queue.Received{}
}
