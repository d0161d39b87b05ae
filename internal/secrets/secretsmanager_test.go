package secrets_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"license-deactivator/internal/queue/queuetest"
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
	for _, message := range []string{ // the message of Secrets Manager, and that of moto
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
		{"KMS", 400, map[string]any{"__type": "DecryptionFailure", "Message": "the key is disabled"}, false, "DecryptionFailure"},
		{"marked for deletion", 400, map[string]any{"__type": "InvalidRequestException", "Message": "no"}, false, "InvalidRequest"},
		{"binary", 200, map[string]any{"SecretBinary": "AA==", "VersionId": "v1"}, false, "holds a binary value; store it as text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.status, c.answer).Read(t.Context())
			if err == nil || errors.Is(err, secrets.ErrEmpty) != c.empty {
				t.Fatalf("error %v, want ErrEmpty: %t", err, c.empty)
			}
			if errors.Is(err, secrets.ErrUnavailable) {
				t.Errorf("error %v is ErrUnavailable, but an operator must repair it", err)
			}
			for _, part := range []string{c.want, arn} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q", err, part)
				}
			}
		})
	}
}

// openInMemory opens a secret whose reads answer serves, without a network, for a bubble; n counts from 1.
func openInMemory(answer func(w http.ResponseWriter, r *http.Request, n int64)) (*secrets.SecretsManager, *atomic.Int64) {
	calls := new(atomic.Int64)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, calls.Add(1)) })
	return secrets.OpenSecretsManager(aws.Config{
		Region:           "eu-central-1",
		RetryMaxAttempts: 3, // has no effect
		HTTPClient:       &http.Client{Transport: queuetest.InMemory{Handler: handler}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, "http://secrets.test", arn), calls
}

// cacheTime is the time that a Cache gives a read.
const cacheTime = 5 * time.Second

// fails are temporary failures of a read.
func fails() map[string]http.HandlerFunc {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	return map[string]http.HandlerFunc{
		"throttled":      answer(http.StatusBadRequest, `{"__type":"ThrottlingException","Message":"Rate exceeded"}`),
		"429":            answer(http.StatusTooManyRequests, `{}`),
		"internal error": answer(http.StatusInternalServerError, `{"__type":"InternalServiceError","Message":"no"}`),
		"503 of a proxy": answer(http.StatusServiceUnavailable, `<html>`),
		"not JSON":       answer(http.StatusOK, `<html>`),
		"hangs":          func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
}

func TestSecretsManagerSucceedsWithinHalfASecondAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, fail := range fails() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := openInMemory(func(w http.ResponseWriter, r *http.Request, n int64) {
					if n == 1 || n == 2 && name != "hangs" {
						fail(w, r)
						return
					}
					_, _ = w.Write([]byte(`{"SecretString":"text","VersionId":"v1"}`))
				})
				ctx, cancel := context.WithTimeout(t.Context(), cacheTime)
				defer cancel()
				began := time.Now()
				got, err := s.Read(ctx)
				if want := (secrets.Value{Text: "text", Version: "v1"}); err != nil || got != want {
					t.Errorf("Read: right %t, error %v", got == want, err)
				}
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("took %v, want at most half a second", took)
				}
			})
		})
	}
}

func TestSecretsManagerIsUnavailableAfterThreeAttempts(t *testing.T) {
	t.Parallel()
	for name, fail := range fails() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, calls := openInMemory(func(w http.ResponseWriter, r *http.Request, _ int64) { fail(w, r) })
				ctx, cancel := context.WithTimeout(t.Context(), cacheTime)
				defer cancel()
				began := time.Now()
				_, err := s.Read(ctx)
				if !errors.Is(err, secrets.ErrUnavailable) || !strings.Contains(err.Error(), arn) {
					t.Errorf("error %v, want ErrUnavailable with the secret's ARN", err)
				}
				if n := calls.Load(); n != 3 {
					t.Errorf("%d calls, want 3", n)
				}
				if took := time.Since(began); took > 1300*time.Millisecond {
					t.Errorf("took %v, want at most 1.3 s", took)
				}
			})
		})
	}
}

func TestAConnectionThatIsRefusedIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	s := secrets.OpenSecretsManager(aws.Config{
		Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, server.URL, arn)
	if _, err := s.Read(t.Context()); !errors.Is(err, secrets.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}
