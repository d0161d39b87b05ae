//go:build integration

package integration

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"license-deactivator/internal/config"
)

func functionRules() []rule {
	return []rule{
		{
			"no secret is resolved into an environment",
			func(s stack) (problems []string) {
				for _, id := range s.ids("AWS::Lambda::Function") {
					if strings.Contains(text(s.properties(id)["Environment"]), "{{resolve:") {
						problems = append(problems, id+" has a dynamic reference in its environment, which would show the value: pass the ARN")
					}
				}
				return problems
			},
			func(s stack) {
				variables(s, "WorkerFunction")["LICENSE_API_SECRET_ARN"] = "{{resolve:secretsmanager:x:SecretString}}"
			},
		},
		{
			"the environment is what internal/config reads, by name",
			func(s stack) (problems []string) {
				for id, read := range map[string][]string{"WebhookFunction": config.WebhookVariables(), "WorkerFunction": config.WorkerVariables()} {
					problems = append(problems, differs(id+" variables", slices.Sorted(maps.Keys(variables(s, id))), slices.Sorted(slices.Values(read)))...)
				}
				return problems
			},
			func(s stack) { variables(s, "WorkerFunction")["LANE"] = 1.0 },
		},
		{
			"addresses are addresses and ARNs are ARNs",
			variablesAreNotCrossed,
			func(s stack) { variables(s, "WebhookFunction")["QUEUE_URL"] = getArn("Queue") },
		},
		{
			"the rate is divided by the largest number of workers",
			func(s stack) []string {
				return append(
					differs("WORKER_INSTANCES", variables(s, "WorkerFunction")["WORKER_INSTANCES"],
						at(s.properties("WorkerFunctionMessages"), "ScalingConfig", "MaximumConcurrency")),
					differs("CALLS_PER_SECOND", variables(s, "WorkerFunction")["CALLS_PER_SECOND"], map[string]any{"Ref": "CallsPerSecond"})...)
			},
			func(s stack) { variables(s, "WorkerFunction")["WORKER_INSTANCES"] = 1.0 },
		},
		{
			"the runtime is al2023 on arm64 with one static bootstrap, built by make from the whole module",
			functionsAreBuiltByMake,
			func(s stack) { at(s.Source, "Globals", "Function").(map[string]any)["CodeUri"] = "functions/worker" },
		},
		{
			"every release publishes a new version for an alias",
			func(s stack) (problems []string) {
				resources, _ := s.Source["Resources"].(map[string]any)
				aliased := at(s.Source, "Globals", "Function", "AutoPublishAlias") != nil
				for id, r := range resources {
					if (aliased || at(r, "Properties", "AutoPublishAlias") != nil) && ref(at(r, "Properties", "AutoPublishCodeSha256")) == "" {
						problems = append(problems, id+": AutoPublishAlias without AutoPublishCodeSha256: !Ref keeps the old configuration")
					}
				}
				return problems
			},
			func(s stack) {
				at(s.Source, "Resources", "WorkerFunction", "Properties").(map[string]any)["AutoPublishAlias"] = "live"
			},
		},
		{
			"every function logs into its own group with a retention, at a level that keeps the metrics",
			functionsLog,
			func(s stack) {
				s.parameter("LogLevel")["AllowedValues"] = []any{"INFO", "WARN"}
			},
		},
		{
			"no secret has a default",
			func(s stack) (problems []string) {
				parameters, _ := s.Transformed["Parameters"].(map[string]any)
				for name, p := range parameters {
					if secretName.MatchString(name) {
						problems = append(problems, differs(name+" Default", at(p, "Default"), "")...)
					}
				}
				return problems
			},
			func(s stack) { s.parameter("SharedKeySecretArn")["Default"] = "hunter2" },
		},
		{
			"every parameter is used",
			everyParameterIsUsed,
			func(s stack) {
				at(s.Source, "Parameters").(map[string]any)["Forgotten"] = map[string]any{"Type": "String"}
			},
		},
		{
			"the outputs hold what scripts read",
			func(s stack) []string {
				outputs, _ := s.Transformed["Outputs"].(map[string]any)
				return differs("Outputs", slices.Sorted(maps.Keys(outputs)), []string{
					"DeadLetterQueueArn", "DeadLetterQueueUrl", "LicenseApiSecretArn", "Mode", "QueueArn", "QueueUrl", "WebhookFunctionName", "WebhookSecretsArn", "WebhookUrl", "WorkerFunctionName",
				})
			},
			func(s stack) { delete(s.Transformed["Outputs"].(map[string]any), "WebhookUrl") },
		},
	}
}

// variables are a function's environment.
func variables(s stack, id string) map[string]any {
	v, _ := at(s.properties(id), "Environment", "Variables").(map[string]any)
	return v
}

