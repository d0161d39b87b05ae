package simulation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// pipeListener listens for pipes.
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

// RemoteAddr implements net.Conn: the address that the API's limits go by.
func (c apiConn) RemoteAddr() net.Addr {
	if c.env.w.plan.oneAddress {
		return hostName("environment")
	}
	return hostName(fmt.Sprintf("environment-%d", c.env.number))
}

// hostName is the address of a machine that has only a name.
type hostName string

// Network implements net.Addr.
func (hostName) Network() string { return "tcp" }

// String implements net.Addr.
func (h hostName) String() string { return string(h) + ":40000" }

// dial opens a connection of an environment.
func (e *environment) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if !e.step(atDial) {
		return nil, errKilled
	}
	if n := e.w.count(&e.w.dials); e.w.refuses(uint64(n)) { //nolint:gosec // a count
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	e.hold(near)
	select {
	case e.w.door.listener.conns <- apiConn{far, e}:
		return near, nil
	case <-e.w.door.listener.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("dial: %w", ctx.Err())
	}
}

var errKilled = errors.New("this environment is no more")
