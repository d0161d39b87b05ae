package secrets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"license-deactivator/internal/deadline"
)

// Stages of a version. For a secret that exists and has no value, Secrets Manager's error message names the current
// stage. A secret that does not exist has the same error code; its message names no stage.
//
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
const (
	currentStage  = "AWSCURRENT"
	previousStage = "AWSPREVIOUS" // the previous version; Secrets Manager moves this stage to it when another one becomes current
)

const (
	// maxAttempts is how often GetSecretValue is called for one read, within readTime in all. An attempt without a
	// response is abandoned after firstTimeout, the next after twice as long. The wait before the second attempt is at
	// most firstWait, the next wait twice as long:
	//
	//	attempt         1      2      3      sum
	//	wait before ≤          0.1    0.2
	//	time-out        0.3    0.6    rest   1.3 s
	//
	// A delivery reads the secrets, then has 3.5 s to enqueue; some senders wait no longer than five seconds for both.
	// Secrets Manager responds within 10 to 100 ms. Without a deadline there is no hurry, and every attempt has
	// maxTimeout.
	maxAttempts  = 3
	readTime     = 1300 * time.Millisecond
	firstTimeout = 300 * time.Millisecond
	maxTimeout   = 30 * time.Second
	firstWait    = 100 * time.Millisecond
)

// SecretsManager reads one stage of one secret of AWS Secrets Manager. It is safe for concurrent use.
type SecretsManager struct {
	client *secretsmanager.Client
	arn    string
	stage  string
}

// OpenSecretsManager makes the client of the secret with that ARN. It makes no call; the first Read opens the
// connection. endpoint is AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL; "" means the endpoint of the region.
// The SDK makes one attempt for each call, regardless of cfg: Read retries, within the time that a delivery has.
func OpenSecretsManager(cfg aws.Config, endpoint, arn string) *SecretsManager {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.RetryMaxAttempts = 1
	})
	return &SecretsManager{client: client, arn: arn, stage: currentStage}
}

// Previous returns the reader of the version before the current one. A secret that was stored once has none (ErrEmpty).
func (s *SecretsManager) Previous() *SecretsManager {
	return &SecretsManager{client: s.client, arn: s.arn, stage: previousStage}
}

// Read implements Reader. If ctx has a deadline, it takes 1.3 s at most.
func (s *SecretsManager) Read(ctx context.Context) (Value, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &s.arn}
	if s.stage != currentStage { // Secrets Manager's default
		in.VersionStage = &s.stage
	}
	out, err := s.get(ctx, in)
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing) && s.stage == previousStage: // the secret itself was found before, so the message does not matter
		return Value{}, fmt.Errorf("%w: none at %s of %s", ErrEmpty, previousStage, s.arn)
	case errors.As(err, &missing) && strings.Contains(missing.ErrorMessage(), currentStage):
		return Value{}, s.empty()
	case err != nil && s.retryable(err):
		return Value{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, s.arn, err)
	case err != nil:
		return Value{}, fmt.Errorf("secrets: %s: %w", s.arn, err)
	case out.SecretString == nil && out.SecretBinary != nil:
		return Value{}, fmt.Errorf("secrets: %s holds a binary value; store it as text (--secret-string)", s.arn)
	case aws.ToString(out.SecretString) == "":
		return Value{}, s.empty()
	}
	return Value{Text: *out.SecretString, Version: aws.ToString(out.VersionId)}, nil
}

// get calls GetSecretValue, again while the failure is retryable.
func (s *SecretsManager) get(ctx context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
	timeout := maxTimeout
	if _, hasDeadline := ctx.Deadline(); hasDeadline {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTime)
		defer cancel()
		timeout = firstTimeout
	}
	for attempt := 0; ; attempt++ {
		attemptCtx, endAttempt := context.WithTimeout(ctx, timeout)
		out, err := s.client.GetSecretValue(attemptCtx, in)
		endAttempt()
		if err == nil || !s.retryable(err) || attempt+1 == maxAttempts {
			return out, err
		}
		timeout = min(2*timeout, maxTimeout)
		wait := firstWait << attempt
		if deadline.Sleep(ctx, wait/2+rand.N(wait/2)) != nil {
			return nil, err
		}
	}
}

// retryable reports whether a call that failed with err may succeed when it is repeated: Secrets Manager throttled it
// or answered 5xx, or the answer does not come from Secrets Manager.
func (s *SecretsManager) retryable(err error) bool {
	var answer smithy.APIError
	if !errors.As(err, &answer) || s.client.Options().Retryer.IsErrorRetryable(err) {
		return true
	}
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) &&
		(response.HTTPStatusCode() >= http.StatusInternalServerError || response.HTTPStatusCode() == http.StatusTooManyRequests)
}

func (s *SecretsManager) empty() error {
	return fmt.Errorf("%w; store one with: aws secretsmanager put-secret-value --secret-id %s --secret-string file://secret.json",
		ErrEmpty, s.arn)
}
