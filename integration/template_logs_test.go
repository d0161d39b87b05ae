//go:build integration

package integration

import (
	"os"
	"strings"

	"license-deactivator/internal/deactivation"
)

// functionLogGroups are the log groups of the functions, which licensectl why asks.
func functionLogGroups() []string { return []string{"WebhookLogGroup", "WorkerLogGroup"} }

func logRules() []rule {
	return []rule{
		{
			"the functions' logs have an index of the fields by which people search",
			func(s stack) (problems []string) {
				want := []any{map[string]any{"Fields": deactivation.IndexedLogFields()}}
				for _, id := range functionLogGroups() {
					problems = append(problems, differs(id+" FieldIndexPolicies", s.properties(id)["FieldIndexPolicies"], want)...)
				}
				return problems
			},
			func(s stack) { delete(s.properties("WorkerLogGroup"), "FieldIndexPolicies") },
		},
		{
			"the functions' logs are kept for a parameter's time, 400 days in production",
			func(s stack) (problems []string) {
				for _, id := range functionLogGroups() {
					problems = append(problems, differs(id+" RetentionInDays", s.properties(id)["RetentionInDays"], map[string]any{"Ref": "LogRetentionDays"})...)
				}
				if config, err := os.ReadFile(root + "/samconfig.toml"); err != nil || !strings.Contains(string(config), `"LogRetentionDays=400"`) {
					problems = append(problems, "samconfig.toml: production has no LogRetentionDays=400")
				}
				return problems
			},
			func(s stack) { s.properties("WebhookLogGroup")["RetentionInDays"] = 400.0 },
		},
		{
			"the deletion protection of the logs is a parameter, off unless it is set",
			func(s stack) (problems []string) {
				for _, id := range functionLogGroups() {
					problems = append(problems,
						differs(id+" DeletionProtectionEnabled", s.properties(id)["DeletionProtectionEnabled"], map[string]any{"Ref": "LogDeletionProtection"})...)
				}
				return append(problems, differs("LogDeletionProtection", s.parameter("LogDeletionProtection")["Default"], "false")...)
			},
			func(s stack) { s.parameter("LogDeletionProtection")["Default"] = "true" },
		},
		{
			"a log group is found by the name of its function",
			func(s stack) (problems []string) {
				for id, want := range map[string]string{
					"WebhookLogGroup": "/aws/lambda/${AWS::StackName}-webhook", "WorkerLogGroup": "/aws/lambda/${AWS::StackName}-worker",
				} {
					problems = append(problems, differs(id+" LogGroupName", s.properties(id)["LogGroupName"], map[string]any{"Fn::Sub": want})...)
				}
				return problems
			},
			func(s stack) { delete(s.properties("WorkerLogGroup"), "LogGroupName") },
		},
	}
}
