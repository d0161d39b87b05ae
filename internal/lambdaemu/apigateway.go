package lambdaemu

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// maxInvocationBytes is Lambda's limit for the payload of a synchronous invocation: 6 MB.
const maxInvocationBytes = 6 << 20

// invocationPath is the path of Lambda's Invoke API, so that `aws lambda invoke --endpoint-url` works.
const (
	functionsPath  = "/2015-03-31/functions/"
	invocationPath = functionsPath + "webhook/invocations"
)

// webhooksPath is the path before the route's parameter {source}.
const webhooksPath = "/webhooks/"

// APIGateway is the HTTP API: it converts each request to an event (payload format 2.0), invokes the function and
// writes its answer. It also serves Lambda's Invoke endpoint. The function gets the same events as in AWS.
type APIGateway struct {
	Function Function

	// MaxBodyBytes is how much of a request's body is read; the rest is dropped. Set it above the limit of the
	// function, so that the function sees that the body is too large. 0 reads nothing.
	MaxBodyBytes int64
}

// ServeHTTP implements http.Handler. It does not use ServeMux, which redirects an unclean path; the HTTP API does not
// redirect.
func (g APIGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); {
	case strings.HasPrefix(path, webhooksPath):
		g.deliver(w, r)
	case path == invocationPath && r.Method == http.MethodPost:
		g.invoke(w, r)
	case strings.HasPrefix(path, functionsPath) && r.Method == http.MethodPost:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"Type":"User","Message":"Function not found: the function here is named webhook"}`)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Not Found"}`)
	}
}

func (g APIGateway) deliver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, g.MaxBodyBytes))
	if err != nil {
		http.Error(w, "the body is incomplete", http.StatusBadRequest)
		return
	}
	payload, err := json.Marshal(NewHTTPEvent(r, body))
	if err != nil {
		http.Error(w, "the request cannot become an event", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), WebhookTimeout)
	defer cancel()
	out, err := g.Function(ctx, payload)
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}
	if err != nil || json.Unmarshal(out, &answer) != nil {
		http.Error(w, `{"message":"Internal Server Error"}`, http.StatusInternalServerError) // the HTTP API's own text
		return
	}
	for name, text := range answer.Headers {
		w.Header().Set(name, text)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.WriteString(w, answer.Body) // a sender that has disconnected gets no answer
}

// invoke answers as Lambda's Invoke API does: 200 with the function's answer, or with its error and a header; 202 for
// the invocation type Event; 204 for DryRun, which runs nothing.
//
// It checks no signature: in AWS the caller's role is the permission. A page in a browser on this machine must not
// reach it. It therefore refuses a request from another origin, and one by a name that was rebound to loopback.
func (g APIGateway) invoke(w http.ResponseWriter, r *http.Request) {
	if !IsProgram(r) {
		http.Error(w, `{"message":"only a program on this machine may invoke the function"}`, http.StatusForbidden)
		return
	}
	kind := r.Header.Get("X-Amz-Invocation-Type")
	if kind == "DryRun" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxInvocationBytes+1))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case err != nil:
		return
	case len(payload) > maxInvocationBytes:
		w.Header().Set("X-Amzn-Errortype", "RequestTooLargeException")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"Type":"User","message":"the payload is larger than 6 MB"}`)
		return
	case !json.Valid(payload):
		w.Header().Set("X-Amzn-Errortype", "InvalidRequestContentException")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"Type":"User","message":"the payload is not JSON"}`)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), WebhookTimeout)
	defer cancel()
	out, err := g.Function(ctx, payload)
	if kind == "Event" { // an asynchronous invocation returns no answer
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		out, err = json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": "errorString"})
	}
	if err == nil {
		_, _ = w.Write(out)
	}
}

// IsProgram reports whether a request is that of a program, and not that of a page in a browser on this machine: it is not from
// another origin, and not by a name that was rebound to loopback.
func IsProgram(r *http.Request) bool { return r.Header.Get("Origin") == "" && !isRebound(r) }

// isRebound reports whether a request reached the loopback interface under a name that is not this machine's. That
// happens after DNS rebinding in a browser: the page's own name then resolves to 127.0.0.1.
func isRebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	address := net.ParseIP(strings.Trim(host, "[]"))
	return !strings.EqualFold(host, "localhost") && (address == nil || !address.IsLoopback())
}

// HTTPEvent is an event of API Gateway's HTTP API, payload format 2.0.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
type HTTPEvent struct {
	Version         string            `json:"version"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQueryString  string            `json:"rawQueryString"`
	Headers         map[string]string `json:"headers"`
	RequestContext  RequestContext    `json:"requestContext"`
	PathParameters  map[string]string `json:"pathParameters,omitempty"`
	Body            string            `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// RequestContext is the part of an HTTPEvent about the request itself.
type RequestContext struct {
	DomainName string      `json:"domainName"`
	HTTP       HTTPContext `json:"http"`
	RequestID  string      `json:"requestId"`
	RouteKey   string      `json:"routeKey"`
	Stage      string      `json:"stage"`
	TimeEpoch  int64       `json:"timeEpoch"`
}

// HTTPContext names the request line.
type HTTPContext struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// NewHTTPEvent returns the event that the HTTP API makes from a request: header names in lower case, repeated headers
// joined by commas, and the body in Base64 unless API Gateway treats its content type as text.
func NewHTTPEvent(r *http.Request, body []byte) HTTPEvent {
	headers := make(map[string]string, len(r.Header)+1)
	for name, texts := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(texts, ",")
	}
	headers["host"] = r.Host
	path := r.URL.EscapedPath()
	event := HTTPEvent{
		Version: "2.0", RouteKey: "POST /webhooks/{source}", RawPath: path, RawQueryString: r.URL.RawQuery, Headers: headers,
		RequestContext: RequestContext{
			DomainName: r.Host, RouteKey: "POST /webhooks/{source}", Stage: "$default", TimeEpoch: time.Now().UnixMilli(),
			HTTP: HTTPContext{Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: "127.0.0.1", UserAgent: r.UserAgent()},
		},
		PathParameters: map[string]string{"source": strings.TrimPrefix(path, webhooksPath)},
	}
	if plainText(r.Header.Get("Content-Type")) && utf8.Valid(body) {
		event.Body = string(body)
	} else {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

func plainText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	switch media {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(media, "text/")
}
