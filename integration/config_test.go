//go:build integration

package integration

import (
	"fmt"
	"testing"

	"license-deactivator/internal/config"
)

// TestTemplateDefaultsAreAConfiguration shows that a stack starts when only the License API's address is set at its
// deployment.
func TestTemplateDefaultsAreAConfiguration(t *testing.T) {
	t.Parallel()
	s := decode(t, transform(t))
	if _, err := config.ReadWebhook(deployed(s, "WebhookFunction")); err != nil {
		t.Errorf("webhook: %v", err)
	}
	if _, err := config.ReadWorker(deployed(s, "WorkerFunction")); err != nil {
		t.Errorf("worker: %v", err)
	}
}

// deployed is a function's environment with the values that CloudFormation would fill in.
func deployed(s stack, id string) func(string) string {
	made := map[string]string{
		"Queue":             "https://sqs.eu-central-1.amazonaws.com/123456789012/stack-jobs",
		"DeadLetterQueue":   "https://sqs.eu-central-1.amazonaws.com/123456789012/stack-DeadLetterQueue-AbCdEf",
		"LicenseApiSecret":  "arn:aws:secretsmanager:eu-central-1:123456789012:secret:LicenseApiSecret-AbCdEf",
		"WebhookSecrets":    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:WebhookSecrets-GhIjKl",
		"LicenseApiBaseUrl": "https://api.licensespring.com/api/v4",
	}
	values := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_LAMBDA_FUNCTION_NAME": "stack-" + id, "AWS_LAMBDA_LOG_LEVEL": "INFO",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "test",
	}
	for name, value := range variables(s, id) {
		target := ref(branches(value)[0]) // the branch of a secret that the stack creates
		if values[name] = made[target]; values[name] == "" {
			values[name] = fmt.Sprint(s.parameter(target)["Default"])
		}
	}
	return func(name string) string { return values[name] }
}
