package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

// TestAQueueThatCannotBeReadSaysWhatToCheck: the address is wrong, or the queue's.
func TestAQueueThatCannotBeReadSaysWhatToCheck(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_REGION", "us-east-1")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>not found</html>")
	}))
	t.Cleanup(page.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	q := newDeadQueues(t)
	for name, c := range map[string]struct {
		flags       []string
		problem, do string
	}{
		"nothing answers": {[]string{"--endpoint-url", closed.URL}, "nothing answers at " + closed.URL, "is licensectl local running at that address?"},
		"a web page":      {[]string{"--endpoint-url", page.URL}, "the dead-letter queue cannot be read: ", hintNotAWS},
		"a web page for a queue": {
			[]string{"--endpoint-url", page.URL, "--queue-url", page.URL + "/1/q", "--dead-letter-queue-url", page.URL + "/1/dlq"},
			"the dead-letter queue cannot be read at " + page.URL + "/1/dlq: ", hintNotAWS,
		},
		"no such queue": {
			[]string{"--endpoint-url", q.endpoint, "--queue-url", q.endpoint + "/1/jobs", "--dead-letter-queue-url", q.endpoint + "/1/nope"},
			"the dead-letter queue cannot be read at " + q.endpoint + "/1/nope: ", "there is no queue with this address: compare it with the output of the stack",
		},
	} {
		for _, do := range []string{"list", "redrive"} {
			code, stdout, stderr := command(t, append([]string{"dlq", do}, c.flags...)...)
			problem, hint, _ := strings.Cut(stderr, "licensectl: hint: ")
			if code != exitFailed || stdout != "" || !strings.Contains(problem, c.problem) || !strings.HasPrefix(hint, c.do) {
				t.Errorf("%s, %s: exit code %d, %s%s", name, do, code, stdout, stderr)
			}
		}
	}
}

// TestTheCommandThatShowPrintsCanBePasted: with the flags that say where it acts, and whatever the letter's id is.
func TestTheCommandThatShowPrintsCanBePasted(t *testing.T) {
	t.Parallel()
	const strange = `generic.it's $HOME 100%`
	for name, columns := range map[string]uint16{"wide": 0, "narrow": 60} {
		q := newDeadQueues(t)
		body, err := deactivation.Request{
			ID: strange, Source: "generic", Cause: deactivation.CauseRefund, License: deactivation.License{Product: "XY", LicenseKey: "CANARY-K", HardwareID: "CANARY-H"},
		}.Wire()
		if err != nil {
			t.Fatal(err)
		}
		letter := deactivation.DeadLetter{Reason: deactivation.ReasonHeld, RequestID: strange, Source: "generic"}
		if failed := q.dead.Send(t.Context(), []queue.Entry{{Body: body, Attributes: letter.Attributes()}}); failed != nil {
			t.Fatal(failed)
		}
		where := []string{"--endpoint-url", q.endpoint, "--queue-url", q.endpoint + "/1/jobs", "--dead-letter-queue-url", q.endpoint + "/1/dead-letters"}
		code, shown := onTerminalOf(t, columns, "", append([]string{"dlq", "show", strange}, where...)...)
		_, text, found := strings.Cut(shown, "licensectl dlq redrive")
		if code != exitDone || !found {
			t.Fatalf("%s: exit code %d\n%s", name, code, shown)
		}
		args := append(shellLine(t, "dlq redrive"+text), "--yes", "--expect", "1", "--per-second", "1000")
		if code, stdout, stderr := command(t, args...); code != exitDone || q.jobs.Len() != 1 {
			t.Errorf("%s: %q: exit code %d, %s%s", name, args, code, stdout, stderr)
		}
	}
}

// shellLine splits a command as a shell does: at blanks and at line ends after a backslash, with both kinds of quotes.
func shellLine(t *testing.T, text string) (words []string) {
	t.Helper()
	var word strings.Builder
	open, begun := rune(0), false
	runes := []rune(strings.TrimSpace(text))
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case open != 0 && r == open:
			open = 0
		case open != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			open, begun = r, true
		case r == '\\' && i+1 < len(runes):
			i++
			if runes[i] != '\n' {
				word.WriteRune(runes[i])
				begun = true
			}
		case r == ' ' || r == '\n':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if open != 0 {
		t.Fatalf("a quote is open: %s", text)
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// TestWithNothingToDoTheCommandSaysSoAndIsDone: no letter matches, all chosen ones are kept, or the queue is empty.
func TestWithNothingToDoTheCommandSaysSoAndIsDone(t *testing.T) {
	t.Parallel()
	full, empty := newDeadQueues(t).fill(t), newDeadQueues(t)
	for name, c := range map[string]struct {
		q    *deadQueues
		args []string
		want string
	}{
		"no letter matches": {full, []string{"redrive", "--order", "nope"}, "none of 16 letters matches."},
		"all are kept":      {full, []string{"redrive", "--reason", "reversed"}, "1 letter is kept: it takes an earlier event back"},
		"an empty queue":    {empty, []string{"redrive"}, "the dead-letter queue is empty."},
		"nothing to purge":  {empty, []string{"purge", "--reason", "held"}, "the dead-letter queue is empty."},
	} {
		for _, confirmed := range [][]string{nil, act(0)} {
			code, stdout, stderr := c.q.dlq(t, append(append([]string{}, c.args...), confirmed...)...)
			if code != exitDone || !strings.Contains(stdout, "Nothing to "+c.args[0]+" in licensectl local") || !strings.Contains(stdout, c.want) || strings.Contains(stderr, "phase") {
				t.Errorf("%s %v: exit code %d, %s%s", name, confirmed, code, stdout, stderr)
			}
		}
		if code, _, _ := c.q.dlq(t, append(append([]string{}, c.args...), act(3)...)...); code != exitHeld {
			t.Errorf("%s, and another count: exit code %d", name, code)
		}
	}
}

// TestAPlanSaysHowManyRequestsItMakes: one letter may be a delivery of several events, and all of their requests are sent.
func TestAPlanSaysHowManyRequestsItMakes(t *testing.T) {
	t.Parallel()
	made := make([]deactivation.Request, 3)
	for i := range made {
		made[i] = deactivation.Request{
			ID: "s.e." + string(rune('0'+i)), Source: "generic", Cause: deactivation.CauseRefund,
			License: deactivation.License{Product: "XY", LicenseKey: "K", HardwareID: "H"},
		}
	}
	step := deadletter.Step{Letter: &deadletter.Letter{}, Way: deadletter.Mapped, Made: made, Events: 2}
	of, err := deadletter.NewPlan("redrive", []deadletter.Step{step}, made[0].OccurredAt)
	if err != nil {
		t.Fatal(err)
	}
	p := plan{Plan: of, do: doRedrive}
	if got := p.does(); got != "redrive 1 letter as 3 requests" {
		t.Errorf("the plan says %q", got)
	}
	if got := strings.Join(of.Warnings(false, true), "\n"); !strings.Contains(got, "1 letter is a delivery of several events.") {
		t.Errorf("the warnings are %q", got)
	}
	of.Steps[0].Events = 1
	if got := strings.Join(of.Warnings(false, true), "\n"); strings.Contains(got, "several events") {
		t.Errorf("of one event the warnings are %q", got)
	}
}