func variablesAreNotCrossed(s stack) (problems []string) {
	queues, secrets := s.ids("AWS::SQS::Queue"), s.ids("AWS::SecretsManager::Secret")
	for _, id := range s.ids("AWS::Lambda::Function") {
		problems = append(problems, differs(id+" QUEUE_URL", variables(s, id)["QUEUE_URL"], map[string]any{"Ref": "Queue"})...)
		problems = append(problems, differs(id+" DEAD_LETTER_QUEUE_URL", variables(s, id)["DEAD_LETTER_QUEUE_URL"], map[string]any{"Ref": "DeadLetterQueue"})...)
		for name, value := range variables(s, id) {
			for _, v := range branches(value) {
				target := ref(v)
				parameter := s.parameter(target) != nil
				switch {
				case strings.HasSuffix(name, "_URL") && (slices.Contains(queues, target) || parameter && !strings.HasSuffix(target, "Arn")):
				case strings.HasSuffix(name, "_ARN") && (arnOf(v) != "" || slices.Contains(secrets, target) || parameter && strings.HasSuffix(target, "Arn")):
				case !strings.HasSuffix(name, "_URL") && !strings.HasSuffix(name, "_ARN"):
				default:
					problems = append(problems, id+" "+name+" is "+text(v))
				}
			}
		}
	}
	return problems
}

// branches are the two values of {"Fn::If": [condition, …, …]}, or the value itself.
func branches(v any) []any {
	if at(v, "Fn::If") == nil {
		return []any{v}
	}
	return []any{at(v, "Fn::If", 1), at(v, "Fn::If", 2)}
}

func functionsAreBuiltByMake(s stack) (problems []string) {
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		return []string{err.Error()}
	}
	functions := s.ids("AWS::Lambda::Function")
	problems = differs("the functions", functions, []string{"WebhookFunction", "WorkerFunction"})
	problems = append(problems, differs("CodeUri", at(s.Source, "Globals", "Function", "CodeUri"), ".")...)
	for _, id := range functions {
		p := s.properties(id)
		problems = append(problems, differs(id+" Runtime", p["Runtime"], "provided.al2023")...)
		problems = append(problems, differs(id+" Handler", p["Handler"], "bootstrap")...)
		problems = append(problems, differs(id+" Architectures", p["Architectures"], []any{"arm64"})...)
		problems = append(problems, differs(id+" CodeUri of its own", at(s.Source, "Resources", id, "Properties", "CodeUri"), nil)...)
		problems = append(problems, differs(id+" BuildMethod", at(s.Source, "Resources", id, "Metadata", "BuildMethod"), "makefile")...)
		if !regexp.MustCompile(`(?m)^build-` + id + `: ## `).Match(makefile) {
			problems = append(problems, "the Makefile has no target build-"+id)
		}
	}
	return problems
}

func functionsLog(s stack) (problems []string) {
	seen := map[string]bool{}
	for _, id := range s.ids("AWS::Lambda::Function") {
		logging := s.properties(id)["LoggingConfig"]
		group := ref(at(logging, "LogGroup"))
		if group == "" || seen[group] || s.properties(group)["RetentionInDays"] == nil {
			problems = append(problems, id+" has no log group of its own with a retention: "+text(logging))
		}
		seen[group] = true
		problems = append(problems, differs(id+" LogFormat", at(logging, "LogFormat"), "JSON")...)
		level := at(logging, "ApplicationLogLevel")
		allowed, _ := s.parameter(ref(level))["AllowedValues"].([]any)
		if ref(level) == "" {
			allowed = []any{level}
		}
		for _, level := range allowed {
			if !slices.Contains([]any{"TRACE", "DEBUG", "INFO"}, level) {
				problems = append(problems, id+" may log at "+text(level)+", which drops the metrics")
			}
		}
		if len(allowed) == 0 {
			problems = append(problems, id+" may log at any level")
		}
	}
	return problems
}

// secretName matches the parameters that concern secrets.
var secretName = regexp.MustCompile(`(?i)secret|password|token|sharedkey`)

// everyParameterIsUsed checks the template as written, since cfn-lint's own check is off under a Transform.
func everyParameterIsUsed(s stack) (problems []string) {
	rest := text([]any{s.Source["Conditions"], s.Source["Globals"], s.Source["Resources"], s.Source["Outputs"]})
	parameters, _ := s.Source["Parameters"].(map[string]any)
	for name := range parameters {
		if !strings.Contains(rest, `{"Ref":"`+name+`"}`) && !strings.Contains(rest, "${"+name+"}") {
			problems = append(problems, "parameter "+name+" is never used")
		}
	}
	return problems
}
