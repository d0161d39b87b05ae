package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Stages of a version. For a secret that exists and has no value, Secrets Manager's error message names the current
// stage. A secret that does not exist has the same error code; its message names no stage.
//
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
const (
	currentStage  = "AWSCURRENT"
	previousStage = "AWSPREVIOUS" // the version before; Secrets Manager moves it there when another one becomes current
)

// SecretsManager reads one stage of one secret of AWS Secrets Manager. It is safe for concurrent use.
type SecretsManager struct {
	client *secretsmanager.Client
	arn    string
	stage  string
}

// OpenSecretsManager makes the client of the secret with that ARN; it calls nothing, and the first Read opens the
// connection. endpoint is AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL; "" means that of the region.
func OpenSecretsManager(cfg aws.Config, endpoint, arn string) *SecretsManager {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	return &SecretsManager{client: client, arn: arn, stage: currentStage}
}

// Previous returns the reader of the version before the current one. A secret that was stored once has none (ErrEmpty).
func (s *SecretsManager) Previous() *SecretsManager {
	return &SecretsManager{client: s.client, arn: s.arn, stage: previousStage}
}

// Read implements Reader.
func (s *SecretsManager) Read(ctx context.Context) (Value, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &s.arn}
	if s.stage != currentStage { // Secrets Manager's default
		in.VersionStage = &s.stage
	}
	out, err := s.client.GetSecretValue(ctx, in)
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing) && s.stage == previousStage: // whatever it says: the secret itself was found before
		return Value{}, fmt.Errorf("%w: none at %s of %s", ErrEmpty, previousStage, s.arn)
	case errors.As(err, &missing) && strings.Contains(missing.ErrorMessage(), currentStage):
		return Value{}, s.empty()
	case err != nil:
		return Value{}, fmt.Errorf("secrets: %s: %w", s.arn, err)
	case out.SecretString == nil && out.SecretBinary != nil:
		return Value{}, fmt.Errorf("secrets: %s holds a binary value; store it as text (--secret-string)", s.arn)
	case aws.ToString(out.SecretString) == "":
		return Value{}, s.empty()
	}
	return Value{Text: *out.SecretString, Version: aws.ToString(out.VersionId)}, nil
}

func (s *SecretsManager) empty() error {
	return fmt.Errorf("%w; store one with: aws secretsmanager put-secret-value --secret-id %s --secret-string file://secret.json",
		ErrEmpty, s.arn)
}
