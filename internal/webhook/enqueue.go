package webhook

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
)

// outcome is the result of one event: its mapping, and whether a queue holds all its requests. An ignored event has no
// requests.
type outcome struct {
	source.Mapping
	safe bool
}

// message is a message to a queue, for one request.
type message struct {
	queue.Entry
	requestID string
	of        int // index of the event or row that it comes from
	at        int // index within the event's requests
}

func newMessage(r deactivation.Request, of, at int) (message, error) {
	body, err := r.Wire()
	return message{queue.Entry{Body: body, Group: r.Source}, r.ID, of, at}, err
}

// send sends messages and returns those that the queue did not accept.
func send(ctx context.Context, to Sender, messages []message) (failed []message) {
	entries := make([]queue.Entry, len(messages))
	for i, m := range messages {
		entries[i] = m.Entry
	}
	for _, f := range to.Send(ctx, entries) {
		failed = append(failed, messages[f.Index])
	}
	return failed
}

// enqueue puts the requests of all events on the queue; on the dead-letter queue those of stale events, and the events
// that a person decides about. It returns the outcome of each mapping.
func (h *Handler) enqueue(ctx context.Context, src *source.Source, v source.Verified, mappings []source.Mapping) []outcome {
	outcomes := make([]outcome, len(mappings))
	var messages, stale []message
	for i, mapping := range mappings {
		outcomes[i] = outcome{mapping, true}
		for at, r := range mapping.Requests {
			m, err := newMessage(r, i, at)
			if err != nil {
				outcomes[i].safe = false
				continue
			}
			if mapping.Answer == deactivation.Stale {
				stale = append(stale, m)
			} else {
				messages = append(messages, m)
			}
		}
	}
	for _, m := range h.enqueueRequests(ctx, src, messages, outcomes) {
		outcomes[m.of].safe = false
	}
	why := func(m message) string { return outcomes[m.of].Problem }
	for _, m := range h.deadLetterRequests(ctx, src, stale, outcomes, deactivation.ReasonStale, why) {
		outcomes[m.of].safe = false
	}
	h.deadLetterEvents(ctx, src, v, outcomes)
	return outcomes
}

// enqueueRequests puts the messages on the queue. For a sender that never delivers again it tries as long as the
// source's file allows, and then puts the rest on the dead-letter queue. It returns the messages that no queue
// accepted.
func (h *Handler) enqueueRequests(ctx context.Context, src *source.Source, messages []message, outcomes []outcome) (failed []message) {
	if len(messages) == 0 {
		return nil
	}
	budget := src.EnqueueFor
	if budget == 0 {
		budget = defaultEnqueueFor
	}
	tryCtx, cancel := deadline.Before(ctx, answerReserve+deadLetterReserve)
	defer cancel()
	tryCtx, cancelBudget := context.WithTimeout(tryCtx, budget)
	defer cancelBudget()

	failed = send(tryCtx, h.Queue, messages)
	if src.EnqueueFor == 0 {
		return failed
	}
	for len(failed) > 0 && deadline.Sleep(tryCtx, enqueuePause) == nil {
		failed = send(tryCtx, h.Queue, failed)
	}
	if len(failed) == 0 {
		return nil
	}
	return h.deadLetterRequests(ctx, src, failed, outcomes, deactivation.ReasonUndelivered, func(message) string {
		return "the queue did not accept it in time"
	})
}

// deadLetterRequests puts requests on the dead-letter queue, from which an operator redrives them. It returns those
// that the dead-letter queue did not accept.
func (h *Handler) deadLetterRequests(
	ctx context.Context, src *source.Source, messages []message, outcomes []outcome, reason deactivation.Reason, detail func(message) string,
) (failed []message) {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	letters := slices.Clone(messages)
	for i, m := range letters {
		letters[i].Attributes = deactivation.DeadLetter{
			Reason: reason, Detail: detail(m), FailedAt: h.Now(), Source: src.Name, RequestID: m.requestID,
		}.Attributes()
	}
	failed = send(ctx, h.DeadLetters, letters)
	type place struct{ of, at int } // a delivery may hold an event twice, so an id is not unique
	lost := make(map[place]bool, len(failed))
	for _, m := range failed {
		lost[place{m.of, m.at}] = true
	}
	for _, m := range messages {
		if !lost[place{m.of, m.at}] {
			h.Recorder.WebhookDeadLetter(ctx, requestLetter(outcomes[m.of].Requests[m.at], reason, detail(m)))
		}
	}
	return failed
}

