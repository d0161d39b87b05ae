//go:build integration

package integration

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
	"license-deactivator/sources"
)

func alarmRules() []rule {
	return []rule{
		{
			"the alarms are these",
			func(s stack) []string {
				var got []string
				for _, id := range s.ids("AWS::CloudWatch::Alarm") {
					if isNotFoundAlarm(id) {
						continue
					}
					got = append(got, alarm(s.properties(id)))
				}
				slices.Sort(got)
				return differs("alarms", strings.Join(got, "\n"), strings.Join([]string{
					"AWS/ApiGateway 5xx ApiId=WebhookApi: Sum of 60 s, 1 of 20 > 0",
					"AWS/Lambda Errors FunctionName=WorkerFunction: Sum of 60 s, 1 of 20 > 0",
					"AWS/Lambda Throttles FunctionName=WorkerFunction: Sum of 60 s, 2 of 20 > 0",
					"AWS/SQS ApproximateAgeOfOldestMessage QueueName=DeadLetterQueue: Maximum of 300 s, 1 of 1 > 864000",
					"AWS/SQS ApproximateAgeOfOldestMessage QueueName=Queue: Maximum of 60 s, 5 of 5 > MaxMessageAgeSeconds",
					"AWS/SQS ApproximateNumberOfMessagesVisible QueueName=DeadLetterQueue: Maximum of 60 s, 1 of 1 > 0",
					"IF(FILL(n, 0) > 20, 100 * e / n, 0) e=AWS/ApiGateway 4xx ApiId=WebhookApi: Sum of 300 s n=AWS/ApiGateway Count ApiId=WebhookApi: Sum of 300 s, 3 of 3 > 50",
					"LicenseDeactivator ConfigurationFaults service=WebhookFunction: Sum of 60 s, 1 of 20 > 0",
					"LicenseDeactivator ConfigurationFaults service=WorkerFunction: Sum of 60 s, 1 of 20 > 0",
					"LicenseDeactivator DeadLetters service=WebhookFunction: Sum of 300 s, 1 of 1 > 0",
					`LicenseDeactivator DeadLetters service=WorkerFunction reason="held": Sum of 60 s, 1 of 20 > 0`,
					"LicenseDeactivator DeadLetters service=WorkerFunction: Sum of 300 s, 1 of 1 > 0",
					`LicenseDeactivator Deliveries service=WebhookFunction code="too_large": Sum of 300 s, 1 of 1 > 0`,
					`LicenseDeactivator Deliveries service=WebhookFunction code="unknown_shape": Sum of 300 s, 1 of 1 > 0`,
					`LicenseDeactivator Deliveries service=WebhookFunction code="unreadable": Sum of 300 s, 1 of 1 > 0`,
					`LicenseDeactivator Deliveries service=WebhookFunction code="unverified": Sum of 300 s, 3 of 12 > 0`,
					`LicenseDeactivator Messages service=WorkerFunction code="stalled": Sum of 60 s, 1 of 20 > 0`,
				}, "\n"))
			},
			func(s stack) { s.properties("WebhookDeadLetterAlarm")["DatapointsToAlarm"] = 0.0 },
		},
		{
			"each sender's file has an alarm for its orders without a license, and these are alike",
			func(s stack) []string {
				var got, want []string
				for _, id := range s.ids("AWS::CloudWatch::Alarm") {
					if isNotFoundAlarm(id) {
						got = append(got, alarm(s.properties(id)))
					}
				}
				files, err := fs.Glob(sources.FS(), "*.yaml")
				if err != nil {
					return []string{err.Error()}
				}
				for _, file := range files {
					of := fmt.Sprintf("LicenseDeactivator NotFound service=WorkerFunction source=%q", strings.TrimSuffix(file, ".yaml"))
					want = append(want, fmt.Sprintf("IF(FILL(n, 0) > 19, 100 * FILL(m, 0) / n, 0) m=%s: Sum of 86400 s n=%s: SampleCount of 86400 s, 1 of 1 > 50", of, of))
				}
				slices.Sort(got)
				slices.Sort(want)
				return differs("alarms", strings.Join(got, "\n"), strings.Join(want, "\n"))
			},
			func(s stack) { delete(s.Transformed["Resources"].(map[string]any), "NotFoundStripeAlarm") },
		},
		{
			"an alarm watches existing resources and does not fire without data",
			alarmsWatchWhatIsThere,
			func(s stack) {
				s.properties("WorkerErrorAlarm")["Dimensions"] = []any{map[string]any{"Name": "FunctionName", "Value": map[string]any{"Ref": "OldFunction"}}}
			},
		},
		{
			"the alarms on our own metrics watch metrics that the functions write",
			alarmsWatchOurMetrics,
			func(s stack) { s.properties("WorkerStalledAlarm")["MetricName"] = "Message" },
		},
		{
			"in watch mode and with look-up the alarm for the depth of the dead-letter queue is off, and orders without a license have alarms with look-up alone",
			func(s stack) (problems []string) {
				for _, id := range s.ids("AWS::CloudWatch::Alarm") {
					want := any(nil)
					switch {
					case id == "DeadLetterAlarm":
						want = "WatchesDepth"
					case isNotFoundAlarm(id):
						want = "LooksUp"
					}
					problems = append(problems, differs(id+" Condition", at(s.Source, "Resources", id, "Condition"), want)...)
				}
				for name, want := range map[string]any{
					"Acts":    map[string]any{"Fn::Equals": []any{map[string]any{"Ref": "Mode"}, "act"}},
					"LooksUp": map[string]any{"Fn::Equals": []any{map[string]any{"Ref": "LookUp"}, "on"}},
					"WatchesDepth": map[string]any{"Fn::And": []any{
						map[string]any{"Condition": "Acts"}, map[string]any{"Fn::Not": []any{map[string]any{"Condition": "LooksUp"}}},
					}},
				} {
					problems = append(problems, differs(name, at(s.Source, "Conditions", name), want)...)
				}
				return problems
			},
			func(s stack) {
				at(s.Source, "Resources", "OldestDeadLetterAlarm").(map[string]any)["Condition"] = "Acts"
			},
		},
		{
			"an alarm notifies the topic",
			func(s stack) (problems []string) {
				for _, id := range s.ids("AWS::CloudWatch::Alarm") {
					want := map[string]any{"Fn::If": []any{"HasAlarmTopic", []any{map[string]any{"Ref": "AlarmTopicArn"}}, map[string]any{"Ref": "AWS::NoValue"}}}
					problems = append(problems, differs(id+" AlarmActions", s.properties(id)["AlarmActions"], want)...)
				}
				return problems
			},
			func(s stack) { delete(s.properties("QueueAgeAlarm"), "AlarmActions") },
		},
	}
}

