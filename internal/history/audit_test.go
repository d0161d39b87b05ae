package history_test

import (
	"encoding/json"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

// audited writes the line of an item of a command of licensectl.
func (s *script) audited(command, phase string, item deactivation.AuditItem) {
	s.t.Helper()
	text, err := json.Marshal(struct {
		Timestamp time.Time `json:"timestamp"`
		Level     string    `json:"level"`
		Message   string    `json:"message"`
		deactivation.Audit
		deactivation.AuditItem
	}{s.now, "INFO", deactivation.LogAudit, deactivation.Audit{At: s.now, Phase: phase, Command: command, Actor: "jane", Comment: "ticket 7"}, item})
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = s.memory.Write(text)
	s.now = s.now.Add(time.Second)
}

// letterItem is the letter of the request stripe.evt_1.0, as licensectl dlq has it.
func letterItem(decision string) deactivation.AuditItem {
	return deactivation.AuditItem{ID: "stripe.evt_1.0", Source: "stripe", Event: "evt_1", Order: "1001", Decision: decision, Reason: deactivation.ReasonRejected}
}

const (
	dlqRedrive = "licensectl dlq redrive"
	dlqPurge   = "licensectl dlq purge"
)

// rejectedScript has an event and its request, which became a letter.
func rejectedScript(t *testing.T) *script {
	t.Helper()
	s := newScript(t)
	s.delivery(event(deactivation.Accepted))
	s.message(received(deactivation.Rejected, 1))
	return s
}

// last returns the outcome of a question's one timeline, and its steps from the given one on.
func (s *script) last(q history.Question, from int) string {
	s.t.Helper()
	a := s.tell(q)
	if len(a.Requests) != 1 || len(a.Requests[0].Steps) < from {
		s.t.Fatalf("%s", timeline(a))
	}
	text := a.Requests[0].Outcome + "\n"
	for _, step := range a.Requests[0].Steps[from:] {
		text += step.Step + ": " + step.Text + " [" + step.By + "]\n"
	}
	return text
}

// TestARedriveSaysWhoSentTheLetterAndWhy: the worker's line of a letter that was sent unchanged does not.
func TestARedriveSaysWhoSentTheLetterAndWhy(t *testing.T) {
	t.Parallel()
	s := rejectedScript(t)
	steps := len(s.tell(history.OfOrder("1001")).Requests[0].Steps)
	s.audited(dlqRedrive, deactivation.AuditBegin, letterItem(deactivation.AuditUnchanged))
	if got, want := s.last(history.OfOrder("1001"), steps), "waiting\nredriven: licensectl dlq redrive: ticket 7 [jane]\n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	s.message(received(deactivation.Deactivated, 1))
	for _, q := range []history.Question{history.OfOrder("1001"), history.OfID("stripe.evt_1.0"), history.OfID("stripe.evt_1")} {
		got := s.last(q, steps)
		want := "deactivated\nredriven: licensectl dlq redrive: ticket 7 [jane]\n" +
			"tried: receive 1: deactivate_license license …DDDD of XY on device …0001 []\n" +
			"answered: License API: deactivated, in 120 ms []\ndone: the device is deactivated []\n"
		if got != want {
			t.Errorf("%s: got %s\nwant %s", q, got, want)
		}
	}
}

// TestAMessageThatComesBackTwiceHasTwoSteps: the second time without a command of licensectl.
func TestAMessageThatComesBackTwiceHasTwoSteps(t *testing.T) {
	t.Parallel()
	s := rejectedScript(t)
	s.audited(dlqRedrive, deactivation.AuditBegin, letterItem(deactivation.AuditUnchanged))
	s.message(received(deactivation.Rejected, 1))
	s.message(received(deactivation.Rejected, 1))
	var by []string
	for _, step := range s.tell(history.OfOrder("1001")).Requests[0].Steps {
		if step.Step == history.StepRedriven {
			by = append(by, step.By)
		}
	}
	if len(by) != 2 || by[0] != "jane" || by[1] != "" {
		t.Errorf("redriven by %q, want jane and nobody known", by)
	}
}

// TestAReleaseIsOneStep: the command's line and the message both say who, when and why.
func TestAReleaseIsOneStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by, reason string
		steps      int
	}{"the same": {"jane", "ticket 7", 1}, "another person": {"joe", "ticket 7", 2}} {
		s := rejectedScript(t)
		s.audited(dlqRedrive, deactivation.AuditBegin, letterItem(deactivation.AuditReleased))
		m := received(deactivation.Deactivated, 1)
		m.Released = deactivation.Release{By: c.by, At: s.now, Reason: c.reason}
		s.message(m)
		n := 0
		for _, step := range s.tell(history.OfOrder("1001")).Requests[0].Steps {
			if step.Step == history.StepReleased {
				n++
			}
			if step.Step == history.StepRedriven {
				t.Errorf("%s: a second step %s", name, step.Text)
			}
		}
		if n != c.steps {
			t.Errorf("%s: %d steps, want %d", name, n, c.steps)
		}
	}
}

