// Package licenseapitest is a fake of LicenseSpring's License API and Management API over one state: an http.Handler
// with licenses and devices. It refuses what the real ones refuse and injects faults on demand. Tests and `licensectl`
// use it. It shares no code with the clients, so that a mistake in a client cannot confirm itself.
//
//	api, err := licenseapitest.New(licenseapitest.State{
//		APIKeys:  map[string]string{"key": "shared"},
//		Licenses: []licenseapitest.License{{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Devices: []string{"hw1"}}},
//	})
//	url, stop, err := api.Start() // or httptest.NewServer(api), or any other http.Server
//	api.Fail("503")               // the first two calls of each license
//
// A call is checked in this order: the route (404 not_found), the method (405), the presence of both headers, the
// Authorization header, the API key, the date, the signature (or the token, then the date), the body, the product, the
// license, the device. The documentation gives the codes but not the order, which is an assumption.
//
// deactivate_bundle works on the same licenses: its product is the bundle of the rows, and the device is deactivated on
// every row of that bundle with the request's identity (and password and license_id, if they are sent). It succeeds
// when at least one row had the device; otherwise the first row's code is the answer. A bundle is not a product for
// deactivate_license, nor a product a bundle for deactivate_bundle: unknown_product.
//
// deactivate_offline and deactivate_bundle_offline accept a request file, as text or as the part "file" of a form,
// check its signatures and do the same. floating/release frees a device as deactivate_license does, and answers with an
// empty body.
//
// The Management API (ManagementBase, management.go) lists and shows licenses and devices, disables and enables licenses
// and resets devices. Ledger returns the writes of both APIs.
//
// The token endpoint of OAuth (TokenPath) issues tokens to the clients of the state. They are valid for 480 s or for
// TokenLife. GET oauth_url?login_type=client_credentials returns its address.
//
// Sources: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-online-method
// and https://docs.licensespring.com/license-api/error-responses
package licenseapitest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Base is the path of the API: Start's address ends with it.
const Base = "/api/v4"

const (
	// maxBodyBytes bounds a request's body, in bytes: four times what a queued message may hold.
	maxBodyBytes = 4 << 20

	// headTimeout bounds the header of a request for Start's server: on loopback no client needs a second.
	headTimeout = 5 * time.Second
)

// Server is the fake API. It is an http.Handler and safe for concurrent use.
type Server struct {
	now        func() time.Time
	quoted     bool
	bundleList bool
	tokenLife  time.Duration

	mu      sync.Mutex
	keys    map[string]string    // API key to shared key
	clients map[string]string    // OAuth client id to client secret
	tokens  map[string]time.Time // issued tokens, and when they expire
	rows    rows
	fault   func(Call) Fault // nil: none
	flood   *flood           // nil: no limits
	counts  Counts
	times   map[string]int // calls so far, by license
	inside  map[string]int // calls at this moment, by license

	management management
	ledger     *ledger // nil: not kept
}

// An Option changes a Server in New.
type Option func(*Server)

// Clock replaces time.Now, for the age of dates, the life of tokens and the flood limits.
func Clock(now func() time.Time) Option { return func(s *Server) { s.now = now } }

// Quoted makes the body of a success a JSON string, "license_deactivated" with its quotation marks. The documentation
// does not say which of both the API sends; without this option it is bare text.
func Quoted() Option { return func(s *Server) { s.quoted = true } }

// New returns a server with this state, or every problem of the state at once, by position and without a value.
func New(state State, options ...Option) (*Server, error) {
	if err := state.check(); err != nil {
		return nil, err
	}
	s := &Server{
		now: time.Now, tokenLife: tokenLife, keys: maps.Clone(state.APIKeys), clients: maps.Clone(state.Clients),
		tokens: map[string]time.Time{}, rows: newRows(state.Licenses),
		counts: Counts{Answers: map[string]int{}}, times: map[string]int{}, inside: map[string]int{},
		management: newManagement(state),
	}
	for _, option := range options {
		option(s)
	}
	return s, nil
}

// Start listens on a free port of the loopback interface and counts connections. url is the base address with /api/v4;
// stop closes the listener and every connection.
func (s *Server) Start() (url string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("licenseapitest: %w", err)
	}
	server := &http.Server{Handler: s, ConnState: s.ConnState, ReadHeaderTimeout: headTimeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // always http.ErrServerClosed: only stop ends it
	}()
	return "http://" + listener.Addr().String() + Base, func() { _ = server.Close(); <-done }, nil
}

// ConnState counts connections: give it to the http.Server that serves s. Start does.
func (s *Server) ConnState(_ net.Conn, state http.ConnState) {
	if state != http.StateNew {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Connections++
}

// Rotate replaces the shared key of an API key, as a vendor does: from now on signatures with the old one are
// answered signature_mismatch. An empty shared key revokes the API key (revoked_api_key). An unknown API key is added.
func (s *Server) Rotate(apiKey, shared string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[apiKey] = shared
}

// Add adds a license, as the fulfilment of an order does. It returns an error for what New would refuse.
func (s *Server) Add(l License) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := (State{Licenses: append(s.rows.licenses(), l)}).check(); err != nil {
		return err
	}
	s.rows.add(l)
	s.management.add(l)
	return nil
}

// State returns the licenses in their present state; Devices holds the active ones, InactiveDevices the others.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return State{
		APIKeys: maps.Clone(s.keys), Clients: maps.Clone(s.clients), ManagementAPIKeys: slices.Clone(s.management.keys),
		Licenses: s.rows.licenses(),
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == Base || r.URL.Path == Base+"/":
		s.serveBase(w, r)
	case r.URL.Path == TokenPath && r.Method == http.MethodPost:
		s.serveToken(w, r)
	case strings.HasPrefix(r.URL.Path, ManagementBase+"/"):
		s.serveManagement(w, r)
	case r.URL.Path == oauthURLPath:
		s.serveOAuthURL(w, r)
	case !isCall(r.URL.Path) && r.URL.Path != TokenPath:
		s.write(w, refuse("not_found"))
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.write(w, refuse("method_not_allowed"))
	default:
		s.serveCall(w, r)
	}
}

// serveBase answers the request that a client sends to open a connection.
func (s *Server) serveBase(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.write(w, refuse("method_not_allowed"))
		return
	}
	s.mu.Lock()
	s.counts.Warm++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "a fake of the License API\n")
}
