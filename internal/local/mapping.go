package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/queue"
)

// Settings of the event source mapping, as in template.yaml.
const (
	workerTimeout     = 60 * time.Second
	visibilityTimeout = 370 * time.Second // six times the worker's, and the batching window
	maxReceiveCount   = 300
	receiveAtOnce     = 10 // SQS hands out ten messages at most
	receiveWait       = 20 * time.Second
)

// queueARN is what a record says it came from.
const queueARN = "arn:aws:sqs:us-east-1:000000000000:local-jobs"

// A batchHandler is the worker.
type batchHandler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// sourceQueue is the mapping's part of a queue; *queue.Memory is one.
type sourceQueue interface {
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]queue.Received, error)
	Delete(ctx context.Context, receipts []string) []queue.Failure
}

// eventSource is Lambda's event source mapping over a queue: it receives batches, invokes the worker and deletes what
// the worker has not listed. It is as strict as Lambda: an answer that it cannot make sense of fails the whole batch.
type eventSource struct {
	queue       sourceQueue
	handle      batchHandler
	batchSize   int
	concurrency int
	onFault     func(error) // a batch that failed as a whole
}

// run works until ctx ends; invocations that are under way are finished.
func (s eventSource) run(ctx context.Context) {
	var pollers sync.WaitGroup
	for range s.concurrency {
		pollers.Go(func() {
			for ctx.Err() == nil {
				s.batch(ctx)
			}
		})
	}
	pollers.Wait()
}

// batch receives one batch and has it worked.
func (s eventSource) batch(ctx context.Context) {
	received, err := s.receive(ctx)
	if err != nil && ctx.Err() == nil {
		s.onFault(err)
	}
	if len(received) == 0 {
		return
	}
	invocation, cancel := context.WithTimeout(context.WithoutCancel(ctx), workerTimeout)
	defer cancel()
	failed, err := s.invoke(invocation, received)
	if err != nil {
		s.onFault(err)
		return // nothing is deleted: the messages come back when their visibility ends
	}
	var done []string
	for _, m := range received {
		if !failed[m.ID] {
			done = append(done, m.Receipt)
		}
	}
	for _, f := range s.queue.Delete(invocation, done) {
		s.onFault(f.Err)
	}
}

// receive waits for a first message and takes what else is there, up to a batch.
func (s eventSource) receive(ctx context.Context) ([]queue.Received, error) {
	batch, err := s.queue.Receive(ctx, min(receiveAtOnce, s.batchSize), receiveWait, visibilityTimeout)
	for err == nil && len(batch) > 0 && len(batch) < s.batchSize {
		var more []queue.Received
		more, err = s.queue.Receive(ctx, min(receiveAtOnce, s.batchSize-len(batch)), 0, visibilityTimeout)
		if len(more) == 0 {
			break
		}
		batch = append(batch, more...)
	}
	return batch, err
}

// invoke calls the worker and returns the ids that it listed. The answer goes through JSON as it does in Lambda.
func (s eventSource) invoke(ctx context.Context, batch []queue.Received) (map[string]bool, error) {
	event := events.SQSEvent{}
	for _, m := range batch {
		event.Records = append(event.Records, sqsRecord(m))
	}
	type result struct {
		answer events.SQSEventResponse
		err    error
	}
	results := make(chan result, 1)
	go func() {
		defer func() {
			if crash := recover(); crash != nil {
				results <- result{err: errors.New("the worker crashed")}
			}
		}()
		answer, err := s.handle(ctx, event)
		results <- result{answer, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.New("the worker ran into its time-out")
	case r := <-results:
		if r.err != nil {
			return nil, fmt.Errorf("the worker failed: %w", r.err)
		}
		raw, err := json.Marshal(r.answer)
		if err != nil {
			return nil, err
		}
		return ParseBatchResponse(raw, batch)
	}
}

// ParseBatchResponse reads a partial batch response as Lambda does: the listed ids come back, all others are deleted.
// An error means that the whole batch has failed and nothing is deleted.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func ParseBatchResponse(raw []byte, batch []queue.Received) (map[string]bool, error) {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, errors.New("the answer is not JSON")
	}
	listed, ok := answer["batchItemFailures"]
	if !ok && len(answer) > 0 {
		return nil, errors.New("the answer has another key than batchItemFailures")
	}
	var failures []struct {
		ItemIdentifier *string `json:"itemIdentifier"`
	}
	if ok {
		if err := json.Unmarshal(listed, &failures); err != nil {
			return nil, errors.New("batchItemFailures is no list of items")
		}
	}
	known := make(map[string]bool, len(batch))
	for _, m := range batch {
		known[m.ID] = true
	}
	failed := make(map[string]bool, len(failures))
	for _, f := range failures {
		if f.ItemIdentifier == nil || !known[*f.ItemIdentifier] {
			return nil, errors.New("batchItemFailures names an item that is not in the batch")
		}
		failed[*f.ItemIdentifier] = true
	}
	return failed, nil
}

// sqsRecord is a message as Lambda hands it to the worker.
func sqsRecord(m queue.Received) events.SQSMessage {
	attributes := map[string]events.SQSMessageAttribute{}
	for name, text := range m.Attributes {
		attributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &text}
	}
	system := map[string]string{
		"ApproximateReceiveCount": strconv.Itoa(m.ReceiveCount),
		"SentTimestamp":           strconv.FormatInt(m.SentAt.UnixMilli(), 10),
	}
	if m.Group != "" {
		system["MessageGroupId"] = m.Group
	}
	return events.SQSMessage{
		MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body, Attributes: system, MessageAttributes: attributes,
		EventSource: "aws:sqs", EventSourceARN: queueARN, AWSRegion: "us-east-1",
	}
}
