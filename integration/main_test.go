//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// motoPatience is the longest wait for moto's first answer. It needs 0.6 s on an idle machine; with cold caches it
	// reads some hundred megabytes of Python.
	motoPatience = 60 * time.Second

	// motoLook is the pause between two requests to a server that does not answer yet.
	motoLook = 50 * time.Millisecond
)

// moto is the one server of this run, started by the first test that asks for it.
var moto struct { //nolint:gochecknoglobals // one server for all tests of the package
	once sync.Once
	url  string
	err  error
	stop func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if moto.stop != nil {
		moto.stop()
	}
	os.Exit(code)
}

// motoURL is the address of a moto server that all tests of this package share. Each test gives its queues and secrets
// names of their own. The server accepts any region and credentials. MOTO_SERVER names a program other than the one in
// .venv.
func motoURL(t testing.TB) string {
	t.Helper()
	program := os.Getenv("MOTO_SERVER")
	if program == "" {
		program = tool(t, "moto_server")
	}
	moto.once.Do(func() { moto.url, moto.stop, moto.err = startMoto(program) })
	if moto.err != nil {
		t.Fatal(moto.err)
	}
	return moto.url
}

// startMoto starts moto on a free port of the loopback and waits until it answers.
func startMoto(program string) (url string, stop func(), err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}

	var output strings.Builder
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", port)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start moto: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its output shows how it ended
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}

	url = "http://" + net.JoinHostPort("127.0.0.1", port)
	if err := answers(url, ended); err != nil {
		stop()
		return "", nil, fmt.Errorf("moto: %w\n%s", err, output.String())
	}
	return url, stop, nil
}

// answers waits until the server gives any answer, or has ended.
func answers(url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), motoPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/data.json", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Body.Close()
		}
		select {
		case <-ended:
			return errors.New("ended before it answered")
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", motoPatience, err)
		case <-time.After(motoLook):
		}
	}
}

// freePort returns a port that was free a moment ago. Another process may take it first; moto then ends with an error.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
