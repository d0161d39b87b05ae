//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
)

// awsConfig is for servers that check neither region nor credentials.
func awsConfig() aws.Config {
	return aws.Config{
		Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

// pairsAt opens pairs of new queues on a server that implements SQS's protocol at that address, for queuetest.Run.
func pairsAt(endpoint string) func(t *testing.T) queuetest.Pair {
	return func(t *testing.T) queuetest.Pair {
		t.Helper()
		url, deadLetterURL := createQueues(t, endpoint, queuetest.MaxReceiveCount)
		return queuetest.Pair{
			Queue:       queue.OpenSQS(awsConfig(), endpoint, url),
			DeadLetters: queue.OpenSQS(awsConfig(), endpoint, deadLetterURL),
		}
	}
}

// createQueues makes two queues with names of their own on the server and returns their addresses: one, and the
// dead-letter queue of its redrive policy. They are deleted when the test ends.
func createQueues(t testing.TB, endpoint string, maxReceiveCount int) (url, deadLetterURL string) {
	t.Helper()
	client := sqs.NewFromConfig(awsConfig(), func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
	name := "test-" + rand.Text()
	deadLetterURL = createQueue(t, client, name+"-dead", nil)

	const arn = types.QueueAttributeNameQueueArn
	attributes, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &deadLetterURL, AttributeNames: []types.QueueAttributeName{arn},
	})
	if err != nil {
		t.Fatalf("GetQueueAttributes: %v", err)
	}
	policy, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": attributes.Attributes[string(arn)],
		"maxReceiveCount":     strconv.Itoa(maxReceiveCount),
	})
	if err != nil {
		t.Fatal(err)
	}
	url = createQueue(t, client, name, map[string]string{
		string(types.QueueAttributeNameRedrivePolicy): string(policy),
	})
	return url, deadLetterURL
}

func createQueue(t testing.TB, client *sqs.Client, name string, attributes map[string]string) string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatalf("CreateQueue: %v", err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // the test's context has ended by now
		if _, err := client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Errorf("DeleteQueue: %v", err)
		}
	})
	return aws.ToString(out.QueueUrl)
}
