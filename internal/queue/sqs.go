package queue

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// SQS is a queue of Amazon SQS. It is safe for concurrent use.
type SQS struct {
	client *sqs.Client
	url    string
}

// OpenSQS makes a client for the queue with that URL. It makes no call. The SDK makes one attempt for each call,
// regardless of cfg: this package retries, since partial failures need it, and two layers would multiply their waits.
// endpoint is AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL; "" means the endpoint of the region.
func OpenSQS(cfg aws.Config, endpoint, url string) *SQS {
	client := sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.RetryMaxAttempts = 1
	})
	return &SQS{client: client, url: url}
}

// Send sends the entries in batches of ten and up to 1 MiB, several at the same time.
func (q *SQS) Send(ctx context.Context, entries []Entry) []Failure {
	valid, invalid := checkAll(entries)
	size := func(i int) int { return entries[i].size() }

	failed := runBatches(ctx, split(valid, size), sum(size), func(ctx context.Context, batch []int) []attemptFailure {
		in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
		for _, i := range batch {
			in.Entries = append(in.Entries, sendEntry(i, entries[i]))
		}
		out, err := q.client.SendMessageBatch(ctx, in)
		if err != nil {
			return q.callFailures(batch, err)
		}
		succeeded := succeededIDs(out.Successful, func(s types.SendMessageBatchResultEntry) *string { return s.Id })
		return partialFailures(batch, succeeded, out.Failed)
	})
	return sortByIndex(append(invalid, failed...))
}

// Defer changes the visibility of received messages. A message that is no longer in flight by its receipt is reported
// with ErrRefused: another consumer has received it or will receive it.
func (q *SQS) Defer(ctx context.Context, deferrals []Deferral) []Failure {
	failed := runBatches(ctx, splitByCount(len(deferrals)), nil, func(ctx context.Context, batch []int) []attemptFailure {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url}
		for _, i := range batch {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id:                aws.String(strconv.Itoa(i)),
				ReceiptHandle:     &deferrals[i].Receipt,
				VisibilityTimeout: int32(visibilityTimeout(deferrals[i].After) / time.Second),
			})
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, in)
		if err != nil {
			return q.callFailures(batch, err)
		}
		succeeded := succeededIDs(out.Successful, func(s types.ChangeMessageVisibilityBatchResultEntry) *string { return s.Id })
		return partialFailures(batch, succeeded, out.Failed)
	})
	return sortByIndex(failed)
}

// Delete deletes received messages. A receipt of an earlier receive than the latest succeeds and may do nothing.
func (q *SQS) Delete(ctx context.Context, receipts []string) []Failure {
	failed := runBatches(ctx, splitByCount(len(receipts)), nil, func(ctx context.Context, batch []int) []attemptFailure {
		in := &sqs.DeleteMessageBatchInput{QueueUrl: &q.url}
		for _, i := range batch {
			in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &receipts[i],
			})
		}
		out, err := q.client.DeleteMessageBatch(ctx, in)
		if err != nil {
			return q.callFailures(batch, err)
		}
		succeeded := succeededIDs(out.Successful, func(s types.DeleteMessageBatchResultEntry) *string { return s.Id })
		return partialFailures(batch, succeeded, out.Failed)
	})
	return sortByIndex(failed)
}

// Receive hands out up to max (1 to 10) messages and hides each for visibility; 0 means the queue's own. It waits
// up to wait (20 s) for the first; 0 means the queue's own ReceiveMessageWaitTimeSeconds. Both are rounded up to
// whole seconds. When no message comes within that time, it returns (nil, nil). A message whose response is lost, also
// because ctx is cancelled, stays hidden until its visibility timeout ends, so a caller that needs it soon polls again.
func (q *SQS) Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]Received, error) {
	if err := checkReceive(max, wait, visibility); err != nil {
		return nil, err
	}
	in := &sqs.ReceiveMessageInput{
		QueueUrl:              &q.url,
		MaxNumberOfMessages:   int32(max),
		WaitTimeSeconds:       int32(wholeSeconds(wait) / time.Second),
		VisibilityTimeout:     int32(wholeSeconds(visibility) / time.Second),
		MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameSentTimestamp,
			types.MessageSystemAttributeNameMessageGroupId,
		},
	}
	var received []Received
	failed := runBatch(ctx, indexesOf(1), wholeSeconds(wait), func(ctx context.Context, batch []int) []attemptFailure {
		out, err := q.client.ReceiveMessage(ctx, in)
		if err != nil {
			return q.callFailures(batch, err)
		}
		for _, m := range out.Messages {
			received = append(received, receivedMessage(m))
		}
		return nil
	})
	if failed != nil {
		return nil, failed[0].Err
	}
	return received, nil
}

// Depth returns how many messages can be received, and how many are hidden: in flight or deferred. SQS counts
// approximately. It needs the right sqs:GetQueueAttributes.
func (q *SQS) Depth(ctx context.Context) (visible, hidden int, err error) {
	const counted, inFlight, delayed = types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	ctx, cancel := context.WithTimeout(ctx, maxTimeout)
	defer cancel()
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{counted, inFlight, delayed},
	})
	if err != nil {
		return 0, 0, fmt.Errorf("queue: depth: %w", err)
	}
	number := func(name types.QueueAttributeName) int { // 0 when SQS omits it
		n, _ := strconv.Atoi(out.Attributes[string(name)])
		return n
	}
	return number(counted), number(inFlight) + number(delayed), nil
}

// Warm opens the connection that the first Send would otherwise have to open. It sends an unsigned HEAD request with the
// client's own HTTP client, which needs no permission, and accepts any response.
func (q *SQS) Warm(ctx context.Context) error {
	opts := q.client.Options()
	endpoint, err := opts.EndpointResolverV2.ResolveEndpoint(ctx, sqs.EndpointParameters{
		Region: &opts.Region, Endpoint: opts.BaseEndpoint,
		UseFIPS:      aws.Bool(opts.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(opts.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return fmt.Errorf("queue: warm: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint.URI.String(), nil)
	if err != nil {
		return fmt.Errorf("queue: warm: %w", err)
	}
	resp, err := opts.HTTPClient.Do(req)
	if err != nil {
		return fmt.Errorf("queue: warm: %w", err)
	}
	return resp.Body.Close() // the response to a HEAD request has no body to drain
}
