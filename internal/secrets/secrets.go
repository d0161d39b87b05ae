// Package secrets reads the two secrets, the License API's credentials and the senders' keys, and caches them. No other
// package imports the Secrets Manager client.
//
//	reader := secrets.OpenSecretsManager(cfg, endpoint, arn)
//	cache := secrets.NewCache(reader, secrets.ParseLicense)
//	held, err := cache.Get(ctx)                     // held.Value, held.Version
//	held, err = cache.Refresh(ctx, held.Version)    // the other side refused this version
//
// While both sides change a key one after the other, [NewCacheWithPrevious] falls back to the version before the
// current one. A [Reader] may also read a file. Every type that holds a secret hides it in every way of printing and
// marshalling, and no error holds a value.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// ErrEmpty is wrapped by the error of a secret that has no value yet, as in a new stack. It is a configuration fault: an
// operator must store a value.
var ErrEmpty = errors.New("secrets: the secret has no value yet")

// ErrUnavailable is wrapped by the error of a read that may succeed without an operator: the store throttles, answers
// 5xx or does not answer in time. Back off, and read again. Every other error is a configuration fault that an operator
// must repair: no value, no permission, no such secret, a KMS key that cannot be used, a value that cannot be parsed.
var ErrUnavailable = errors.New("secrets: temporarily unavailable")

// Value is one version of a secret. Its text is never printed.
type Value struct {
	Text    string `json:"-"`
	Version string // Secrets Manager's VersionId, or a text that changes with the value; it may be logged
}

// Format implements fmt.Formatter for every verb.
func (v Value) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[secret, version %s]", v.Version) }

// LogValue implements slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(v)) }

// Reader reads the current version of one secret. Its error wraps ErrEmpty when there is none, and ErrUnavailable when
// a repeated read may succeed. The next read may succeed after every error, since an operator may repair the secret at
// any time.
type Reader interface {
	Read(ctx context.Context) (Value, error)
}
