package webhook

import (
	"context"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/source"
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
}

func newMessage(r deactivation.Request, of int) (message, error) {
	body, err := r.Wire()
	return message{queue.Entry{Body: body, Group: r.Source}, r.ID, of}, err
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

// enqueue puts the requests of all events on the queue, and unmappable events on the dead-letter queue. It returns the
// outcome of each mapping.
func (h *Handler) enqueue(ctx context.Context, src *source.Source, v source.Verified, mappings []source.Mapping) []outcome {
	outcomes := make([]outcome, len(mappings))
	var messages []message
	for i, mapping := range mappings {
		outcomes[i] = outcome{mapping, true}
		for _, r := range mapping.Requests {
			m, err := newMessage(r, i)
			if err != nil {
				outcomes[i].safe = false
				continue
			}
			messages = append(messages, m)
		}
	}
	for _, m := range h.enqueueRequests(ctx, src, messages) {
		outcomes[m.of].safe = false
	}
	parked := h.deadLetterUnmappable(ctx, src, v, mappings)
	for i := range outcomes {
		if outcomes[i].Answer == deactivation.Unmappable {
			outcomes[i].safe = parked
		}
	}
	return outcomes
}

// enqueueRequests puts the messages on the queue. For a sender that never delivers again it tries as long as the
// source's file allows, and then puts the rest on the dead-letter queue. It returns the messages that no queue
// accepted.
func (h *Handler) enqueueRequests(ctx context.Context, src *source.Source, messages []message) (failed []message) {
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
	return h.deadLetterUndelivered(ctx, src, failed)
}

// deadLetterUndelivered puts messages that the queue did not accept on the dead-letter queue, from which an operator
// redrives them. It returns those that the dead-letter queue did not accept either.
func (h *Handler) deadLetterUndelivered(ctx context.Context, src *source.Source, messages []message) (failed []message) {
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	letters := slices.Clone(messages)
	for i, m := range letters {
		letters[i].Attributes = deactivation.DeadLetter{
			Reason: deactivation.ReasonUndelivered, Detail: "the queue did not accept it in time",
			FailedAt: h.Now(), Source: src.Name, RequestID: m.requestID,
		}.Attributes()
	}
	failed = send(ctx, h.DeadLetters, letters)
	for range len(letters) - len(failed) {
		h.Recorder.DeadLetter(deactivation.ReasonUndelivered)
	}
	return failed
}

// deadLetterUnmappable puts the delivery, once, on the dead-letter queue when an event of it matters but cannot be
// mapped. It reports whether there is no such event or the dead-letter queue accepted the delivery.
func (h *Handler) deadLetterUnmappable(ctx context.Context, src *source.Source, v source.Verified, mappings []source.Mapping) bool {
	var unmappable []source.Mapping
	for _, m := range mappings {
		if m.Answer == deactivation.Unmappable {
			unmappable = append(unmappable, m)
		}
	}
	if len(unmappable) == 0 {
		return true
	}
	event := src.Park(v, unmappable)
	body, err := event.Wire()
	if err != nil {
		return false
	}
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	letter := queue.Entry{
		Body: body, Group: src.Name,
		Attributes: deactivation.DeadLetter{
			Reason: deactivation.ReasonUnmappable, Detail: whyUnmappable(event.Missing, unmappable),
			FailedAt: h.Now(), Source: src.Name, RequestID: src.Name + "." + event.ID,
		}.Attributes(),
	}
	if len(h.DeadLetters.Send(ctx, []queue.Entry{letter})) > 0 {
		return false
	}
	h.Recorder.DeadLetter(deactivation.ReasonUnmappable)
	return true
}

// whyUnmappable is the detail of an unmappable delivery's dead letter: the missing fields, then each other problem once.
func whyUnmappable(missing []string, unmappable []source.Mapping) string {
	var why []string
	if len(missing) > 0 {
		why = append(why, "missing "+strings.Join(missing, ", "))
	}
	for _, m := range unmappable {
		if m.Problem != "" && !slices.Contains(why, m.Problem) {
			why = append(why, m.Problem)
		}
	}
	return strings.Join(why, "; ")
}
