package worker

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
)

// message is one record on its way through an invocation.
type message struct {
	record   events.SQSMessage
	receives int // this one included
	request  deactivation.Request
	source   string // the request's or the unmappable event's
	result   result
	settled  bool // result was decided without a call
	told     bool // its line is written
}

// result is what became of a message in this receive.
type result struct {
	outcome deactivation.Outcome
	reason  deactivation.Reason // of a rejected message
	class   string              // of the API's answer; "" where nothing was called
	code    string
	detail  string
	latency time.Duration
	retryIn time.Duration // of a deferred message
	version string        // of the secret that signed the call
}

// id is the request's id, or the queue's where the body holds none.
func (m *message) id() string {
	if m.request.ID == "" {
		return m.record.MessageId
	}
	return m.request.ID
}

// parse decides about everything that is no request that can be sent; the rest is left to be called, and kept as
// long as nothing is known of it.
func parse(record events.SQSMessage) *message {
	m := &message{record: record, receives: receivesOf(record), result: result{outcome: deactivation.Deferred}}
	request, event, err := deactivation.Parse(record.Body)
	m.request, m.source = request, request.Source
	switch {
	case err != nil:
		m.settled = true
		m.result = result{outcome: deactivation.Rejected, reason: deactivation.ReasonInvalid, detail: deactivation.CleanText(err.Error())}
	case event != nil:
		m.settled = true
		m.source = event.Source
		m.result = result{outcome: deactivation.Rejected, reason: deactivation.ReasonUnmappable, detail: deactivation.CleanText(
			"an event that is not mapped yet; missing: " + strings.Join(event.Missing, ", "))}
	default:
		if err := request.CheckSendable(); err != nil {
			m.settled = true
			m.result = result{
				outcome: deactivation.Rejected, reason: deactivation.ReasonRejected, code: codeMissingHardwareID, detail: deactivation.CleanText(err.Error()),
			}
		}
	}
	return m
}

// codeMissingHardwareID is the License API's own code for a request without a device.
const codeMissingHardwareID = "missing_hardware_id"

// receivesOf is how often SQS has handed the record out, 1 where it does not say.
func receivesOf(record events.SQSMessage) int {
	n, err := strconv.Atoi(record.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}
