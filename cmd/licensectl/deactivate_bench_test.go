package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/local"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
)

var bulkRows = flag.Int("bulk.rows", 1_000_000, "rows of BenchmarkDeactivate") //nolint:gochecknoglobals // a flag of go test

// firstOrder is the order of the first row of bulkFile.
const firstOrder = 100_000

// Bounds of BenchmarkDeactivate.
const (
	maxResidentBytes = 64 << 20
	leastShare       = 0.9 // of the rate of a bare loop of invocations
)

// BenchmarkDeactivate sends a million rows to the webhook function over HTTP, and measures the command as a process of its
// own: its largest resident memory, and its rate beside that of a bare loop of invocations with the same rows, made already.
// It takes minutes, fewer with -bulk.rows 100000:
//
//	go test ./cmd/licensectl -run '^$' -bench Deactivate -benchtime 1x -timeout 30m
func BenchmarkDeactivate(b *testing.B) {
	address, program := serveWebhook(b), buildProgram(b)
	path := bulkFile(b, *bulkRows)
	common := []string{"deactivate", path, "--endpoint-url", address, "--max", strconv.Itoa(*bulkRows)}
	for b.Loop() {
		_ = os.Remove(path + ".journal") // of the loop before
		preview := measure(b, exec.CommandContext(b.Context(), program, common...))
		before := measure(b, bareChild(b, address, *bulkRows))
		act := measure(b, exec.CommandContext(b.Context(), program, append(common, "--comment", "benchmark", "--yes", "--expect", strconv.Itoa(*bulkRows), "--no-canary")...))
		after := measure(b, bareChild(b, address, *bulkRows))
		bare := (before.took + after.took) / 2
		rate := func(took time.Duration) float64 { return float64(*bulkRows) / took.Seconds() }
		b.ReportMetric(rate(preview.took), "preview-rows/s")
		b.ReportMetric(rate(bare), "bare-rows/s")
		b.ReportMetric(rate(act.took), "act-rows/s")
		b.ReportMetric(float64(max(preview.resident, act.resident))/(1<<20), "MiB")
		b.Logf("preview %v; act %v; bare loop %v and %v; the act has %.0f %% of its rate", preview, act, before, after, 100*bare.Seconds()/act.took.Seconds())
		if share := bare.Seconds() / act.took.Seconds(); share < leastShare {
			b.Errorf("the act has %.2f of the rate of the bare loop, want %v", share, leastShare)
		}
		if most := max(preview.resident, act.resident); most > maxResidentBytes {
			b.Errorf("%d bytes of memory, want at most %d", most, maxResidentBytes)
		}
	}
}

type measured struct {
	took     time.Duration
	resident int64 // bytes, the most
	cpu      time.Duration
}

// String is for the benchmark's output.
func (m measured) String() string {
	return fmt.Sprintf("%v (CPU %v, %d MiB)", m.took.Round(time.Millisecond), m.cpu.Round(time.Millisecond), m.resident>>20)
}

// buildProgram builds licensectl as it is installed: this test binary has more in it.
func buildProgram(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "licensectl")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return program
}

// bareChild is the bare loop as a process of its own.
func bareChild(b *testing.B, address string, rows int) *exec.Cmd {
	b.Helper()
	cmd, _ := child(b, address, strconv.Itoa(rows))
	cmd.Env = append(cmd.Env, childVariable+"=bare")
	cmd.Stdout, cmd.Stderr = nil, nil
	return cmd
}

// measure runs a program to its end.
func measure(b *testing.B, cmd *exec.Cmd) measured {
	b.Helper()
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return measured{time.Since(began), maxResident(cmd.ProcessState), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// bareLoop invokes the function with batches of the largest size, as a caller that has its rows already: the first ones of
// bulkFile, as the command sends them.
func bareLoop(address, rows string) error {
	n, err := strconv.Atoi(rows)
	if err != nil {
		return err
	}
	var t target
	t.addFlags(&cobra.Command{}, webhookFunctionName)
	t.endpoint = address
	at, err := t.open(context.Background(), webhookFunctionName)
	if err != nil {
		return err
	}
	b := bulk.Batch{Run: "bare", By: "bare", Comment: "benchmark"}
	for i := range bulk.MaxBatchRows {
		b.Rows = append(b.Rows, json.RawMessage(fmt.Sprintf(`{"hardware_id":%q,"license_key":%q,"order":"%d","product":"XY"}`, deviceOfRow(i), keyOfRow(i), firstOrder+i)))
	}
	payload, err := invocationOf(b)
	if err != nil {
		return err
	}
	function := at.webhookFunction()
	for ; n > 0; n -= bulk.MaxBatchRows {
		if _, err := function.invoke(context.Background(), payload); err != nil {
			return err
		}
	}
	return nil
}

// noQueue accepts everything and keeps nothing.
type noQueue struct{}

func (noQueue) Send(context.Context, []queue.Entry) []queue.Failure { return nil }

// serveWebhook serves the webhook function behind Lambda's address.
func serveWebhook(b *testing.B) (address string) {
	b.Helper()
	sources, err := (&files{}).load()
	if err != nil {
		b.Fatal(err)
	}
	_, stored := local.FixedSecrets(sources).Readers("")
	handler, err := webhook.New(webhook.Config{
		Sources: sources, Secrets: secrets.NewCache(stored, secrets.ParseWebhooks), Queue: noQueue{}, DeadLetters: noQueue{},
		Recorder: telemetry.New(io.Discard, slog.LevelError, ""),
	})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(lambdaemu.APIGateway{Function: handler.Invoke, MaxBodyBytes: webhook.MaxBodyBytes + 1})
	b.Cleanup(server.Close)
	return server.URL
}

// bulkFile writes a file of valid rows.
func bulkFile(b *testing.B, rows int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "million.csv")
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "product,license_key,hardware_id,order,note")
	for n := range rows {
		fmt.Fprintf(out, "XY,%s,%s,%d,%s\n", keyOfRow(n), deviceOfRow(n), firstOrder+n, strings.Repeat("x", 20))
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}
