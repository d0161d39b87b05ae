//go:build integration

package integration

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"license-deactivator/internal/secrets"
)

// secretAt makes a secret without a value on the server and returns its ARN and a client to put values with.
func secretAt(t *testing.T, endpoint string) (arn string, client *secretsmanager.Client) {
	t.Helper()
	client = secretsmanager.NewFromConfig(awsConfig(), func(o *secretsmanager.Options) { o.BaseEndpoint = &endpoint })
	out, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("test-" + rand.Text())})
	if err != nil {
		t.Fatalf("CreateSecret: %v", err)
	}
	return aws.ToString(out.ARN), client
}

func TestSecretOnMotoFromEmptyToRotated(t *testing.T) {
	t.Parallel()
	endpoint := motoURL(t)
	arn, client := secretAt(t, endpoint)
	put := func(text string) (version string) {
		t.Helper()
		out, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &text})
		if err != nil {
			t.Fatalf("PutSecretValue: %v", err)
		}
		return aws.ToString(out.VersionId)
	}
	cache := secrets.NewCache(secrets.OpenSecretsManager(awsConfig(), endpoint, arn), secrets.ParseLicense)

	if _, err := cache.Get(t.Context()); !errors.Is(err, secrets.ErrEmpty) {
		t.Errorf("Get of an empty secret: %v, want ErrEmpty", err)
	}

	first := put(`{"api_key":"key","shared_key":"old"}`)
	held, err := cache.Get(t.Context())
	if err != nil || held.Value.SharedKey != "old" || held.Version != first {
		t.Fatalf("Get: version %q, error %v; want the first, %q", held.Version, err, first)
	}

	second := put(`{"api_key":"key","shared_key":"new"}`)
	held, err = cache.Refresh(t.Context(), first)
	if err != nil || held.Value.SharedKey != "new" || held.Version != second {
		t.Errorf("Refresh: version %q, error %v; want the second, %q", held.Version, err, second)
	}
}

func TestSecretOnMotoWithTheVersionBefore(t *testing.T) {
	t.Parallel()
	endpoint := motoURL(t)
	arn, client := secretAt(t, endpoint)
	put := func(text string) {
		t.Helper()
		if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &text}); err != nil {
			t.Fatalf("PutSecretValue: %v", err)
		}
	}
	current := secrets.OpenSecretsManager(awsConfig(), endpoint, arn)
	put(`{"api_key":"key","shared_key":"old"}`)
	if _, err := current.Previous().Read(t.Context()); !errors.Is(err, secrets.ErrEmpty) {
		t.Errorf("Previous of a secret that was stored once: %v, want ErrEmpty", err)
	}

	put(`{"client_id":"id","client_secret":"new"}`)
	cache := secrets.NewCacheWithPrevious(current, current.Previous(), secrets.ParseLicense)
	held, err := cache.Get(t.Context())
	if err != nil || held.Value.ClientSecret != "new" || held.Previous {
		t.Fatalf("Get: previous %t, error %v; want the current version", held.Previous, err)
	}
	held, err = cache.Refresh(t.Context(), held.Version)
	if err != nil || held.Value.SharedKey != "old" || !held.Previous {
		t.Errorf("Refresh: previous %t, error %v; want the version before", held.Previous, err)
	}
}

func TestSecretOnMotoThatIsNotThere(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AbCdEf"
	_, err := secrets.OpenSecretsManager(awsConfig(), motoURL(t), arn).Read(t.Context())
	if err == nil || errors.Is(err, secrets.ErrEmpty) {
		t.Errorf("Read: %v, want an error that is not ErrEmpty", err)
	}
}
