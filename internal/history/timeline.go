package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// teller makes timelines from lines, which it gets oldest first.
type teller struct {
	question Question
	own      map[string]bool // ids with a line of a message or of a dead letter
	byID     map[string]*progress
	order    []string // ids in the order of their first line
}

// progress is a request whose timeline is being made.
type progress struct {
	Request
	attempts  int    // of its latest message line
	delivered bool   // a step says how it came
	released  string // the release that was told last

	// Of the command that has sent its message last: whether the message is not received yet, who, and why.
	sent            bool
	sentBy, sentFor string
	before          result // before the command
}

// of returns the progress of an id.
func (t *teller) of(id string) *progress {
	p := t.byID[id]
	if p == nil {
		p = &progress{Request: Request{ID: id, Steps: []Step{}}}
		t.byID[id] = p
		t.order = append(t.order, id)
	}
	return p
}

// requests are the finished timelines.
func (t *teller) requests() []Request {
	requests := make([]Request, 0, len(t.order))
	for _, id := range t.order {
		requests = append(requests, t.byID[id].Request)
	}
	return requests
}

// add adds a step.
func (p *progress) add(at time.Time, step, by string, parts ...string) {
	text := strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
	p.Steps = append(p.Steps, Step{At: at, Step: step, Text: text, By: by})
}

// delivery tells what became of an event or of a direct invocation.
func (t *teller) delivery(l Line) {
	if l.DryRun {
		return
	}
	told := false
	for _, id := range l.Requests {
		if t.question.isAbout(l, id, t.own) {
			told = true
			t.tellDelivery(t.of(id), l)
		}
	}
	if !told {
		t.tellDelivery(t.of(cmp.Or(l.ID, l.Source, "delivery")), l)
	}
}

func (t *teller) tellDelivery(p *progress, l Line) {
	p.learn(l)
	again := ""
	if p.delivered {
		again = "again"
	}
	p.delivered = true
	p.add(l.began(), StepDelivered, l.By, described(l), again, status(l))
	if l.Event != "" || l.Rule != "" {
		p.add(l.began(), StepDecided, "", decision(l), on(l.Values))
	}
	switch {
	case deactivation.Answer(l.Answer) == deactivation.Refused:
		p.Outcome, p.Detail = cmp.Or(laterOutcome(p), l.Answer), l.Problem
	case len(l.Requests) > 0 && deactivation.Answer(l.Answer) == deactivation.Accepted:
		p.add(l.began(), StepQueued, l.By, count(l.RequestCount, p.ID), of(l.Run))
		p.Outcome = cmp.Or(laterOutcome(p), OutcomeWaiting)
	default:
		p.Outcome, p.Code = cmp.Or(laterOutcome(p), l.Answer), cmp.Or(p.Code, l.Code)
		p.Detail = cmp.Or(p.Detail, l.Problem, missing(l.Missing))
	}
}

// laterOutcome is the outcome that an earlier line gave and a delivery does not change: a sender delivers an event again,
// and what was done stays done.
func laterOutcome(p *progress) string {
	if p.attempts > 0 || p.Outcome == string(deactivation.Rejected) {
		return p.Outcome
	}
	return ""
}

// deadLetter tells what the webhook put into the dead-letter queue.
func (t *teller) deadLetter(l Line) {
	p := t.of(l.ID)
	p.learn(l)
	p.add(l.Time, StepParked, "", "in the dead-letter queue: "+l.Reason, l.Code, l.Detail)
	p.Reason, p.Code, p.Detail = l.Reason, l.Code, l.Detail
	if l.Action != "" || l.License != "" || l.User != "" { // a request; an event's outcome is its answer
		p.Outcome = string(deactivation.Rejected)
	}
}

