package queue_test

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS's own checksum of a body, which the SDK checks
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/queue"
)

const url = "http://127.0.0.1/123456789012/requests"

// sqsServer implements SQS's JSON protocol as far as a batch needs it.
type sqsServer struct {
	http.Handler
	mu      sync.Mutex
	calls   []call
	answer  func(c call, n int) (status int, body any) // n counts from 1; nil means that every entry succeeds
	invalid []string                                   // requests that SQS would have refused
}

type call struct {
	Op       string `json:"-"`
	QueueUrl string
	Entries  []entry

	// of ReceiveMessage
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout int
	MessageAttributeNames, MessageSystemAttributeNames      []string
}

type entry struct {
	Id                string
	MessageBody       string
	MessageGroupId    *string
	MessageAttributes map[string]struct{ DataType, StringValue string }
	ReceiptHandle     string
	VisibilityTimeout *int
}

type result struct {
	Successful []success
	Failed     []failure
}

type success struct{ Id, MessageId, MD5OfMessageBody string }

type failure struct {
	Id, Code, Message string
	SenderFault       bool
}

// open starts a server with the given answers and a queue that calls it. The SDK makes one attempt.
func open(t *testing.T, answer func(c call, n int) (int, any)) (*queue.SQS, *sqsServer) {
	t.Helper()
	w := &sqsServer{answer: answer}
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.Close()
		for _, problem := range w.invalid {
			t.Errorf("SQS would refuse: %s", problem)
		}
	})
	return queue.OpenSQS(configFor(), server.URL, url), w
}

func configFor() aws.Config {
	return aws.Config{
		Region:           "eu-central-1",
		RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

func (s *sqsServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call{Op: "HEAD " + r.URL.Path + r.Header.Get("Authorization")})
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		s.refuse("%v", err)
	}
	c.Op = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")

	s.mu.Lock()
	s.calls = append(s.calls, c)
	n := len(s.calls)
	s.mu.Unlock()

	s.check(c)
	status, body := http.StatusOK, any(allSucceed(c))
	if s.answer != nil {
		status, body = s.answer(c, n)
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body)
}

