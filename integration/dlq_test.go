//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
)

// dlqPatience is longer than a killed command hides its letters, 30 s, and than moto needs on a busy machine.
const dlqPatience = 3 * time.Minute

// deadLetters is a pair of queues on a server, with letters of seven reasons in the second one.
type deadLetters struct {
	licensectl, endpoint string
	jobs, dead           string // URLs
	each                 int    // letters of each reason
}

func sevenReasons() []deactivation.Reason {
	return []deactivation.Reason{
		deactivation.ReasonRejected, deactivation.ReasonHeld, deactivation.ReasonStale, deactivation.ReasonWatched, deactivation.ReasonCrashed,
		deactivation.ReasonUndelivered, deactivation.ReasonExhausted,
	}
}

func letterID(reason deactivation.Reason, i int) string {
	return fmt.Sprintf("stripe.%s-%05d.0", reason, i)
}

// newDeadLetters makes two queues on the server and each letters of each reason.
func newDeadLetters(t *testing.T, licensectl, endpoint string, each int) *deadLetters {
	t.Helper()
	d := &deadLetters{licensectl: licensectl, endpoint: endpoint, each: each}
	d.jobs, d.dead = createQueues(t, endpoint, 300)
	q := queue.OpenSQS(awsConfig(), endpoint, d.dead)
	for _, reason := range sevenReasons() {
		entries := make([]queue.Entry, each)
		for i := range entries {
			id := letterID(reason, i)
			body, err := deactivation.Request{
				ID: id, Source: "stripe", Cause: deactivation.CauseRefund, Order: []string{"pi_1"}, ReceivedAt: time.Now(),
				License: deactivation.License{Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", HardwareID: "hw"},
			}.Wire()
			if err != nil {
				t.Fatal(err)
			}
			entries[i] = queue.Entry{Body: body, Group: "stripe", Attributes: deactivation.DeadLetter{
				Reason: reason, Code: "surge", Source: "stripe", RequestID: id, FailedAt: time.Now(),
			}.Attributes()}
		}
		if failed := q.Send(t.Context(), entries); failed != nil {
			t.Fatal(failed)
		}
	}
	return d
}

// args are those of a command of dlq on these queues.
func (d *deadLetters) args(args ...string) []string {
	return append(append([]string{"dlq"}, args...), "--queue-url", d.jobs, "--dead-letter-queue-url", d.dead, "--endpoint-url", d.endpoint)
}

// redrive are the arguments that redrive n held letters.
func (d *deadLetters) redrive(n int, more ...string) []string {
	return d.args(append([]string{"redrive", "--reason", "held", "--max", "0", "--comment", "checked", "--yes", "--expect", strconv.Itoa(n)}, more...)...)
}

// held waits until no letter is hidden, and returns how many held letters there are.
func (d *deadLetters) held(t *testing.T) int {
	t.Helper()
	for end := time.Now().Add(dlqPatience); ; {
		out, code := runLicensectl(t, d.licensectl, d.args("list", "--reason", "held", "--json")...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var sum struct{ Count, Hidden int }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v\n%s", code, err, out)
		}
		if sum.Hidden == 0 {
			return sum.Count
		}
		if time.Now().After(end) {
			t.Fatalf("%d letters are hidden after %v", sum.Hidden, dlqPatience)
		}
	}
}

// killAfter starts a redrive and kills it (kill -9) when the queue holds n messages, or when it has ended.
func (d *deadLetters) killAfter(t *testing.T, n int, args []string) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	cmd := exec.CommandContext(ctx, d.licensectl, args...)
	ended := make(chan struct{})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ended:
			t.Errorf("the redrive ended before the queue held %d messages: nothing was killed", n)
			return
		case <-look.C:
		}
		if depthNow(t, d.endpoint, d.jobs) >= n {
			kill()
			<-ended
			return
		}
	}
}

// check counts what is in both queues: every held letter is in the first one, at most most of them twice, and every other
// letter in the second one.
func (d *deadLetters) check(t *testing.T, most int) (twice int) {
	t.Helper()
	sent, left := receiveAll(t, d.endpoint, d.jobs), receiveAll(t, d.endpoint, d.dead)
	for i := range d.each {
		switch n := sent[letterID(deactivation.ReasonHeld, i)]; n {
		case 0:
			t.Errorf("held letter %d is lost", i)
		case 1:
		default:
			twice += n - 1
		}
	}
	if twice > most || len(sent) != d.each {
		t.Errorf("%d different messages were sent, want %d; %d duplicates, want at most %d", len(sent), d.each, twice, most)
	}
	for _, reason := range sevenReasons() {
		for i := range d.each {
			want := 1
			if reason == deactivation.ReasonHeld {
				want = 0
			}
			if n := left[letterID(reason, i)]; n != want {
				t.Errorf("%s: %d letters are left, want %d", letterID(reason, i), n, want)
			}
		}
	}
	return twice
}

