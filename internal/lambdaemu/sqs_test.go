package lambdaemu_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/queue/queuetest"
)

// TestTheQueuesHereAreSQSForTheSDK runs the queues' own suite through AWS's SDK: the protocol loses nothing of what
// queue.Memory keeps.
func TestTheQueuesHereAreSQSForTheSDK(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Pair {
		t.Helper()
		dead := queue.NewMemory(queue.MemoryConfig{})
		api := lambdaemu.SQSAPI{Queues: map[string]*queue.Memory{
			"dead-letters": dead, "jobs": queue.NewMemory(queue.MemoryConfig{MaxReceiveCount: queuetest.MaxReceiveCount, DeadLetter: dead}),
		}}
		config := aws.Config{
			Region: "us-east-1", HTTPClient: &http.Client{Transport: queuetest.InMemory{Handler: api}},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
		}
		return queuetest.Pair{
			Queue:       queue.OpenSQS(config, queuetest.FakeEndpoint, queuetest.FakeEndpoint+"/000000000000/jobs"),
			DeadLetters: queue.OpenSQS(config, queuetest.FakeEndpoint, queuetest.FakeEndpoint+"/000000000000/dead-letters"),
		}
	}, queuetest.Server{Name: "the queues of licensectl local", Bubble: true})
}

func TestTheQueuesHereRefuseWhatTheyCannotDo(t *testing.T) {
	t.Parallel()
	api := lambdaemu.SQSAPI{Queues: map[string]*queue.Memory{"jobs": queue.NewMemory(queue.MemoryConfig{})}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		operation, body, origin string
		status                  int
		want                    string
	}{
		"no queue":            {"ReceiveMessage", `{"QueueUrl":"http://x/other"}`, "", http.StatusBadRequest, "QueueDoesNotExist"},
		"not JSON":            {"ReceiveMessage", `x`, "", http.StatusBadRequest, "InvalidParameterValue"},
		"too many":            {"ReceiveMessage", `{"QueueUrl":"http://x/jobs","MaxNumberOfMessages":11}`, "", http.StatusBadRequest, "max must be 1 to 10"},
		"unknown operation":   {"PurgeQueue", `{"QueueUrl":"http://x/jobs"}`, "", http.StatusBadRequest, "UnsupportedOperation"},
		"a page in a browser": {"ReceiveMessage", `{"QueueUrl":"http://x/jobs"}`, "http://evil.example", http.StatusForbidden, "only a program on this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", "AmazonSQS."+c.operation)
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || !strings.Contains(string(text), c.want) {
				t.Errorf("%s: %s (%v), want %d and %s", resp.Status, text, err, c.status, c.want)
			}
		})
	}
}
