package queue

import (
	"container/heap"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"time"
)

// message is in the queue: visible when visibleAt has passed, in flight until then.
type message struct {
	Entry
	id        string
	sentAt    time.Time
	visibleAt time.Time
	takenAt   time.Time // of the latest receive
	receipt   string    // of the latest receive
	receives  int
	place     uint64 // among those that become visible at the same time
	position  int    // in order
}

// take hands out what is visible. When there is nothing, next fires when the first hidden message becomes visible,
// and changed is closed when that may be earlier.
func (m *Memory) take(most int, visibility time.Duration) (received []Received, next <-chan time.Time, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(received) < most && len(m.order) > 0 && !m.order[0].visibleAt.After(now) {
		first := m.order[0]
		if m.exhausted(first) {
			m.remove(first)
			m.config.DeadLetter.adopt(first, now)
			continue
		}
		first.receives++
		first.takenAt = now
		first.receipt = fmt.Sprintf("%s/%s/%d", m.name, first.id, first.receives)
		m.hideUntil(first, now.Add(visibility))
		received = append(received, first.received())
	}
	if len(received) > 0 {
		return received, nil, nil
	}

	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	if len(m.order) > 0 {
		next = time.After(m.order[0].visibleAt.Sub(now))
	}
	return nil, next, m.changed
}

// find returns the message whose latest receive gave this receipt; nil when there is none any more.
func (m *Memory) find(receipt string) (*message, error) {
	name, rest, _ := strings.Cut(receipt, "/")
	id, _, ok := strings.Cut(rest, "/")
	if !ok || name != m.name {
		return nil, fmt.Errorf("%w: ReceiptHandleIsInvalid: not a receipt of this queue", ErrRefused)
	}
	if found := m.messages[id]; found != nil && found.receipt == receipt {
		return found, nil
	}
	return nil, nil
}

func (m *Memory) exhausted(msg *message) bool {
	return m.config.DeadLetter != nil && m.config.MaxReceiveCount > 0 && msg.receives >= m.config.MaxReceiveCount
}

// adopt takes a message over from the queue whose dead letters are here: it keeps its id, the time it was sent
// and its receive count, as with SQS's redrive policy. The lock of that queue is held; the two cannot meet the
// other way round, since DeadLetter is made before the queue that names it.
func (m *Memory) adopt(msg *message, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg.visibleAt, msg.receipt = now, ""
	m.put(msg)
}

func (m *Memory) put(msg *message) {
	m.last++
	msg.place = m.last
	m.messages[msg.id] = msg
	heap.Push(&m.order, msg)
	m.tell()
}

func (m *Memory) remove(msg *message) {
	delete(m.messages, msg.id)
	heap.Remove(&m.order, msg.position)
}

func (m *Memory) hideUntil(msg *message, at time.Time) {
	earlier := at.Before(msg.visibleAt)
	m.last++
	msg.place, msg.visibleAt = m.last, at
	heap.Fix(&m.order, msg.position)
	if earlier {
		m.tell()
	}
}

// tell wakes everybody who waits in Receive.
func (m *Memory) tell() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

func (msg *message) received() Received {
	return Received{
		ID: msg.id, Receipt: msg.receipt, Body: msg.Body, Group: msg.Group, Attributes: maps.Clone(msg.Attributes),
		ReceiveCount: msg.receives, SentAt: msg.sentAt.Truncate(time.Millisecond),
	}
}

// newID has the form of SQS's message ids, a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
