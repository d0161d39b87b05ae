package webhook

import (
	"context"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/queue"
)

// keep puts what the mappings ask for on the queue, and unmappable events on the dead-letter queue. It returns the
// places of the mappings that no queue has taken whole.
func (h *Handler) keep(ctx context.Context, source *Source, v Verified, mappings []Mapping) map[int]bool {
	var entries []queue.Entry
	var requests []*deactivation.Request
	var owner []int // of each entry: the mapping's place
	lost := map[int]bool{}
	for i, m := range mappings {
		for n := range m.Requests {
			r := &m.Requests[n]
			e, err := entry(*r)
			if err != nil {
				lost[i] = true
				continue
			}
			entries, requests, owner = append(entries, e), append(requests, r), append(owner, i)
		}
	}
	failures := h.enqueue(ctx, source, entries)
	if len(failures) > 0 && source.enqueueFor > 0 {
		failures = h.keepUndelivered(ctx, entries, requests, failures)
	}
	for _, f := range failures {
		lost[owner[f.Index]] = true
	}
	if !h.keepUnmappable(ctx, source, v, mappings) {
		for i, m := range mappings {
			if m.Answer == deactivation.Unmappable {
				lost[i] = true
			}
		}
	}
	return lost
}

// enqueue sends the entries. For a sender that never comes again it tries as long as the source's file allows.
func (h *Handler) enqueue(ctx context.Context, source *Source, entries []queue.Entry) []queue.Failure {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := deadline.Before(ctx, answerReserve+deadLetterReserve)
	defer cancel()
	budget := source.enqueueFor
	if budget == 0 {
		budget = defaultEnqueueFor
	}
	ctx, cancelBudget := context.WithTimeout(ctx, budget)
	defer cancelBudget()

	failures := h.Queue.Send(ctx, entries)
	for len(failures) > 0 && source.enqueueFor > 0 && deadline.Sleep(ctx, enqueuePause) == nil {
		again := make([]queue.Entry, len(failures))
		for i, f := range failures {
			again[i] = entries[f.Index]
		}
		left := h.Queue.Send(ctx, again)
		for i, f := range left {
			left[i].Index = failures[f.Index].Index
		}
		failures = left
	}
	return failures
}

// keepUndelivered puts requests that the queue did not take on the dead-letter queue, from where a person sends them
// on. It returns the failures of those that it did not take either.
func (h *Handler) keepUndelivered(ctx context.Context, entries []queue.Entry, requests []*deactivation.Request, failures []queue.Failure) []queue.Failure {
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	letters := make([]queue.Entry, len(failures))
	for i, f := range failures {
		letters[i] = entries[f.Index]
		letters[i].Attributes = h.attributes(deactivation.ReasonUndelivered, requests[f.Index].Source, requests[f.Index].ID, "the queue did not take it in time")
	}
	left := h.DeadLetters.Send(ctx, letters)
	for i, f := range left {
		left[i].Index = failures[f.Index].Index
	}
	return left
}

// keepUnmappable puts the delivery, once, on the dead-letter queue when an event of it matters but cannot be mapped.
func (h *Handler) keepUnmappable(ctx context.Context, source *Source, v Verified, mappings []Mapping) bool {
	first := slices.IndexFunc(mappings, func(m Mapping) bool { return m.Answer == deactivation.Unmappable })
	if first < 0 {
		return true
	}
	kept := deactivation.Event{
		Source: source.Name, ID: shortID(mappings[first].Event), ReceivedAt: v.ReceivedAt,
		Headers: source.keptHeaders(v), Body: v.Body,
	}
	var problems []string
	for _, m := range mappings {
		if m.Answer != deactivation.Unmappable {
			continue
		}
		kept.Missing = appendNew(kept.Missing, m.Missing)
		if m.Problem != "" {
			problems = appendNew(problems, []string{m.Problem})
		}
	}
	if len(kept.Missing) > 0 {
		problems = append([]string{"missing " + strings.Join(kept.Missing, ", ")}, problems...)
	}
	body, err := kept.Wire()
	if err != nil {
		return false
	}
	ctx, cancel := deadline.Before(ctx, answerReserve)
	defer cancel()
	letter := queue.Entry{
		Body: body, Group: source.Name,
		Attributes: h.attributes(deactivation.ReasonUnmappable, source.Name, source.Name+"."+kept.ID, strings.Join(problems, "; ")),
	}
	return len(h.DeadLetters.Send(ctx, []queue.Entry{letter})) == 0
}

// attributes are those of a dead letter.
func (h *Handler) attributes(reason deactivation.Reason, source, request, detail string) map[string]string {
	return deactivation.DeadLetter{
		Reason: reason, Detail: detail, FailedAt: h.Now(), Source: source, RequestID: request,
	}.Attributes()
}

// keptHeaders are the headers that the source's file reads, so that the event can be mapped again, and what says how
// it came. Those that carry a signature or a secret are never kept.
func (s *Source) keptHeaders(v Verified) map[string]string {
	kept := map[string]string{}
	for _, name := range append([]string{"content-type", "user-agent"}, s.headers...) {
		if text, ok := v.Header[name]; ok {
			kept[name] = text
		}
	}
	for _, scheme := range s.schemes {
		for _, name := range scheme.SecretHeaders() {
			delete(kept, name)
		}
	}
	for _, name := range []string{"authorization", "cookie", "x-api-key"} {
		delete(kept, name)
	}
	return kept
}
