// Package console is a web page for one person at this machine: refunds as they arrive, what became of them, and what needs
// somebody. `licensectl local` serves it for its own stack, `licensectl console` for a stack in AWS.
//
// The package holds the server and the pages. What they show and do is behind the interfaces [Status], [History],
// [Explainer], [Letters] and [Samples], which a command implements:
//
//	                         over licensectl local          over AWS
//	Status                   queues and log lines in memory  SQS, CloudWatch metrics, the functions' variables
//	History                  history.Memory                  history.Insights
//	Explainer                the deliveries it received      events in the dead-letter queue
//	Letters                  internal/deadletter             internal/deadletter
//	Samples                  internal/sample                 none
//
// An error that a method returns is shown to the person. If it has a method Hint() string, the hint is shown below it. No
// error may hold a license key or another secret.
//
// No value may hold a whole license key, hardware id, user name or password: implementations shorten them
// (deactivation.Shorten). Texts of a sender may hold anything else; the pages escape them.
package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config is what a Server shows. A field is required unless its comment says otherwise.
type Config struct {
	Place     string // what the page is about, for a person: "licensectl local", "stack shop in eu-central-1"
	Status    Status
	History   History
	Explainer Explainer
	Letters   Letters
	Samples   Samples // nil: there are none to send

	// AllowWrites lets the page redrive and purge letters and send samples. Without it the page is read-only: it shows plans
	// and acts on nothing.
	AllowWrites bool

	// Refresh is how often an open page asks for what is new. 0: three seconds. A question to AWS costs money, so that its page
	// asks less often.
	Refresh time.Duration

	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

const defaultRefresh = 3 * time.Second

// Server is the page. Make it with New; it serves what the guard lets through.
type Server struct {
	Config
	token   string
	handler http.Handler
	plans   plans
	pages   *pages
	acting  sync.RWMutex // held for reading during an act
}

// New returns a server for addresses of this machine: addr is the host and port on which it is reached, and every request has
// to name it. The token is new.
func New(c Config, addr string) (*Server, error) {
	var missing []string
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"Place", c.Place != ""}, {"Status", c.Status != nil}, {"History", c.History != nil}, {"Explainer", c.Explainer != nil}, {"Letters", c.Letters != nil},
	} {
		if !field.set {
			missing = append(missing, field.name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("console: the configuration has no %s", strings.Join(missing, ", "))
	}
	hosts, err := hostsOf(addr)
	if err != nil {
		return nil, err
	}
	if c.Refresh == 0 {
		c.Refresh = defaultRefresh
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Server{Config: c, token: rand.Text(), pages: pages}
	s.handler = guard{hosts: hosts, token: s.token, next: s.routes()}.handler()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Token is what every request for content has to carry.
func (s *Server) Token() string { return s.token }

// ErrNotLoopback is the error of an address that other machines may reach.
var ErrNotLoopback = errors.New("console: the page is served on this machine alone: give an address such as 127.0.0.1:0")

// hostsOf returns the values of the header Host that name a loopback address with a port.
func hostsOf(addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("console: the address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, ErrNotLoopback
	}
	hosts := []string{net.JoinHostPort("localhost", port), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
	if own := net.JoinHostPort(host, port); own != hosts[0] && own != hosts[1] && own != hosts[2] {
		hosts = append(hosts, own)
	}
	if port == "80" { // a browser leaves it out
		for _, with := range hosts {
			hosts = append(hosts, strings.TrimSuffix(with, ":80"))
		}
	}
	return hosts, nil
}

// Limits of the HTTP server. A plan of many letters in AWS takes minutes, so that writing an answer has no limit of time.
const (
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	shutdownTimeout   = 2 * time.Second
)

// Serve listens on addr, which is an address of this machine, and serves the page. It returns the page's address with the
// token in its fragment, and a function that stops the server. That function, and the end of ctx, stop an act that is under way;
// the function returns after the act.
func Serve(ctx context.Context, addr string, c Config) (address string, stop func(), err error) {
	if _, err := hostsOf(addr); err != nil {
		return "", nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	s, err := New(c, listener.Addr().String())
	if err != nil {
		_ = listener.Close()
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx }, // its end tells an act to stop
		Handler:     s, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		ErrorLog: discard(),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	stop = func() {
		cancel()
		closing, end := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer end()
		if server.Shutdown(closing) != nil {
			_ = server.Close()
		}
		<-done
		s.acting.Lock() // an act writes its last audit line
		defer s.acting.Unlock()
	}
	return "http://" + listener.Addr().String() + "/#" + s.token, stop, nil
}
