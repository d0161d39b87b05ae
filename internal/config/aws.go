package config

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Lambda's and the SDK's variables.
const (
	lambdaLogLevel     = "AWS_LAMBDA_LOG_LEVEL"
	region             = "AWS_REGION"
	endpointURL        = "AWS_ENDPOINT_URL"
	endpointURLSQS     = "AWS_ENDPOINT_URL_SQS"
	endpointURLSecrets = "AWS_ENDPOINT_URL_SECRETS_MANAGER" //nolint:gosec // a name, no credential
	accessKeyID        = "AWS_ACCESS_KEY_ID"
	secretAccessKey    = "AWS_SECRET_ACCESS_KEY" //nolint:gosec // a name, no credential
	sessionToken       = "AWS_SESSION_TOKEN"     //nolint:gosec // a name, no credential
	maxAttempts        = "AWS_MAX_ATTEMPTS"
	retryMode          = "AWS_RETRY_MODE"
	functionName       = "AWS_LAMBDA_FUNCTION_NAME"
)

// LambdaVariables lists what both functions read and Lambda or the SDK's user sets, not template.yaml.
func LambdaVariables() []string {
	return []string{
		lambdaLogLevel, region, endpointURL, endpointURLSQS, endpointURLSecrets,
		accessKeyID, secretAccessKey, sessionToken, maxAttempts, retryMode, functionName,
	}
}

const (
	// The time-outs of a call to SQS or Secrets Manager, which are a few milliseconds away. They are far below the
	// SDK's own (a dial alone 30 s), so that the worst call, 6 s in all, still leaves the webhook's 10 s time to
	// answer. A long poll needs more than headerLimit: the functions do not poll, Lambda does it for them.
	dialLimit      = 1 * time.Second
	handshakeLimit = 2 * time.Second // 0.1 s of CPU at 128 MB
	headerLimit    = 3 * time.Second

	// mostAttempts bounds AWS_MAX_ATTEMPTS: ten already wait longer than any function runs. Unset, the SDK makes 3.
	mostAttempts = 10

	// nameElsewhere stands for the function's name where Lambda does not set it.
	nameElsewhere = "license-deactivator"

	// Lambda knows two levels more than slog.
	levelTrace = slog.LevelDebug - 4
	levelFatal = slog.LevelError + 4
)

const (
	setByLambda = "Lambda sets it; elsewhere set your own"
	setEndpoint = "set an address such as http://127.0.0.1:5000, or leave it out"
)

// AWS is what both functions need of Lambda and the SDK.
type AWS struct {
	// Config is built by hand: config.LoadDefaultConfig costs a quarter of the cold start for sources of
	// credentials that Lambda does not use. Of the SDK's settings it honours those in LambdaVariables.
	Config aws.Config

	// SQSEndpoint and SecretsManagerEndpoint are for each client's BaseEndpoint; "" means that of the region.
	SQSEndpoint            string
	SecretsManagerEndpoint string

	FunctionName string // unique per stack; "license-deactivator" outside Lambda
	LogLevel     slog.Level
}

func readAWS(e *environment) AWS {
	a := AWS{LogLevel: e.logLevel()}
	a.Config = aws.Config{
		Region:     e.required(region, regionName, setByLambda),
		HTTPClient: httpClient(),
	}
	both := e.optional(endpointURL, address, setEndpoint)
	a.SQSEndpoint = first(e.optional(endpointURLSQS, address, setEndpoint), both)
	a.SecretsManagerEndpoint = first(e.optional(endpointURLSecrets, address, setEndpoint), both)
	a.Config.Credentials = e.credentials()
	a.Config.RetryMaxAttempts = e.whole(maxAttempts, 0, mostAttempts)
	a.Config.RetryMode = aws.RetryMode(e.choice(retryMode, string(aws.RetryModeStandard), string(aws.RetryModeAdaptive)))
	a.FunctionName = first(e.getenv(functionName), nameElsewhere)
	return a
}

// credentials are those of the environment. They stay the same as long as the environment lives, and a function
// does not print as its keys.
func (e *environment) credentials() aws.CredentialsProvider {
	keys := aws.Credentials{
		AccessKeyID:     e.required(accessKeyID, anything, setByLambda),
		SecretAccessKey: e.required(secretAccessKey, anything, setByLambda),
		SessionToken:    e.getenv(sessionToken),
		Source:          "environment",
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = handshakeLimit
			t.ResponseHeaderTimeout = headerLimit
		})
}

func (e *environment) logLevel() slog.Level {
	switch e.choice(lambdaLogLevel, "INFO", "TRACE", "DEBUG", "WARN", "ERROR", "FATAL") {
	case "TRACE":
		return levelTrace
	case "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	case "FATAL":
		return levelFatal
	}
	return slog.LevelInfo
}

var hostLabel = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

func regionName(value string) (wrong string) {
	if !hostLabel.MatchString(value) {
		return "is not the name of a region"
	}
	return ""
}

func anything(string) (wrong string) { return "" }

// first is the first that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
