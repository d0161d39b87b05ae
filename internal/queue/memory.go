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

// MemoryConfig says what a queue's attributes would say.
type MemoryConfig struct {
	// Visibility is how long a received message is hidden when Receive does not say; 0 means 30 seconds.
	Visibility time.Duration

	// MaxReceiveCount is how often a message is handed out before the next receive moves it to DeadLetter
	// instead; 0 means without end. It has no effect without DeadLetter.
	MaxReceiveCount int

	// DeadLetter is where it is moved to; nil means nowhere.
	DeadLetter *Memory
}

// Memory is a queue in this process that keeps the rules of a standard queue of SQS: visibility, receive counts,
// redrive to a dead-letter queue, and what is refused. Its order is that in which messages became visible, which
// SQS does not promise. It does not forget (retention), and it does not know SQS's limit of some 120,000 messages
// in flight. It is safe for concurrent use, and everything in it is lost with the process.
//
// It waits by timers and by being told, never by looking again, so it works in a bubble of testing/synctest.
type Memory struct {
	config MemoryConfig
	name   string // begins every receipt, so that those of another queue are known

	mu       sync.Mutex
	messages map[string]*message // by id
	order    order
	last     uint64
	changed  chan struct{} // closed when something becomes visible earlier than was known; nil without a waiter
}

// NewMemory makes an empty queue.
func NewMemory(config MemoryConfig) *Memory {
	if config.Visibility == 0 {
		config.Visibility = defaultVisibility
	}
	return &Memory{config: config, name: rand.Text(), messages: make(map[string]*message)}
}

// Send puts the entries that can be taken into the queue, all at once.
func (m *Memory) Send(ctx context.Context, entries []Entry) []Failure {
	good, bad := checkAll(entries)
	if ctx.Err() != nil {
		return sortByIndex(append(bad, stopped(ctx, good, nil)...))
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, i := range good {
		e := entries[i]
		e.Attributes = maps.Clone(e.Attributes)
		m.put(&message{Entry: e, id: newID(), sentAt: now, visibleAt: now})
	}
	return bad
}

// Receive hands out up to max (1 to 10) messages and hides each for visibility; 0 means the queue's own. It waits
// up to wait (20 s) for the first; 0 does not wait. Both are rounded up to whole seconds. No message within that
// time is (nil, nil); the end of ctx is its error, and takes no message along.
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
		received, next, changed := m.take(max, visibility)
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

// Defer sets the visibility of messages in flight. A receipt that is not of this queue, not of the latest receive,
// or whose visibility has ended is refused, as is one that would hide its message more than 12 hours in all.
func (m *Memory) Defer(ctx context.Context, deferrals []Deferral) []Failure {
	if ctx.Err() != nil {
		return stopped(ctx, upTo(len(deferrals)), nil)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var failed []Failure
	for i, d := range deferrals {
		found, err := m.find(d.Receipt)
		if err == nil && (found == nil || !found.visibleAt.After(now)) {
			err = fmt.Errorf("%w: MessageNotInflight: the message is no longer in flight by this receipt", ErrRefused)
		}
		if err == nil && now.Add(hidden(d.After)).After(found.takenAt.Add(maxVisibility)) {
			err = fmt.Errorf("%w: InvalidParameterValue: hidden for more than %v in all", ErrRefused, maxVisibility)
		}
		if err != nil {
			failed = append(failed, Failure{i, err})
			continue
		}
		m.hideUntil(found, now.Add(hidden(d.After)))
	}
	return failed
}

// Delete deletes messages. The receipt of an earlier receive than the last, or of a message that is gone, succeeds
// and does nothing; only one that is not of this queue is refused.
func (m *Memory) Delete(ctx context.Context, receipts []string) []Failure {
	if ctx.Err() != nil {
		return stopped(ctx, upTo(len(receipts)), nil)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	var failed []Failure
	for i, receipt := range receipts {
		found, err := m.find(receipt)
		switch {
		case err != nil:
			failed = append(failed, Failure{i, err})
		case found != nil:
			m.remove(found)
		}
	}
	return failed
}

// Len is how many messages are in the queue, visible or in flight.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.order)
}

// InFlight is how many messages are received or deferred and neither deleted nor visible again.
func (m *Memory) InFlight() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	n := 0
	for _, msg := range m.order {
		if msg.visibleAt.After(now) {
			n++
		}
	}
	return n
}
