package licenseapitest

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Call is one call (not of the token endpoint) before anything is checked. Number and Times start at 1.
type Call struct {
	Number int // among all calls
	Times  int // among the calls for this license (product and identity)

	Product, LicenseKey, Username, HardwareID string // as sent; they name a customer's license: do not print them

	license string
}

// Fault is injected into one call. The zero Fault does nothing.
type Fault struct {
	// Delay comes first. A client that closes the connection meanwhile has changed nothing, unless After is set.
	Delay time.Duration

	// Status answers in place of the work, with Header and Body. With zero the work answers.
	Status int
	Header http.Header
	Body   string // ErrorBody makes one as the API's; "" is an empty body

	// Reset ends the connection with a TCP reset in place of an answer. A client that repeats a request after a failure
	// of a reused connection, as net/http may, does so at once: that counts as another call.
	Reset bool

	// Cut sends an answer whose header announces a longer body than follows, and then ends the connection.
	Cut bool

	// After does the work first: the device is deactivated, and the client gets the fault as its answer.
	After bool
}

// cutBytes is how many announced bytes the Cut fault leaves out, in addition to half of the body.
const cutBytes = 100

// OnCall lets fault decide each call from now on, in place of an earlier OnCall or Fail; nil ends all faults. The
// server calls fault from one goroutine at a time; fault must not call the Server.
func (s *Server) OnCall(fault func(Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// misbehave sends the answer with the fault. done is the answer of the work, empty if no work was done.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault, prefix string, done reply) {
	if !sleep(r.Context(), f.Delay) {
		s.count(prefix + "abandoned")
		return
	}
	if f.Reset {
		s.count(prefix + "reset")
		reset(w)
		return
	}
	if f.Status != 0 {
		name := nameOf(f.Status, f.Body)
		if prefix != "" {
			name = prefix + strconv.Itoa(f.Status)
		}
		done = reply{status: f.Status, name: name, body: f.Body, kind: f.Header.Get("Content-Type")}
		if done.kind == "" && f.Body != "" {
			done.kind = jsonText
		}
		maps.Copy(w.Header(), f.Header)
	}
	if !f.Cut {
		s.write(w, done)
		return
	}
	s.count(prefix + "cut")
	w.Header().Set("Content-Type", done.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(done.body)+cutBytes))
	w.WriteHeader(done.status)
	_, _ = io.WriteString(w, done.body[:len(done.body)/2]) // net/http closes a connection with missing bytes
}

// reset ends the connection so that the client's kernel receives RST, not an orderly end. Over HTTP/2 only the stream
// is reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to end a stream without an answer
	}
	if overTLS, ok := conn.(*tls.Conn); ok {
		conn = overTLS.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// sleep waits and reports whether the client is still connected.
func sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
