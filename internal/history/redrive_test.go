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
func auditLine(t *testing.T, when time.Time, command, phase string, arguments ...string) string {
	t.Helper()
	text, err := json.Marshal(struct {
		Timestamp time.Time `json:"timestamp"`
		Level     string    `json:"level"`
		Message   string    `json:"message"`
		deactivation.Audit
	}{when, "INFO", deactivation.LogAudit, deactivation.Audit{At: when, Phase: phase, Command: command, Actor: "jane", Comment: "ticket 7", Arguments: arguments}})
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
		"on the page":      {"licensectl console redrive", deactivation.AuditBegin, time.Minute, "jane"},
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
			if step.Step == history.StepRedriven && (step.By != c.by || (c.by != "") != strings.Contains(step.Text, c.command+" of 2026-11-29")) {
				t.Errorf("%s: by %q, %s; want by %q", name, step.By, step.Text, c.by)
			}
		}
		if _, _, open := a.Unattributed(); open != (c.by == "") {
			t.Errorf("%s: still open: %v", name, open)
		}
	}
}

// TestARedriveThatChoseOtherLettersIsNotTheOne: two people redrive within an hour, and each letter names the right one.
func TestARedriveThatChoseOtherLettersIsNotTheOne(t *testing.T) {
	t.Parallel()
	for argument, by := range map[string]string{
		"":                                   "jane",
		"--max=5":                            "jane",
		"--stack=shop":                       "jane",
		"--id=[stripe.evt_1.0]":              "jane",
		"--id=[stripe.evt_9.0,stripe.evt_1]": "jane",
		"--id=[stripe.evt_9.0]":              "",
		"--id=[0f8fad5b-d9cb-469f-a165-70867728950e]": "jane", // a message id, which no line has
		"--source=[shopify,stripe]":                   "jane",
		"--source=[shopify]":                          "",
		"--order=[1001]":                              "jane",
		"--order=[100]":                               "",
		`--order=["1001"]`:                            "jane",
		"--reason=[rejected]":                         "jane",
		"--reason=[held,watched]":                     "",
		"--code=[license_not_found]":                  "jane",
		"--code=[unknown_product]":                    "",
	} {
		s, f := newScript(t), newFake(t)
		s.delivery(event(deactivation.Accepted))
		s.message(received(deactivation.Rejected, 1))
		s.now = noon().Add(3 * time.Hour)
		s.message(received(deactivation.Deactivated, 1))
		when := noon().Add(3*time.Hour - time.Minute)
		f.Put(groups()[0], when, auditLine(t, when, "licensectl dlq redrive", deactivation.AuditBegin, argument))
		a := s.tell(history.OfOrder("1001"))
		_, to, _ := a.Unattributed()
		found, err := f.insights().Find(t.Context(), history.OfRedrives(to), noon())
		if err != nil || len(found.Lines) != 1 {
			t.Fatalf("%d lines (%v)", len(found.Lines), err)
		}
		a.Attribute(found.Lines)
		for _, step := range a.Requests[0].Steps {
			if step.Step == history.StepRedriven && step.By != by {
				t.Errorf("%s: redriven by %q, want %q", argument, step.By, by)
			}
		}
	}
}
