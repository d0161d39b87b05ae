package config_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"license-deactivator/internal/config"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
)

const (
	queueURL = "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs"
	deadURL  = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead"
	arn      = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:license-AbCdEf"
	apiURL   = "https://api.licensespring.com/api/v4"
)

// with returns the smallest valid environment, changed by pairs of name and value.
func with(pairs ...string) func(string) string {
	env := map[string]string{
		"QUEUE_URL": queueURL, "DEAD_LETTER_QUEUE_URL": deadURL,
		"WEBHOOK_SECRETS_ARN": arn, "LICENSE_API_SECRET_ARN": arn, "LICENSE_API_URL": apiURL,
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
	}
	for pair := range slices.Chunk(pairs, 2) {
		env[pair[0]] = pair[1]
	}
	return func(name string) string { return env[name] }
}

// ignoreAWSConfig excludes the aws.Config, which has tests of its own.
func ignoreAWSConfig() cmp.Option { return cmpopts.IgnoreFields(config.AWS{}, "Config") }

func TestDefaults(t *testing.T) {
	t.Parallel()
	webhook, err := config.ReadWebhook(with())
	if err != nil {
		t.Fatalf("ReadWebhook: %v", err)
	}
	lambda := config.AWS{FunctionName: "license-deactivator", LogLevel: slog.LevelInfo}
	wantWebhook := config.Webhook{QueueURL: queueURL, DeadLetterQueueURL: deadURL, WebhookSecretsARN: arn, MaxEventAge: 14 * 24 * time.Hour, AWS: lambda}
	if diff := cmp.Diff(wantWebhook, webhook, ignoreAWSConfig()); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}

	worker, err := config.ReadWorker(with())
	if err != nil {
		t.Fatalf("ReadWorker: %v", err)
	}
	wantWorker := config.Worker{
		QueueURL: queueURL, DeadLetterQueueURL: deadURL, LicenseAPIURL: apiURL, LicenseAPISecretARN: arn,
		CallsPerSecond: 10, WorkerInstances: 1, CallsInFlight: 10, LiveShare: 0.5, SurgeLimit: 50,
		ManagementAPIURL: "https://saas.licensespring.com/api/v1", ManagementCallsPerMinute: 180, AWS: lambda,
	}
	if diff := cmp.Diff(wantWorker, worker, ignoreAWSConfig()); diff != "" {
		t.Errorf("worker (-want +got):\n%s", diff)
	}
}

