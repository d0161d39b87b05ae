package queue

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// callFailures are the failures of all elements of a call that failed as a whole. Only a response by which SQS says
// that the call is wrong is not retryable. Everything else is, from a refused connection to a truncated response.
func (q *SQS) callFailures(batch []int, err error) []attemptFailure {
	failures := make([]attemptFailure, len(batch))
	for i, index := range batch {
		failures[i] = attemptFailure{index, fmt.Errorf("queue: %w", err), q.retryable(err)}
	}
	return failures
}

// retryable reports whether a call that failed with err may succeed when it is repeated.
func (q *SQS) retryable(err error) bool {
	var response smithy.APIError
	var throttled *types.KmsThrottled // of KMS, whose key encrypts the queue; the SDK does not list it as retryable
	return !errors.As(err, &response) || errors.As(err, &throttled) || q.client.Options().Retryer.IsErrorRetryable(err)
}

// partialFailures reads the response to a batch that may have succeeded in part: succeeded and failed are its lists. An
// entry that the response does not name counts as failed, since a message that is sent twice does no harm and a message
// that is not sent does.
func partialFailures(batch []int, succeeded map[string]bool, failed []types.BatchResultErrorEntry) []attemptFailure {
	failedByID := make(map[string]types.BatchResultErrorEntry, len(failed))
	for _, f := range failed {
		failedByID[aws.ToString(f.Id)] = f
	}
	var failures []attemptFailure
	for _, index := range batch {
		id := strconv.Itoa(index)
		f, isFailed := failedByID[id]
		switch {
		case isFailed && f.SenderFault:
			err := fmt.Errorf("%w: %s: %s", ErrRefused, aws.ToString(f.Code), aws.ToString(f.Message))
			failures = append(failures, attemptFailure{index: index, err: err})
		case isFailed:
			err := fmt.Errorf("queue: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
			failures = append(failures, attemptFailure{index, err, true})
		case !succeeded[id]:
			failures = append(failures, attemptFailure{index, errors.New("queue: the response does not name this entry"), true})
		}
	}
	return failures
}

// succeededIDs is the set of ids that a response lists as successful.
func succeededIDs[S any](successful []S, id func(S) *string) map[string]bool {
	ids := make(map[string]bool, len(successful))
	for _, s := range successful {
		ids[aws.ToString(id(s))] = true
	}
	return ids
}

func sendEntry(index int, e Entry) types.SendMessageBatchRequestEntry {
	entry := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(index)), MessageBody: &e.Body}
	if e.Group != "" {
		entry.MessageGroupId = &e.Group
	}
	if len(e.Attributes) > 0 {
		entry.MessageAttributes = make(map[string]types.MessageAttributeValue, len(e.Attributes))
	}
	for name, value := range e.Attributes {
		entry.MessageAttributes[name] = types.MessageAttributeValue{
			DataType: aws.String(attributeType), StringValue: aws.String(value),
		}
	}
	return entry
}

// receivedMessage leaves a field zero when SQS omits it or when it cannot be parsed; SQS always returns what was requested.
func receivedMessage(m types.Message) Received {
	count, _ := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	r := Received{
		ID:           aws.ToString(m.MessageId),
		Receipt:      aws.ToString(m.ReceiptHandle),
		Body:         aws.ToString(m.Body),
		Group:        m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		ReceiveCount: count,
	}
	if sent, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		r.SentAt = time.UnixMilli(sent)
	}
	if len(m.MessageAttributes) > 0 {
		r.Attributes = make(map[string]string, len(m.MessageAttributes))
	}
	for name, value := range m.MessageAttributes {
		if value.StringValue != nil { // a binary attribute is not ours
			r.Attributes[name] = *value.StringValue
		}
	}
	return r
}
