package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/spf13/cobra"
)

const (
	// localFunction is the webhook function's name in licensectl local.
	localFunction = "webhook"

	// localRegion is the client's region for licensectl local, which has none.
	localRegion = "us-east-1"

	// invokeTimeout bounds one invocation. The webhook function itself has less.
	invokeTimeout = time.Minute
)

// webhookFunction is where a command invokes the webhook function.
type webhookFunction struct{ name, endpoint string }

// addFlags adds --function and --endpoint-url.
func (f *webhookFunction) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "function", "", "the webhook function's name or ARN, the stack's output WebhookFunctionName")
	cmd.Flags().StringVar(&f.endpoint, "endpoint-url", "", "address of Lambda; that of licensectl local is http://"+defaultAddress+", and needs no --function")
}

// check sets the local function's name and refuses a configuration that cannot be invoked.
func (f *webhookFunction) check() error {
	if f.name == "" && f.endpoint == "" {
		return misused("name it with --function, or a running licensectl local with --endpoint-url http://"+defaultAddress, "there is no function to invoke")
	}
	if f.endpoint == "" {
		return nil
	}
	u, err := url.Parse(f.endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return misused("give https://…, or http:// for this machine", "--endpoint-url is not a usable address")
	}
	switch {
	case f.name != "":
	case isLoopback(u.Hostname()):
		f.name = localFunction
	default:
		return misused("name it with --function", "there is no function to invoke")
	}
	return nil
}

// String describes the function for a person.
func (f *webhookFunction) String() string {
	if f.endpoint == "" {
		return "function " + f.name
	}
	return "function " + f.name + " at " + f.endpoint
}

// invoke sends one payload and returns the function's answer. Region and credentials are those of AWS (environment,
// profile, role), except for an address on this machine, which needs none.
func (f *webhookFunction) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
	defer cancel()
	client, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(f.name), Payload: payload})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	if out.FunctionError != nil {
		var said struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &said) != nil || said.Message == "" {
			return nil, fmt.Errorf("%s: failed (%s)", f, aws.ToString(out.FunctionError))
		}
		return nil, fmt.Errorf("%s: %s", f, said.Message)
	}
	return out.Payload, nil
}

func (f *webhookFunction) client(ctx context.Context) (*lambda.Client, error) {
	if u, err := url.Parse(f.endpoint); err == nil && isLoopback(u.Hostname()) {
		return lambda.New(lambda.Options{
			Region: localRegion, Credentials: aws.AnonymousCredentials{}, BaseEndpoint: aws.String(f.endpoint),
		}), nil
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("AWS configuration: no region; set AWS_REGION or choose a profile with AWS_PROFILE")
	}
	return lambda.NewFromConfig(cfg, func(o *lambda.Options) {
		if f.endpoint != "" {
			o.BaseEndpoint = aws.String(f.endpoint)
		}
	}), nil
}