func TestEverythingSet(t *testing.T) {
	t.Parallel()
	env := with(
		"PUBLIC_URL", "https://hooks.example.com/v1/", "TEST_EVENTS", "accept", "MAX_EVENT_AGE", "0",
		"CALLS_PER_SECOND", "2.5", "WORKER_INSTANCES", "4", "CALLS_IN_FLIGHT", "32", "PLAN_CALLS_PER_MINUTE", "1800", "LIVE_SHARE", "0",
		"SURGE_LIMIT", "0", "MODE", "watch",
		"LOOK_UP", "on", "MANAGEMENT_API_URL", "http://127.0.0.1:3/api/v1", "MANAGEMENT_CALLS_PER_MINUTE", "600",
		"AWS_ENDPOINT_URL", "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:2",
		"AWS_LAMBDA_FUNCTION_NAME", "stack-function", "AWS_LAMBDA_LOG_LEVEL", "DEBUG",
	)
	lambda := config.AWS{
		SQSEndpoint: "http://127.0.0.1:2", SecretsManagerEndpoint: "http://127.0.0.1:1",
		FunctionName: "stack-function", LogLevel: slog.LevelDebug,
	}
	webhook, err := config.ReadWebhook(env)
	if err != nil {
		t.Fatalf("ReadWebhook: %v", err)
	}
	wantWebhook := config.Webhook{
		QueueURL: queueURL, DeadLetterQueueURL: deadURL, WebhookSecretsARN: arn,
		PublicURL: "https://hooks.example.com/v1", AcceptTestEvents: true, LookUp: true, AWS: lambda,
	}
	if diff := cmp.Diff(wantWebhook, webhook, ignoreAWSConfig()); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}

	worker, err := config.ReadWorker(env)
	if err != nil {
		t.Fatalf("ReadWorker: %v", err)
	}
	wantWorker := config.Worker{
		QueueURL: queueURL, DeadLetterQueueURL: deadURL, LicenseAPIURL: apiURL, LicenseAPISecretARN: arn,
		CallsPerSecond: 2.5, WorkerInstances: 4, CallsInFlight: 32, PlanCallsPerMinute: 1800, LiveShare: 0, SurgeLimit: 0, Watch: true,
		LookUp: true, ManagementAPIURL: "http://127.0.0.1:3/api/v1", ManagementCallsPerMinute: 600, AWS: lambda,
	}
	if diff := cmp.Diff(wantWorker, worker, ignoreAWSConfig()); diff != "" {
		t.Errorf("worker (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 400)
	for name, c := range map[string]struct{ good, bad []string }{
		"QUEUE_URL": {
			[]string{"http://127.0.0.1:5000/123456789012/jobs", "http://sqs:9324/000000000000/q"},
			[]string{"jobs", "/jobs", "ftp://host/q", "https:///q", "https://:443/q", "https://host/q?x=1", "https://host/q?", "https://host/q#x", "https://host/q#", "https://user:secret@host/q", "https://host/q ", "https://host/q\n", deadURL},
		},
		"DEAD_LETTER_QUEUE_URL": {
			[]string{"http://127.0.0.1:5000/123456789012/jobs"},
			[]string{"dead", queueURL},
		},
		"LICENSE_API_URL": {
			[]string{"https://proxy.example.com:8443/license/api/v4", "https://host/api/v4/", "http://127.0.0.1:80/api/v4", "http://localhost/api/v4", "http://[::1]:8/api/v4", "http://127.8.9.1/api/v4"},
			[]string{"http://api.licensespring.com/api/v4", "http://localhost.example.com/api/v4", "http://10.0.0.1/api/v4", "https://api.licensespring.com", "https://api.licensespring.com/", "https://k:secret@api.licensespring.com/api/v4", "https://api.licensespring.com/api/v4?k=secret", "https://api.licensespring.com/api/v4#k"},
		},
		"LICENSE_API_SECRET_ARN": {
			[]string{"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a/b+c=d.e@f-g_h-AbCdEf"},
			[]string{"license", "{{resolve:secretsmanager:license}}", `{"api_key":"secret"}`, "arn:aws:sqs:eu-central-1:123456789012:secret", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:", arn + " "},
		},
		"CALLS_PER_SECOND":      {[]string{"0.02", "1", "10", "1e2", "1000"}, []string{"0", "-1", "0.019", "1000.1", "NaN", "Inf", "ten", "1,5", " 1", long}},
		"WORKER_INSTANCES":      {[]string{"1", "2", "500"}, []string{"0", "-1", "1001", "2.0", "two", long}},
		"CALLS_IN_FLIGHT":       {[]string{"1", "100"}, []string{"0", "101", "x"}},
		"PLAN_CALLS_PER_MINUTE": {[]string{"1", "18000", "999999"}, []string{"0", "-5", "1000000", "many"}},
		"LIVE_SHARE":            {[]string{"0", "0.5", "0.999"}, []string{"1", "-0.1", "NaN", "half"}},
		"SURGE_LIMIT":           {[]string{"0", "1", "50", "100000"}, []string{"-1", "100001", "0.5", "off"}},
		"MANAGEMENT_API_URL": {
			[]string{"https://proxy.example.com:8443/management/api/v1", "https://host/api/v1/", "http://127.0.0.1:80/api/v1", "http://localhost/api/v1"},
			[]string{"http://saas.licensespring.com/api/v1", "http://10.0.0.1/api/v1", "https://saas.licensespring.com", "https://k:secret@saas.licensespring.com/api/v1", "https://saas.licensespring.com/api/v1?k=secret"},
		},
		"MANAGEMENT_CALLS_PER_MINUTE":      {[]string{"1", "180", "24000"}, []string{"0", "-1", "24001", "1.5", "many"}},
		"LOOK_UP":                          {[]string{"off", "on"}, []string{"On", "true", "1", "yes"}},
		"MODE":                             {[]string{"act", "watch"}, []string{"Watch", "on", "dry"}},
		"AWS_REGION":                       {[]string{"us-gov-west-1"}, []string{"eu central", "eu-central-1.evil.example", "EU"}},
		"AWS_ENDPOINT_URL":                 {[]string{"http://localhost:4566"}, []string{"localhost:4566", "http://host?x"}},
		"AWS_ENDPOINT_URL_SQS":             {[]string{"http://localhost:4566"}, []string{"localhost"}},
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": {[]string{"http://localhost:4566"}, []string{"localhost"}},
		"AWS_USE_FIPS_ENDPOINT":            {[]string{"true", "false"}, []string{"1", "True", "yes"}},
		"AWS_USE_DUALSTACK_ENDPOINT":       {[]string{"true", "false"}, []string{"1", "True", "yes"}},
		"AWS_LAMBDA_LOG_LEVEL":             {[]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}, []string{"info", "WARNING"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, value := range c.good {
				if _, err := config.ReadWorker(with(name, value)); err != nil {
					t.Errorf("%q: %v", value, err)
				}
			}
			for _, value := range c.bad {
				wantProblems(t, value, func() error { _, err := config.ReadWorker(with(name, value)); return err })
			}
		})
	}
	for name, c := range map[string]struct{ good, bad []string }{
		"WEBHOOK_SECRETS_ARN": {[]string{arn}, []string{"webhooks"}},
		"PUBLIC_URL":          {[]string{"https://hooks.example.com", "http://127.0.0.1:8080", "https://host/a/b"}, []string{"hooks.example.com", "https://host/?x=1", "ws://host"}},
		"TEST_EVENTS":         {[]string{"ignore", "accept"}, []string{"true", "Accept"}},
		"LOOK_UP":             {[]string{"off", "on"}, []string{"On", "true", "1", "yes"}},
		"MAX_EVENT_AGE":       {[]string{"0", "0h", "1h", "336h", "36h30m", "87600h"}, []string{"14", "14d", "-336h", "59m", "1s", "1e3h", long, " 336h"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, value := range c.good {
				if _, err := config.ReadWebhook(with(name, value)); err != nil {
					t.Errorf("%q: %v", value, err)
				}
			}
			for _, value := range c.bad {
				wantProblems(t, value, func() error { _, err := config.ReadWebhook(with(name, value)); return err })
			}
		})
	}
}

// wantProblems requires an error of lines "NAME: what is wrong; what to set" that does not quote the value.
func wantProblems(t *testing.T, value string, read func() error) {
	t.Helper()
	err := read()
	if err == nil {
		t.Errorf("%q: no error", value)
		return
	}
	for line := range strings.Lines(err.Error()) {
		name, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		wrong, set, both := strings.Cut(rest, "; ")
		if !ok || !both || wrong == "" || set == "" || strings.ToUpper(name) != name {
			t.Errorf("%q: problem %q, want NAME: what is wrong; what to set", value, line)
		}
		if strings.Contains(rest, "secret@") || strings.Contains(rest, `"secret"`) || len(value) > 8 && strings.Contains(wrong, value) {
			t.Errorf("%q: the problem quotes the value", value)
		}
	}
}

func TestEveryProblemIsReportedInTheOrderOfTheLists(t *testing.T) {
	t.Parallel()
	empty := func(string) string { return "" }
	bad := func(name string) string {
		if name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY" {
			return ""
		}
		return "wrong value"
	}
	_, noWebhook := config.ReadWebhook(empty)
	_, noWorker := config.ReadWorker(empty)
	_, badWebhook := config.ReadWebhook(bad)
	_, badWorker := config.ReadWorker(bad)

	unchecked := []string{"AWS_SESSION_TOKEN", "AWS_LAMBDA_FUNCTION_NAME"} // any text is valid
	needed := func(name string) bool {
		return strings.HasSuffix(name, "_ARN") || slices.Contains([]string{
			"QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "LICENSE_API_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		}, name)
	}
	for _, c := range []struct {
		name string
		err  error
		own  []string
		want func(variable string) bool
	}{
		{"webhook, nothing set", noWebhook, config.WebhookVariables(), needed},
		{"worker, nothing set", noWorker, config.WorkerVariables(), needed},
		{"webhook, all wrong", badWebhook, config.WebhookVariables(), func(v string) bool { return !slices.Contains(unchecked, v) }},
		{"worker, all wrong", badWorker, config.WorkerVariables(), func(v string) bool { return !slices.Contains(unchecked, v) }},
	} {
		var want, got []string
		for _, v := range slices.Concat(c.own, config.LambdaVariables()) {
			if c.want(v) {
				want = append(want, v)
			}
		}
		if c.err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for line := range strings.Lines(c.err.Error()) {
			name, _, _ := strings.Cut(line, ":")
			got = append(got, name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestTheExportedListsNameEveryVariableThatIsRead(t *testing.T) {
	t.Parallel()
	read := func(use func(getenv func(string) string)) []string {
		seen := map[string]bool{}
		good := with()
		use(func(name string) string {
			seen[name] = true
			return good(name)
		})
		return slices.Sorted(maps.Keys(seen))
	}
	for name, c := range map[string]struct{ got, own []string }{
		"webhook": {read(func(g func(string) string) { _, _ = config.ReadWebhook(g) }), config.WebhookVariables()},
		"worker":  {read(func(g func(string) string) { _, _ = config.ReadWorker(g) }), config.WorkerVariables()},
	} {
		want := slices.Sorted(slices.Values(slices.Concat(c.own, config.LambdaVariables())))
		if diff := cmp.Diff(want, c.got); diff != "" {
			t.Errorf("%s: variables (-listed +read):\n%s", name, diff)
		}
	}
}

func TestARateAtWhichNoInstanceWouldCallIsRefused(t *testing.T) {
	t.Parallel()
	_, err := config.ReadWorker(with("CALLS_PER_SECOND", "10", "WORKER_INSTANCES", "501"))
	if err == nil || !strings.HasPrefix(err.Error(), "CALLS_PER_SECOND: is too little for WORKER_INSTANCES") {
		t.Errorf("error %v, want that of CALLS_PER_SECOND", err)
	}
	if _, err := config.ReadWorker(with("CALLS_PER_SECOND", "20", "WORKER_INSTANCES", "1000")); err != nil {
		t.Errorf("one call in 50 s: %v", err)
	}
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]slog.Level{
		"TRACE": -8, "DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARN": slog.LevelWarn, "ERROR": slog.LevelError, "FATAL": 12,
	} {
		w, err := config.ReadWebhook(with("AWS_LAMBDA_LOG_LEVEL", name))
		if err != nil || w.LogLevel != want {
			t.Errorf("%s: level %v, error %v; want %v", name, w.LogLevel, err, want)
		}
	}
}

func TestAWSConfig(t *testing.T) {
	t.Parallel()
	w, err := config.ReadWorker(with("AWS_SESSION_TOKEN", "token"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.Config
	if cfg.Region != "eu-central-1" {
		t.Errorf("region is %q", cfg.Region)
	}
	keys, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || keys.AccessKeyID != "id" || keys.SecretAccessKey != "secret" || keys.SessionToken != "token" {
		t.Errorf("credentials are not those of the environment (%v)", err)
	}

	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		t.Fatalf("client is a %T, want the SDK's own, to which each service adds its options", cfg.HTTPClient)
	}
	transport := client.GetTransport()
	sum := client.GetDialer().Timeout + transport.TLSHandshakeTimeout + transport.ResponseHeaderTimeout
	if client.GetDialer().Timeout != time.Second || transport.TLSHandshakeTimeout == 0 || transport.ResponseHeaderTimeout == 0 || sum > 6*time.Second {
		t.Errorf("dial %v, handshake %v, header %v: each is bounded, 6 s in all", client.GetDialer().Timeout,
			transport.TLSHandshakeTimeout, transport.ResponseHeaderTimeout)
	}
}

func TestAWSEndpointVariantsReachBothClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		env          []string
		sqs, secrets string
	}{
		{"neither", nil, "sqs.us-east-1.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com"},
		{
			"FIPS", []string{"AWS_USE_FIPS_ENDPOINT", "true"},
			"sqs-fips.us-east-1.amazonaws.com", "secretsmanager-fips.us-east-1.amazonaws.com",
		},
		{
			"dual stack", []string{"AWS_USE_DUALSTACK_ENDPOINT", "true"},
			"sqs.us-east-1.api.aws", "secretsmanager.us-east-1.amazonaws.com", // this host is dual-stack itself
		},
		{
			"both", []string{"AWS_USE_FIPS_ENDPOINT", "true", "AWS_USE_DUALSTACK_ENDPOINT", "true"},
			"sqs-fips.us-east-1.api.aws", "secretsmanager-fips.us-east-1.amazonaws.com",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, err := config.ReadWebhook(with(append(c.env, "AWS_REGION", "us-east-1")...))
			if err != nil {
				t.Fatal(err)
			}
			called := &hosts{}
			w.Config.HTTPClient = called
			q := queue.OpenSQS(w.Config, w.SQSEndpoint, w.QueueURL)
			_ = q.Warm(t.Context())
			_ = q.Delete(t.Context(), []string{"r"})
			_, _ = secrets.OpenSecretsManager(w.Config, w.SecretsManagerEndpoint, w.WebhookSecretsARN).Read(t.Context())

			if diff := cmp.Diff([]string{c.sqs, c.sqs, c.secrets}, called.names); diff != "" {
				t.Errorf("hosts of Warm, Delete and Read (-want +got):\n%s", diff)
			}
		})
	}
}

// hosts records the hosts that a client calls, and refuses each call.
type hosts struct{ names []string }

func (h *hosts) Do(req *http.Request) (*http.Response, error) {
	h.names = append(h.names, req.URL.Host)
	return &http.Response{
		StatusCode: http.StatusForbidden, Request: req, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"__type":"AccessDenied"}`)),
	}, nil
}

func TestAnEndpointVariantBesideACustomEndpointIsRefused(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"} {
		for _, endpoint := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
			_, err := config.ReadWorker(with(variant, "true", endpoint, "http://127.0.0.1:5000"))
			if err == nil || !strings.HasPrefix(err.Error(), variant+": cannot be combined") {
				t.Errorf("%s beside %s: error %v, want that of %s", variant, endpoint, err, variant)
			}
			if _, err := config.ReadWorker(with(variant, "false", endpoint, "http://127.0.0.1:5000")); err != nil {
				t.Errorf("%s=false beside %s: %v", variant, endpoint, err)
			}
		}
	}
}
