//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// TestWhyReadsLinesByTheProtocolOfCloudWatchLogs asks moto with the built licensectl. moto runs a query without its filter, so this
// test shows the protocol alone: internal/history/historytest has the language.
func TestWhyReadsLinesByTheProtocolOfCloudWatchLogs(t *testing.T) {
	t.Parallel()
	endpoint := motoURL(t)
	logs := cloudwatchlogs.NewFromConfig(awsConfig(), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = &endpoint })
	now := time.Now().UTC().Truncate(time.Millisecond)
	for function, lines := range map[string][]string{
		"webhook": {`{"message":"delivery","id":"stripe.evt_1","source":"stripe","event":"evt_1","order":"pi_1 1001","answer":"accepted","requests":["stripe.evt_1.0"],"request_count":1`},
		"worker": {
			`{"message":"message","id":"stripe.evt_1.0","order":"pi_1 1001","decision":"act","outcome":"deactivated","class":"deactivated","attempts":1`,
			`{"message":"message","id":"stripe.evt_2.0","order":"pi_2 1002","decision":"act","outcome":"deactivated","class":"deactivated","attempts":1`,
		},
	} {
		group, stream := "/aws/lambda/why-"+function, "stream"
		if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
			t.Fatal(err)
		}
		if _, err := logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}); err != nil {
			t.Fatal(err)
		}
		var events []types.InputLogEvent
		for _, line := range lines {
			events = append(events, types.InputLogEvent{
				Timestamp: aws.Int64(now.UnixMilli()), Message: aws.String(line + `,"timestamp":"` + now.Format(time.RFC3339Nano) + `"}`),
			})
		}
		if _, err := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/licensectl", "why", "1001", "--stack", "why", "--endpoint-url", endpoint, "--json")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("licensectl why: %v\n%s", err, stderrOf(err))
	}
	var answer struct {
		Requests []struct{ ID, Outcome string }
		Lines    []json.RawMessage
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 2 || len(answer.Requests) != 1 || answer.Requests[0].ID != "stripe.evt_1.0" || answer.Requests[0].Outcome != "deactivated" {
		t.Errorf("answer %s", out)
	}
}
