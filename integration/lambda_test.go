//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// invokePatience is how long one invocation may take: longer than any function's time-out.
	invokePatience = 90 * time.Second

	// emulatorPatience is the longest wait until the emulator listens. It needs 50 ms on an idle machine.
	emulatorPatience = 30 * time.Second

	// emulatorLook is the pause between two attempts to reach a port that is not open yet.
	emulatorLook = 20 * time.Millisecond

	// stopPatience is the longest wait for the emulator and its child to end before they are killed.
	stopPatience = 10 * time.Second

	// region and credentials satisfy the SDK; moto checks neither.
	region = "us-east-1"
)

// A function is a built bootstrap under a Runtime Interface Emulator of its own. The emulator starts the bootstrap at
// the first invocation and crashes when two arrive at the same time, so invoke runs one at a time.
type function struct {
	url  string
	busy sync.Mutex

	stop   func()
	output bytes.Buffer // complete when stop has returned
}

// startFunction starts the emulator with bootstrap and with the environment added to what Lambda itself sets, and stops
// it when the test ends. A failed test shows the function's output. The output must hold none of the secrets.
func startFunction(t *testing.T, name, bootstrap string, environment map[string]string, secrets ...string) *function {
	t.Helper()
	front, api := freePorts(t)
	cmd := exec.CommandContext(t.Context(), emulator(t),
		"--runtime-interface-emulator-address", front, "--runtime-api-address", api, bootstrap)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_FUNCTION_NAME=" + name, "AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL=" + motoURL(t),
	}
	for name, value := range environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	f := &function{url: "http://" + front + "/2015-03-31/functions/function/invocations"}
	cmd.Stdout, cmd.Stderr = &f.output, &f.output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that the child ends, too
	cmd.WaitDelay = stopPatience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // a signal ends it; its output shows what it did
	})
	t.Cleanup(func() {
		f.stop()
		for i, secret := range secrets {
			if strings.Contains(f.output.String(), secret) {
				t.Errorf("%s wrote secret %d to its log", name, i)
				return // without showing the output
			}
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, f.output.String())
		}
	})
	listens(t, front)
	return f
}

// freePorts returns two addresses on the loopback that were free a moment ago.
func freePorts(t *testing.T) (first, second string) {
	t.Helper()
	var addresses [2]string
	for i := range addresses {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // both stay taken until both are known
		addresses[i] = listener.Addr().String()
	}
	return addresses[0], addresses[1]
}

func listens(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), emulatorPatience)
	defer cancel()
	for {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = connection.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the emulator did not listen within %v: %v", emulatorPatience, err)
		case <-time.After(emulatorLook):
		}
	}
}

// invoke returns the function's answer. A function that failed, panicked or ran out of time is an error; the emulator
// reports the first by fields of the answer, with status 200.
func (f *function) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.busy.Lock()
	defer f.busy.Unlock()
	ctx, cancel := context.WithTimeout(ctx, invokePatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var failure struct {
		Message *string `json:"errorMessage"`
		Type    *string `json:"errorType"`
	}
	if err := json.Unmarshal(answer, &failure); err == nil && failure.Message != nil && failure.Type != nil {
		return nil, fmt.Errorf("the function failed: %s: %s", *failure.Type, *failure.Message)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the emulator answered %s: %s", resp.Status, answer)
	}
	return answer, nil
}

// settled returns what Lambda's event source mapping deletes after an answer: the ids of the batch that the function
// did not list. An error means that nothing is deleted and the whole batch is received again.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func settled(answer []byte, batch []string) ([]string, error) {
	if answer = bytes.TrimSpace(answer); len(answer) == 0 || string(answer) == "null" {
		return batch, nil
	}
	var reply struct {
		Failures []map[string]*string `json:"batchItemFailures"`
	}
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&reply); err != nil {
		return nil, fmt.Errorf("not a batch response: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("more than one value")
	}
	done := slices.Clone(batch)
	for _, failure := range reply.Failures {
		id := failure["itemIdentifier"]
		switch {
		case id == nil || *id == "":
			return nil, errors.New("an itemIdentifier is absent, null or empty")
		case len(failure) > 1:
			return nil, errors.New("an item has more than its itemIdentifier")
		case !slices.Contains(batch, *id):
			return nil, errors.New("an itemIdentifier is not in the batch")
		}
		done = slices.DeleteFunc(done, func(d string) bool { return d == *id })
	}
	return done, nil
}

func TestMappingIsAsStrictAsLambda(t *testing.T) {
	t.Parallel()
	batch := []string{"a", "b"}
	for _, c := range []struct {
		name, answer string
		want         []string // nil: the whole batch fails
	}{
		{"nothing", ``, batch},
		{"null", `null`, batch},
		{"an empty object", `{}`, batch},
		{"a null list", `{"batchItemFailures":null}`, batch},
		{"an empty list", `{"batchItemFailures":[]}`, batch},
		{"one", `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, []string{"b"}},
		{"one, twice", `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"a"}]}`, []string{"b"}},
		{"all", `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`, []string{}},
		{"not JSON", `Task timed out after 60.00 seconds`, nil},
		{"cut", `{"batchItemFailures":[{"itemIdentifier":"a"}`, nil},
		{"a text", `"ok"`, nil},
		{"another top key", `{"BatchItemFailure":[]}`, nil},
		{"another item key", `{"batchItemFailures":[{"id":"a"}]}`, nil},
		{"an empty id", `{"batchItemFailures":[{"itemIdentifier":""}]}`, nil},
		{"a null id", `{"batchItemFailures":[{"itemIdentifier":null}]}`, nil},
		{"a number", `{"batchItemFailures":[{"itemIdentifier":1}]}`, nil},
		{"an unknown id", `{"batchItemFailures":[{"itemIdentifier":"c"}]}`, nil},
		{"an unknown id among known ones", `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}`, nil},
	} {
		got, err := settled([]byte(c.answer), batch)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}
