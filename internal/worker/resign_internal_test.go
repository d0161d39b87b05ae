package worker

import (
	"context"
	"testing"

	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
)

// offered is a secret whose refresh always gives that version.
type offered string

func (o offered) Get(context.Context) (secrets.Held[secrets.License], error) {
	return secrets.Held[secrets.License]{Version: string(o)}, nil
}

func (o offered) Refresh(ctx context.Context, _ string) (secrets.Held[secrets.License], error) {
	return o.Get(ctx)
}

// TestAnExpiredTokenIsNoRefusalOfItsVersion: the token of the version before the current one expires, then the time to
// use that version ends, so the current one signs and is refused. The version before must be used once more.
func TestAnExpiredTokenIsNoRefusalOfItsVersion(t *testing.T) {
	t.Parallel()
	b := &batch{h: &Handler{cfg: Config{Secrets: offered("before")}}, mayCall: t.Context()}
	var s signatures
	expired := &response{version: "before", kind: licenseapi.KindUnauthorized, err: answered(401, "")}
	if !b.shouldResign(expired, &s) {
		t.Fatal("a new token is not tried")
	}
	current := &response{version: "current", kind: licenseapi.KindBadCredentials, err: answered(401, "unauthorized_client")}
	if !b.shouldResign(current, &s) {
		t.Error("the version before the current one is not tried again")
	}
	if b.shouldResign(&response{version: "before", kind: licenseapi.KindBadCredentials, err: answered(401, "unauthorized_client")}, &s) {
		t.Error("a fourth call is made")
	}
}
