package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/source"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// buffer is a bytes.Buffer that a running command writes while a test reads it.
type buffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newBuffer() *buffer { return &buffer{changed: make(chan struct{})} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// patience bounds how long a test waits for something that must come. No result depends on it.
const patience = 3 * time.Minute

// await waits until done returns true for the text.
func (b *buffer) await(t *testing.T, what string, done func(text string) bool) string {
	t.Helper()
	text, found := b.wait(done)
	if !found {
		t.Fatalf("no %s within %v:\n%s", what, patience, text)
	}
	return text
}

// wait waits until done returns true for the text, and reports whether it did within patience.
func (b *buffer) wait(done func(text string) bool) (text string, found bool) {
	for late := time.After(patience); ; {
		b.mu.Lock()
		text, changed := b.text.String(), b.changed
		b.mu.Unlock()
		if done(text) {
			return text, true
		}
		select {
		case <-changed:
		case <-late:
			return text, false
		}
	}
}

// fast makes retries start after a hundredth of a second: every other time of the worker's back-off, its pause after a
// 429 and its circuit breaker is a multiple of that. Dead letters are read without long polls.
func fast() clock { return clock{firstRetry: 10 * time.Millisecond, letterPoll: -1} }

// command runs licensectl until it ends.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out bytes.Buffer
	errs := newBuffer() // with --direct the worker of the process writes to stderr, too
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = fast().run(ctx, args, strings.NewReader(""), &out, errs)
	return code, out.String(), errs.String()
}

// running is a licensectl that keeps running.
type running struct {
	address        string
	stdout, stderr *buffer
	stop           func() int
}

var webhookLine = regexp.MustCompile(`(?:Webhook|License API) +(http://[0-9.:]+)`)

// start runs a command that keeps running and waits until it listens. It is stopped at the end of the test.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{stdout: newBuffer(), stderr: newBuffer()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- fast().run(ctx, append(args, "--addr", "127.0.0.1:0"), strings.NewReader(""), r.stdout, r.stderr)
	}()
	r.stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { r.stop() })
	greeting := r.stdout
	for _, arg := range args {
		if arg == "--json" {
			greeting = r.stderr
		}
	}
	text := greeting.await(t, "address", webhookLine.MatchString)
	r.address = webhookLine.FindStringSubmatch(text)[1]
	return r
}

func (r *running) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(r.address+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// lines returns the objects of --json, the last one for each id.
func lines(t *testing.T, text string) map[string]outcomeLine {
	t.Helper()
	last := map[string]outcomeLine{}
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		var o outcomeLine
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("stdout is not one JSON object a line: %s", line)
		}
		last[o.ID] = o
	}
	return last
}

// file writes a file into a folder of the test's own and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeAPI serves a fake License API with this state.
func fakeAPI(t *testing.T, state licenseapitest.State) (*licenseapitest.Server, string) {
	t.Helper()
	api, err := licenseapitest.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return api, startAPI(t, api)
}

// startAPI serves a fake License API until the test's end and returns its address.
func startAPI(t *testing.T, api *licenseapitest.Server) (address string) {
	t.Helper()
	address, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

// builtInSources returns the senders' files that licensectl is built with.
func builtInSources(t *testing.T) *source.Sources {
	t.Helper()
	sources, err := (&files{}).load()
	if err != nil {
		t.Fatal(err)
	}
	return sources
}