// message tells what the worker did with a message in one receive.
func (t *teller) message(l Line) {
	p := t.of(l.ID)
	p.learn(l)
	back := p.cameBack(l)
	p.tellArrival(l)
	if l.ReleasedBy != "" && p.released != l.ReleasedBy+l.ReleasedAt.String() {
		p.released = l.ReleasedBy + l.ReleasedAt.String()
		if l.ReleasedBy != p.sentBy || l.ReleasedReason != p.sentFor { // else the command's step says it
			p.add(cmp.Or(l.ReleasedAt, l.Time), StepReleased, l.ReleasedBy, "by "+l.ReleasedBy, l.ReleasedReason)
		}
	}
	if back != "" {
		p.add(l.Time, StepRedriven, cmp.Or(l.ReleasedBy, l.By), back, l.Comment)
	}
	p.sent = false
	p.attempts = l.Attempts
	p.tellTry(l)
	p.tellOutcome(l)
	if p.Outcome == string(deactivation.Deactivated) && l.Outcome == string(deactivation.AlreadyInactive) {
		return // the same event again: the license is inactive because of it
	}
	p.Outcome, p.Reason, p.Code, p.Detail = l.Outcome, l.Reason, l.Code, l.Detail
}

// tellArrival says how a message came, where no delivery's line was found.
func (p *progress) tellArrival(l Line) {
	if p.delivered {
		return
	}
	p.delivered = true
	at := cmp.Or(l.ReceivedAt, l.Time)
	p.add(at, StepDelivered, l.By, described(l))
	if l.Rule != "" {
		p.add(at, StepDecided, "", decision(l))
	}
	p.add(at, StepQueued, l.By, "request "+p.ID, of(l.Run))
}

// cameBack says from where a message came that had left the queue, and that neither a delivery's line nor a command has queued
// again; "" for any other message. SQS counts the receives of a message that was sent again from 1.
func (p *progress) cameBack(l Line) string {
	if p.sent || !isFinal(p.Outcome) || len(p.Steps) == 0 || p.Steps[len(p.Steps)-1].Step == StepQueued || p.attempts > 0 && l.Attempts > p.attempts {
		return ""
	}
	if p.Outcome == string(deactivation.Rejected) {
		return "back from the dead-letter queue"
	}
	return "sent again"
}

// tellTry says what was tried and what the API answered.
func (p *progress) tellTry(l Line) {
	switch deactivation.Decision(l.Decision) {
	case deactivation.DecisionWait:
		p.add(l.Time, StepTried, "", fmt.Sprintf("receive %d: no call", l.Attempts), l.Detail)
	case deactivation.DecisionAct:
		p.add(l.Time, StepTried, "", fmt.Sprintf("receive %d: %s", l.Attempts, what(l)))
	}
	if l.Class != "" {
		took := ""
		if l.Latency > 0 {
			took = fmt.Sprintf("in %.0f ms", l.Latency)
		}
		p.add(l.Time, StepAnswered, "", "License API: "+cmp.Or(l.Code, l.Class), l.Detail, took)
	}
	switch {
	case strings.Contains(l.Lookup, readBack):
		p.add(l.Time, StepVerified, "", l.Lookup)
	case l.Lookup != "":
		p.add(l.Time, StepLookedUp, "", l.Lookup)
	}
}

// readBack is a part of the report of a look-up that has read back what it wrote (lookup.Report).
const readBack = ", now "

// tellOutcome says what became of the message in this receive.
func (p *progress) tellOutcome(l Line) {
	switch deactivation.Outcome(l.Outcome) {
	case deactivation.Deactivated:
		done := "the device is deactivated"
		if l.Lookup != "" { // how many devices there were, and whether a license is disabled, is in its report
			done = "the devices of its licenses are deactivated"
		}
		p.add(l.Time, StepDone, "", done)
	case deactivation.AlreadyInactive:
		p.add(l.Time, StepDone, "", "nothing to do: "+cmp.Or(l.Code, "already inactive"))
	case deactivation.Deferred:
		again := ""
		if l.RetryIn != nil {
			again = "again in " + (time.Duration(*l.RetryIn * float64(time.Second))).Round(time.Second).String()
		}
		p.add(l.Time, StepDeferred, "", cmp.Or(again, "again later"), codeOf(l))
	case deactivation.Rejected:
		detail := l.Detail
		if l.Class != "" { // the answer's step has it
			detail = ""
		}
		p.add(l.Time, StepParked, "", "in the dead-letter queue: "+l.Reason, codeOf(l), detail)
	}
}

