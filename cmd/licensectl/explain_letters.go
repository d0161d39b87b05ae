package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
)

// message is one message of the queue or the dead-letter queue in the form that tools print: in the AWS CLI and the
// console the names begin with capitals, in Lambda's events they do not. encoding/json accepts both.
type message struct {
	MessageID         string                                  `json:"MessageId"`
	Body              *string                                 `json:"Body"`
	MessageAttributes map[string]struct{ StringValue string } `json:"MessageAttributes"`
}

// letter returns the content of the attributes.
func (m message) letter() deactivation.DeadLetter {
	attributes := map[string]string{}
	for name, attribute := range m.MessageAttributes {
		attributes[name] = attribute.StringValue
	}
	return deactivation.ParseDeadLetter(attributes)
}

// readMessages returns the messages in a file: one message, {"Messages":[…]} as `aws sqs receive-message` prints it,
// {"Records":[…]} as Lambda gets it, a list of messages, or messages and bodies one after another. It returns nil for
// anything else, such as a sender's body.
func readMessages(content []byte) []message {
	var values []json.RawMessage
	for dec := json.NewDecoder(bytes.NewReader(content)); ; {
		var value json.RawMessage
		err := dec.Decode(&value)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		values = append(values, unwrap(value)...)
	}
	var messages []message
	for _, value := range values {
		var m message
		switch err := json.Unmarshal(value, &m); {
		case err == nil && m.Body != nil && m.MessageID != "":
		case len(values) > 1 && isBody(value): // subjectReader.one reads a single one
			text := string(value)
			m = message{Body: &text}
		default:
			return nil
		}
		messages = append(messages, m)
	}
	return messages
}

// unwrap returns the elements of a list, of {"Messages":[…]} and of {"Records":[…]}, else the value itself.
func unwrap(value json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil && len(list) > 0 {
		return list
	}
	var envelope struct{ Messages, Records []json.RawMessage }
	if json.Unmarshal(value, &envelope) == nil && len(envelope.Messages)+len(envelope.Records) > 0 {
		return append(envelope.Messages, envelope.Records...)
	}
	return []json.RawMessage{value}
}

func isBody(value json.RawMessage) bool {
	_, _, err := deactivation.Parse(string(value))
	return err == nil
}

// messages returns the subjects of a file of messages. A message that cannot be explained does not stop the others.
func (r subjectReader) messages(arg string, messages []message) (subjects []subject, errs []error) {
	for i, m := range messages {
		s := subject{name: arg, at: r.at, secrets: r.secrets, policy: r.policy}
		if len(messages) > 1 {
			s.name = fmt.Sprintf("%s, message %d of %d", arg, i+1, len(messages))
		}
		letter := m.letter()
		request, event, err := deactivation.Parse(*m.Body)
		switch {
		case err != nil:
			errs = append(errs, failed(fmt.Errorf("%s is not a message of this system: %w", s.name, err), ""))
			continue
		case event != nil:
			s, err = r.deadLetter(s, *event)
		default:
			s.request, s.letter = &request, letter
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		subjects = append(subjects, s)
	}
	return subjects, errs
}

// printRequest prints a message that holds a request: what it requests, why it is a dead letter, and what to do.
func printRequest(w io.Writer, s subject) {
	p := &page{w: w}
	p.outside(s.name)
	p.outside("A request, mapped or invoked before.")
	p.section("RESULT")
	p.prose(requestResult(s.letter))
	q := s.request
	p.section("REQUEST")
	rows := []row{{"id", q.ID}, {"source", q.Source}}
	for _, r := range []row{
		{"cause", q.Cause}, {"rule", q.Rule}, {"license_key", deactivation.Shorten(q.LicenseKey)},
		{"username", deactivation.Shorten(q.Username)}, {"license_id", q.LicenseID.String()}, {"product", q.Product},
		{"bundle_code", q.BundleCode}, {"hardware_id", deactivation.Shorten(q.HardwareID)},
	} {
		if r[1] != "" {
			rows = append(rows, r)
		}
	}
	p.table(rows)
	d := s.letter
	if d.FailedAt.IsZero() && d.Detail == "" {
		return
	}
	p.section("DEAD LETTER")
	if d.Detail != "" {
		p.prose(d.Detail)
	}
	if d.Attempts > 0 {
		p.line("after %s", count(d.Attempts, "receive"))
	}
	if !d.FailedAt.IsZero() {
		p.line("at %s UTC", d.FailedAt.UTC().Format("2006-01-02 15:04:05"))
	}
}

// requestResult returns the meaning of a dead letter's reason and code, and what to do.
func requestResult(d deactivation.DeadLetter) string {
	text := string(d.Reason)
	if d.Code != "" {
		text += ": " + d.Code
	}
	m := deadletter.MeaningOf(d)
	return text + ", " + sentence(m.Is) + " To do: " + sentence(m.Do)
}
