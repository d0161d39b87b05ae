package queue_test

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS's own checksum of a body, which the SDK checks
	"encoding/hex"
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
	"license-deactivator/internal/queue/queuetest"
)

// open starts a server with the given answers and a queue that calls it.
func open(t *testing.T, answer func(c queuetest.Call, n int) (int, any)) (*queue.SQS, *queuetest.FakeSQS) {
	t.Helper()
	s := &queuetest.FakeSQS{Answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		wantValid(t, s)
	})
	return queue.OpenSQS(networkConfig(), server.URL, queuetest.FakeURL), s
}

func wantValid(t *testing.T, s *queuetest.FakeSQS) {
	t.Helper()
	for _, problem := range s.Invalid() {
		t.Errorf("SQS would refuse: %s", problem)
	}
}

// networkConfig is the configuration of a client with the SDK's own HTTP client.
func networkConfig() aws.Config {
	cfg := (&queuetest.FakeSQS{}).Config()
	cfg.HTTPClient = nil
	return cfg
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
	q, fake := open(t, nil)
	entries := bodies(95)
	large := strings.Repeat("x", 300_000)
	for i := 40; i < 60; i++ {
		entries[i] = queue.Entry{Body: large, Attributes: map[string]string{"reason": "rejected"}}
	}
	if failed := q.Send(t.Context(), entries); failed != nil {
		t.Fatalf("Send: %v", failed)
	}

	var got []string
	for _, c := range fake.Calls() {
		got = append(got, c.IDs()...)
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
	if n := len(fake.Calls()); n != 14 {
		t.Errorf("%d calls, want 14", n)
	}
}

func TestSQSSendsBodyGroupAndAttributes(t *testing.T) {
	t.Parallel()
	q, fake := open(t, nil)
	failed := q.Send(t.Context(), []queue.Entry{
		{Body: "a", Group: "stripe", Attributes: map[string]string{"reason": "rejected"}},
		{Body: "b"},
	})
	if failed != nil {
		t.Fatalf("Send: %v", failed)
	}
	want := []queuetest.Call{{Op: "SendMessageBatch", QueueUrl: queuetest.FakeURL, Entries: []queuetest.CallEntry{
		{
			Id: "0", MessageBody: "a", MessageGroupId: aws.String("stripe"),
			MessageAttributes: map[string]struct{ DataType, StringValue string }{"reason": {"String", "rejected"}},
		},
		{Id: "1", MessageBody: "b"},
	}}}
	if diff := cmp.Diff(want, fake.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSQSSendRetriesFailedEntriesAndReportsASenderFaultAtOnce(t *testing.T) {
	t.Parallel()
	q, fake := open(t, func(c queuetest.Call, n int) (int, any) {
		r := queuetest.AllSucceed(c)
		if n == 1 {
			r.Successful = slices.Delete(r.Successful, 1, 4) // 3 is not named at all
			r.Failed = []queuetest.BatchFailure{
				{Id: "1", Code: "InternalError", Message: "try again"},
				{Id: "2", Code: "InvalidMessageContents", Message: "no", SenderFault: true},
			}
		}
		return http.StatusOK, r
	})
	failed := q.Send(t.Context(), bodies(5))
	if len(failed) != 1 || failed[0].Index != 2 || !errors.Is(failed[0].Err, queue.ErrRefused) {
		t.Errorf("failures are %v, want 2 alone, with ErrRefused", failed)
	}
	if len(fake.Calls()) != 2 {
		t.Fatalf("%d calls, want 2", len(fake.Calls()))
	}
	if diff := cmp.Diff([]string{"1", "3"}, fake.Calls()[1].IDs()); diff != "" {
		t.Errorf("the second call's ids (-want +got):\n%s", diff)
	}
}

func TestSQSSendReportsEntriesThatFailEveryAttemptInOrder(t *testing.T) {
	t.Parallel()
	q, fake := open(t, func(c queuetest.Call, _ int) (int, any) {
		var r queuetest.BatchResult
		for _, e := range c.Entries {
			r.Failed = append(r.Failed, queuetest.BatchFailure{Id: e.Id, Code: "ServiceUnavailable", Message: "down"})
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
	if n := len(fake.Calls()); n != 3*4 {
		t.Errorf("%d calls, want 12: three batches, four times", n)
	}
}

func TestSQSSendRetriesAWholeCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(c queuetest.Call) (int, any)
		calls  int // when the first answer is this and the rest are good
		failed int
	}{
		{"503", func(queuetest.Call) (int, any) { return 503, nil }, 2, 0},
		{"throttled", func(queuetest.Call) (int, any) {
			return 400, map[string]string{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"}
		}, 2, 0},
		{"KMS throttled", func(queuetest.Call) (int, any) {
			return 400, map[string]string{"__type": "com.amazonaws.sqs#KmsThrottled", "message": "slow down"}
		}, 2, 0},
		{"reset", func(queuetest.Call) (int, any) { panic(http.ErrAbortHandler) }, 2, 0},
		{"not JSON", func(queuetest.Call) (int, any) { return 200, "<html>" }, 2, 0},
		{"nothing named", func(queuetest.Call) (int, any) { return 200, queuetest.BatchResult{} }, 2, 0},
		{"no such queue", func(queuetest.Call) (int, any) {
			return 400, map[string]string{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}
		}, 1, 2},
		{"not allowed", func(queuetest.Call) (int, any) {
			return 403, map[string]string{"__type": "com.amazonaws.sqs#AccessDenied", "message": "no"}
		}, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q, fake := open(t, func(got queuetest.Call, n int) (int, any) {
				if n == 1 {
					return c.answer(got)
				}
				return http.StatusOK, queuetest.AllSucceed(got)
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
			if len(fake.Calls()) != c.calls {
				t.Errorf("%d calls, want %d", len(fake.Calls()), c.calls)
			}
		})
	}
}

func TestSQSSendStopsAtTheDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q, _ := open(t, func(c queuetest.Call, n int) (int, any) {
		switch n {
		case 1:
			return http.StatusOK, queuetest.AllSucceed(c)
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
	q, fake := open(t, nil)
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
	for _, c := range fake.Calls() {
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
	if len(fake.Calls()) != 2 {
		t.Errorf("%d calls, want 2", len(fake.Calls()))
	}
}

func TestSQSDeletesInTensAndReportsByIndex(t *testing.T) {
	t.Parallel()
	q, _ := open(t, func(c queuetest.Call, _ int) (int, any) {
		var r queuetest.BatchResult
		for _, s := range queuetest.AllSucceed(c).Successful {
			if s.Id == "3" || s.Id == "11" {
				r.Failed = append(r.Failed, queuetest.BatchFailure{Id: s.Id, Code: "ReceiptHandleIsInvalid", Message: "no", SenderFault: true})
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
	q, fake := open(t, func(queuetest.Call, int) (int, any) {
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
	asked := []queuetest.Call{{
		Op: "ReceiveMessage", QueueUrl: queuetest.FakeURL, MaxNumberOfMessages: 7, WaitTimeSeconds: 2, VisibilityTimeout: 60,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []string{"ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"},
	}}
	if diff := cmp.Diff(asked, fake.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSQSReceiveOfAnEmptyQueueIsNil(t *testing.T) {
	t.Parallel()
	q, _ := open(t, func(queuetest.Call, int) (int, any) { return http.StatusOK, map[string]any{} })
	if got, err := q.Receive(t.Context(), 10, time.Second, 0); got != nil || err != nil {
		t.Errorf("Receive: %v, %v; want nil, nil", got, err)
	}
}

func TestSQSWarmSendsAnUnsignedRequestAndAcceptsAnyResponse(t *testing.T) {
	t.Parallel()
	q, fake := open(t, nil)
	if err := q.Warm(t.Context()); err != nil {
		t.Errorf("Warm: %v", err)
	}
	if diff := cmp.Diff([]queuetest.Call{{Op: "HEAD /"}}, fake.Calls()); diff != "" {
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
		(&queuetest.FakeSQS{}).ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	q := queue.OpenSQS(networkConfig(), server.URL, queuetest.FakeURL)
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
