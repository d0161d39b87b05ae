// Package secrets reads the two secrets, the License API's credentials and the senders' keys, and keeps them for a
// while. It is the only room that knows Secrets Manager.
//
//	reader := secrets.OpenSecretsManager(cfg, endpoint, arn)
//	cache := secrets.NewCache(reader, secrets.ParseLicense)
//	held, err := cache.Get(ctx)                     // held.Value, held.Version
//	held, err = cache.Refresh(ctx, held.Version)    // the other side says that this version is wrong
//
// While both sides change a key one after the other, [NewCacheWithPrevious] offers the version before the current one.
// A [Reader] may as well be a file. Nothing that holds a secret prints it, in whatever way it is printed or
// marshalled, and no error holds a value.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// ErrEmpty is wrapped by the error of a secret that has no value yet, as a stack makes it. It is a fault of the
// configuration: a person must store a value.
var ErrEmpty = errors.New("secrets: the secret has no value yet")

// Value is one version of a secret. Its text is never printed.
type Value struct {
	Text    string `json:"-"`
	Version string // Secrets Manager's VersionId, or whatever changes when the text does; it may be logged
}

// Format implements fmt.Formatter for every verb.
func (v Value) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[secret, version %s]", v.Version) }

// LogValue implements slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(v)) }

// Reader reads the current version of one secret. Its error wraps ErrEmpty when there is none; every error may
// pass when it is read again, since a person may mend the secret at any time.
type Reader interface {
	Read(ctx context.Context) (Value, error)
}
