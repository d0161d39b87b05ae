package deadletter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/queue"
)

const (
	// batch is how many messages one receive returns at most.
	batch = 10

	// receivers is how many receives run at the same time: at 20 ms each they read 100,000 letters in half a minute.
	receivers = 8

	// poll is how long a receive waits for the first letter. A receive that waits asks all servers of SQS, one that does
	// not wait asks some of them and can miss letters.
	poll = time.Second

	// MaxSeen is how many letters one look receives. SQS allows about 120,000 in flight for a queue.
	MaxSeen = 100_000

	// maxKeptBytes bounds the bodies that a look keeps: 256 of the largest letters, and half a million requests.
	maxKeptBytes = 256 << 20

	// receiveAttempts is how often a receiver tries again after an error.
	receiveAttempts = 3
)

// Look is the dead-letter queue as it was received: the chosen letters are held, all others are visible again. A Look is
// not safe for concurrent use. Close it.
type Look struct {
	Chosen  []*Letter // the oldest first
	Seen    int       // letters that were received
	Matched int       // letters that the filter matches, without Max
	More    bool      // the look ended at MaxSeen letters: the queue may hold more
	Left    []*Letter // of the last Run: those that were not sent, or not deleted where there is nothing to send

	hold     *hold
	endKeep  context.CancelFunc
	keepDone chan struct{}
}

// Options are what a look keeps.
type Options struct {
	Filter Filter
	Bodies bool // keep the bodies of the chosen letters

	// MaxSeen is how many letters are received; 0: MaxSeen.
	MaxSeen int

	// Poll is how long a receive waits for the first letter; 0: a second. Below 0 it does not wait, which is enough for a
	// queue in memory.
	Poll time.Duration
}

// Open receives every letter of the queue once and holds those that the filter chooses. With an error nothing is held.
func Open(ctx context.Context, q Queue, o Options) (*Look, error) {
	if o.MaxSeen == 0 {
		o.MaxSeen = MaxSeen
	}
	if o.Poll == 0 {
		o.Poll = poll
	}
	l := &Look{hold: &hold{queue: q, held: map[string]held{}}, keepDone: make(chan struct{})}
	keeping, end := context.WithCancel(context.WithoutCancel(ctx))
	l.endKeep = end
	go func() {
		defer close(l.keepDone)
		l.hold.keep(keeping)
	}()
	s := &scan{look: l, options: o}
	if err := s.run(ctx, q); err != nil {
		l.Close()
		return nil, err
	}
	l.Chosen, l.Matched = s.oldest(), s.matched
	l.releaseOthers(ctx)
	return l, nil
}

// releaseOthers makes the letters that were not chosen visible at once.
func (l *Look) releaseOthers(ctx context.Context) {
	chosen := map[string]bool{}
	for _, letter := range l.Chosen {
		chosen[letter.MessageID] = true
	}
	l.hold.release(context.WithoutCancel(ctx), slices.DeleteFunc(l.hold.all(), func(id string) bool { return chosen[id] }))
}

// Release makes some of the chosen letters visible at once and leaves them out of Chosen.
func (l *Look) Release(ctx context.Context, letters []*Letter) {
	ids := make([]string, len(letters))
	for i, letter := range letters {
		ids[i] = letter.MessageID
	}
	l.hold.release(context.WithoutCancel(ctx), ids)
	l.Chosen = slices.DeleteFunc(l.Chosen, func(letter *Letter) bool { return slices.Contains(ids, letter.MessageID) })
}

// Close makes all letters that are still held visible at once. It may be called twice.
func (l *Look) Close() {
	l.endKeep()
	<-l.keepDone
	left := l.hold.all()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout+time.Duration(len(left))*closeTimeoutEach)
	defer cancel()
	l.hold.release(ctx, left)
}

// scan is one pass through the queue.
type scan struct {
	look    *Look
	options Options

	mu      sync.Mutex
	chosen  []*Letter
	matched int
	bytes   int // of the kept bodies
	failed  error
}

// run receives until the queue hands out no further letter.
func (s *scan) run(ctx context.Context, q Queue) error {
	ctx, cancel := withoutDeadline(ctx)
	defer cancel()
	var all sync.WaitGroup
	for range receivers {
		all.Go(func() {
			if err := s.receive(ctx, q); err != nil {
				s.fail(err)
				cancel()
			}
		})
	}
	all.Wait()
	return s.failed
}

// withoutDeadline is a context that ends with ctx and has no deadline: before a deadline, the queue abandons a call after a third
// of a second and makes it again. The letters of an abandoned receive would be hidden for 30 seconds, and this look would not
// see them.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	free, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return free, func() {
		stop()
		cancel()
	}
}

// fail keeps the first error: the others follow from it.
func (s *scan) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// receive receives until a receive returns no new letter. An error counts only if it is repeated.
func (s *scan) receive(ctx context.Context, q Queue) error {
	for failures := 0; ; {
		until := time.Now().Add(visibility)
		messages, err := q.Receive(ctx, batch, max(s.options.Poll, 0), visibility)
		if err != nil {
			if failures++; ctx.Err() != nil || failures == receiveAttempts {
				return err
			}
			continue
		}
		failures = 0
		found, err := s.add(messages, until)
		if err != nil || found == 0 {
			return err
		}
	}
}

// add notes received messages, and returns how many were new. It returns 0 when the look has seen enough.
func (s *scan) add(messages []queue.Received, until time.Time) (found int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		if !s.look.hold.add(m, until) {
			continue
		}
		found++
		s.look.Seen++
		letter := read(m)
		if !s.options.Filter.Matches(letter) {
			continue
		}
		s.matched++
		if !s.options.Bodies {
			letter.Body = ""
		}
		s.bytes += len(letter.Body)
		s.chosen = append(s.chosen, letter)
	}
	s.keepOldest(2 * s.options.Filter.Max)
	if s.bytes > maxKeptBytes {
		return 0, fmt.Errorf("deadletter: the chosen letters hold more than %d MiB: choose fewer of them with --max or another filter", maxKeptBytes>>20)
	}
	if s.look.Seen >= s.options.MaxSeen {
		s.look.More = true
		return 0, nil
	}
	return found, nil
}

// keepOldest drops the newest letters beyond Max, once there are more than n: sorting at each letter would be slow.
func (s *scan) keepOldest(n int) {
	most := s.options.Filter.Max
	if most == 0 || len(s.chosen) <= n {
		return
	}
	slices.SortFunc(s.chosen, olderFirst)
	for _, dropped := range s.chosen[most:] {
		s.bytes -= len(dropped.Body)
	}
	clear(s.chosen[most:])
	s.chosen = s.chosen[:most]
}

// oldest returns the chosen letters, the oldest first.
func (s *scan) oldest() []*Letter {
	s.keepOldest(s.options.Filter.Max)
	slices.SortFunc(s.chosen, olderFirst)
	return s.chosen
}
