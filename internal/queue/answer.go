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

// whole is the fault of every element of a call that failed as a whole. Only an answer by which SQS says that the
// call is wrong is final; everything else, from a refused connection to an answer cut short, may pass.
func (q *SQS) whole(batch []int, err error) []fault {
	var answer smithy.APIError
	final := errors.As(err, &answer) && !q.client.Options().Retryer.IsErrorRetryable(err)
	faults := make([]fault, len(batch))
	for i, index := range batch {
		faults[i] = fault{index, fmt.Errorf("queue: %w", err), final}
	}
	return faults
}

// settle reads a partial answer: done is what it lists as successful, failed the rest. What it does not name is
// taken as not done, since a message sent twice does no harm and one not sent does.
func settle(batch []int, done map[string]bool, failed []types.BatchResultErrorEntry) []fault {
	refused := make(map[string]types.BatchResultErrorEntry, len(failed))
	for _, f := range failed {
		refused[aws.ToString(f.Id)] = f
	}
	var faults []fault
	for _, index := range batch {
		id := strconv.Itoa(index)
		f, isRefused := refused[id]
		switch {
		case isRefused && f.SenderFault:
			err := fmt.Errorf("%w: %s: %s", ErrRefused, aws.ToString(f.Code), aws.ToString(f.Message))
			faults = append(faults, fault{index, err, true})
		case isRefused:
			err := fmt.Errorf("queue: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
			faults = append(faults, fault{index, err, false})
		case !done[id]:
			faults = append(faults, fault{index, errors.New("queue: the answer does not name this entry"), false})
		}
	}
	return faults
}

// ids are the ids that an answer lists as successful.
func ids[S any](successful []S, id func(S) *string) map[string]bool {
	done := make(map[string]bool, len(successful))
	for _, s := range successful {
		done[aws.ToString(id(s))] = true
	}
	return done
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

// receivedMessage leaves zero what SQS does not say or says unreadably; it always says what was asked for.
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
		if value.StringValue != nil { // a binary one is not ours
			r.Attributes[name] = *value.StringValue
		}
	}
	return r
}
