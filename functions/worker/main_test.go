package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// runMain is the variable that makes this test's program run as the function itself.
const runMain = "RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAStartThatFailsPrintsOneJSONLineOfLevelError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		want string // part of the message
	}{
		{"without configuration", nil, "QUEUE_URL: is missing"},
		{"a share below one call", append(configured(), "PLAN_CALLS_PER_MINUTE=10", "WORKER_INSTANCES=10"), "PLAN_CALLS_PER_MINUTE 10 × (1 − LIVE_SHARE 0.5) ÷ WORKER_INSTANCES 10 is one call in 2m0.6s"},
		{"a look-up whose share is no message", append(configured(), "LOOK_UP=on", "MANAGEMENT_CALLS_PER_MINUTE=60", "WORKER_INSTANCES=3"),
			"MANAGEMENT_CALLS_PER_MINUTE 60 ÷ WORKER_INSTANCES 3 is 18 calls in the 56s"},
		{"look-up off with such a share", append(configured(), "MANAGEMENT_CALLS_PER_MINUTE=60", "WORKER_INSTANCES=3"), "AWS_LAMBDA_RUNTIME_API"},
		{"look-up on", append(configured(), "LOOK_UP=on"), "AWS_LAMBDA_RUNTIME_API"},
		{"a brake whose share is no license", append(configured(), "SURGE_LIMIT=2", "WORKER_INSTANCES=3"), "SURGE_LIMIT 2 ÷ WORKER_INSTANCES 3 is less than one license for each"},
		{"without Lambda's runtime", configured(), "AWS_LAMBDA_RUNTIME_API"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(c.env, runMain+"=1")
			out, err := cmd.CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit code 1", err)
			}
			var errorLines []string
			for text := range strings.Lines(string(out)) {
				var line struct {
					Timestamp      time.Time
					Level, Message string
				}
				if err := json.Unmarshal([]byte(text), &line); err != nil || line.Timestamp.IsZero() {
					t.Errorf("printed %q (%v), want JSON with a timestamp", text, err)
				}
				if line.Level == "ERROR" {
					errorLines = append(errorLines, line.Message)
				}
			}
			if len(errorLines) != 1 || !strings.Contains(errorLines[0], c.want) {
				t.Errorf("lines of level ERROR are %q, want one with %q", errorLines, c.want)
			}
		})
	}
}

// TestWatchModeIsSaidAtTheStart: an operator who forgot it must be able to see why nothing is deactivated.
func TestWatchModeIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"watch": true, "act": false, "": false} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(configured(), runMain+"=1", "MODE="+mode)
		out, _ := cmd.CombinedOutput() // it ends without Lambda's runtime, as above
		if got := strings.Contains(string(out), "watch mode: no license is deactivated"); got != want {
			t.Errorf("MODE=%q: said %v, want %v, in\n%s", mode, got, want, out)
		}
	}
}

// configured is a valid environment whose addresses lead nowhere.
func configured() []string {
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:test-AbCdEf"
	return []string{
		"QUEUE_URL=http://127.0.0.1:1/123456789012/jobs", "DEAD_LETTER_QUEUE_URL=http://127.0.0.1:1/123456789012/dead",
		"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret",
		"LICENSE_API_SECRET_ARN=" + arn, "LICENSE_API_URL=http://127.0.0.1:1/api/v4",
	}
}

func TestTheTimeoutIsTheTemplates(t *testing.T) {
	t.Parallel()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?ms)^  WorkerFunction:\n.*?^      Timeout: (\d+)\b`).FindSubmatch(template)
	if found == nil {
		t.Fatal("the template has no WorkerFunction with a Timeout")
	}
	if got, err := time.ParseDuration(string(found[1]) + "s"); err != nil || got != timeout {
		t.Errorf("the template says %v, the function %v", got, timeout)
	}
}