// codeOf is the code of a line without an answer of the API, whose step has it.
func codeOf(l Line) string {
	if l.Class != "" {
		return ""
	}
	return l.Code
}

// learn takes what a line says about the request itself. A later line knows more.
func (p *progress) learn(l Line) {
	set := func(field *string, text string) { *field = cmp.Or(text, *field) }
	set(&p.Source, l.Source)
	set(&p.Event, l.Event)
	set(&p.Order, strings.Join(deactivation.SplitTexts(l.Order), " "))
	set(&p.Cause, l.Cause)
	set(&p.Rule, l.Rule)
	set(&p.Run, l.Run)
	set(&p.By, l.By)
	set(&p.Comment, l.Comment)
	set(&p.License, l.License)
	set(&p.User, l.User)
	set(&p.Device, l.Device)
	set(&p.Product, l.Product)
}

// described says what was received.
func described(l Line) string {
	if l.Source == "" && l.Event == "" && l.Text == deactivation.LogMessage {
		return "a message that is none of ours"
	}
	if l.Event == "" && (l.By != "" || l.Rule == "") && l.Answer != string(deactivation.Refused) {
		who := cmp.Or(l.By, "somebody")
		return strings.TrimSuffix(fmt.Sprintf("%s invoked the function as %s: %s", who, l.Source, l.Comment), ": ")
	}
	text := strings.TrimSuffix("event "+l.Event+" of "+cmp.Or(l.Source, "an unknown source"), " of ")
	if l.Event == "" {
		text = "a delivery to " + cmp.Or(l.Source, "an unknown source")
	}
	if !l.OccurredAt.IsZero() {
		text += ", which happened " + l.OccurredAt.UTC().Format(time.DateTime)
	}
	return text
}

// count says which request, or how many of an event, are in the queue.
func count(n int, id string) string {
	if _, isRequest := eventOf(id); n > 1 && !isRequest {
		return fmt.Sprintf("%d requests", n)
	}
	return "request " + id
}

func status(l Line) string {
	if l.Status == 0 {
		return ""
	}
	return fmt.Sprintf("answered %d", l.Status)
}

// decision says which rule decided, and what.
func decision(l Line) string {
	text := "no rule matches"
	if l.Rule != "" {
		text = "rule \"" + l.Rule + "\""
	}
	answer := l.Answer
	if l.Text == deactivation.LogMessage {
		answer = string(deactivation.Accepted)
	}
	if text += ": " + answer; l.Cause != "" {
		text += ", cause " + l.Cause
	}
	for _, more := range []string{l.Problem, missing(l.Missing)} {
		if more != "" {
			text += ", " + more
		}
	}
	return text
}

func missing(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return "missing " + strings.Join(fields, ", ")
}

func on(values string) string {
	if values == "" {
		return ""
	}
	return "on " + values
}

func of(run string) string {
	if run == "" {
		return ""
	}
	return "run " + run
}

// what says what the worker tried.
func what(l Line) string {
	subject := ""
	switch {
	case l.License != "":
		subject = " license " + l.License
	case l.User != "":
		subject = " the license of user " + l.User
	}
	if l.Product != "" {
		subject += " of " + l.Product
	}
	if l.Device != "" {
		subject += " on device " + l.Device
	}
	if subject == "" {
		subject = " for the licenses that the look-up finds"
	}
	return cmp.Or(l.Action, deactivation.ActionDeactivateLicense) + subject
}
