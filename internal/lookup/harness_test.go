package lookup_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
	"license-deactivator/pkg/signing"
)

// noon is the time of events, unless a test sets another.
func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

const (
	apiKey        = "api-key"
	sharedKey     = "shared-key"
	managementKey = "management-key"
)

// apis serves a fake of both APIs over connections in memory; a test may replace the fake any number of times.
type apis struct {
	fake       atomic.Pointer[licenseapitest.Server]
	licenses   *licenseapi.Client
	management *managementapi.Client
	clock      atomic.Int64 // Unix nanoseconds

	mu     sync.Mutex
	calls  int // of both APIs
	killAt int // the call whose answer is lost when the process is killed; 0: none
}

// errKilled is the error of a call whose process was killed before the answer came.
var errKilled = errors.New("killed")

func newAPIs(t testing.TB) *apis {
	t.Helper()
	a := &apis{}
	a.clock.Store(noon().UnixNano())
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	handler := func(w http.ResponseWriter, r *http.Request) { a.fake.Load().ServeHTTP(w, r) }
	server := &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	signer, err := signing.NewSigner(apiKey, sharedKey)
	if err != nil {
		t.Fatal(err)
	}
	a.licenses, err = licenseapi.New(licenseapi.Config{
		BaseURL: "http://127.0.0.1" + licenseapitest.Base, Authorizer: licenseapi.HMAC(signer), Now: a.now, DialContext: listener.dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.management, err = managementapi.New(managementapi.Config{
		BaseURL: "http://127.0.0.1" + licenseapitest.ManagementBase, Key: managementKey, Now: a.now, DialContext: listener.dial, Through: a.call,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve starts again with these licenses.
func (a *apis) serve(t testing.TB, licenses ...licenseapitest.License) *licenseapitest.Server {
	t.Helper()
	fake, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{apiKey: sharedKey}, ManagementAPIKeys: []string{managementKey}, Licenses: licenses,
	}, licenseapitest.Clock(a.now), licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	a.fake.Store(fake)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls, a.killAt = 0, 0
	return fake
}

func (a *apis) now() time.Time { return time.Unix(0, a.clock.Load()).UTC() }

func (a *apis) wait(d time.Duration) { a.clock.Add(int64(d)) }

// call makes a call of either API. The call at which the process is killed has its effect, and its answer is lost.
func (a *apis) call(ctx context.Context, request func(context.Context) error) error {
	err := request(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	if a.calls == a.killAt {
		return errKilled
	}
	return err
}

func (a *apis) made() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

func (a *apis) kill(at int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.killAt = at
}

// deactivate does what the worker does with an answer of the License API, without its repetitions.
func (a *apis) deactivate(ctx context.Context, license deactivation.License) lookup.Answer {
	err := a.call(ctx, func(ctx context.Context) error { return a.licenses.Deactivate(ctx, licenseapi.Deactivation(license)) })
	answer := lookup.Answer{Outcome: deactivation.Deferred, Code: licenseapi.CodeOf(err)}
	if err != nil {
		answer.Detail = err.Error()
	}
	switch licenseapi.KindOf(err) {
	case licenseapi.KindDeactivated:
		answer.Outcome = deactivation.Deactivated
	case licenseapi.KindAlreadyInactive:
		answer.Outcome = deactivation.AlreadyInactive
	case licenseapi.KindRejected:
		answer.Outcome = deactivation.Rejected
	}
	return answer
}

func (a *apis) lookup(t testing.TB) *lookup.Lookup {
	t.Helper()
	l, err := lookup.New(lookup.Config{Now: a.now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// job is one receive of a request by its own age.
func (a *apis) job(r deactivation.Request) lookup.Job {
	return lookup.Job{Request: r, Age: a.now().Sub(r.ReceivedAt), Management: a.management, Deactivate: a.deactivate}
}

// maxReceives bounds how often a test delivers a message. A fault that affects the first two of each call needs the
// most.
const maxReceives = 400

// work delivers a message until it is done, and returns the last result and the earlier ones.
func (a *apis) work(t testing.TB, l *lookup.Lookup, r deactivation.Request, change func(*lookup.Job)) (last lookup.Result, before []lookup.Result) {
	t.Helper()
	for {
		job := a.job(r)
		if change != nil {
			change(&job)
		}
		last = l.Run(t.Context(), job)
		if last.Outcome != deactivation.Deferred || len(before) == maxReceives {
			return last, before
		}
		before = append(before, last)
		a.wait(cmp.Or(last.RetryIn, 30*time.Second))
	}
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
