//go:build integration

package integration

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// stackPatience bounds how long moto may take to make a stack.
const stackPatience = time.Minute

// stackAt makes a stack with these outputs on the server and returns its name. Its one resource is a queue.
func stackAt(t *testing.T, endpoint string, outputs map[string]string) (name string) {
	t.Helper()
	client := cloudformation.NewFromConfig(awsConfig(), func(o *cloudformation.Options) { o.BaseEndpoint = &endpoint })
	name = "test-" + rand.Text()
	values := map[string]any{}
	for key, value := range outputs {
		values[key] = map[string]string{"Value": value}
	}
	template, err := json.Marshal(map[string]any{
		"Resources": map[string]any{"Queue": map[string]any{"Type": "AWS::SQS::Queue", "Properties": map[string]string{"QueueName": name}}},
		"Outputs":   values,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: aws.String(string(template))}); err != nil {
		t.Fatalf("CreateStack: %v", err)
	}
	if err := cloudformation.NewStackCreateCompleteWaiter(client).Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name}, stackPatience); err != nil {
		t.Fatalf("the stack: %v", err)
	}
	return name
}

// TestLicensectlReadsTheOutputsOfAStack: the names of a deployed stack come from CloudFormation.
func TestLicensectlReadsTheOutputsOfAStack(t *testing.T) {
	t.Parallel()
	licensectl, endpoint := buildLicensectl(t), motoURL(t)
	file := writeFile(t, "x.req", "")
	if out, code := runLicensectl(t, licensectl, "offline", "make", "--product", "XY", "--license-key", "AAAA-BBBB", "--hardware-id", "hw1", "--out", file+"2"); code != 0 {
		t.Fatal(out)
	}
	stack := stackAt(t, endpoint, map[string]string{"WebhookFunctionName": "shop-webhook", "Mode": "act"})
	for _, c := range []struct {
		stack string
		code  int
		want  string
	}{
		{stack, 0, "to the function shop-webhook of the stack " + stack + " at " + endpoint},
		{"test-nobody", 1, "there is no stack test-nobody in the region us-east-1"},
		{stackAt(t, endpoint, map[string]string{"Mode": "act"}), 1, "has no output WebhookFunctionName (its status is CREATE_COMPLETE)"},
	} {
		if out, code := runLicensectl(t, licensectl, "offline", "submit", file+"2", "--stack", c.stack, "--endpoint-url", endpoint); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("exit code %d, want %d, %q\n%s", code, c.code, c.want, out)
		}
	}
}
