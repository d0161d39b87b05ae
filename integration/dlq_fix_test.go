//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// TestThreeCommandsFixALetterOfEveryReasonOnMoto does as an operator does: list, show, and the command that show prints, pasted
// into a shell. The letter is gone afterwards, and the queue has its request, unless it was purged.
func TestThreeCommandsFixALetterOfEveryReasonOnMoto(t *testing.T) {
	t.Parallel()
	licensectl, endpoint := buildLicensectl(t), motoURL(t)
	editor := filepath.Join(t.TempDir(), "editor")
	script := "#!/bin/sh\nsed -i 's/^product: .*/product: \"acme-pro\"/' \"$1\"\n"
	if err := os.WriteFile(editor, []byte(script), 0o700); err != nil { //nolint:gosec // a program of this test
		t.Fatal(err)
	}
	body, err := os.ReadFile("../events/generic/no-product.json")
	if err != nil {
		t.Fatal(err)
	}
	event, err := deactivation.Event{
		Source: "generic", ID: "20261104-915226", ReceivedAt: time.Now(), Scheme: "x-signature-256", Headers: map[string]string{"content-type": "application/json"},
		Body: body, Missing: []string{"product"},
	}.Wire()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range deactivation.Reasons() {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			jobs, dead := createQueues(t, endpoint, 300)
			id := letterID(reason, 1)
			request, err := deactivation.Request{
				ID: id, Source: "stripe", Cause: deactivation.CauseRefund, Order: []string{"pi_1"}, ReceivedAt: time.Now(),
				License: deactivation.License{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "hw"},
			}.Wire()
			if err != nil {
				t.Fatal(err)
			}
			letter, sent := deactivation.DeadLetter{Reason: reason, Source: "stripe", RequestID: id, FailedAt: time.Now()}, 1
			entry := queue.Entry{Body: request}
			switch reason {
			case deactivation.ReasonUnmappable:
				entry.Body, letter.Source, letter.RequestID = event, "generic", "generic.20261104-915226"
			case deactivation.ReasonReversed:
				entry.Body, letter.Source, letter.RequestID, sent = event, "generic", "generic.20261104-915226", 0
			case deactivation.ReasonInvalid:
				entry.Body, sent = "not a message of ours", 0
			}
			entry.Attributes = letter.Attributes()
			if failed := queue.OpenSQS(awsConfig(), endpoint, dead).Send(t.Context(), []queue.Entry{entry}); failed != nil {
				t.Fatal(failed)
			}
			at := []string{"--queue-url", jobs, "--dead-letter-queue-url", dead, "--endpoint-url", endpoint}

			list, code := runLicensectl(t, licensectl, append([]string{"dlq", "list", "--ids"}, at...)...)
			if code != 0 || !strings.Contains(list, string(reason)) || !strings.Contains(list, letter.RequestID) {
				t.Fatalf("list: exit code %d\n%s", code, list)
			}
			show, code := runLicensectl(t, licensectl, append([]string{"dlq", "show", letter.RequestID}, at...)...)
			at1 := strings.LastIndex(show, "licensectl dlq ")
			if code != 0 || at1 < 0 || !strings.Contains(show, "\nTO DO ") {
				t.Fatalf("show: exit code %d\n%s", code, show)
			}
			paste := strings.TrimSpace(show[at1:]) + " --yes --expect 1"
			shell := command(t.Context(), t, "sh", "-c", paste)
			shell.Env = append(shell.Env, "PATH="+filepath.Dir(licensectl)+":"+os.Getenv("PATH"), "EDITOR="+editor)
			out, err := shell.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", paste, err, out)
			}
			if left, n := depthNow(t, endpoint, dead), depthNow(t, endpoint, jobs); left != 0 || n != sent {
				t.Errorf("%d letters are left, %d messages in the queue, want 0 and %d\n%s\n%s", left, n, sent, paste, out)
			}
		})
	}
}
