package deadletter

import (
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// Letter is one message of the dead-letter queue. It holds a Request, an Event, or neither of them: then it is not a
// message of this system.
type Letter struct {
	deactivation.DeadLetter // RequestID and Source are those of the body where the attributes lack them

	MessageID  string // the queue's id
	Receives   int    // how often the dead-letter queue has handed it out
	SentAt     time.Time
	Group      string
	Attributes map[string]string
	Body       string // "" if the look does not keep bodies
	Size       int    // of the body, in bytes

	Request *deactivation.Request
	Event   *deactivation.Event
}

// read returns the letter of a message.
func read(m queue.Received) *Letter {
	l := &Letter{
		DeadLetter: deactivation.ParseDeadLetter(m.Attributes), MessageID: m.ID, Receives: m.ReceiveCount, SentAt: m.SentAt,
		Group: m.Group, Attributes: m.Attributes, Body: m.Body, Size: len(m.Body),
	}
	request, event, err := deactivation.Parse(m.Body)
	id, source := request.ID, request.Source
	switch {
	case err == nil && event != nil:
		l.Event, source = event, event.Source
		if event.ID != "" {
			id = event.Source + "." + event.ID
		}
	case err == nil:
		l.Request = &request
	}
	if l.RequestID == "" {
		l.RequestID = id
	}
	if l.Source == "" {
		l.Source = source
	}
	return l
}

// ID is the id of the letter's request or event; the queue's id where it has none.
func (l *Letter) ID() string {
	if l.RequestID != "" {
		return l.RequestID
	}
	return l.MessageID
}

// IsOurs reports whether the body is a request or an event of this system.
func (l *Letter) IsOurs() bool { return l.Request != nil || l.Event != nil }

// At is when the letter was written: failed_at, else the time at which the message was sent. SQS keeps the time of the
// original message when it moves one itself.
func (l *Letter) At() time.Time {
	if !l.FailedAt.IsZero() {
		return l.FailedAt
	}
	return l.SentAt
}

// EventTime is when the refund happened: the event's own time, else the time of its receipt; zero where neither is known.
func (l *Letter) EventTime() time.Time {
	switch {
	case l.Request != nil && !l.Request.OccurredAt.IsZero():
		return l.Request.OccurredAt
	case l.Request != nil:
		return l.Request.ReceivedAt
	case l.Event != nil:
		return l.Event.ReceivedAt
	}
	return time.Time{}
}

// Orders returns the ids by which the letter's order can be found.
func (l *Letter) Orders() []string {
	switch {
	case l.Event != nil:
		return l.Event.Order
	case l.Request == nil:
		return nil
	}
	orders := slices.Clone(l.Request.Order)
	for _, c := range l.Request.Lookup.Order {
		if !slices.Contains(orders, c.ID) {
			orders = append(orders, c.ID)
		}
	}
	return orders
}

// olderFirst orders letters by time, then by the queue's id, so that the order is the same in every look.
func olderFirst(a, b *Letter) int {
	if c := a.At().Compare(b.At()); c != 0 {
		return c
	}
	if a.MessageID < b.MessageID {
		return -1
	}
	return 1
}
