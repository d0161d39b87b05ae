package queuetest

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // SQS's own checksum of a body, which the SDK checks
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// FakeURL is the URL of the only queue of a FakeSQS.
	FakeURL = "http://sqs.test/123456789012/requests"

	// FakeEndpoint is the endpoint of a FakeSQS that is used by its Config.
	FakeEndpoint = "http://sqs.test"

	// Hang is a status of FakeSQS.Answer: there is no response before the client abandons the request.
	Hang = 0
)

// FakeSQS implements SQS's JSON protocol as far as a batch needs it. Use it as an http.Handler, or by its Config, which
// has no network and so works in a bubble of testing/synctest.
type FakeSQS struct {
	// Answer makes the response to a call; n counts from 1. nil means that every entry succeeds (AllSucceed).
	Answer func(c Call, n int) (status int, body any)

	mu      sync.Mutex
	calls   []Call
	invalid []string
}

// Call is one request that a FakeSQS received.
type Call struct {
	Op       string `json:"-"`
	QueueUrl string
	Entries  []CallEntry

	// of ReceiveMessage
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout int
	MessageAttributeNames, MessageSystemAttributeNames      []string
}

// CallEntry is one entry of a batch.
type CallEntry struct {
	Id                string
	MessageBody       string
	MessageGroupId    *string
	MessageAttributes map[string]struct{ DataType, StringValue string }
	ReceiptHandle     string
	VisibilityTimeout *int
}

// IDs lists the ids of the entries.
func (c Call) IDs() []string {
	var ids []string
	for _, e := range c.Entries {
		ids = append(ids, e.Id)
	}
	return ids
}

// BatchResult is the response to a batch.
type BatchResult struct {
	Successful []BatchSuccess
	Failed     []BatchFailure
}

// BatchSuccess is an entry that succeeded.
type BatchSuccess struct{ Id, MessageId, MD5OfMessageBody string }

// BatchFailure is an entry that failed.
type BatchFailure struct {
	Id, Code, Message string
	SenderFault       bool
}

// AllSucceed is the response in which every entry succeeds.
func AllSucceed(c Call) BatchResult {
	var r BatchResult
	for _, e := range c.Entries {
		sum := md5.Sum([]byte(e.MessageBody)) //nolint:gosec // as above
		r.Successful = append(r.Successful, BatchSuccess{e.Id, "id-" + e.Id, hex.EncodeToString(sum[:])})
	}
	return r
}

// Calls returns the calls in the order of their arrival.
func (s *FakeSQS) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Invalid describes the requests that SQS would refuse.
func (s *FakeSQS) Invalid() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.invalid)
}

// Config is the configuration of a client that calls s without a network. Its endpoint is FakeEndpoint.
func (s *FakeSQS) Config() aws.Config {
	return aws.Config{
		Region:     "eu-central-1",
		HTTPClient: &http.Client{Transport: InMemory{s}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

// ServeHTTP implements http.Handler.
func (s *FakeSQS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		s.add(Call{Op: "HEAD " + r.URL.Path + r.Header.Get("Authorization")})
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var c Call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		s.refuse("%v", err)
	}
	c.Op = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	n := s.add(c)
	s.check(c)

	status, body := http.StatusOK, any(AllSucceed(c))
	if s.Answer != nil {
		status, body = s.Answer(c, n)
	}
	if status == Hang {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *FakeSQS) add(c Call) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	return len(s.calls)
}

// check records a request that exceeds the limits of a batch.
func (s *FakeSQS) check(c Call) {
	if c.QueueUrl != FakeURL {
		s.refuse("queue %q", c.QueueUrl)
	}
	if c.Op != "ReceiveMessage" && (len(c.Entries) < 1 || len(c.Entries) > 10) {
		s.refuse("%d entries", len(c.Entries))
	}
	seen, sum := map[string]bool{}, 0
	for _, e := range c.Entries {
		if e.Id == "" || seen[e.Id] {
			s.refuse("id %q", e.Id)
		}
		seen[e.Id] = true
		sum += len(e.MessageBody)
		for name, a := range e.MessageAttributes {
			sum += len(name) + len(a.DataType) + len(a.StringValue)
		}
		if e.MessageGroupId != nil && *e.MessageGroupId == "" {
			s.refuse("an empty group")
		}
	}
	if sum > 1<<20 {
		s.refuse("%d bytes", sum)
	}
}

func (s *FakeSQS) refuse(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invalid = append(s.invalid, fmt.Sprintf(format, args...))
}

// InMemory is an http.RoundTripper that calls a handler without a network. It ends with the request's context.
type InMemory struct{ Handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t InMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	received := req.Clone(req.Context()) // the client may change its own once this function has returned
	received.Body = io.NopCloser(bytes.NewReader(body))
	recorder, served := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(served)
		t.Handler.ServeHTTP(recorder, received)
	}()
	select {
	case <-served:
		return recorder.Result(), nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}
