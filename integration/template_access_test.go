//go:build integration

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func roleRules() []rule {
	return []rule{
		{
			"the webhook may send to both queues and read its secrets, and nothing else",
			func(s stack) []string {
				return differs("WebhookRole", grants(s, "WebhookRole"), []string{
					"logs:CreateLogStream WebhookLogGroup",
					"logs:PutLogEvents WebhookLogGroup",
					"secretsmanager:GetSecretValue WebhookSecrets|WebhookSecretsArn",
					"sqs:SendMessage DeadLetterQueue",
					"sqs:SendMessage Queue",
					"xray:PutTelemetryRecords *",
					"xray:PutTraceSegments *",
				})
			},
			func(s stack) {
				at(s.properties("WebhookRole"), "Policies", 0, "PolicyDocument", "Statement", 2).(map[string]any)["Resource"] = map[string]any{"Ref": "LicenseApiSecret"}
			},
		},
		{
			"the worker may consume the queue, send only to the dead-letter queue and read the keys",
			func(s stack) []string {
				return differs("WorkerRole", grants(s, "WorkerRole"), []string{
					"kms:Decrypt SharedKeyKmsKeyArn, via Secrets Manager, if HasSharedKeyKmsKey",
					"logs:CreateLogStream WorkerLogGroup",
					"logs:PutLogEvents WorkerLogGroup",
					"secretsmanager:GetSecretValue LicenseApiSecret|SharedKeySecretArn",
					"sqs:ChangeMessageVisibility Queue",
					"sqs:DeleteMessage Queue",
					"sqs:GetQueueAttributes Queue",
					"sqs:ReceiveMessage Queue",
					"sqs:SendMessage DeadLetterQueue",
					"xray:PutTelemetryRecords *",
					"xray:PutTraceSegments *",
				})
			},
			func(s stack) {
				at(s.properties("WorkerRole"), "Policies", 0, "PolicyDocument", "Statement", 4).(map[string]any)["Resource"] = getArn("Queue")
			},
		},
		{
			"each function has its own role, and there is no other",
			func(s stack) []string {
				return slices.Concat(
					differs("the roles", s.ids("AWS::IAM::Role"), []string{"WebhookRole", "WorkerRole"}),
					differs("WebhookFunction Role", s.properties("WebhookFunction")["Role"], getArn("WebhookRole")),
					differs("WorkerFunction Role", s.properties("WorkerFunction")["Role"], getArn("WorkerRole")),
				)
			},
			func(s stack) { s.properties("WebhookFunction")["Role"] = getArn("WorkerRole") },
		},
	}
}

// grants are a role's statements as "action resource", sorted. A statement with several actions or resources, a managed
// policy and a Deny are shown unchanged, so that they equal no expectation.
func grants(s stack, role string) []string {
	p := s.properties(role)
	grants := []string{}
	if p["ManagedPolicyArns"] != nil {
		grants = append(grants, "managed: "+text(p["ManagedPolicyArns"]))
	}
	policies, _ := p["Policies"].([]any)
	for _, policy := range policies {
		statements, _ := at(policy, "PolicyDocument", "Statement").([]any)
		for _, statement := range statements {
			grants = append(grants, grant(statement))
		}
	}
	slices.Sort(grants)
	return grants
}

func grant(statement any) string {
	if at(statement, "Fn::If") != nil && ref(at(statement, "Fn::If", 2)) == "AWS::NoValue" {
		condition, _ := at(statement, "Fn::If", 0).(string)
		return grant(at(statement, "Fn::If", 1)) + ", if " + condition
	}
	m, _ := statement.(map[string]any)
	action, oneAction := m["Action"].(string)
	if m["Effect"] != "Allow" || !oneAction || strings.Contains(action, "*") {
		return text(statement)
	}
	var resources []string
	for _, resource := range branches(m["Resource"]) {
		switch {
		case resource == "*":
			resources = append(resources, "*")
		case arnOf(resource) != "":
			resources = append(resources, arnOf(resource))
		case ref(resource) != "":
			resources = append(resources, ref(resource))
		default:
			return text(statement)
		}
	}
	line := action + " " + strings.Join(resources, "|")
	if m["Condition"] != nil {
		via := map[string]any{"StringEquals": map[string]any{"kms:ViaService": []any{
			map[string]any{"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"},
			map[string]any{"Fn::Sub": "secretsmanager.${AWS::Region}.amazonaws.com"},
		}}}
		if text(m["Condition"]) != text(via) {
			return text(statement)
		}
		line += ", via Secrets Manager"
	}
	return line
}

func frontDoorRules() []rule {
	const stage = "WebhookApiApiGatewayDefaultStage"
	return []rule{
		{
			"the only route is POST /webhooks/{source}",
			func(s stack) []string {
				paths, _ := at(s.properties("WebhookApi"), "Body", "paths").(map[string]any)
				methods, _ := paths["/webhooks/{source}"].(map[string]any)
				return append(
					differs("paths", slices.Sorted(maps.Keys(paths)), []string{"/webhooks/{source}"}),
					differs("methods", slices.Sorted(maps.Keys(methods)), []string{"post"})...)
			},
			func(s stack) {
				paths := at(s.properties("WebhookApi"), "Body", "paths").(map[string]any)
				paths["/webhooks/{source}"] = map[string]any{"postt": map[string]any{}}
			},
		},
		{
			"the stage is $default, the payload 2.0, and the function ends before the integration does",
			func(s stack) []string {
				integration := at(s.properties("WebhookApi"), "Body", "paths", "/webhooks/{source}", "post", "x-amazon-apigateway-integration")
				problems := append(
					differs("StageName", s.properties(stage)["StageName"], "$default"),
					differs("payloadFormatVersion", at(integration, "payloadFormatVersion"), "2.0")...)
				function, gateway := 1000*s.most(s.properties("WebhookFunction")["Timeout"]), s.most(at(integration, "timeoutInMillis"))
				if function == 0 || function >= gateway || gateway >= 30_000 {
					problems = append(problems, fmt.Sprintf("want function (%v ms) < integration (%v ms) < 30 s", function, gateway))
				}
				return problems
			},
			func(s stack) { s.properties("WebhookFunction")["Timeout"] = 12.0 },
		},
		{
			"the stage has its own throttle and an access log without queries or headers, with the free text last",
			func(s stack) []string {
				problems := slices.Concat(
					differs("rate", at(s.properties(stage), "DefaultRouteSettings", "ThrottlingRateLimit"), map[string]any{"Ref": "WebhookRateLimit"}),
					differs("burst", at(s.properties(stage), "DefaultRouteSettings", "ThrottlingBurstLimit"), map[string]any{"Ref": "WebhookBurstLimit"}),
					differs("log", at(s.properties(stage), "AccessLogSettings", "DestinationArn"), getArn("WebhookApiLogGroup")),
				)
				format, _ := at(s.properties(stage), "AccessLogSettings", "Format").(string)
				if format == "" || strings.Contains(format, "querystring") || strings.Contains(format, "header") ||
					strings.Contains(format, "userAgent") || !strings.HasSuffix(format, `"path":"$context.path"}`) {
					problems = append(problems, "the access log's format is "+format)
				}
				return append(problems, differs("FailOnWarnings", at(s.Source, "Resources", "WebhookApi", "Properties", "FailOnWarnings"), false)...)
			},
			func(s stack) { delete(s.properties(stage), "DefaultRouteSettings") },
		},
	}
}
