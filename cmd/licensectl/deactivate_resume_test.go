package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestCtrlCSaysThatTheSameCommandResumes, and it does.
func TestCtrlCSaysThatTheSameCommandResumes(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 60)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	path := refunds(t, 60)
	s.api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		for ctx.Err() == nil { // the worker may be faster than the answer to the command
			if journal, err := os.ReadFile(path + ".journal"); err == nil && bytes.Contains(journal, []byte(`{"sent":{"batch":1,`)) {
				interrupt()
			}
		}
		return licenseapitest.Fault{}
	})
	args := []string{"deactivate", path, "--endpoint-url", s.address, "--comment", "ticket 1", "--yes", "--expect", "60", "--wait"}
	var stdout, stderr bytes.Buffer
	code := fast().run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	const hint = "licensectl: error: interrupted\nlicensectl: hint: the same command sends the rest; ids are made from the content, so a row that is sent twice has one id\n"
	if code != exitFailed || !strings.HasSuffix(stderr.String(), hint) || !strings.Contains(stdout.String(), "Sent      10 of 60\n") {
		t.Fatalf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
	s.api.OnCall(nil)
	if code, stdout, stderr := command(t, args...); code != exitDone || !strings.Contains(stdout, "Outcomes  60 deactivated\n") {
		t.Errorf("again: exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// TestCtrlCWhileTheOutcomesAreFollowedSaysThatAllIsSent: the worker is slow.
func TestCtrlCWhileTheOutcomesAreFollowedSaysThatAllIsSent(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 5)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		interrupt()
		return licenseapitest.Fault{Status: http.StatusServiceUnavailable}
	})
	args := []string{"deactivate", refunds(t, 5), "--endpoint-url", s.address, "--comment", "ticket 1", "--yes", "--expect", "5", "--wait"}
	var stdout, stderr bytes.Buffer
	code := fast().run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.HasSuffix(stderr.String(), "licensectl: hint: all rows are sent, and the worker goes on; the same command with --wait follows it again\n") {
		t.Errorf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
}

// TestARunGoesOnAfterTheLettersOfItsFirstRowsWereRedriven: the API refuses the first calls, as after a mistake in LicenseSpring
// that is corrected meanwhile.
func TestARunGoesOnAfterTheLettersOfItsFirstRowsWereRedriven(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 60)
	s.api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		return licenseapitest.Fault{Status: http.StatusBadRequest, Body: licenseapitest.ErrorBody(http.StatusBadRequest, "license_not_found", "")}
	})
	path := refunds(t, 60)
	act := []string{path, "--comment", "ticket 1", "--yes", "--expect", "60", "--wait"}
	code, _, stderr := s.deactivate(t, act...)
	const hint = "If the file and its columns are right, redrive them and give the same command again, or add --stop-above 100. " +
		"If not, purge them, move refunds.csv.journal away, and preview the corrected file or --map: it is another run\n"
	if code != exitHeld || !strings.Contains(stderr, "the first 10 rows are all rejected: 10 rejected (license_not_found 10)") || !strings.HasSuffix(stderr, hint) {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	s.api.OnCall(nil)
	if code, _, stderr := s.deactivate(t, act...); code != exitHeld || s.enqueued(t) != 10 {
		t.Errorf("before the redrive: exit code %d, %d requests, %s", code, s.enqueued(t), stderr)
	}
	if code, stdout, stderr := command(t, "dlq", "redrive", "--code", "license_not_found", "--endpoint-url", s.address, "--comment", "ticket 1", "--yes", "--expect", "10"); code != exitDone {
		t.Fatalf("redrive: exit code %d\n%s\n%s", code, stdout, stderr)
	}
	s.stdout.await(t, "outcomes of the redriven requests", func(text string) bool { return strings.Count(text, `"outcome":"deactivated"`) == 10 })
	code, stdout, stderr := s.deactivate(t, act...)
	if code != exitDone || !strings.Contains(stdout, "Outcomes  60 deactivated\n") {
		t.Errorf("after the redrive: exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// TestACorrectedColumnIsAnotherRun, as the hint of a stopped one says.
func TestACorrectedColumnIsAnotherRun(t *testing.T) {
	t.Parallel()
	s := startBulk(t, 30)
	path := refunds(t, 30)
	act := []string{path, "--comment", "ticket 1", "--yes", "--expect", "30", "--wait"}
	if code, _, stderr := s.deactivate(t, append(act, "--map", "Buyer=product")...); code != exitHeld {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if code, _, stderr := s.deactivate(t, act...); code != exitHeld || !strings.Contains(stderr, "--map or --set is different") || s.enqueued(t) != 10 {
		t.Errorf("beside the journal: exit code %d, %s", code, stderr)
	}
	moveAway(t, path+".journal")
	if code, _, stderr := s.deactivate(t, path); code != exitDone {
		t.Fatalf("preview: exit code %d, %s", code, stderr)
	}
	if code, stdout, stderr := s.deactivate(t, act...); code != exitDone || !strings.Contains(stdout, "Outcomes  30 deactivated\n") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}
