package history_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// auditLine is the line that a command of licensectl writes.
func auditLine(t *testing.T, when time.Time, command, phase string) string {
	t.Helper()
	text, err := json.Marshal(struct {
		Timestamp time.Time `json:"timestamp"`
		Level     string    `json:"level"`
		Message   string    `json:"message"`
		deactivation.Audit
	}{when, "INFO", deactivation.LogAudit, deactivation.Audit{At: when, Phase: phase, Command: command, Actor: "jane", Comment: "ticket 7"}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestARedriveThatItsMessageDoesNotNameIsFoundByTheCommandsLine: a letter that is sent unchanged does not say who sent it.
func TestARedriveThatItsMessageDoesNotNameIsFoundByTheCommandsLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command, phase string
		before         time.Duration // the message came back
		by             string
	}{
		"a redrive":        {"licensectl dlq redrive", deactivation.AuditBegin, time.Minute, "jane"},
		"its end":          {"licensectl dlq redrive", deactivation.AuditEnd, time.Minute, ""},
		"another command":  {"licensectl dlq purge", deactivation.AuditBegin, time.Minute, ""},
		"long before":      {"licensectl dlq redrive", deactivation.AuditBegin, 2 * time.Hour, ""},
		"after it":         {"licensectl dlq redrive", deactivation.AuditBegin, -time.Minute, ""},
		"at the same time": {"licensectl dlq redrive", deactivation.AuditBegin, 0, "jane"},
	} {
		s, f := newScript(t), newFake(t)
		s.delivery(event(deactivation.Accepted))
		s.message(received(deactivation.Rejected, 1))
		s.now = noon().Add(3 * time.Hour)
		s.message(received(deactivation.Deactivated, 1))
		f.Put(groups()[0], noon().Add(3*time.Hour-c.before), auditLine(t, noon().Add(3*time.Hour-c.before), c.command, c.phase))
		a := s.tell(history.OfOrder("1001"))
		from, to, open := a.Unattributed()
		if !open || !to.Equal(noon().Add(3*time.Hour)) || !from.Equal(noon().Add(2*time.Hour)) {
			t.Fatalf("%s: open %v from %v to %v", name, open, from, to)
		}
		found, err := f.insights().Find(t.Context(), history.OfRedrives(to), from)
		if err != nil {
			t.Fatal(err)
		}
		a.Attribute(found.Lines)
		for _, step := range a.Requests[0].Steps {
			if step.Step == history.StepRedriven && (step.By != c.by || (c.by != "") != strings.Contains(step.Text, "licensectl dlq redrive of 2026-11-29")) {
				t.Errorf("%s: by %q, %s; want by %q", name, step.By, step.Text, c.by)
			}
		}
		if _, _, open := a.Unattributed(); open != (c.by == "") {
			t.Errorf("%s: still open: %v", name, open)
		}
	}
}
