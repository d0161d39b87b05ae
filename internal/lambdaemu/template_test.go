package lambdaemu_test

import (
	"os"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/lambdaemu"
)

// TestSettingsEqualTheTemplates compares the constants with template.yaml.
func TestSettingsEqualTheTemplates(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type resource struct {
		Properties struct {
			Timeout           int `yaml:"Timeout"`
			VisibilityTimeout int `yaml:"VisibilityTimeout"`
			RedrivePolicy     struct {
				MaxReceiveCount int `yaml:"maxReceiveCount"`
			} `yaml:"RedrivePolicy"`
		} `yaml:"Properties"`
	}
	var template struct {
		Resources struct {
			Webhook resource `yaml:"WebhookFunction"`
			Worker  resource `yaml:"WorkerFunction"`
			Queue   resource `yaml:"Queue"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(content, &template); err != nil {
		t.Fatal(err)
	}
	deployed := template.Resources
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"Timeout of the webhook function", int(lambdaemu.WebhookTimeout / time.Second), deployed.Webhook.Properties.Timeout},
		{"Timeout of the worker function", int(lambdaemu.WorkerTimeout / time.Second), deployed.Worker.Properties.Timeout},
		{"VisibilityTimeout", int(lambdaemu.VisibilityTimeout / time.Second), deployed.Queue.Properties.VisibilityTimeout},
		{"maxReceiveCount", lambdaemu.MaxReceiveCount, deployed.Queue.Properties.RedrivePolicy.MaxReceiveCount},
	} {
		if c.got != c.want || c.want == 0 {
			t.Errorf("%s is %d, template.yaml says %d", c.name, c.got, c.want)
		}
	}
}