// receiveAll empties a queue and counts the requests by their id.
func receiveAll(t *testing.T, endpoint, url string) map[string]int {
	t.Helper()
	q, found := queue.OpenSQS(awsConfig(), endpoint, url), map[string]int{}
	for depthNow(t, endpoint, url) > 0 {
		received, err := q.Receive(t.Context(), 10, time.Second, time.Minute)
		if err != nil {
			continue // a receive whose response is lost hides its messages for a minute
		}
		var receipts []string
		for _, m := range received {
			r, _, err := deactivation.Parse(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			found[r.ID]++
			receipts = append(receipts, m.Receipt)
		}
		if failed := q.Delete(t.Context(), receipts); failed != nil {
			t.Fatal(failed)
		}
	}
	return found
}

// depthNow is how many messages a queue holds, visible or not.
func depthNow(t *testing.T, endpoint, url string) int {
	t.Helper()
	visible, hidden, err := queue.OpenSQS(awsConfig(), endpoint, url).Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return visible + hidden
}

// TestARedriveOfOneReasonOfSevenOnMoto kills the redrive half-way, and lets a second one finish it.
func TestARedriveOfOneReasonOfSevenOnMoto(t *testing.T) {
	t.Parallel()
	d := newDeadLetters(t, buildLicensectl(t), motoURL(t), 14)
	if out, code := runLicensectl(t, d.licensectl, d.redrive(13)...); code != 4 || depthNow(t, d.endpoint, d.jobs) != 0 {
		t.Fatalf("a wrong count: exit code %d\n%s", code, out)
	}
	d.killAfter(t, 10, d.redrive(14, "--per-second", "0.5")) // ten at once, the others eight seconds later
	left := d.held(t)
	if out, code := runLicensectl(t, d.licensectl, d.redrive(left)...); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	twice := d.check(t, 10)
	t.Logf("killed after 10 of 14: %d were left, %d in both queues", left, twice)
}

// TestAnOperatorFindsTheLettersOfAStackOnMoto goes from the alarm to the fix in three commands, with the names of a deployed
// stack, and finds the audit lines in its log group.
func TestAnOperatorFindsTheLettersOfAStackOnMoto(t *testing.T) {
	t.Parallel()
	d := newDeadLetters(t, buildLicensectl(t), motoURL(t), 2)
	function := "shop-" + rand.Text()
	stack := stackAt(t, d.endpoint, map[string]string{
		"QueueUrl": d.jobs, "DeadLetterQueueUrl": d.dead, "WebhookFunctionName": function, "WorkerFunctionName": function + "-worker", "Mode": "watch",
	})
	logs := cloudwatchlogs.NewFromConfig(awsConfig(), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = &d.endpoint })
	group := "/aws/lambda/" + stack + "-webhook" // template.yaml names it by the stack
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		t.Fatal(err)
	}
	at := []string{"--stack", stack, "--endpoint-url", d.endpoint}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"list"}, []string{"held         surge  stripe  2", "14 letters in 7 groups."}},
		{[]string{"show", letterID(deactivation.ReasonHeld, 1)}, []string{"MEANING      the brake: events asked for more licenses", "license_key  …DDDD", "releases it"}},
		{[]string{"redrive", "--reason", "held"}, []string{"redrive 2 letters in stack " + stack, "Warning: the stack is in watch mode."}},
		{[]string{"redrive", "--reason", "held", "--comment", "checked", "--yes", "--expect", "2"}, []string{"2 of 2 letters redriven."}},
		{[]string{"list"}, []string{"12 letters in 6 groups."}},
	} {
		out, code := runLicensectl(t, d.licensectl, append(append([]string{"dlq"}, c.args...), at...)...)
		for _, want := range c.want {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%v: exit code %d, want %q in\n%s", c.args, code, want, out)
			}
		}
	}
	found, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	if err != nil || len(found.Events) != 4 || !strings.Contains(aws.ToString(found.Events[3].Message), `"phase":"end"`) {
		t.Fatalf("the audit lines: %v, %v", found, err)
	}
	lines := aws.ToString(found.Events[1].Message) + aws.ToString(found.Events[2].Message) // one for each letter, in the order of the queue
	for i := range 2 {
		if id := letterID(deactivation.ReasonHeld, i); strings.Count(lines, fmt.Sprintf("%q", id)) != 1 || strings.Count(lines, `"decision":"released"`) != 2 {
			t.Errorf("no line of %s:\n%s", id, lines)
		}
	}
}
