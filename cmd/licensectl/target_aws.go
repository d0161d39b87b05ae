package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"license-deactivator/internal/deactivation"
)

// localRegion is the region for an address of this machine, where none is set.
const localRegion = "us-east-1"

// actorTimeout bounds the question who is signed in. The command goes on without the answer.
const actorTimeout = 5 * time.Second

// Hints for errors of AWS.
const (
	hintRegion      = "set AWS_REGION, or choose a profile that has a region with AWS_PROFILE"
	hintCredentials = "choose a profile with AWS_PROFILE and sign in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)

// loadConfig reads region and credentials from AWS's own places, and checks that both are there. An address of this
// machine needs neither: an emulator accepts any.
func (t *target) loadConfig(ctx context.Context) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if t.onThisMachine() {
		options = append(options, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, failed(fmt.Errorf("AWS configuration: %w", err), "correct AWS_PROFILE or the file that the error names")
	}
	if t.endpoint != "" {
		cfg.BaseEndpoint = aws.String(t.endpoint)
	}
	if cfg.Region == "" && t.onThisMachine() {
		cfg.Region = localRegion
	}
	if cfg.Region == "" {
		return cfg, failed(errors.New("AWS configuration: no region is set"), hintRegion)
	}
	if cfg.Credentials == nil {
		return cfg, failed(errors.New("AWS configuration: there are no credentials"), hintCredentials)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if !t.onThisMachine() {
			return cfg, failed(fmt.Errorf("AWS configuration: there are no usable credentials: %w", err), hintCredentials)
		}
		cfg.Credentials = credentials.NewStaticCredentialsProvider("local", "local", "")
	}
	return cfg, nil
}

// readStack returns the outputs and the status of the stack.
func (p *place) readStack(ctx context.Context) (outputs map[string]string, status string, err error) {
	client := cloudformation.NewFromConfig(p.config, func(o *cloudformation.Options) {
		o.BaseEndpoint = p.endpointFor(o.BaseEndpoint)
	})
	out, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &p.stack})
	switch {
	case isNoStack(err), err == nil && len(out.Stacks) != 1:
		return nil, "", failed(fmt.Errorf("there is no stack %s in the region %s", p.stack, p.config.Region),
			"aws cloudformation describe-stacks lists them; another region or account is chosen with AWS_REGION or AWS_PROFILE")
	case err != nil:
		return nil, "", awsFailed(err, "cloudformation:DescribeStacks", "the outputs of the stack "+p.stack+" cannot be read")
	}
	outputs = map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, string(out.Stacks[0].StackStatus), nil
}

// isNoStack reports whether CloudFormation does not know the stack. It has no error code of its own for that.
func isNoStack(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	return ok && answer.ErrorCode() == "ValidationError" && strings.Contains(answer.ErrorMessage(), "does not exist")
}

// endpointFor returns the BaseEndpoint of a client: --endpoint-url wins over AWS's variables.
func (p *place) endpointFor(chosen *string) *string {
	if p.endpoint != "" {
		return aws.String(p.endpoint)
	}
	return chosen
}

// awsFailed returns the error of a call to AWS with what to do about it. right is the right of IAM that the call needs,
// such as sqs:ReceiveMessage.
func awsFailed(err error, right, what string) error {
	return failed(fmt.Errorf("%s: %w", what, err), awsHint(err, right))
}

// awsProblem describes an error of AWS in few words: its code and message, without the call and the request's id.
func awsProblem(err error) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return answer.ErrorCode() + ": " + answer.ErrorMessage()
	}
	return err.Error()
}

// hintNotAWS is the hint for an answer that is not one of AWS.
const hintNotAWS = "what answers at this address is neither AWS nor licensectl local: check --endpoint-url and AWS_ENDPOINT_URL"

// awsHint returns what to do about an error of AWS.
func awsHint(err error, right string) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		switch answer.ErrorCode() {
		case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "AWS.SimpleQueueService.AccessDenied":
			return "the signed-in role needs the right " + right
		case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
			"InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature":
			return "AWS refuses the credentials: " + hintCredentials
		case "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestThrottled":
			return "AWS throttles the calls of this account: try again in a minute"
		case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
			return "there is no queue with this address: compare it with the output of the stack, the region (AWS_REGION) and the account (AWS_PROFILE)"
		case "UnknownError": // an answer without a code of AWS
			return hintNotAWS
		}
		return ""
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return hintNotAWS
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return "AWS cannot be reached: check the network, the region and --endpoint-url"
	}
	return ""
}

// actor returns who acts, for the audit trail: the ARN of the signed-in AWS identity, or the user of this machine, where
// there is none or AWS does not answer.
func (p *place) actor(ctx context.Context) string {
	if p != nil && !p.isLocal() {
		ctx, cancel := context.WithTimeout(ctx, actorTimeout)
		defer cancel()
		client := sts.NewFromConfig(p.config, func(o *sts.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) })
		if out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil && aws.ToString(out.Arn) != "" {
			return deactivation.CleanText(aws.ToString(out.Arn))
		}
	}
	return systemUser()
}

// systemUser returns the user and the host, such as jane@laptop.
func systemUser() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return deactivation.CleanText(name)
	}
	return deactivation.CleanText(name + "@" + host)
}
