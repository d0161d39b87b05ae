package licenseapi

import (
	"context"
	"errors"

	"license-deactivator/pkg/signing"
)

// An Authorizer makes the Authorization header of one request. date is the text of its Date header, which the License
// API requires with every kind of authorization. It is called before every attempt and by many goroutines at the same
// time, so it should cache. Its error must hold no secret: it is returned wrapped, as [KindUnavailable], unless it is
// or wraps an *[Error], which then decides the kind.
type Authorizer interface {
	Authorize(ctx context.Context, date string) (authorization string, err error)
}

// HMAC is the authorization with API key and shared key. The signer must not be nil.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/api-key-authorization
func HMAC(signer *signing.Signer) Authorizer { return hmacAuthorizer{signer} }

type hmacAuthorizer struct{ signer *signing.Signer }

func (a hmacAuthorizer) Authorize(_ context.Context, date string) (string, error) {
	return a.signer.Authorize(date), nil
}

// noAuthorizer is the Authorizer of a client that was made without an Authorizer.
type noAuthorizer struct{}

func (noAuthorizer) Authorize(context.Context, string) (string, error) {
	return "", errors.New("licenseapi: no Authorizer; give one to New or With")
}
