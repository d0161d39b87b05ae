package queue

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"sync"
	"time"
)

// defaultVisibility is SQS's own.
const defaultVisibility = 30 * time.Second

// MemoryConfig holds the attributes of a queue.
type MemoryConfig struct {
	// Visibility is the queue's visibility timeout: how long a received message is hidden when Receive names no
	// time. 0 means 30 seconds.
	Visibility time.Duration

	// MaxReceiveCount is how often a message is handed out before the next receive moves it to DeadLetter
	// instead; 0 means without limit. It has no effect without DeadLetter.
	MaxReceiveCount int

	// DeadLetter is the queue to which the redrive policy moves messages; nil means that there is no redrive policy.
	DeadLetter *Memory
}

// Memory is a queue in this process that keeps the rules of an SQS standard queue: visibility timeout, receive count,
// redrive to a dead-letter queue, and the refusal of invalid entries and receipts. It hands out messages in the order
// in which they became visible, which SQS does not promise. It has no retention period, and it does not enforce SQS's
// limit of about 120,000 messages in flight. It is safe for concurrent use. Its content is lost with the process.
//
// It waits on timers and channels and never polls, so it works in a testing/synctest bubble.
type Memory struct {
	config MemoryConfig
	name   string // prefix of every receipt, so that a receipt of another queue is recognised

	mu       sync.Mutex
	messages map[string]*message // by id
	heap     visibilityHeap
	last     uint64        // the latest sequence number
	changed  chan struct{} // closed when a message becomes visible earlier than expected; nil when no receiver waits
}

// NewMemory makes an empty queue.
func NewMemory(config MemoryConfig) *Memory {
	if config.Visibility == 0 {
		config.Visibility = defaultVisibility
	}
	return &Memory{config: config, name: rand.Text(), messages: make(map[string]*message)}
}

// Send adds the valid entries to the queue, all at once.
func (m *Memory) Send(ctx context.Context, entries []Entry) []Failure {
	valid, invalid := checkAll(entries)
	if ctx.Err() != nil {
		return sortByIndex(append(invalid, contextFailures(ctx, valid, nil)...))
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, i := range valid {
		e := entries[i]
		e.Attributes = maps.Clone(e.Attributes)
		m.add(&message{Entry: e, id: newID(), sentAt: now, visibleAt: now})
	}
	return invalid
}

// Receive hands out up to max (1 to 10) messages and hides each for visibility; 0 means the queue's own. It waits
// up to wait (20 s) for the first; 0 does not wait. Both are rounded up to whole seconds. When no message becomes
// visible within that time, it returns (nil, nil). When ctx ends, it returns ctx's error and receives no message.
func (m *Memory) Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]Received, error) {
	if err := checkReceive(max, wait, visibility); err != nil {
		return nil, err
	}
	if visibility == 0 {
		visibility = m.config.Visibility
	}
	visibility = wholeSeconds(visibility)

	end := time.NewTimer(wholeSeconds(wait))
	defer end.Stop()
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("queue: receive: %w", ctx.Err())
		}
		received, next, changed := m.receiveVisible(max, visibility)
		if len(received) > 0 || wait == 0 {
			return received, nil
		}

		select {
		case <-ctx.Done():
		case <-changed:
		case <-next:
		case <-end.C:
			return nil, nil
		}
	}
}

// Defer changes the visibility of messages in flight. It refuses a receipt that is not of this queue, that is not of
// the message's latest receive, or whose visibility timeout has ended, and a deferral that would hide its message for
// more than 12 hours in all.
func (m *Memory) Defer(ctx context.Context, deferrals []Deferral) []Failure {
	if ctx.Err() != nil {
		return contextFailures(ctx, indexesOf(len(deferrals)), nil)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var failed []Failure
	for i, d := range deferrals {
		msg, err := m.byReceipt(d.Receipt)
		if err == nil && (msg == nil || !msg.visibleAt.After(now)) {
			err = fmt.Errorf("%w: MessageNotInflight: the message is no longer in flight by this receipt", ErrRefused)
		}
		if err == nil && now.Add(visibilityTimeout(d.After)).After(msg.receivedAt.Add(maxVisibility)) {
			err = fmt.Errorf("%w: InvalidParameterValue: hidden for more than %v in all", ErrRefused, maxVisibility)
		}
		if err != nil {
			failed = append(failed, Failure{i, err})
			continue
		}
		m.hideUntil(msg, now.Add(visibilityTimeout(d.After)))
	}
	return failed
}

// Delete deletes messages. A receipt of an earlier receive than the latest, or of a message that is deleted, succeeds
// and does nothing. Only a receipt that is not of this queue is refused.
func (m *Memory) Delete(ctx context.Context, receipts []string) []Failure {
	if ctx.Err() != nil {
		return contextFailures(ctx, indexesOf(len(receipts)), nil)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	var failed []Failure
	for i, receipt := range receipts {
		msg, err := m.byReceipt(receipt)
		switch {
		case err != nil:
			failed = append(failed, Failure{i, err})
		case msg != nil:
			m.remove(msg)
		}
	}
	return failed
}

// Len is how many messages are in the queue, visible or in flight.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.heap)
}

// InFlight is how many messages are received or deferred and are neither deleted nor visible again.
func (m *Memory) InFlight() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	n := 0
	for _, msg := range m.heap {
		if msg.visibleAt.After(now) {
			n++
		}
	}
	return n
}
