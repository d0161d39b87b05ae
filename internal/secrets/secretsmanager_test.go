package secrets_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"license-deactivator/internal/secrets"
)

const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:license-AbCdEf"

// open starts a server that gives one answer to GetSecretValue of the current version.
func open(t *testing.T, status int, answer map[string]any) *secrets.SecretsManager {
	t.Helper()
	return openAt(t, map[string]string{"SecretId": arn}, status, answer)
}

// openAt starts a server that gives one answer to the question want.
func openAt(t *testing.T, want map[string]string, status int, answer map[string]any) *secrets.SecretsManager {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		err := json.NewDecoder(r.Body).Decode(&in)
		if target := r.Header.Get("X-Amz-Target"); err != nil || target != "secretsmanager.GetSecretValue" || !maps.Equal(in, want) {
			t.Errorf("asked %s with %v (%v)", target, in, err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return secrets.OpenSecretsManager(aws.Config{
		Region:           "eu-central-1",
		RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, server.URL, arn)
}

func TestSecretsManagerReadsTextAndVersion(t *testing.T) {
	t.Parallel()
	s := open(t, http.StatusOK, map[string]any{"SecretString": "text", "VersionId": "v1"})
	got, err := s.Read(t.Context())
	if want := (secrets.Value{Text: "text", Version: "v1"}); err != nil || got != want {
		t.Errorf("Read: right %t, error %v", got == want, err)
	}
}

func TestSecretsManagerReadsThePreviousVersion(t *testing.T) {
	t.Parallel()
	asked := map[string]string{"SecretId": arn, "VersionStage": "AWSPREVIOUS"}
	got, err := openAt(t, asked, http.StatusOK, map[string]any{"SecretString": "old", "VersionId": "v0"}).Previous().Read(t.Context())
	if want := (secrets.Value{Text: "old", Version: "v0"}); err != nil || got != want {
		t.Errorf("Read: right %t, error %v", got == want, err)
	}
	for _, message := range []string{ // Secrets Manager's own, and moto's
		"Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS",
		"Secrets Manager can't find the specified secret.",
	} {
		none := map[string]any{"__type": "ResourceNotFoundException", "Message": message}
		if _, err := openAt(t, asked, http.StatusBadRequest, none).Previous().Read(t.Context()); !errors.Is(err, secrets.ErrEmpty) {
			t.Errorf("a secret that was stored once: %v, want ErrEmpty", err)
		}
	}
	denied := map[string]any{"__type": "AccessDeniedException", "Message": "no"}
	if _, err := openAt(t, asked, http.StatusBadRequest, denied).Previous().Read(t.Context()); err == nil || errors.Is(err, secrets.ErrEmpty) {
		t.Errorf("not allowed: %v, want an error that is not ErrEmpty", err)
	}
}

func TestSecretsManagerErrors(t *testing.T) {
	t.Parallel()
	const code = "ResourceNotFoundException"
	for _, c := range []struct {
		name   string
		status int
		answer map[string]any
		empty  bool
		want   string
	}{
		{
			"no value yet", 400,
			map[string]any{"__type": code, "Message": "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"},
			true, "aws secretsmanager put-secret-value --secret-id " + arn,
		},
		{"an empty value", 200, map[string]any{"SecretString": "", "VersionId": "v1"}, true, "put-secret-value"},
		{"no such secret", 400, map[string]any{"__type": code, "Message": "Secrets Manager can't find the specified secret."}, false, code},
		{"not allowed", 400, map[string]any{"__type": "AccessDeniedException", "Message": "no"}, false, "AccessDenied"},
		{"binary", 200, map[string]any{"SecretBinary": "AA==", "VersionId": "v1"}, false, "holds a binary value; store it as text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.status, c.answer).Read(t.Context())
			if err == nil || errors.Is(err, secrets.ErrEmpty) != c.empty {
				t.Fatalf("error %v, want ErrEmpty: %t", err, c.empty)
			}
			for _, part := range []string{c.want, arn} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q", err, part)
				}
			}
		})
	}
}
