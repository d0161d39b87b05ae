package webhook

import (
	"context"
	"errors"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// Explanation is the answer that the webhook function would give to a delivery, with every step to it. It is for a
// person to read, like source.ExplainedEvent.
type Explanation struct {
	Scheme   string // description of the scheme that verified the delivery, or was tried
	Checked  bool   // false: the signature was not checked
	Verified bool   // the signature is valid, or was not checked
	Ping     bool   // it is the sender's ping
	Refused  string // why it is refused; "" when it is not
	Events   []source.ExplainedEvent
	Status   int    // HTTP status of the answer
	Body     string // of the answer, as sent
}

// Policy is the part of Config that decides what becomes of an event.
type Policy struct {
	MaxEventAge time.Duration
	LookUp      bool
	// Certificates are those of senders that sign with one, for a delivery whose signature is checked. nil: it is refused.
	Certificates Certificates
}

// Explain returns the outcome of a delivery that arrives at the given time, and the reasons. It evaluates what the
// function evaluates, with a trace. Without secrets the signature is not checked and counts as valid. The names of d's
// headers are in lower case.
func Explain(src *source.Source, d signing.Delivery, at time.Time, all *secrets.Webhooks, policy Policy) Explanation {
	e := Explanation{Checked: all != nil, Scheme: src.GuessScheme(d)}
	if refused := refuseUnread(d); refused != nil {
		return e.refused(src, refused)
	}
	verify := func() (source.Verified, error) { return src.Assume(d) }
	if all != nil {
		verify = func() (source.Verified, error) {
			return verifyWith(context.Background(), policy.Certificates, *all, src, d, at)
		}
	}
	verified, err := verify()
	switch {
	case errors.Is(err, source.ErrPing):
		e.Ping = true
		return e.answered(pingAnswer(src.Dialect))
	case errors.Is(err, errNoCertificate):
		e = e.refused(src, refusalFor(err))
		e.Refused = err.Error() // the sender is not told why, a person is
		return e
	case err != nil:
		return e.refused(src, refusalFor(err))
	}
	verified.ReceivedAt = at
	return e.mapped(src, verified, policy)
}

// ExplainParked returns the outcome of an event of the dead-letter queue if it were mapped again now. The error is that
// of source.Restore.
func ExplainParked(src *source.Source, event deactivation.Event, policy Policy) (Explanation, error) {
	verified, err := src.Restore(event)
	if err != nil {
		return Explanation{}, err
	}
	return Explanation{}.mapped(src, verified, policy), nil
}

// refuseUnread checks what receive checks of a delivery whose source is known.
func refuseUnread(d signing.Delivery) *refusal {
	if refused := refuseEncoded(d.Header); refused != nil {
		return refused
	}
	if len(d.Body) > MaxBodyBytes {
		return tooLarge()
	}
	return nil
}

func (e Explanation) mapped(src *source.Source, verified source.Verified, policy Policy) Explanation {
	e.Verified, e.Scheme = true, verified.Scheme()
	events, err := src.Explain(verified, source.Options{LookUp: policy.LookUp})
	if err != nil {
		return e.refused(src, refusalFor(err))
	}
	e.Events = events
	outcomes := make([]outcome, len(events))
	for i, event := range events {
		events[i].Mapping = checkAge(event.Mapping, policy.MaxEventAge)
		outcomes[i] = outcome{events[i].Mapping, true} // as if the queues accepted everything
	}
	return e.answered(answerFor(src.Dialect, outcomes, func() string { return verified.Receipt(verified.ReceivedAt) }))
}

func (e Explanation) refused(src *source.Source, r *refusal) Explanation {
	e.Refused = r.why
	return e.answered(refusalIn(src.Dialect, r))
}

func (e Explanation) answered(r response) Explanation {
	e.Status, e.Body = r.StatusCode, strings.TrimSpace(r.Body)
	return e
}