func TestAPurgedLetterIsTheEndOfItsRequest(t *testing.T) {
	t.Parallel()
	s := rejectedScript(t)
	steps := len(s.tell(history.OfOrder("1001")).Requests[0].Steps)
	s.audited(dlqPurge, deactivation.AuditBegin, letterItem(deactivation.AuditPurged))
	if got, want := s.last(history.OfID("stripe.evt_1.0"), steps), "purged\npurged: licensectl dlq purge: ticket 7 [jane]\n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestALetterThatACommandDidNotReachStaysALetter: it was interrupted.
func TestALetterThatACommandDidNotReachStaysALetter(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{deactivation.AuditUnchanged, deactivation.AuditReleased, deactivation.AuditPurged} {
		s := rejectedScript(t)
		steps := len(s.tell(history.OfOrder("1001")).Requests[0].Steps)
		item := letterItem(decision)
		s.audited(dlqRedrive, deactivation.AuditBegin, item)
		item.Outcome, item.Detail = deactivation.AuditKept, "interrupted"
		s.audited(dlqRedrive, deactivation.AuditEnd, item)
		want := "rejected\nkept: in the dead-letter queue: licensectl dlq redrive ended before it, interrupted []\n"
		if got := s.last(history.OfOrder("1001"), steps+1); got != want {
			t.Errorf("%s: got %s\nwant %s", decision, got, want)
		}
	}
}

// TestTheRequestsThatAPersonMadeOfAnEventSaySo: the event's timeline ends, and that of its request begins with the person.
func TestTheRequestsThatAPersonMadeOfAnEventSaySo(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	d := event(deactivation.Unmappable)
	d.Requests, d.Missing = nil, []string{"hardware_id"}
	s.delivery(d)
	letter := letterItem(deactivation.AuditMapped)
	letter.ID = "stripe.evt_1"
	s.audited(dlqRedrive, deactivation.AuditBegin, letter)
	s.audited(dlqRedrive, deactivation.AuditBegin, letterItem(deactivation.AuditMade))
	m := received(deactivation.Deactivated, 1)
	m.Released = deactivation.Release{By: "jane", At: s.now, Reason: "ticket 7"}
	s.message(m)
	s.want(history.OfID("stripe.evt_1"), `
stripe.evt_1: redriven
  12:00:00 delivered: event evt_1 of stripe, answered 200
  12:00:00 decided: rule "refunded in full": unmappable, cause refund, missing hardware_id, on data.object.refunded true
  12:00:01 redriven: licensectl dlq redrive made its requests: ticket 7 [jane]
stripe.evt_1.0: deactivated
  12:00:02 redriven: licensectl dlq redrive made this request of the event evt_1: ticket 7 [jane]
  12:00:03 tried: receive 1: deactivate_license license …DDDD of XY on device …0001
  12:00:03 answered: License API: deactivated, in 120 ms
  12:00:03 done: the device is deactivated
`)
}

// TestARestoreIsFoundByItsOrderAndItsLicense: with who asked for it, why, and what came of it.
func TestARestoreIsFoundByItsOrderAndItsLicense(t *testing.T) {
	t.Parallel()
	const command = "licensectl restore"
	item := deactivation.AuditItem{
		ID: "restore-ab12.0", Order: deactivation.JoinTexts([]string{"pi_1", "1001 copy"}), LicenseHash: deactivation.HashLicense(key), License: "…DDDD", Product: "XY",
		Decision: deactivation.AuditEnable,
	}
	for outcome, end := range map[string]string{
		deactivation.AuditEnabled: "done: the license is enabled again []\n",
		"failed":                  "failed: the license is not enabled, http_503, down []\n",
	} {
		s := newScript(t)
		s.audited(command, deactivation.AuditBegin, item)
		asked := "asked: licensectl restore, to enable the license again: ticket 7 [jane]\n"
		if got, want := s.last(history.OfLicense(key), 0), "asked\n"+asked; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		result := item
		result.Outcome = outcome
		if outcome == "failed" {
			result.Code, result.Detail = "http_503", "down"
		}
		s.audited(command, deactivation.AuditEnd, result)
		for _, q := range []history.Question{history.OfOrder("pi_1"), history.OfOrder("1001 copy"), history.OfLicense(key), history.OfID("restore-ab12")} {
			if got, want := s.last(q, 0), outcome+"\n"+asked+end; got != want {
				t.Errorf("%s: got %s\nwant %s", q, got, want)
			}
		}
		if a := s.tell(history.OfOrder("1001")); a.Found {
			t.Errorf("the order 1001 is taken for \"1001 copy\":\n%s", timeline(a))
		}
		if r := s.tell(history.OfOrder("pi_1")).Requests[0]; r.Order != "pi_1 1001 copy" || r.By != "jane" || r.Comment != "ticket 7" || r.License != "…DDDD" {
			t.Errorf("%+v", r)
		}
	}
}

// TestTheClockOfTheCommandMayBeAhead: the worker's lines come first, and their outcome stays.
func TestTheClockOfTheCommandMayBeAhead(t *testing.T) {
	t.Parallel()
	s := rejectedScript(t)
	s.message(received(deactivation.Deactivated, 1))
	s.audited(dlqRedrive, deactivation.AuditBegin, letterItem(deactivation.AuditUnchanged))
	if a := s.tell(history.OfOrder("1001")); a.Requests[0].Outcome != "deactivated" {
		t.Errorf("%s", timeline(a))
	}
}

// TestTheCommandsOwnLineIsNoTimeline: it has no id.
func TestTheCommandsOwnLineIsNoTimeline(t *testing.T) {
	t.Parallel()
	s := rejectedScript(t)
	s.audited(dlqPurge, deactivation.AuditBegin, deactivation.AuditItem{Order: "1001"})
	if a := s.tell(history.OfOrder("1001")); len(a.Requests) != 1 {
		t.Errorf("%s", timeline(a))
	}
}

// TestAnOrderIsFoundByItsWholeIDs: ids are joined by blanks, and an id may have a blank.
func TestAnOrderIsFoundByItsWholeIDs(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	ids := []string{"1001 copy", "50%", "50%20", "copy 1001 b"}
	s.write(func(r *telemetry.Recorder) {
		r.Message(t.Context(), telemetry.Message{ID: "a.b.0", Order: ids, Outcome: deactivation.Deactivated, Attempts: 1})
	})
	for _, id := range ids {
		if !s.tell(history.OfOrder(id)).Found {
			t.Errorf("%q is not found", id)
		}
	}
	for _, id := range []string{"1001", "copy", "50", "50%2520", "1001%20copy", "b", "1001 copy 50%"} {
		if s.tell(history.OfOrder(id)).Found {
			t.Errorf("%q is found", id)
		}
	}
}
