//go:build integration

package integration

import (
	"crypto/md5" //nolint:gosec // SQS's own checksum
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// benchPatience is how long one step of a function may take before the benchmark fails.
const benchPatience = 30 * time.Second

// benchSecretARN is the ARN of no real secret: the fake cloud has one secret for each function.
const benchSecretARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:bench-AbCdEf"

// builtBare compiles the program that the functions are compared with, with the settings of the Makefile, and returns its path.
func builtBare(b *testing.B) string {
	b.Helper()
	out := filepath.Join(b.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", out, "./testdata/bare")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, text)
	}
	return out
}

// cloud is what a function calls, over TLS as in production: Secrets Manager, SQS and the License API. Each accepts
// every call.
type cloud struct {
	aws, license *httptest.Server
	roots        string        // a file for SSL_CERT_FILE: the system's roots, which a cold call has to parse, and ours
	connected    chan struct{} // receives a value for each connection that the function opens
	secret       string
	sqsTakes     time.Duration // how long SQS takes for a batch
}

func newCloud(b *testing.B, secret string) *cloud {
	b.Helper()
	c := &cloud{connected: make(chan struct{}, 100), secret: secret}
	c.aws = c.serve(b, c.answerAWS)
	c.license = c.serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "license_deactivated")
	})
	roots, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt") // Debian's path; without the file only our roots are parsed
	if err != nil {
		b.Logf("the system's roots: %v", err)
	}
	for _, server := range []*httptest.Server{c.aws, c.license} {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})...)
	}
	c.roots = filepath.Join(b.TempDir(), "roots.pem")
	if err := os.WriteFile(c.roots, roots, 0o600); err != nil {
		b.Fatal(err)
	}
	return c
}

func (c *cloud) serve(b *testing.B, answer http.HandlerFunc) *httptest.Server {
	b.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			select {
			case c.connected <- struct{}{}:
			default:
			}
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a function that is ended in the middle of a handshake
	server.StartTLS()
	b.Cleanup(server.Close)
	return server
}

// answerAWS implements the part of AWS's JSON protocol that the functions use.
func (c *cloud) answerAWS(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var in struct {
		Entries []struct{ ID, MessageBody string }
	}
	_ = json.Unmarshal(body, &in) // other calls have other fields
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var out any = struct{}{}
	switch operation {
	case "GetSecretValue":
		out = map[string]any{"ARN": benchSecretARN, "SecretString": c.secret, "VersionId": "v1", "VersionStages": []string{"AWSCURRENT"}}
	case "SendMessageBatch":
		select {
		case <-time.After(c.sqsTakes):
		case <-r.Context().Done(): // the function has abandoned the call
			return
		}
		var done []map[string]string
		for _, e := range in.Entries {
			sum := md5.Sum([]byte(e.MessageBody)) //nolint:gosec // SQS's own checksum
			done = append(done, map[string]string{"Id": e.ID, "MessageId": e.ID, "MD5OfMessageBody": hex.EncodeToString(sum[:])})
		}
		out = map[string]any{"Successful": done, "Failed": []string{}}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(out)
}

// environment is a function's environment, as in template.yaml. CALLS_PER_SECOND is above any real plan, so that the
// limiter does not affect the measurement.
func (c *cloud) environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_FUNCTION_NAME=bench", "AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL=" + c.aws.URL, "SSL_CERT_FILE=" + c.roots,
		"QUEUE_URL=" + c.aws.URL + "/000000000000/jobs", "DEAD_LETTER_QUEUE_URL=" + c.aws.URL + "/000000000000/dead",
		"WEBHOOK_SECRETS_ARN=" + benchSecretARN, "LICENSE_API_SECRET_ARN=" + benchSecretARN,
		"LICENSE_API_URL=" + c.license.URL + "/api/v4", "CALLS_PER_SECOND=1000",
	}
}

// runtimeAPI is the Lambda Runtime API: it hands out events and receives the answers.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	*httptest.Server
	polled  chan time.Time // one for each poll
	events  chan []byte
	ended   chan answered
	timeout time.Duration // of an invocation

	mu     sync.Mutex
	handed time.Time
}

type answered struct {
	took   time.Duration // from handing out the event to the answer
	body   []byte
	failed string
}

