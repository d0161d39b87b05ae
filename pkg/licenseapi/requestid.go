package licenseapi

import (
	"context"
	"regexp"
)

// headerRequestID carries the caller's own id of a request, so that the vendor's log and ours can be compared.
const headerRequestID = "X-Request-Id"

type requestIDKey struct{}

// WithRequestID sets the X-Request-Id of the calls with this context: the caller's own id of the request. An id that is
// not plain text of up to 128 characters is not sent: the header is only for people.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._:@/+-]{1,128}$`)

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	if !plainID.MatchString(id) {
		return ""
	}
	return id
}
