//go:build integration

package integration

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/encoding/cbor"
)

// doctorTemplate is a stack with what doctor looks at, and functions of the same names that do nothing. NAME is its name,
// HOST the fake License API's host, and SUBSCRIPTION the alarm topic's.
const doctorTemplate = `{"Resources":{
 "Queue":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"NAME"}},
 "Dead":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"NAME-dead"}},
 "Role":{"Type":"AWS::IAM::Role","Properties":{"RoleName":"NAME","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[]}}},
 "Worker":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"NAME-worker","Runtime":"python3.12","Handler":"index.x","Role":{"Fn::GetAtt":["Role","Arn"]},
  "Code":{"ZipFile":"x = 1"},"Environment":{"Variables":{"LICENSE_API_URL":"http://HOST/api/v4","MANAGEMENT_API_URL":"http://HOST/api/v1","LOOK_UP":"on"}}}},
 "Mapping":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":{"Fn::GetAtt":["Queue","Arn"]},"FunctionName":{"Ref":"Worker"}}},
 "Logs":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":"/aws/lambda/NAME-webhook"}},
 "MoreLogs":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":"/aws/lambda/NAME-worker"}},
 "Topic":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":"NAME" SUBSCRIPTION}}
},"Outputs":{"TopicArn":{"Value":{"Ref":"Topic"}},
 "WebhookFunctionName":{"Value":"NAME-webhook"},"WorkerFunctionName":{"Value":{"Ref":"Worker"}},"QueueUrl":{"Value":{"Ref":"Queue"}},"DeadLetterQueueUrl":{"Value":{"Ref":"Dead"}},
 "WebhookUrl":{"Value":"http://127.0.0.1:1/webhooks/"},"LicenseApiSecretArn":{"Value":"LICENSE"},"WebhookSecretsArn":{"Value":"WEBHOOKS"},"Mode":{"Value":"act"}
}}`

// doctorStack makes the stack with its secrets and one alarm, and returns its name and the address of AWS: moto behind a
// proxy that answers what moto does not know. moto makes no alarm from a template, does not know
// the protocol that the SDK calls CloudWatch by, and runs no function without Docker.
func doctorStack(t *testing.T, host, subscription string) (name, endpoint string) {
	t.Helper()
	moto := motoURL(t)
	name = "doctor-" + rand.Text()
	license, client := secretAt(t, moto)
	webhooks, _ := secretAt(t, moto)
	for arn, text := range map[string]string{license: `{"api_key":"key","shared_key":"shared","management_api_key":"management"}`, webhooks: `{}`} {
		if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &text}); err != nil {
			t.Fatal(err)
		}
	}
	stacks := cloudformation.NewFromConfig(awsConfig(), func(o *cloudformation.Options) { o.BaseEndpoint = &moto })
	template := strings.NewReplacer("NAME", name, "HOST", host, "SUBSCRIPTION", subscription, "LICENSE\"", license+"\"", "WEBHOOKS", webhooks).Replace(doctorTemplate)
	if _, err := stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template}); err != nil {
		t.Fatalf("CreateStack: %v", err)
	}
	stack := &cloudformation.DescribeStacksInput{StackName: &name}
	if err := cloudformation.NewStackCreateCompleteWaiter(stacks).Wait(t.Context(), stack, stackPatience); err != nil {
		t.Fatalf("the stack: %v", err)
	}
	made, err := stacks.DescribeStacks(t.Context(), stack)
	if err != nil {
		t.Fatal(err)
	}
	topic := ""
	for _, o := range made.Stacks[0].Outputs {
		if aws.ToString(o.OutputKey) == "TopicArn" {
			topic = aws.ToString(o.OutputValue)
		}
	}
	return name, beforeMoto(t, moto, name, topic)
}

// beforeMoto serves moto, and answers for it that the stack has the alarm, which notifies the topic, and that the webhook function answers.
func beforeMoto(t *testing.T, moto, alarm, topic string) (endpoint string) {
	t.Helper()
	to, err := url.Parse(moto)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "-webhook/invocations"):
			_, _ = io.WriteString(w, `{"accepted":0,"ids":[],"rejected":[]}`)
		case strings.Contains(string(body), "Action=ListStackResources"):
			_, _ = io.WriteString(w, `<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries><member><ResourceType>AWS::CloudWatch::Alarm</ResourceType>`+
				`<PhysicalResourceId>`+alarm+`</PhysicalResourceId></member></StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>`)
		case strings.HasSuffix(r.URL.Path, "/operation/DescribeAlarms"):
			w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
			w.Header().Set("Content-Type", "application/cbor")
			_, _ = w.Write(cbor.Encode(cbor.Map{"MetricAlarms": cbor.List{cbor.Map{
				"AlarmName": cbor.String(alarm), "StateValue": cbor.String("OK"), "ActionsEnabled": cbor.Bool(true), "AlarmActions": cbor.List{cbor.String(topic)},
			}}}))
		default:
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestDoctorExaminesAStack: settings, queues, secrets, alarms and their topic are read from AWS's own services.
func TestDoctorExaminesAStack(t *testing.T) {
	t.Parallel()
	licensectl := buildLicensectl(t)
	host := startFakeAPI(t, licensectl, writeFile(t, "state.json", `{"api_keys":{"key":"shared"},"management_api_keys":["management"],"licenses":[{"product":"XY","license_key":"AAAA-1","devices":[]}]}`))
	doctor := func(stack, endpoint string) (string, int) {
		return runLicensectl(t, licensectl, "doctor", "--stack", stack, "--endpoint-url", endpoint, "--management-calls-per-minute", "100000")
	}
	well, endpoint := doctorStack(t, host, `,"Subscription":[{"Protocol":"sqs","Endpoint":"arn:aws:sqs:us-east-1:123456789012:x"}]`)
	out, code := doctor(well, endpoint)
	for _, want := range []string{
		"ok       credentials       arn:aws:",
		"ok       stack             " + well + ", mode act\n",
		"ok       webhook function  " + well + "-webhook answers\n",
		"ok       worker function   " + well + "-worker gets the queue's messages\n",
		"ok       queue             0 messages, 0 of them hidden\n",
		"ok       dead-letter queue 0 messages, 0 of them hidden\n",
		"ok       logs              2 log groups can be asked\n",
		"ok       license secret    the secret of the stack " + well + ": an API key\n",
		"ok       License API       http://" + host + "/api/v4 accepts the signature\n",
		"ok       Management API    http://" + host + "/api/v1 accepts the key; its filters work\n",
		"warning  senders' secrets  no sender has a secret",
		"ok       alarms            1 alarm, each with an action\n",
		"has 1 subscriber\n",
		"\n14 ok, 1 warning, 0 failed\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != 0 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, out)
	}

	silent, endpoint := doctorStack(t, host, "")
	dead := queueURLOf(t, endpoint, silent+"-dead")
	client := sqs.NewFromConfig(awsConfig(), func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead, MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	out, code = doctor(silent, endpoint)
	for _, want := range []string{"failed   alarm topic       ", "has no subscriber: nobody is notified of an alarm", "warning  dead-letter queue 1 letter to review"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != 1 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func queueURLOf(t *testing.T, endpoint, name string) string {
	t.Helper()
	client := sqs.NewFromConfig(awsConfig(), func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
	out, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}