func newRuntimeAPI(b *testing.B) *runtimeAPI {
	b.Helper()
	api := &runtimeAPI{
		polled: make(chan time.Time, 1), events: make(chan []byte), ended: make(chan answered, 1), timeout: time.Minute,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", api.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{end}", api.end)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", api.end)
	api.Server = httptest.NewServer(mux)
	b.Cleanup(api.Close)
	return api
}

func (api *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	api.polled <- time.Now()
	select {
	case event := <-api.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "bench")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(api.timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:bench")
		api.mu.Lock()
		api.handed = time.Now()
		api.mu.Unlock()
		_, _ = w.Write(event)
	case <-r.Context().Done():
	}
}

func (api *runtimeAPI) end(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	text, _ := io.ReadAll(r.Body)
	api.mu.Lock()
	a := answered{took: now.Sub(api.handed), body: text}
	api.mu.Unlock()
	if r.PathValue("end") != "response" {
		a.failed = string(text)
	}
	api.ended <- a
	w.WriteHeader(http.StatusAccepted)
}

// started is a running function; stop ends it.
type started struct {
	cmd   *exec.Cmd
	begun time.Time // exec
}

func start(b *testing.B, bootstrap string, api *runtimeAPI, environment []string) *started {
	b.Helper()
	cmd := exec.Command(bootstrap)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://")}, environment...)
	s := &started{cmd: cmd, begun: time.Now()}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return s
}

func (s *started) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // a signal ends it
}

// invoke hands out an event to a function that polls, and returns its answer.
func (api *runtimeAPI) invoke(b *testing.B, event []byte) answered {
	b.Helper()
	select {
	case api.events <- event:
	case <-time.After(benchPatience):
		b.Fatal("the function does not poll")
	}
	select {
	case a := <-api.ended:
		if a.failed != "" {
			b.Fatalf("the function failed: %s", a.failed)
		}
		return a
	case <-time.After(benchPatience):
		b.Fatal("the function does not answer")
	}
	return answered{}
}

// awaitPoll returns when the function polled.
func (api *runtimeAPI) awaitPoll(b *testing.B) time.Time {
	b.Helper()
	select {
	case at := <-api.polled:
		return at
	case <-time.After(benchPatience):
		b.Fatal("the function does not poll")
	}
	return time.Time{}
}

// A share limits a process to a part of a processor, as Lambda does: 1,769 MB are one processor.
type share struct{ dir, quotaFile, quota string }

// lambdaPeriod is the period of a share, in microseconds; fullMemory is the memory that has one whole processor, in MB.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const (
	lambdaPeriod = 20_000
	fullMemory   = 1769
)

// newShare makes a control group. It needs root and Linux; else it returns an error.
func newShare(b *testing.B, memoryMB int) (*share, error) {
	b.Helper()
	quota := strconv.Itoa(lambdaPeriod * memoryMB / fullMemory)
	name := fmt.Sprintf("license-deactivator-bench-%d", os.Getpid())
	s := &share{dir: "/sys/fs/cgroup/cpu/" + name, quotaFile: "cpu.cfs_quota_us", quota: quota} // v1
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		s = &share{dir: "/sys/fs/cgroup/" + name, quotaFile: "cpu.max", quota: quota + " " + strconv.Itoa(lambdaPeriod)}
	}
	if err := os.Mkdir(s.dir, 0o755); err != nil { //nolint:gosec // a control group holds no content
		return nil, err
	}
	b.Cleanup(func() { _ = os.Remove(s.dir) })
	if s.quotaFile == "cpu.cfs_quota_us" {
		if err := s.write("cpu.cfs_period_us", strconv.Itoa(lambdaPeriod)); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(filepath.Join(s.dir, s.quotaFile)); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *share) write(file, text string) error {
	return os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o600)
}

// take adds a process to the group. It has the whole processor until hold.
func (s *share) take(pid int) error {
	free := "-1"
	if s.quotaFile == "cpu.max" {
		free = "max"
	}
	if err := s.write(s.quotaFile, free); err != nil {
		return err
	}
	return s.write("cgroup.procs", strconv.Itoa(pid))
}

func (s *share) hold() error { return s.write(s.quotaFile, s.quota) }