// check records a request that exceeds the limits of a batch.
func (s *sqsServer) check(c call) {
	if c.QueueUrl != url {
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

func (s *sqsServer) refuse(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invalid = append(s.invalid, fmt.Sprintf(format, args...))
}

// allSucceed is the response in which every entry succeeds.
func allSucceed(c call) result {
	var r result
	for _, e := range c.Entries {
		sum := md5.Sum([]byte(e.MessageBody)) //nolint:gosec // as above
		r.Successful = append(r.Successful, success{e.Id, "id-" + e.Id, hex.EncodeToString(sum[:])})
	}
	return r
}

func ids(c call) []string {
	var all []string
	for _, e := range c.Entries {
		all = append(all, e.Id)
	}
	return all
}

func bodies(n int) []queue.Entry {
	entries := make([]queue.Entry, n)
	for i := range entries {
		entries[i].Body = fmt.Sprint("body ", i)
	}
	return entries
}

func TestSQSSendsInTensAndUpTo1MiB(t *testing.T) {
	t.Parallel()
	q, w := open(t, nil)
	entries := bodies(95)
	large := strings.Repeat("x", 300_000)
	for i := 40; i < 60; i++ {
		entries[i] = queue.Entry{Body: large, Attributes: map[string]string{"reason": "rejected"}}
	}
	if failed := q.Send(t.Context(), entries); failed != nil {
		t.Fatalf("Send: %v", failed)
	}

	var got []string
	for _, c := range w.calls {
		got = append(got, ids(c)...)
	}
	var want []string
	for i := range entries {
		want = append(want, fmt.Sprint(i))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	// 0-39 four batches; 40-57 six, since three large ones fit into 1 MiB; 58-67 one; 68-94 three.
	if n := len(w.calls); n != 14 {
		t.Errorf("%d calls, want 14", n)
	}
}

func TestSQSSendsBodyGroupAndAttributes(t *testing.T) {
	t.Parallel()
	q, w := open(t, nil)
	failed := q.Send(t.Context(), []queue.Entry{
		{Body: "a", Group: "stripe", Attributes: map[string]string{"reason": "rejected"}},
		{Body: "b"},
	})
	if failed != nil {
		t.Fatalf("Send: %v", failed)
	}
	want := []call{{Op: "SendMessageBatch", QueueUrl: url, Entries: []entry{
		{
			Id: "0", MessageBody: "a", MessageGroupId: aws.String("stripe"),
			MessageAttributes: map[string]struct{ DataType, StringValue string }{"reason": {"String", "rejected"}},
		},
		{Id: "1", MessageBody: "b"},
	}}}
	if diff := cmp.Diff(want, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSQSSendRetriesFailedEntriesAndReportsASenderFaultAtOnce(t *testing.T) {
	t.Parallel()
	q, w := open(t, func(c call, n int) (int, any) {
		r := allSucceed(c)
		if n == 1 {
			r.Successful = slices.Delete(r.Successful, 1, 4) // 3 is not named at all
			r.Failed = []failure{
				{"1", "InternalError", "try again", false},
				{"2", "InvalidMessageContents", "no", true},
			}
		}
		return http.StatusOK, r
	})
	failed := q.Send(t.Context(), bodies(5))
	if len(failed) != 1 || failed[0].Index != 2 || !errors.Is(failed[0].Err, queue.ErrRefused) {
		t.Errorf("failures are %v, want 2 alone, with ErrRefused", failed)
	}
	if len(w.calls) != 2 {
		t.Fatalf("%d calls, want 2", len(w.calls))
	}
	if diff := cmp.Diff([]string{"1", "3"}, ids(w.calls[1])); diff != "" {
		t.Errorf("the second call's ids (-want +got):\n%s", diff)
	}
}

func TestSQSSendReportsEntriesThatFailEveryAttemptInOrder(t *testing.T) {
	t.Parallel()
	q, w := open(t, func(c call, _ int) (int, any) {
		var r result
		for _, e := range c.Entries {
			r.Failed = append(r.Failed, failure{e.Id, "ServiceUnavailable", "down", false})
		}
		return http.StatusOK, r
	})
	entries := bodies(25)
	entries[7].Body = ""
	failed := q.Send(t.Context(), entries)
	if len(failed) != 25 {
		t.Fatalf("%d failures, want 25", len(failed))
	}
	for i, f := range failed {
		if f.Index != i {
			t.Errorf("failure %d has index %d", i, f.Index)
		}
		if refused := errors.Is(f.Err, queue.ErrRefused); refused != (i == 7) {
			t.Errorf("%d: %v: ErrRefused is for the empty body alone", i, f.Err)
		}
	}
	if n := len(w.calls); n != 3*4 {
		t.Errorf("%d calls, want 12: three batches, four times", n)
	}
}

func TestSQSSendRetriesAWholeCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(c call) (int, any)
		calls  int // when the first answer is this and the rest are good
		failed int
	}{
		{"503", func(call) (int, any) { return 503, nil }, 2, 0},
		{"throttled", func(call) (int, any) {
			return 400, map[string]string{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"}
		}, 2, 0},
		{"reset", func(call) (int, any) { panic(http.ErrAbortHandler) }, 2, 0},
		{"not JSON", func(call) (int, any) { return 200, "<html>" }, 2, 0},
		{"nothing named", func(call) (int, any) { return 200, result{} }, 2, 0},
		{"no such queue", func(call) (int, any) {
			return 400, map[string]string{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}
		}, 1, 2},
		{"not allowed", func(call) (int, any) {
			return 403, map[string]string{"__type": "com.amazonaws.sqs#AccessDenied", "message": "no"}
		}, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, w := open(t, func(got call, n int) (int, any) {
				if n == 1 {
					return c.answer(got)
				}
				return http.StatusOK, allSucceed(got)
			})
			failed := q.Send(t.Context(), bodies(2))
			if len(failed) != c.failed {
				t.Errorf("failures are %v, want %d", failed, c.failed)
			}
			for _, f := range failed {
				if errors.Is(f.Err, queue.ErrRefused) {
					t.Errorf("%d: %v: want no ErrRefused, the entry is valid", f.Index, f.Err)
				}
			}
			if len(w.calls) != c.calls {
				t.Errorf("%d calls, want %d", len(w.calls), c.calls)
			}
		})
	}
}

func TestSQSSendStopsAtTheDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q, _ := open(t, func(c call, n int) (int, any) {
		switch n {
		case 1:
			return http.StatusOK, allSucceed(c)
		case 9:
			cancel() // seven calls wait below; the first call has returned, so its batch has succeeded
		}
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	})
	failed := q.Send(ctx, bodies(300))
	if len(failed) != 290 {
		t.Errorf("%d failures, want 290: all but the batch that was taken", len(failed))
	}
	for i, f := range failed {
		if !errors.Is(f.Err, context.Canceled) {
			t.Errorf("%d: %v, want context.Canceled", f.Index, f.Err)
		}
		if i > 0 && f.Index <= failed[i-1].Index {
			t.Errorf("index %d after %d", f.Index, failed[i-1].Index)
		}
	}
}

func TestSQSDefersInWholeSecondsInTens(t *testing.T) {
	t.Parallel()
	q, w := open(t, nil)
	after := []time.Duration{0, -5 * time.Second, 1, time.Second, 1500 * time.Millisecond, 15 * time.Minute, 12 * time.Hour, 24 * time.Hour, 0, 0, 0}
	want := []int{0, 0, 1, 1, 2, 900, 43200, 43200, 0, 0, 0}
	deferrals := make([]queue.Deferral, len(after))
	for i := range after {
		deferrals[i] = queue.Deferral{Receipt: fmt.Sprint("r", i), After: after[i]}
	}
	if failed := q.Defer(t.Context(), deferrals); failed != nil {
		t.Fatalf("Defer: %v", failed)
	}

	got := make([]int, len(after))
	for _, c := range w.calls {
		for _, e := range c.Entries {
			var i int
			if _, err := fmt.Sscanf(e.ReceiptHandle, "r%d", &i); err != nil || e.VisibilityTimeout == nil {
				t.Fatalf("entry %+v", e)
			}
			got[i] = *e.VisibilityTimeout
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
	if len(w.calls) != 2 {
		t.Errorf("%d calls, want 2", len(w.calls))
	}
}

func TestSQSDeletesInTensAndReportsByIndex(t *testing.T) {
	t.Parallel()
	q, _ := open(t, func(c call, _ int) (int, any) {
		var r result
		for _, s := range allSucceed(c).Successful {
			if s.Id == "3" || s.Id == "11" {
				r.Failed = append(r.Failed, failure{s.Id, "ReceiptHandleIsInvalid", "no", true})
				continue
			}
			r.Successful = append(r.Successful, s)
		}
		return http.StatusOK, r
	})
	failed := q.Delete(t.Context(), make([]string, 12))
	if len(failed) != 2 || failed[0].Index != 3 || failed[1].Index != 11 {
		t.Errorf("failures are %v, want 3 and 11", failed)
	}
}

func TestSQSReceivesAllFields(t *testing.T) {
	t.Parallel()
	const body, attribute = "a body", "rejected"
	sum := md5.Sum([]byte(body)) //nolint:gosec // as above
	q, w := open(t, func(call, int) (int, any) {
		return http.StatusOK, map[string]any{"Messages": []any{map[string]any{
			"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": map[string]string{
				"ApproximateReceiveCount": "3", "SentTimestamp": "1767225600123", "MessageGroupId": "stripe",
			},
			"MessageAttributes": map[string]any{
				"reason": map[string]string{"DataType": "String", "StringValue": attribute},
				"binary": map[string]string{"DataType": "Binary", "BinaryValue": "AA=="},
			},
		}}}
	})
	got, err := q.Receive(t.Context(), 7, 1500*time.Millisecond, time.Minute)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	want := []queue.Received{{
		ID: "m", Receipt: "r", Body: body, Group: "stripe", Attributes: map[string]string{"reason": attribute},
		ReceiveCount: 3, SentAt: time.UnixMilli(1767225600123),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	asked := []call{{
		Op: "ReceiveMessage", QueueUrl: url, MaxNumberOfMessages: 7, WaitTimeSeconds: 2, VisibilityTimeout: 60,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []string{"ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"},
	}}
	if diff := cmp.Diff(asked, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSQSReceiveOfAnEmptyQueueIsNil(t *testing.T) {
	t.Parallel()
	q, _ := open(t, func(call, int) (int, any) { return http.StatusOK, map[string]any{} })
	if got, err := q.Receive(t.Context(), 10, time.Second, 0); got != nil || err != nil {
		t.Errorf("Receive: %v, %v; want nil, nil", got, err)
	}
}

func TestSQSWarmSendsAnUnsignedRequestAndAcceptsAnyResponse(t *testing.T) {
	t.Parallel()
	q, w := open(t, nil)
	if err := q.Warm(t.Context()); err != nil {
		t.Errorf("Warm: %v", err)
	}
	if diff := cmp.Diff([]call{{Op: "HEAD /"}}, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSQSWarmOpensTheConnectionThatSendUses(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	remotes := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		remotes[r.RemoteAddr] = true
		mu.Unlock()
		(&sqsServer{}).ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	q := queue.OpenSQS(configFor(), server.URL, url)
	if err := q.Warm(t.Context()); err != nil {
		t.Fatalf("Warm: %v", err)
	}
	if failed := q.Send(t.Context(), bodies(1)); failed != nil {
		t.Fatalf("Send: %v", failed)
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections, want 1", len(remotes))
	}
}
