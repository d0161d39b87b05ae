package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
)

// TestABulkRunThatIsKilledThreeTimesLosesNoRow is a small version of TestSoakABulkRunThatIsKilledThreeTimesLosesNoRow.
func TestABulkRunThatIsKilledThreeTimesLosesNoRow(t *testing.T) {
	t.Parallel()
	killedThreeTimes(t, 3_000)
}

// killedThreeTimes previews a file with one per cent of broken rows, runs it, kills it with SIGKILL three times, resumes and
// waits. Every valid row's id reaches the queue, each is one, and the rejected file has exactly the broken rows.
func killedThreeTimes(t *testing.T, rows int) {
	t.Helper()
	s := startBulk(t, rows)
	path, broken := brokenRows(t, rows)
	valid := rows - len(broken)

	run := func(args ...string) (code int, output string) {
		cmd, out := child(t, append([]string{"deactivate", path, "--endpoint-url", s.address, "--max", fmt.Sprint(rows)}, args...)...)
		return exitCode(t, cmd.Run()), out.String()
	}
	if code, output := run(); code != exitPartly || !strings.Contains(output, fmt.Sprintf("Rows      %d: %d valid, 0 duplicates, %d rejected\n", rows, valid, len(broken))) {
		t.Fatalf("preview: exit code %d\n%s", code, output)
	}
	act := []string{"--comment", "ticket 1", "--yes", "--expect", fmt.Sprint(valid), "--wait"}
	killed := 0
	for killed < 3 {
		cmd, output := child(t, append([]string{"deactivate", path, "--endpoint-url", s.address, "--max", fmt.Sprint(rows)}, act...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := strings.Count(readFile(t, path+".journal"), `{"sent":`)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		more := max((rows/1000-3)/4, 1) // batches; the third kill is before the end
		for strings.Count(readFile(t, path+".journal"), `{"sent":`) < before+more {
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was killed: %v\n%s", err, output)
			case <-time.After(time.Millisecond):
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Fatalf("it ended before it was killed\n%s", output)
		}
		killed++
	}
	sent := strings.Count(readFile(t, path+".journal"), `{"sent":`)
	if code, output := run(act...); code != exitPartly || !strings.Contains(output, fmt.Sprintf("Sent      %d of %d\nAccepted  %d\n", valid, valid, valid)) ||
		!strings.Contains(output, fmt.Sprintf("Outcomes  %d deactivated\n", valid)) {
		t.Errorf("resumed: exit code %d\n%s", code, output)
	}
	t.Logf("%d rows; killed 3 times, at last after %d batches; %d calls of the License API for %d licenses", rows, sent, s.calls(), valid)

	ids := s.ids(t, valid)
	if len(ids) != valid {
		t.Errorf("%d ids reached the queue, want %d", len(ids), valid)
	}
	for id, o := range ids {
		if o.Outcome != deactivation.Deactivated && o.Outcome != deactivation.AlreadyInactive {
			t.Errorf("%s: %+v", id, o)
		}
	}
	checkRejected(t, path+".rejected.csv", broken)
}

// brokenRows writes a file of which every hundredth row is broken, each in one of four ways.
func brokenRows(t *testing.T, rows int) (path string, broken [][]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("product,license_key,hardware_id\n")
	for n := 1; n <= rows; n++ {
		cells := []string{"XY", keyOfRow(n), deviceOfRow(n)}
		if n%100 == 0 {
			switch n / 100 % 4 {
			case 0:
				cells[0] = ""
			case 1:
				cells[1] = "1.23457E+15"
			case 2:
				cells[1] = strings.Repeat("x", 257)
			case 3:
				cells[2] = "#REF!"
			}
			broken = append(broken, append(slices.Clone(cells), fmt.Sprint(n+1)))
		}
		b.WriteString(strings.Join(cells, ",") + "\n")
	}
	return file(t, "refunds.csv", b.String()), broken
}

// checkRejected compares the rejected file with the broken rows: their cells and lines, in the order of the file.
func checkRejected(t *testing.T, path string, broken [][]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(readFile(t, path))).ReadAll()
	if err != nil || len(all) == 0 || !slices.Equal(all[0], []string{"product", "license_key", "hardware_id", "line", "reason"}) {
		t.Fatalf("the rejected file: %v, %v", all, err)
	}
	var got [][]string
	for _, row := range all[1:] {
		if row[4] == "" {
			t.Errorf("line %s has no reason", row[3])
		}
		got = append(got, row[:4])
	}
	if !slices.EqualFunc(got, broken, slices.Equal[[]string]) {
		t.Errorf("%d rejected rows, want exactly the %d broken ones", len(got), len(broken))
	}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	exit, isExit := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0
	case isExit:
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}
