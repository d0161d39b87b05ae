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

// Variables of Lambda and of the SDK.
const (
	lambdaLogLevel     = "AWS_LAMBDA_LOG_LEVEL"
	region             = "AWS_REGION"
	endpointURL        = "AWS_ENDPOINT_URL"
	endpointURLSQS     = "AWS_ENDPOINT_URL_SQS"
	endpointURLSecrets = "AWS_ENDPOINT_URL_SECRETS_MANAGER" //nolint:gosec // a name, no credential
	accessKeyID        = "AWS_ACCESS_KEY_ID"
	secretAccessKey    = "AWS_SECRET_ACCESS_KEY" //nolint:gosec // a name, no credential
	sessionToken       = "AWS_SESSION_TOKEN"     //nolint:gosec // a name, no credential
	useFIPS            = "AWS_USE_FIPS_ENDPOINT"
	useDualStack       = "AWS_USE_DUALSTACK_ENDPOINT"
	functionName       = "AWS_LAMBDA_FUNCTION_NAME"
)

// LambdaVariables lists the variables that both functions read and that Lambda or an operator sets, not template.yaml.
func LambdaVariables() []string {
	return []string{
		lambdaLogLevel, region, endpointURL, endpointURLSQS, endpointURLSecrets,
		useFIPS, useDualStack, accessKeyID, secretAccessKey, sessionToken, functionName,
	}
}

const (
	// Time-outs of a call to SQS or Secrets Manager, which respond within a few milliseconds. They are far below the
	// SDK's defaults (30 s for a dial alone), so that the slowest call, 6 s in all, leaves the webhook time to answer
	// within its 10 s. internal/queue and internal/secrets abandon an attempt earlier. A long poll takes longer than
	// headerLimit: the functions do not poll, Lambda polls for them.
	dialLimit      = 1 * time.Second
	handshakeLimit = 2 * time.Second // a handshake takes 0.1 s of CPU at 128 MB
	headerLimit    = 3 * time.Second

	// defaultFunctionName is the function's name outside Lambda.
	defaultFunctionName = "license-deactivator"

	// Lambda has two more levels than slog.
	levelTrace = slog.LevelDebug - 4
	levelFatal = slog.LevelError + 4
)

const (
	setByLambda = "Lambda sets it; outside Lambda set it yourself"
	setEndpoint = "set a URL such as http://127.0.0.1:5000, or remove it"
	setVariant  = "remove it, or remove the endpoint"
)

// AWS is the configuration of Lambda and the SDK that both functions have.
type AWS struct {
	// Config is built by hand: config.LoadDefaultConfig spends a quarter of the cold start on looking for credentials
	// in places that Lambda does not use. Of the SDK's variables it honours those in LambdaVariables. The variables for
	// the SDK's own retries (AWS_MAX_ATTEMPTS, AWS_RETRY_MODE) have no effect: internal/queue and internal/secrets
	// retry.
	Config aws.Config

	// SQSEndpoint and SecretsManagerEndpoint are for each client's BaseEndpoint; "" means the endpoint of the region.
	SQSEndpoint            string
	SecretsManagerEndpoint string

	FunctionName string // unique in an account and region; "license-deactivator" outside Lambda
	LogLevel     slog.Level
}

func readAWS(e *environment) AWS {
	a := AWS{LogLevel: e.logLevel()}
	a.Config = aws.Config{
		Region:     e.required(region, regionName, setByLambda),
		HTTPClient: httpClient(),
	}
	both := e.optional(endpointURL, httpURL, setEndpoint)
	a.SQSEndpoint = firstNonEmpty(e.optional(endpointURLSQS, httpURL, setEndpoint), both)
	a.SecretsManagerEndpoint = firstNonEmpty(e.optional(endpointURLSecrets, httpURL, setEndpoint), both)
	a.Config.ConfigSources = []any{e.variants(a.SQSEndpoint != "" || a.SecretsManagerEndpoint != "")}
	a.Config.Credentials = e.credentials()
	a.FunctionName = firstNonEmpty(e.getenv(functionName), defaultFunctionName)
	return a
}

// variants are the variants of AWS's endpoints that both clients call. It implements the SDK's interfaces for a source
// of configuration.
type variants struct {
	fips      aws.FIPSEndpointState
	dualStack aws.DualStackEndpointState
}

// GetUseFIPSEndpoint returns AWS_USE_FIPS_ENDPOINT.
func (v variants) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	return v.fips, true, nil
}

// GetUseDualStackEndpoint returns AWS_USE_DUALSTACK_ENDPOINT.
func (v variants) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	return v.dualStack, true, nil
}

// variants reads the variants of the endpoints. A custom endpoint has none: the SDK would fail every call.
func (e *environment) variants(custom bool) variants {
	v := variants{fips: aws.FIPSEndpointStateDisabled, dualStack: aws.DualStackEndpointStateDisabled}
	if e.variant(useFIPS, custom) {
		v.fips = aws.FIPSEndpointStateEnabled
	}
	if e.variant(useDualStack, custom) {
		v.dualStack = aws.DualStackEndpointStateEnabled
	}
	return v
}

func (e *environment) variant(name string, custom bool) bool {
	enabled := e.choice(name, "false", "true") == "true"
	if enabled && custom {
		e.problem(name, "cannot be combined with a custom endpoint (AWS_ENDPOINT_URL)", setVariant)
	}
	return enabled
}

// credentials reads the credentials from the environment. They do not change while the process runs. The provider is a
// function, so that a printed configuration does not show the keys.
func (e *environment) credentials() aws.CredentialsProvider {
	keys := aws.Credentials{
		AccessKeyID:     e.required(accessKeyID, anyText, setByLambda),
		SecretAccessKey: e.required(secretAccessKey, anyText, setByLambda),
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
		return "is not a region name"
	}
	return ""
}

func anyText(string) (wrong string) { return "" }

// firstNonEmpty returns the first value that is not empty.
func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
