package history

import (
	"strings"

	"license-deactivator/internal/deactivation"
)

// audit tells what a person did with a dead letter, a request or a license by a command of licensectl
// (deactivation.AuditItem). The lines of a command as a whole have no id, and no question finds them.
func (t *teller) audit(l Line) {
	if l.ID == "" {
		return
	}
	p := t.of(l.ID)
	about := l
	about.Comment = "" // of the command, not of the request
	p.learn(about)
	if l.Phase == deactivation.AuditEnd {
		p.auditEnd(l)
		return
	}
	switch l.Decision {
	case deactivation.AuditEnable:
		p.By, p.Comment = l.Actor, l.Comment
		p.acted(l, StepAsked, l.Command+", to enable the license again", OutcomeAsked)
	case deactivation.AuditPurged:
		p.acted(l, StepPurged, l.Command, OutcomePurged)
		p.Reason, p.Code = l.Reason, l.Code // of the letter
	case deactivation.AuditMapped:
		p.acted(l, StepRedriven, l.Command+" made its requests", OutcomeRedriven)
	case deactivation.AuditMade:
		p.sentAgain(l, StepRedriven, l.Command+" made this request of the event "+l.Event)
	case deactivation.AuditReleased:
		p.sentAgain(l, StepReleased, l.Command)
	default:
		p.sentAgain(l, StepRedriven, l.Command)
	}
}

// acted adds the step of a command, and the outcome that follows from it.
func (p *progress) acted(l Line, step, what, outcome string) {
	p.add(l.Time, step, l.Actor, strings.TrimSuffix(what+": "+l.Comment, ": "))
	p.before = result{p.Outcome, p.Reason, p.Code, p.Detail}
	p.setResult(result{Outcome: outcome})
}

// result is the latest result of a request.
type result struct{ Outcome, Reason, Code, Detail string }

func (p *progress) setResult(r result) {
	p.Outcome, p.Reason, p.Code, p.Detail = r.Outcome, r.Reason, r.Code, r.Detail
}

// sentAgain adds the step of a command that sends a message to the queue. The lines of the worker follow; where the clock of the
// person's machine is ahead of theirs they come first, and the outcome stays theirs.
func (p *progress) sentAgain(l Line, step, what string) {
	p.delivered = true
	p.sentBy, p.sentFor = l.Actor, l.Comment
	if p.Outcome != "" && p.Outcome != string(deactivation.Rejected) {
		later := result{p.Outcome, p.Reason, p.Code, p.Detail}
		p.acted(l, step, what, p.Outcome)
		p.setResult(later)
		return
	}
	p.sent = true
	p.acted(l, step, what, OutcomeWaiting)
}

// auditEnd tells what a command did not do, or the result for a license.
func (p *progress) auditEnd(l Line) {
	switch {
	case l.Outcome == deactivation.AuditKept:
		p.sent = false
		p.setResult(p.before)
		p.add(l.Time, StepKept, "", "in the dead-letter queue: "+l.Command+" ended before it", l.Detail)
	case l.Decision == deactivation.AuditEnable && l.Outcome == deactivation.AuditEnabled:
		p.Outcome = l.Outcome
		p.add(l.Time, StepDone, "", "the license is enabled again")
	case l.Decision == deactivation.AuditEnable:
		p.Outcome, p.Code, p.Detail = l.Outcome, l.Code, l.Detail
		p.add(l.Time, StepFailed, "", "the license is not enabled", l.Code, l.Detail)
	}
}
