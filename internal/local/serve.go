package local

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the HTTP server.
const (
	maxHeaderBytes    = 16 << 10 // the HTTP API's own limit is 10,240 bytes
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second // the HTTP API's own limit
	shutdownTimeout   = 12 * time.Second // longer than a delivery's ten seconds
)

// Serve listens on addr, serves handler, and runs work at the same time. It returns the address and a function that
// stops both in order: first the server, then work, which finishes what it has started. work keeps running when ctx
// ends.
func Serve(ctx context.Context, addr string, handler http.Handler, work func(context.Context)) (address string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	return "http://" + listener.Addr().String(), serveOn(ctx, listener, handler, work), nil
}

func serveOn(ctx context.Context, listener net.Listener, handler http.Handler, work func(context.Context)) (stop func()) {
	var unused unusedConns
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ConnState: unused.track,
	}
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) }) // ends with ErrServerClosed
	running.Go(func() { work(working) })
	return sync.OnceFunc(func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		unused.close()
		_ = server.Shutdown(closing)
		endWork()
		running.Wait()
	})
}

// unusedConns are the connections without a request so far. http.Server.Shutdown waits five seconds for each; an
// http.Client keeps such a connection whenever it dials one too many.
type unusedConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// track is http.Server.ConnState.
func (u *unusedConns) track(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, conn)
	case u.closed:
		_ = conn.Close()
	default:
		if u.conns == nil {
			u.conns = map[net.Conn]struct{}{}
		}
		u.conns[conn] = struct{}{}
	}
}

// close closes them, and all connections that are accepted later.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for conn := range u.conns {
		_ = conn.Close()
	}
}
