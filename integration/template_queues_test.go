//go:build integration

package integration

import (
	"fmt"
	"strings"
)

// threeDays is the maxReceiveCount that is enough for an outage of three days; template.yaml shows the sum.
const threeDays = 300

// longestRetention is SQS's own limit, 14 days in seconds.
const longestRetention = 1209600

// largestMessage is SQS's own limit, 1 MiB. A delivery that is kept whole needs most of it.
const largestMessage = 1 << 20

func queueRules() []rule {
	return []rule{
		{
			"a message stays hidden for six worker time-outs and the window",
			func(s stack) []string {
				visibility := s.most(s.properties("Queue")["VisibilityTimeout"])
				timeout := s.most(s.properties("WorkerFunction")["Timeout"])
				window := s.most(s.properties("WorkerFunctionMessages")["MaximumBatchingWindowInSeconds"])
				if timeout == 0 || visibility < 6*timeout+window {
					return []string{fmt.Sprintf("visibility is %v s, six time-outs and the window are %v s", visibility, 6*timeout+window)}
				}
				return nil
			},
			func(s stack) { s.properties("WorkerFunction")["Timeout"] = 62.0 },
		},
		{
			"the mapping reports batch item failures and nothing else",
			func(s stack) []string {
				return differs("FunctionResponseTypes", s.properties("WorkerFunctionMessages")["FunctionResponseTypes"], []any{"ReportBatchItemFailures"})
			},
			func(s stack) { delete(s.properties("WorkerFunctionMessages"), "FunctionResponseTypes") },
		},
		{
			"a batch over ten has a window",
			func(s stack) []string {
				mapping := s.properties("WorkerFunctionMessages")
				if size, window := s.most(mapping["BatchSize"]), s.most(mapping["MaximumBatchingWindowInSeconds"]); size == 0 || size > 10 && window < 1 {
					return []string{fmt.Sprintf("batches of up to %v with a window of %v s", size, window)}
				}
				return nil
			},
			func(s stack) { delete(s.properties("WorkerFunctionMessages"), "MaximumBatchingWindowInSeconds") },
		},
		{
			"concurrency is bounded in exactly one way",
			func(s stack) []string {
				mapping := s.properties("WorkerFunctionMessages")
				if mapping["ProvisionedPollerConfig"] != nil || at(mapping, "ScalingConfig", "MaximumConcurrency") == nil {
					return []string{"want MaximumConcurrency, which excludes ProvisionedPollerConfig: " + text(mapping)}
				}
				return nil
			},
			func(s stack) {
				s.properties("WorkerFunctionMessages")["ProvisionedPollerConfig"] = map[string]any{"MinimumPollers": 1.0}
			},
		},
		{
			"no filter, since a filter deletes what it does not match",
			func(s stack) []string {
				return differs("FilterCriteria", s.properties("WorkerFunctionMessages")["FilterCriteria"], nil)
			},
			func(s stack) { s.properties("WorkerFunctionMessages")["FilterCriteria"] = map[string]any{} },
		},
		{
			"the mapping reads the queue; the queue's dead-letter target is an ARN",
			func(s stack) []string {
				return append(
					differs("EventSourceArn", s.properties("WorkerFunctionMessages")["EventSourceArn"], getArn("Queue")),
					differs("deadLetterTargetArn", at(s.properties("Queue"), "RedrivePolicy", "deadLetterTargetArn"), getArn("DeadLetterQueue"))...)
			},
			func(s stack) {
				s.properties("Queue")["RedrivePolicy"].(map[string]any)["deadLetterTargetArn"] = map[string]any{"Ref": "DeadLetterQueue"}
			},
		},
		{
			"maxReceiveCount is enough for an outage of three days",
			func(s stack) []string {
				if got := s.most(at(s.properties("Queue"), "RedrivePolicy", "maxReceiveCount")); got < threeDays {
					return []string{fmt.Sprintf("maxReceiveCount is %v, want at least %d", got, threeDays)}
				}
				return nil
			},
			func(s stack) { s.properties("Queue")["RedrivePolicy"].(map[string]any)["maxReceiveCount"] = 100.0 },
		},
		{
			"the dead-letter queue allows the queue under its real name",
			func(s stack) []string {
				name, _ := at(s.properties("Queue"), "QueueName", "Fn::Sub").(string)
				allow := at(s.properties("DeadLetterQueue"), "RedriveAllowPolicy")
				want := map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": []any{
					map[string]any{"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + name},
				}}
				return differs("RedriveAllowPolicy", allow, want)
			},
			func(s stack) {
				s.properties("Queue")["QueueName"] = map[string]any{"Fn::Sub": "${AWS::StackName}-other"}
			},
		},
		{
			"dead letters are kept for 14 days, longer than messages",
			func(s stack) []string {
				dead, live := s.most(s.properties("DeadLetterQueue")["MessageRetentionPeriod"]), s.most(s.properties("Queue")["MessageRetentionPeriod"])
				if dead != longestRetention || live == 0 || live >= dead {
					return []string{fmt.Sprintf("dead letters are kept for %v s, messages for %v s", dead, live)}
				}
				return nil
			},
			func(s stack) { s.properties("Queue")["MessageRetentionPeriod"] = 1209600.0 },
		},
		{
			"both queues accept messages of 1 MiB, with any default of the account",
			func(s stack) []string {
				var problems []string
				for _, name := range []string{"Queue", "DeadLetterQueue"} {
					if got := s.most(s.properties(name)["MaximumMessageSize"]); got != largestMessage {
						problems = append(problems, fmt.Sprintf("%s takes messages of %v bytes, want %d", name, got, largestMessage))
					}
				}
				return problems
			},
			func(s stack) { delete(s.properties("DeadLetterQueue"), "MaximumMessageSize") },
		},
		{
			"both queues are encrypted, refuse plain HTTP and outlive the stack",
			queuesAreGuarded,
			func(s stack) { delete(s.properties("DeadLetterQueueTlsOnly"), "PolicyDocument") },
		},
	}
}

func queuesAreGuarded(s stack) (problems []string) {
	queues := s.ids("AWS::SQS::Queue")
	problems = differs("the queues", strings.Join(queues, " "), "DeadLetterQueue Queue")
	for _, id := range queues {
		problems = append(problems, differs(id+" SqsManagedSseEnabled", s.properties(id)["SqsManagedSseEnabled"], true)...)
		problems = append(problems, differs(id+" DeletionPolicy", at(s.Transformed, "Resources", id, "DeletionPolicy"), "RetainExceptOnCreate")...)
		problems = append(problems, differs(id+" UpdateReplacePolicy", at(s.Transformed, "Resources", id, "UpdateReplacePolicy"), "Retain")...)

		policy := s.properties(id + "TlsOnly")
		problems = append(problems, differs(id+"TlsOnly Queues", policy["Queues"], []any{map[string]any{"Ref": id}})...)
		want := map[string]any{
			"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": getArn(id),
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}
		problems = append(problems, differs(id+"TlsOnly statement", at(policy, "PolicyDocument", "Statement", 0), want)...)
	}
	return problems
}

// getArn is {"Fn::GetAtt": [id, "Arn"]}.
func getArn(id string) any {
	return map[string]any{"Fn::GetAtt": []any{id, "Arn"}}
}

// differs compares two values as JSON.
func differs(what string, got, want any) []string {
	if text(got) == text(want) {
		return nil
	}
	return []string{fmt.Sprintf("%s: got %s, want %s", what, text(got), text(want))}
}
