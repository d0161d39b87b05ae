// Command benchtable reads the output of `go test -bench` on standard input and prints one table: each measurement
// beside its aim, and the machine. It compares no two outputs; benchstat does.
package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A row is one measurement that has an aim.
type row struct {
	what      string
	benchmark string // without the suffix for the number of processors
	unit      string
	beside    []string // other units of the benchmark that the table shows, too
	aim       string
	met       func(value float64) bool
}

func most(limit float64) func(float64) bool  { return func(v float64) bool { return v <= limit } }
func least(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }
func below(limit float64) func(float64) bool { return func(v float64) bool { return v < limit } }

func rows() []row {
	const one, three, free = "BenchmarkFleet/capped-3x1-address", "BenchmarkFleet/capped-3x3-addresses", "BenchmarkFleet/uncapped-100-in-flight"
	seen := []string{"calls/s", "naive-calls/s", "naive-%429"}
	lookedUp := []string{"refunds/s", "calls/refund", "license-calls/refund"}
	return []row{
		{"webhook: exec to warm-up, beside bare Go", "BenchmarkColdStart", "webhook/bare", []string{"webhook-ms", "bare-ms"}, "≤ 1.3 ×", most(1.3)},
		{"worker: exec to warm-up, beside bare Go", "BenchmarkColdStart", "worker/bare", []string{"worker-ms", "bare-ms"}, "≤ 1.3 ×", most(1.3)},
		{"webhook: first invocation beside a warm one", "BenchmarkFirstInvocation/webhook", "first/warm", []string{"first-ms", "warm-ms", "held"}, "≤ 3 ×", most(3)},
		{"worker: first invocation beside a warm one", "BenchmarkFirstInvocation/worker", "first/warm", []string{"first-ms", "warm-ms", "held"}, "≤ 3 ×", most(3)},
		{"webhook: 10,000 rows at 256 MB, SQS takes 20 ms", "BenchmarkBulk/slow", "s", []string{"held"}, "≤ 9 s", most(9)},
		{"webhook: of them enqueued", "BenchmarkBulk/slow", "rows", nil, "10,000", least(10_000)},
		{"webhook: 6 MB of them", "BenchmarkBulk/slow-6MB", "s", []string{"held"}, "≤ 9 s", most(9)},
		{"webhook: of them enqueued", "BenchmarkBulk/slow-6MB", "rows", nil, "10,000", least(10_000)},
		{"webhook: 6 MB at 256 MB, SQS hangs", "BenchmarkBulk/hangs-6MB", "s", []string{"held"}, "≤ 10 s", most(10)},
		{"webhook: zip for arm64", "BenchmarkSize/webhook", "zip-MB", []string{"bootstrap-MB"}, "≤ 3.5 MB", most(3.5)},
		{"worker: zip for arm64", "BenchmarkSize/worker", "zip-MB", []string{"bootstrap-MB"}, "≤ 3.5 MB", most(3.5)},
		{"signer, within one second", "BenchmarkAuthorizeSameDate", "allocs/op", []string{"ns/op"}, "0", most(0)},
		{"batch of 10: parsed and finalized", "BenchmarkBatchOfTen/decided", "ns/op", []string{"allocs/op"}, "", nil},
		{"batch of 10: called too, API on loopback", "BenchmarkBatchOfTen/called", "ns/op", []string{"allocs/op"}, "", nil},
		{"3 instances, 1 address: of 20/s", one, "%budget", seen, "≥ 98 %", least(98)},
		{"3 instances, 1 address: answered 429", one, "%429", []string{"dead"}, "< 0.1 %", below(0.1)},
		{"3 instances, 3 addresses: of 30/s", three, "%budget", seen, "≥ 98 %", least(98)},
		{"3 instances, 3 addresses: answered 429", three, "%429", []string{"dead"}, "< 0.1 %", below(0.1)},
		{"1,000 refunds to look up, 1 instance, virtual time: of 600/min", "BenchmarkLookUp/1-instances", "%quota", lookedUp, "≥ 95 %", least(95)},
		{"1,000 refunds to look up, 3 instances, 1 address, virtual time: of 600/min", "BenchmarkLookUp/3-instances", "%quota", lookedUp, "≥ 95 %", least(95)},
		{"1,000 refunds to look up, 3 instances: answered 429", "BenchmarkLookUp/3-instances", "%429", nil, "< 0.1 %", below(0.1)},
		{"no limits, 100 in flight: of 100 ÷ latency", free, "%budget", []string{"calls/s", "api-ms", "naive-calls/s"}, "≥ 95 %", least(95)},
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	measured, machine, err := read(in)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %d processors, %s %s/%s%s\n\n", machine, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, load())
	fmt.Fprintf(out, "| what | measured | aim | |\n|---|---:|---|---|\n")
	for _, r := range rows() {
		values, ok := measured[r.benchmark][r.unit]
		if !ok {
			fmt.Fprintf(out, "| %s | not measured | %s | |\n", r.what, r.aim)
			continue
		}
		value := median(values)
		text := number(value) + " " + r.unit
		for _, unit := range r.beside {
			if v, ok := measured[r.benchmark][unit]; ok {
				text += "; " + number(median(v)) + " " + unit
			}
		}
		verdict := ""
		if r.met != nil {
			verdict = "missed"
			if r.met(value) {
				verdict = "met"
			}
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", r.what, text, r.aim, verdict)
	}
	return nil
}

// read collects the values of each benchmark by unit; with -count there are several of each.
func read(in io.Reader) (measured map[string]map[string][]float64, machine string, err error) {
	measured = make(map[string]map[string][]float64)
	machine = "unknown processor"
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if cpu, ok := strings.CutPrefix(lines.Text(), "cpu: "); ok {
			machine = cpu
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if measured[name] == nil {
			measured[name] = make(map[string][]float64)
		}
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err == nil && len(pair) == 2 {
				measured[name][pair[1]] = append(measured[name][pair[1]], value)
			}
		}
	}
	if len(slices.Collect(maps.Keys(measured))) == 0 {
		return nil, "", fmt.Errorf("no benchmarks on standard input: %w", io.ErrUnexpectedEOF)
	}
	return measured, machine, lines.Err()
}

// load is the machine's load average: measurements of a busy machine are worse than those of an idle one.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	averages := strings.Fields(string(text))
	return ", load " + strings.Join(averages[:min(3, len(averages))], " ")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func number(v float64) string {
	switch {
	case v >= 1000 || v == float64(int(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
