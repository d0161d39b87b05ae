package simulation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// The network between the environments and the API consists of pipes, since a bubble of testing/synctest cannot wait
// for sockets.

// pipeListener is the API's listener.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// apiConn is the API's end of a pipe.
type apiConn struct {
	net.Conn
	env *environment
}

// RemoteAddr implements net.Conn. The API counts its limits by it.
func (c apiConn) RemoteAddr() net.Addr {
	if c.env.h.scenario.oneAddress {
		return hostName("environment")
	}
	return hostName(fmt.Sprintf("environment-%d", c.env.number))
}

// hostName is the address of a host without an IP address.
type hostName string

// Network implements net.Addr.
func (hostName) Network() string { return "tcp" }

// String implements net.Addr.
func (n hostName) String() string { return string(n) + ":40000" }

// dial opens a connection from an environment to the License API.
func (e *environment) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return e.connect(ctx, e.h.count(&e.h.dials), e.h.refusesConnection)
}

// dialManagement opens a connection to the Management API, which is at another address.
func (e *environment) dialManagement(ctx context.Context, _, _ string) (net.Conn, error) {
	return e.connect(ctx, e.h.count(&e.h.managementDials), e.h.refusesManagementConnection)
}

func (e *environment) connect(ctx context.Context, nth int, refuses func(nth uint64) bool) (net.Conn, error) {
	if !e.pass(beforeDial) {
		return nil, errKilled
	}
	if refuses(uint64(nth)) { //nolint:gosec // a count
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	e.hold(near)
	select {
	case e.h.monitor.listener.conns <- apiConn{far, e}:
		return near, nil
	case <-e.h.monitor.listener.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("dial: %w", ctx.Err())
	}
}

var errKilled = errors.New("this environment is dead")
