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

// currentStage is named by the answer for a secret that exists and has no value. A secret that does not exist has
// the same error code; its message names no stage.
const currentStage = "AWSCURRENT"

// SecretsManager reads one secret of AWS Secrets Manager. It is safe for concurrent use.
type SecretsManager struct {
	client *secretsmanager.Client
	arn    string
}

// OpenSecretsManager makes the client of the secret with that ARN; it calls nothing, and the first Read opens the
// connection. endpoint is AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL; "" means that of the region.
func OpenSecretsManager(cfg aws.Config, endpoint, arn string) *SecretsManager {
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	return &SecretsManager{client: client, arn: arn}
}

// Read implements Reader: the version at the stage AWSCURRENT.
func (s *SecretsManager) Read(ctx context.Context) (Value, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.arn})
	var missing *types.ResourceNotFoundException
	switch {
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