// reasonOf is why an event goes to the dead-letter queue whole; "" where it does not.
func reasonOf(answer deactivation.Answer) deactivation.Reason {
	switch answer {
	case deactivation.Unmappable:
		return deactivation.ReasonUnmappable
	case deactivation.Reversed:
		return deactivation.ReasonReversed
	}
	return ""
}

// deadLetterEvents puts the delivery on the dead-letter queue when an operator has to decide about an event of it: once
// for each reason and code, since each asks for something else. It sets which outcomes are safe.
func (h *Handler) deadLetterEvents(ctx context.Context, src *source.Source, v source.Verified, outcomes []outcome) {
	type letter struct {
		reason deactivation.Reason
		code   string
	}
	var letters []letter
	of := map[letter][]int{} // indexes of outcomes
	for i, o := range outcomes {
		if reason := reasonOf(o.Answer); reason != "" {
			l := letter{reason, o.Code}
			if of[l] == nil {
				letters = append(letters, l)
			}
			of[l] = append(of[l], i)
		}
	}
	if len(letters) == 0 {
		return
	}
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	for _, l := range letters {
		mappings := make([]source.Mapping, len(of[l]))
		for n, i := range of[l] {
			mappings[n] = outcomes[i].Mapping
		}
		safe := h.deadLetterEvent(ctx, src, v, mappings, deactivation.DeadLetter{Reason: l.reason, Code: l.code})
		for _, i := range of[l] {
			outcomes[i].safe = safe
		}
	}
}

// deadLetterEvent puts the delivery on the dead-letter queue for some of its events, and reports whether it was accepted.
func (h *Handler) deadLetterEvent(ctx context.Context, src *source.Source, v source.Verified, mappings []source.Mapping, letter deactivation.DeadLetter) bool {
	event := src.Park(v, mappings)
	body, err := event.Wire()
	if err != nil {
		return false
	}
	letter.Detail, letter.FailedAt = LetterDetail(event.Missing, mappings), h.Now()
	letter.Source, letter.RequestID = src.Name, src.Name+"."+event.ID
	entry := queue.Entry{Body: body, Group: src.Name, Attributes: letter.Attributes()}
	if len(h.DeadLetters.Send(ctx, []queue.Entry{entry})) > 0 {
		return false
	}
	line := telemetry.DeadLetter{
		ID: letter.RequestID, Source: src.Name, Reason: letter.Reason, Code: letter.Code, Detail: deactivation.CleanText(letter.Detail), Order: event.Order,
	}
	if len(mappings) == 1 {
		line.Event, line.Rule = mappings[0].EventID(), mappings[0].Rule
	}
	h.Recorder.WebhookDeadLetter(ctx, line)
	return true
}

// LetterDetail is the detail of a letter that holds a delivery: the missing fields, then each other problem once with the
// rule that it is about.
func LetterDetail(missing []string, mappings []source.Mapping) string {
	var why []string
	if len(missing) > 0 {
		why = append(why, "missing "+strings.Join(missing, ", "))
	}
	for _, m := range mappings {
		text := m.Problem
		if m.Rule != "" && (m.Answer == deactivation.Reversed || m.Code == deactivation.CodeReview) {
			text = strings.TrimPrefix(text+"; rule "+strconv.Quote(m.Rule), "; ")
		}
		if text != "" && !slices.Contains(why, text) {
			why = append(why, text)
		}
	}
	return strings.Join(why, "; ")
}