// isNotFoundAlarm reports whether an alarm is that of a sender's orders without a license.
func isNotFoundAlarm(id string) bool { return strings.HasPrefix(id, "NotFound") }

// alarm is an alarm on one line: its metrics, and when it fires.
func alarm(p map[string]any) string {
	watched := fmt.Sprintf("%s: %v of %v s", metric(p), p["Statistic"], p["Period"])
	if metrics, _ := p["Metrics"].([]any); len(metrics) > 0 {
		watched, _ = at(metrics, 0, "Expression").(string)
		for _, m := range metrics[1:] {
			stat, _ := at(m, "MetricStat").(map[string]any)
			one, _ := stat["Metric"].(map[string]any)
			watched += fmt.Sprintf(" %v=%s: %v of %v s", at(m, "Id"), metric(one), stat["Stat"], stat["Period"])
		}
	}
	threshold := p["Threshold"]
	if name := ref(threshold); name != "" {
		threshold = name
	}
	toAlarm := p["DatapointsToAlarm"]
	if toAlarm == nil {
		toAlarm = p["EvaluationPeriods"]
	}
	comparison := map[any]string{"GreaterThanThreshold": ">"}[p["ComparisonOperator"]]
	return fmt.Sprintf("%s, %v of %v %s %v", watched, toAlarm, p["EvaluationPeriods"], comparison, threshold)
}

