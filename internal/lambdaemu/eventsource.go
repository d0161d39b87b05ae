package lambdaemu

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

// Limits of SQS's ReceiveMessage.
const (
	maxReceived = 10 // messages of one call
	receiveWait = 20 * time.Second
)

// queueARN is the event source in each record.
const queueARN = "arn:aws:sqs:us-east-1:000000000000:local-jobs"

// A Queue has the methods of a queue that the event source mapping needs; *queue.Memory is one.
type Queue interface {
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]queue.Received, error)
	Delete(ctx context.Context, receipts []string) []queue.Failure
}

// EventSource is Lambda's event source mapping for a queue: it receives batches, invokes the function and deletes the
// messages that the function does not report as failed. It is as strict as Lambda: an answer that it cannot read fails
// the whole batch. All fields are required.
type EventSource struct {
	Queue       Queue
	Function    BatchHandler
	BatchSize   int
	Concurrency int         // pollers, each with one invocation at a time
	OnError     func(error) // called when a receive, a delete or a whole batch fails
}

// Run polls until ctx ends, and finishes the running invocations first.
func (s EventSource) Run(ctx context.Context) {
	var pollers sync.WaitGroup
	for range s.Concurrency {
		pollers.Go(func() {
			for ctx.Err() == nil {
				s.poll(ctx)
			}
		})
	}
	pollers.Wait()
}

// poll receives one batch and invokes the function with it.
func (s EventSource) poll(ctx context.Context) {
	received, err := s.receive(ctx)
	if err != nil && ctx.Err() == nil {
		s.OnError(err)
	}
	if len(received) == 0 {
		return
	}
	invocation, cancel := context.WithTimeout(context.WithoutCancel(ctx), WorkerTimeout)
	defer cancel()
	failed, err := s.invoke(invocation, received)
	if err != nil {
		s.OnError(err)
		return // nothing is deleted: the messages become visible again after their visibility time-out
	}
	var done []string
	for _, m := range received {
		if !failed[m.ID] {
			done = append(done, m.Receipt)
		}
	}
	for _, f := range s.Queue.Delete(invocation, done) {
		s.OnError(f.Err)
	}
}

// receive waits for a first message, then fills the batch with other visible messages.
func (s EventSource) receive(ctx context.Context) ([]queue.Received, error) {
	batch, err := s.Queue.Receive(ctx, min(maxReceived, s.BatchSize), receiveWait, VisibilityTimeout)
	for err == nil && len(batch) > 0 && len(batch) < s.BatchSize {
		var more []queue.Received
		more, err = s.Queue.Receive(ctx, min(maxReceived, s.BatchSize-len(batch)), 0, VisibilityTimeout)
		if len(more) == 0 {
			break
		}
		batch = append(batch, more...)
	}
	return batch, err
}

// invoke calls the function and returns the ids that it reports as failed. The answer passes through JSON, as in
// Lambda.
func (s EventSource) invoke(ctx context.Context, batch []queue.Received) (map[string]bool, error) {
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
		answer, err := s.Function(ctx, event)
		results <- result{answer, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.New("the worker reached its time-out")
	case r := <-results:
		if r.err != nil {
			return nil, fmt.Errorf("the worker failed: %w", r.err)
		}
		raw, err := json.Marshal(r.answer)
		if err != nil {
			return nil, err
		}
		return parseBatchResponse(raw, batch)
	}
}

// parseBatchResponse reads a partial batch response as Lambda does and returns the listed ids; all other messages are
// to be deleted. An error means that the whole batch failed and nothing is deleted.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func parseBatchResponse(raw []byte, batch []queue.Received) (map[string]bool, error) {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, errors.New("the answer is not JSON")
	}
	listed, ok := answer["batchItemFailures"]
	if !ok && len(answer) > 0 {
		return nil, errors.New("the answer has a key other than batchItemFailures")
	}
	var failures []struct {
		ItemIdentifier *string `json:"itemIdentifier"`
	}
	if ok {
		if err := json.Unmarshal(listed, &failures); err != nil {
			return nil, errors.New("batchItemFailures is not a list of items")
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

// sqsRecord returns a message as Lambda passes it to the function.
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
