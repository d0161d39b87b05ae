package local

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener on which the test dials pipes: virtual time allows no sockets.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

// Accept implements net.Listener.
func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p pipes) Close() error { close(p.closed); return nil }

// Addr implements net.Listener.
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestStopDoesNotWaitForAConnectionWithoutARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listener := pipes{make(chan net.Conn), make(chan struct{})}
		stop := serveOn(t.Context(), listener, http.NotFoundHandler(), func(ctx context.Context) { <-ctx.Done() })
		near, far := net.Pipe()
		listener.conns <- far
		synctest.Wait()

		before := time.Now()
		stop()
		// Shutdown polls: a closed connection that its goroutine has not removed yet costs the first poll, a millisecond and
		// a tenth of it at random.
		if took := time.Since(before); took > 2*time.Millisecond {
			t.Errorf("stopping took %v, although no request is in flight", took)
		}
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
	})
}