// metric is "namespace name dimension=resource".
func metric(m map[string]any) string {
	line := fmt.Sprintf("%v %v", m["Namespace"], m["MetricName"])
	dimensions, _ := m["Dimensions"].([]any)
	for _, d := range dimensions {
		line += fmt.Sprintf(" %v=%s", at(d, "Name"), watchedBy(d))
	}
	return line
}

// watchedBy is the resource from which a dimension's value comes.
func watchedBy(dimension any) string {
	if id := ref(at(dimension, "Value")); id != "" {
		return id
	}
	if at(dimension, "Value", "Fn::GetAtt", 1) == "QueueName" {
		id, _ := at(dimension, "Value", "Fn::GetAtt", 0).(string)
		return id
	}
	return text(at(dimension, "Value"))
}

func alarmsWatchWhatIsThere(s stack) (problems []string) {
	watchable := map[any]string{
		"QueueName": "AWS::SQS::Queue", "FunctionName": "AWS::Lambda::Function", "service": "AWS::Lambda::Function", "ApiId": "AWS::ApiGatewayV2::Api",
	}
	for _, id := range s.ids("AWS::CloudWatch::Alarm") {
		p := s.properties(id)
		problems = append(problems, differs(id+" TreatMissingData", p["TreatMissingData"], "notBreaching")...)
		dimensions, _ := p["Dimensions"].([]any)
		metrics, _ := p["Metrics"].([]any)
		for _, m := range metrics {
			more, _ := at(m, "MetricStat", "Metric", "Dimensions").([]any)
			dimensions = append(dimensions, more...)
		}
		if len(dimensions) == 0 {
			problems = append(problems, id+" has no dimension")
		}
		for _, d := range dimensions {
			if at(d, "Name") == "code" || at(d, "Name") == "reason" || at(d, "Name") == "source" {
				continue // not a resource but a text; alarmsWatchOurMetrics checks it
			}
			if !slices.Contains(s.ids(watchable[at(d, "Name")]), watchedBy(d)) {
				problems = append(problems, fmt.Sprintf("%s: %v is %s, which does not exist", id, at(d, "Name"), watchedBy(d)))
			}
		}
	}
	return problems
}

// alarmsWatchOurMetrics compares the names of metrics, and of codes where a code is a dimension.
func alarmsWatchOurMetrics(s stack) (problems []string) {
	for _, id := range s.ids("AWS::CloudWatch::Alarm") {
		p := s.properties(id)
		if p["Namespace"] != telemetry.Namespace {
			continue
		}
		name, _ := p["MetricName"].(string)
		if !slices.Contains(telemetry.Metrics(), name) {
			problems = append(problems, fmt.Sprintf("%s watches %q, which no function writes", id, name))
		}
		dimensions, _ := p["Dimensions"].([]any)
		for _, d := range dimensions {
			code, _ := at(d, "Value").(string) // or a reason
			if at(d, "Name") == "code" && !slices.Contains(append(deactivation.DeliveryCodes(), telemetry.CodeStalled), code) {
				problems = append(problems, fmt.Sprintf("%s watches the code %q, which no function writes", id, code))
			}
			if at(d, "Name") == "reason" && code != string(deactivation.ReasonHeld) {
				problems = append(problems, fmt.Sprintf("%s watches the reason %q, which is none that has an alarm of its own", id, code))
			}
		}
	}
	for _, code := range append(deactivation.DeliveryCodes(), telemetry.CodeStalled) {
		watched := slices.ContainsFunc(s.ids("AWS::CloudWatch::Alarm"), func(id string) bool {
			return strings.Contains(text(s.properties(id)["Dimensions"]), `"`+code+`"`)
		})
		if !watched {
			problems = append(problems, fmt.Sprintf("no alarm watches the code %q", code))
		}
	}
	return problems
}
