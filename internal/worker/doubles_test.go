package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
)

// secret is the content of the secret store.
type secret struct {
	mu            sync.Mutex
	text, version string
	err           error
	reads         int
}

func secretText(sharedKey string) string {
	return fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":%q}`, testAPIKey, sharedKey, testManagementKey)
}

func (s *secret) Read(context.Context) (secrets.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return secrets.Value{Text: s.text, Version: s.version}, s.err
}

// rotate puts the next version into the store.
func (s *secret) rotate(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.version = text, "v2"
}

func (s *secret) readCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// recordingQueue records the visibility timeout of each message, and refuses on demand.
type recordingQueue struct {
	*queue.Memory
	mu       sync.Mutex
	deferred map[string]time.Duration // by receipt
	refuse   bool
	hurry    bool // hand out again at once, whatever was asked for
}

func (q *recordingQueue) Defer(ctx context.Context, deferrals []queue.Deferral) []queue.Failure {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deferred == nil {
		q.deferred = make(map[string]time.Duration)
	}
	var failures []queue.Failure
	for i, d := range deferrals {
		if q.refuse {
			failures = append(failures, queue.Failure{Index: i, Err: errors.New("refused by the test")})
			continue
		}
		q.deferred[d.Receipt] = d.After
		if q.hurry {
			deferrals[i].After = 0
		}
	}
	if q.refuse {
		return failures
	}
	return q.Memory.Defer(ctx, deferrals)
}

// deadLetters refuses on demand: nothing, everything, or all entries but the first.
type deadLetters struct {
	*queue.Memory
	refuse func(index int) bool
}

func (d *deadLetters) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	if d.refuse == nil {
		return d.Memory.Send(ctx, entries)
	}
	var taken []queue.Entry
	var failures []queue.Failure
	for i, e := range entries {
		if d.refuse(i) {
			failures = append(failures, queue.Failure{Index: i, Err: errors.New("refused by the test")})
			continue
		}
		taken = append(taken, e)
	}
	d.Memory.Send(ctx, taken)
	return failures
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

// answering is an API that gives every call the same answer and counts the calls.
type answering struct {
	status int
	body   string
	header map[string]string

	mu    sync.Mutex
	calls int
}

func (a *answering) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	a.calls++
	a.mu.Unlock()
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

// confirming is an API that confirms every deactivation.
func confirming() *answering { return &answering{status: 200, body: confirmation} }

// confirmation is the body of a 200 that deactivated a license.
const confirmation = "license_deactivated"

// failure is an API that answers with that code.
func failure(status int, code string) *answering {
	return &answering{status: status, body: fmt.Sprintf(`{"status":%d,"code":%q,"message":"Message of %s."}`, status, code, code)}
}
