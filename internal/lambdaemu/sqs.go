package lambdaemu

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS's own checksum of a body, which the SDKs check
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"license-deactivator/internal/queue"
)

const (
	// sqsTarget is the beginning of the header that names an operation of SQS.
	sqsTarget       = "AmazonSQS."
	sqsTargetHeader = "X-Amz-Target"

	// maxSQSBytes bounds a call: a batch of 1 MiB, in which JSON may write each character as six.
	maxSQSBytes = 7 << 20
)

// SQSAPI serves queues in memory by SQS's JSON protocol: the operations that a tool needs to receive, send, hide and
// delete messages, so that the AWS SDKs and `aws sqs --endpoint-url` work on them. A queue's URL is any address whose
// last element is the queue's name. Like Lambda's Invoke API it checks no signature, and it refuses pages of a browser.
type SQSAPI struct {
	Queues map[string]*queue.Memory // by name
}

// Serves reports whether a request is a call of SQS.
func (SQSAPI) Serves(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get(sqsTargetHeader), sqsTarget)
}

// sqsInput has the members of all operations.
type sqsInput struct {
	QueueUrl            string
	MaxNumberOfMessages int
	WaitTimeSeconds     int
	VisibilityTimeout   int
	Entries             []sqsEntry
}

type sqsEntry struct {
	Id                string
	MessageBody       string
	MessageGroupId    string
	MessageAttributes map[string]sqsAttribute
	ReceiptHandle     string
	VisibilityTimeout int
}

type sqsAttribute struct{ DataType, StringValue string }

// sqsBatch is the answer to a batch.
type sqsBatch struct {
	Successful []map[string]string
	Failed     []sqsFailure
}

type sqsFailure struct {
	Id, Code, Message string
	SenderFault       bool
}

// ServeHTTP implements http.Handler.
func (a SQSAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !IsProgram(r) {
		http.Error(w, `{"message":"only a program on this machine may use the queues"}`, http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSQSBytes+1))
	var in sqsInput
	switch {
	case err != nil:
		return
	case len(body) > maxSQSBytes:
		sqsRefuse(w, "BatchRequestTooLong", "the call is larger than 7 MiB")
		return
	case json.Unmarshal(body, &in) != nil:
		sqsRefuse(w, "InvalidParameterValue", "the call is not in the JSON protocol of SQS")
		return
	}
	q, ok := a.Queues[path.Base(in.QueueUrl)]
	if !ok {
		sqsRefuse(w, "QueueDoesNotExist", "there is no queue with this URL here")
		return
	}
	answer, err := callSQS(r.Context(), strings.TrimPrefix(r.Header.Get(sqsTargetHeader), sqsTarget), q, in)
	if err != nil {
		code := "InvalidParameterValue"
		if errors.Is(err, errUnknownOperation) {
			code = "UnsupportedOperation"
		}
		sqsRefuse(w, code, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone gets no answer
}

// sqsRefuse answers as SQS does when it refuses a call.
func sqsRefuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": message})
}

var errUnknownOperation = errors.New("the queues here know ReceiveMessage, SendMessageBatch, ChangeMessageVisibilityBatch, DeleteMessageBatch and GetQueueAttributes")

// callSQS runs one operation.
func callSQS(ctx context.Context, operation string, q *queue.Memory, in sqsInput) (any, error) {
	switch operation {
	case "ReceiveMessage":
		return receiveSQS(ctx, q, in)
	case "SendMessageBatch":
		entries := make([]queue.Entry, len(in.Entries))
		for i, e := range in.Entries {
			entries[i] = queue.Entry{Body: e.MessageBody, Group: e.MessageGroupId, Attributes: map[string]string{}}
			for name, a := range e.MessageAttributes {
				entries[i].Attributes[name] = a.StringValue
			}
		}
		return batchAnswer(in.Entries, q.Send(ctx, entries)), nil
	case "ChangeMessageVisibilityBatch":
		deferrals := make([]queue.Deferral, len(in.Entries))
		for i, e := range in.Entries {
			deferrals[i] = queue.Deferral{Receipt: e.ReceiptHandle, After: time.Duration(e.VisibilityTimeout) * time.Second}
		}
		return batchAnswer(in.Entries, q.Defer(ctx, deferrals)), nil
	case "DeleteMessageBatch":
		receipts := make([]string, len(in.Entries))
		for i, e := range in.Entries {
			receipts[i] = e.ReceiptHandle
		}
		return batchAnswer(in.Entries, q.Delete(ctx, receipts)), nil
	case "GetQueueAttributes":
		hidden := q.InFlight()
		return map[string]any{"Attributes": map[string]string{
			"ApproximateNumberOfMessages":           strconv.Itoa(q.Len() - hidden),
			"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
			"ApproximateNumberOfMessagesDelayed":    "0",
		}}, nil
	}
	return nil, errUnknownOperation
}

func receiveSQS(ctx context.Context, q *queue.Memory, in sqsInput) (any, error) {
	received, err := q.Receive(ctx, max(in.MaxNumberOfMessages, 1), time.Duration(in.WaitTimeSeconds)*time.Second, time.Duration(in.VisibilityTimeout)*time.Second)
	if err != nil {
		return nil, err
	}
	messages := make([]map[string]any, len(received))
	for i, m := range received {
		attributes := map[string]sqsAttribute{}
		for name, text := range m.Attributes {
			attributes[name] = sqsAttribute{"String", text}
		}
		system := map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.ReceiveCount),
			"SentTimestamp":           strconv.FormatInt(m.SentAt.UnixMilli(), 10),
		}
		if m.Group != "" {
			system["MessageGroupId"] = m.Group
		}
		messages[i] = map[string]any{
			"MessageId": m.ID, "ReceiptHandle": m.Receipt, "Body": m.Body, "MD5OfBody": md5Of(m.Body),
			"MessageAttributes": attributes, "Attributes": system,
		}
	}
	return map[string]any{"Messages": messages}, nil
}

// batchAnswer lists which entries of a batch succeeded.
func batchAnswer(entries []sqsEntry, failures []queue.Failure) sqsBatch {
	failed := map[int]error{}
	for _, f := range failures {
		failed[f.Index] = f.Err
	}
	answer := sqsBatch{Successful: []map[string]string{}, Failed: []sqsFailure{}}
	for i, e := range entries {
		if err := failed[i]; err != nil {
			answer.Failed = append(answer.Failed, sqsFailure{e.Id, "InvalidParameterValue", err.Error(), errors.Is(err, queue.ErrRefused)})
			continue
		}
		done := map[string]string{"Id": e.Id}
		if e.MessageBody != "" {
			done["MessageId"], done["MD5OfMessageBody"] = "sent", md5Of(e.MessageBody)
		}
		answer.Successful = append(answer.Successful, done)
	}
	return answer
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}
