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

// Serve listens on addr, serves handler, and runs work beside it. It returns the address and a function that stops
// both in order: first the server, then work, which finishes what is under way. work keeps running when ctx ends.
func Serve(ctx context.Context, addr string, handler http.Handler, work func(context.Context)) (address string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) }) // ends with ErrServerClosed
	running.Go(func() { work(working) })
	return "http://" + listener.Addr().String(), sync.OnceFunc(func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(closing)
		endWork()
		running.Wait()
	}), nil
}
