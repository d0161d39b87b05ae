package queue

import (
	"container/heap"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"time"
)

// message is in the queue: visible once visibleAt has passed, in flight until then.
type message struct {
	Entry
	id         string
	sentAt     time.Time
	visibleAt  time.Time
	receivedAt time.Time // of the latest receive
	receipt    string    // of the latest receive
	receives   int
	sequence   uint64 // orders messages that become visible at the same time
	heapIndex  int    // in visibilityHeap
}

// receiveVisible hands out visible messages. When there are none, next fires when the first hidden message becomes
// visible, and changed is closed when a message may become visible earlier than that.
func (m *Memory) receiveVisible(most int, visibility time.Duration) (received []Received, next <-chan time.Time, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(received) < most && len(m.heap) > 0 && !m.heap[0].visibleAt.After(now) {
		first := m.heap[0]
		if m.exhausted(first) {
			m.remove(first)
			m.config.DeadLetter.addRedriven(first, now)
			continue
		}
		first.receives++
		first.receivedAt = now
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
	if len(m.heap) > 0 {
		next = time.After(m.heap[0].visibleAt.Sub(now))
	}
	return nil, next, m.changed
}

// byReceipt returns the message whose latest receive gave this receipt. It returns nil when no message has it any
// more, and an error that wraps ErrRefused when the receipt is not of this queue.
func (m *Memory) byReceipt(receipt string) (*message, error) {
	name, rest, _ := strings.Cut(receipt, "/")
	id, _, ok := strings.Cut(rest, "/")
	if !ok || name != m.name {
		return nil, fmt.Errorf("%w: ReceiptHandleIsInvalid: not a receipt of this queue", ErrRefused)
	}
	if msg := m.messages[id]; msg != nil && msg.receipt == receipt {
		return msg, nil
	}
	return nil, nil
}

// exhausted reports whether the redrive policy moves the message at its next receive.
func (m *Memory) exhausted(msg *message) bool {
	return m.config.DeadLetter != nil && m.config.MaxReceiveCount > 0 && msg.receives >= m.config.MaxReceiveCount
}

// addRedriven adds a message that the redrive policy of another queue moves here. As with SQS, it keeps its id, the
// time it was sent and its receive count. The caller holds the lock of the source queue; the two locks are never
// taken in the opposite order, since DeadLetter is made before the queue that names it.
func (m *Memory) addRedriven(msg *message, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg.visibleAt, msg.receipt = now, ""
	m.add(msg)
}

// add puts a message into the queue and wakes waiting receivers.
func (m *Memory) add(msg *message) {
	m.last++
	msg.sequence = m.last
	m.messages[msg.id] = msg
	heap.Push(&m.heap, msg)
	m.wakeReceivers()
}

func (m *Memory) remove(msg *message) {
	delete(m.messages, msg.id)
	heap.Remove(&m.heap, msg.heapIndex)
}

// hideUntil changes when a message becomes visible.
func (m *Memory) hideUntil(msg *message, at time.Time) {
	earlier := at.Before(msg.visibleAt)
	m.last++
	msg.sequence, msg.visibleAt = m.last, at
	heap.Fix(&m.heap, msg.heapIndex)
	if earlier {
		m.wakeReceivers()
	}
}

// wakeReceivers wakes every call of Receive that waits.
func (m *Memory) wakeReceivers() {
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
