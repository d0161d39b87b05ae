package local

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

	"license-deactivator/internal/webhook"
)

// maxInvocationBytes is Lambda's limit for the payload of a direct invocation: 6 MB.
const maxInvocationBytes = 6 << 20

// webhookTimeout is the webhook function's Timeout in template.yaml.
const webhookTimeout = 10 * time.Second

// invocationPath is where Lambda's API takes a direct invocation, so that `aws lambda invoke --endpoint-url` works.
const invocationPath = "/2015-03-31/functions/webhook/invocations"

// webhooksPath is where the senders' addresses begin; what follows is the route's parameter {source}.
const webhooksPath = "/webhooks/"

// frontDoor stands where the HTTP API stands: it makes an event (payload format 2.0) of each request and writes the
// function's answer. A request never reaches the function in another shape than it would in AWS.
type frontDoor struct{ handler *webhook.Handler }

// ServeHTTP implements http.Handler. There is no ServeMux, since that answers an unclean path with a redirect, which
// the HTTP API does not.
func (f frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); {
	case strings.HasPrefix(path, webhooksPath):
		f.deliver(w, r)
	case path == invocationPath && r.Method == http.MethodPost:
		f.invoke(w, r)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Not Found"}`)
	}
}

func (f frontDoor) deliver(w http.ResponseWriter, r *http.Request) {
	// One byte more than the function takes is enough for it to see that the body is too large.
	body, err := io.ReadAll(io.LimitReader(r.Body, webhook.MaxBodyBytes+1))
	if err != nil {
		http.Error(w, "the body did not arrive", http.StatusBadRequest)
		return
	}
	payload, err := json.Marshal(Event(r, body))
	if err != nil {
		http.Error(w, "the request is no event", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookTimeout)
	defer cancel()
	out, err := f.handler.Invoke(ctx, payload)
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}
	if err != nil || json.Unmarshal(out, &answer) != nil {
		http.Error(w, `{"message":"Internal Server Error"}`, http.StatusInternalServerError) // as the HTTP API says it
		return
	}
	for name, text := range answer.Headers {
		w.Header().Set(name, text)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.WriteString(w, answer.Body) // a sender that has gone away hears nothing
}

// invoke answers as Lambda's own Invoke does: 200 with the function's answer, or with the error and a header; 202 to an
// Event, and 204 to a DryRun, which runs nothing.
//
// It asks for no signature, as in AWS the caller's role is what allows it. So a page in a browser on this machine must
// not reach it: one that comes from another origin, or by a name that was made to point here, is refused.
func (f frontDoor) invoke(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" || fromElsewhere(r) {
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
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookTimeout)
	defer cancel()
	out, err := f.handler.Invoke(ctx, payload)
	if kind == "Event" { // its answer is for nobody
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

// fromElsewhere says whether a request reached the loopback interface under a name that is not this machine's, as a
// browser's does after its name server has rebound a name of a page to 127.0.0.1.
func fromElsewhere(r *http.Request) bool {
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

// RequestContext is the part of an HTTPEvent that says how the request came.
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

// Event makes the event that the HTTP API would make of a request: names of headers in lower case, repeated headers
// joined by commas, and the body in Base64 unless its type is a text that API Gateway knows.
func Event(r *http.Request, body []byte) HTTPEvent {
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
