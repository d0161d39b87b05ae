package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// MaxBodyBytes is the largest delivery that is read: 700 KiB. It is what the dead-letter queue can keep of a delivery:
// in Base64 it takes 933 KiB of a message's 1 MiB, and the rest is for headers and ids. The senders' largest real
// deliveries have some tens of KiB.
const MaxBodyBytes = 700 << 10

// pathPrefix is the part of the address before the name of the source.
const pathPrefix = "/webhooks/"

// httpEvent is the part that we read of an HTTP event, payload format 2.0, of API Gateway or of a function URL.
type httpEvent struct {
	RawPath        string            `json:"rawPath"`
	RawQueryString string            `json:"rawQueryString"`
	Headers        map[string]string `json:"headers"`
	PathParameters map[string]string `json:"pathParameters"`
	RequestContext struct {
		DomainName string `json:"domainName"`
		HTTP       struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// receive checks what can be checked before the secrets are known: address, method, encoding and size. The source is
// nil when the address names none, and has only its name when its file has an error.
func (h *Handler) receive(ctx context.Context, e httpEvent) (*source.Source, signing.Delivery, *refusal) {
	src, err := h.source(ctx, e.source())
	switch {
	case errors.Is(err, source.ErrUnknown):
		return nil, signing.Delivery{}, unknownSource()
	case err != nil:
		return &source.Source{Name: e.source()}, signing.Delivery{}, unavailable()
	}
	if e.RequestContext.HTTP.Method != http.MethodPost {
		return src, signing.Delivery{}, &refusal{http.StatusMethodNotAllowed, "only POST is accepted", ""}
	}
	headers := lowerCase(e.Headers)
	if refused := refuseEncoded(headers); refused != nil {
		return src, signing.Delivery{}, refused
	}
	body, refused := e.body()
	if refused != nil {
		return src, signing.Delivery{}, refused
	}
	return src, signing.Delivery{Method: http.MethodPost, URL: h.address(e), Header: headers, Body: body}, nil
}

// lowerCase returns the headers with their names in lower case. API Gateway sends them so.
func lowerCase(headers map[string]string) map[string]string {
	for name := range headers {
		if name != strings.ToLower(name) {
			lower := make(map[string]string, len(headers))
			for name, text := range headers {
				lower[strings.ToLower(name)] = text
			}
			return lower
		}
	}
	return headers
}

// refuseEncoded refuses a compressed body.
func refuseEncoded(headers map[string]string) *refusal {
	if coding := headers["content-encoding"]; coding != "" && !strings.EqualFold(coding, "identity") {
		return &refusal{http.StatusUnsupportedMediaType, "an encoded body is not decoded; send it without an encoding", ""}
	}
	return nil
}

// source is the last part of the address: the route's parameter, or what follows /webhooks/ if there is no route.
func (e httpEvent) source() string {
	if name, ok := e.PathParameters["source"]; ok {
		return name
	}
	_, name, found := strings.Cut(e.RawPath, pathPrefix)
	if !found {
		return ""
	}
	return name
}

// body returns the bytes that the sender sent. The size is checked before anything is decoded.
func (e httpEvent) body() ([]byte, *refusal) {
	if !e.IsBase64Encoded {
		if len(e.Body) > MaxBodyBytes {
			return nil, tooLarge()
		}
		return []byte(e.Body), nil
	}
	if len(e.Body) > base64.StdEncoding.EncodedLen(MaxBodyBytes) {
		return nil, tooLarge()
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, &refusal{http.StatusUnauthorized, "the body is not Base64, although the event says so", ""}
	}
	if len(body) > MaxBodyBytes {
		return nil, tooLarge()
	}
	return body, nil
}

// address is the URL as the sender called it.
func (h *Handler) address(e httpEvent) string {
	url := h.PublicURL
	if strings.HasSuffix(url, "://") {
		url += e.RequestContext.DomainName
	}
	url = strings.TrimSuffix(url, "/") + pathPrefix + e.source()
	if e.RawQueryString != "" {
		url += "?" + e.RawQueryString
	}
	return url
}
