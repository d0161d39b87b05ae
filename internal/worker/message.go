package worker

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
)

// message is one record in an invocation.
type message struct {
	record   events.SQSMessage
	receives int // this one included
	request  deactivation.Request
	source   string // the request's or the unmappable event's
	event    string // likewise
	result   result
	decided  bool           // result was decided without a call
	looksUp  bool           // it needs the Management API
	named    *result        // of a message that needs it: that of the device that it names, once there is one
	found    *lookup.Result // of its look-up in this receive; nil: there was none
	logged   bool           // its line is written
}

// result is the outcome of a message in this receive.
type result struct {
	outcome deactivation.Outcome
	reason  deactivation.Reason // of a rejected message
	class   string              // of the API's answer; "" without a call
	code    string
	detail  string
	latency time.Duration
	retryIn time.Duration // of a deferred message
	// returned says that there was no time for a call, in an invocation that called for other messages.
	returned bool
	version  string // of the secret that signed the call
	// notCalled says that no call was made in this receive: none could start.
	notCalled bool
	atFault   bool // a configuration fault defers it
	ofLicense bool // the API's refusal defers it, which may concern this license alone
}

// namesDevice reports whether the License API alone can deactivate the device that the message names. A device that a
// buyer could name is not deactivated before it is confirmed.
func (m *message) namesDevice() bool { return m.request.CheckSendable() == nil && !m.request.Buyer }

// id is the request's id, or the queue's if the body holds none.
func (m *message) id() string {
	if m.request.ID == "" {
		return m.record.MessageId
	}
	return m.request.ID
}

// parse decides every message that holds no request that can be sent, or looked up where that is on. The others wait for a
// call; until then their outcome is deferred.
func parse(record events.SQSMessage, looksUp bool) *message {
	m := &message{record: record, receives: receivesOf(record), result: result{outcome: deactivation.Deferred}}
	request, event, err := deactivation.Parse(record.Body)
	m.request, m.source, m.event = request, request.Source, request.Event
	switch {
	case err != nil:
		m.decided = true
		m.result = result{outcome: deactivation.Rejected, reason: deactivation.ReasonInvalid, detail: deactivation.CleanText(err.Error())}
	case event != nil:
		m.decided = true
		m.source, m.event = event.Source, event.ID
		m.result = result{outcome: deactivation.Rejected, reason: deactivation.ReasonUnmappable, detail: deactivation.CleanText(
			"an event that is not mapped yet; missing: " + strings.Join(event.Missing, ", "))}
	case request.IsOffline():
		license, unreadable := readFile(request.RequestFile)
		m.request.License = license
		if unreadable != nil {
			m.decided = true
			m.result = *unreadable
		}
	case looksUp && lookup.Needed(request):
		m.looksUp = true
	default:
		if err := request.CheckSendable(); err != nil {
			m.decided = true
			m.result = result{
				outcome: deactivation.Rejected, reason: deactivation.ReasonRejected, code: codeMissingHardwareID, detail: deactivation.CleanText(err.Error()),
			}
		}
	}
	return m
}

// codeMissingHardwareID is the License API's own code for a request without a device.
const codeMissingHardwareID = "missing_hardware_id"

// ageOf is the time since the record was sent; 0 where SQS does not say when.
func ageOf(record events.SQSMessage, now time.Time) time.Duration {
	sent, err := strconv.ParseInt(record.Attributes["SentTimestamp"], 10, 64) // milliseconds
	if err != nil {
		return 0
	}
	return max(now.Sub(time.UnixMilli(sent)), 1)
}

// receivesOf is the record's receive count, 1 if SQS gives none.
func receivesOf(record events.SQSMessage) int {
	n, err := strconv.Atoi(record.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}
