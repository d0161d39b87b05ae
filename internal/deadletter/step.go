package deadletter

import (
	"errors"
	"fmt"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/source"
)

// Purged is the way of a letter that a purge deletes.
const Purged Way = "purged"

// Step is what a plan does with one letter.
type Step struct {
	Letter *Letter
	Way    Way    // of a redrive; Purged or Kept in a purge
	Why    string // for Kept, and for a Mapped one without a request: why it is not sent
	Made   []deactivation.Request
	Events int // with Remap: events of the delivery that make a request

	// Before and After say what an event is that is mapped anew or completed, and what it becomes.
	Before string
	After  []string
}

// RedriveSteps are the steps of a redrive. A step with the way Mapped is Kept, unless Remap or Complete makes its requests.
// byID says that the letters were chosen by their ids.
func RedriveSteps(letters []*Letter, byID bool) []Step {
	steps := make([]Step, len(letters))
	for i, l := range letters {
		way, why := Redrive(l, byID)
		steps[i] = Step{Letter: l, Way: way, Why: why}
	}
	return steps
}

// PurgeSteps are the steps of a purge.
func PurgeSteps(letters []*Letter, byID bool) []Step {
	steps := make([]Step, len(letters))
	for i, l := range letters {
		steps[i] = Step{Letter: l, Way: Purged}
		if !l.IsOurs() && !byID {
			steps[i].Way, steps[i].Why = Kept, "not a message of this system; choose it by --id"
		}
	}
	return steps
}

// Events are the steps of whole events, whose requests Remap or Complete makes.
func Events(steps []Step) []*Step {
	var events []*Step
	for i := range steps {
		if steps[i].Way == Mapped {
			events = append(events, &steps[i])
		}
	}
	return events
}

// Remap maps the step's event with today's files, and notes what it was and what it becomes.
func (s *Step) Remap(sources *source.Sources, lookUp bool) {
	s.Before = describeLetter(s.Letter)
	src, err := sourceOf(s.Letter, sources)
	if err != nil {
		s.keep(err)
		return
	}
	mappings, err := Remap(src, *s.Letter.Event, lookUp)
	if err != nil {
		s.keep(err)
		return
	}
	s.Why = "with today's files it makes no request"
	for _, m := range mappings {
		s.After = append(s.After, describeMapping(m, len(mappings) > 1))
		for _, r := range m.Requests {
			s.After = append(s.After, "  "+DescribeRequest(r))
		}
		s.Made = append(s.Made, m.Requests...)
		if len(m.Requests) > 0 {
			s.Events++
		}
	}
}

// keep notes why the event stays as it is.
func (s *Step) keep(err error) { s.Why, s.After = err.Error(), []string{err.Error()} }

// Complete makes the requests of events: complete gets their drafts, and returns those that are sent. Its error is returned.
// Two letters about one event have one set of drafts.
func Complete(events []*Step, sources *source.Sources, complete func([]source.Draft) ([]deactivation.Request, error)) error {
	var drafts []source.Draft
	of := map[string]*Step{} // by the request's id
	for _, s := range events {
		s.Before = describeLetter(s.Letter)
		made, err := DraftsOf(s.Letter, sources)
		if err != nil {
			s.keep(err)
			continue
		}
		for _, d := range made {
			if of[d.ID] == nil {
				of[d.ID] = s
				drafts = append(drafts, d)
			}
		}
	}
	requests, err := complete(drafts)
	if err != nil {
		return err
	}
	for _, r := range requests {
		s := of[r.ID]
		s.Made = append(s.Made, r)
		s.After = append(s.After, DescribeRequest(r))
	}
	for _, s := range events {
		if len(s.Made) == 0 && len(s.After) == 0 {
			s.Why, s.After = "no request is left of it", []string{"kept"}
		}
	}
	return nil
}

// DraftsOf returns the drafts of a letter's event. The error says why there are none.
func DraftsOf(l *Letter, sources *source.Sources) ([]source.Draft, error) {
	src, err := sourceOf(l, sources)
	if err != nil {
		return nil, err
	}
	drafts, err := Drafts(src, *l.Event)
	if err == nil && len(drafts) == 0 {
		err = errors.New("with today's files nothing is missing: map it anew with --remap")
	}
	return drafts, err
}

// sourceOf returns the file of the sender of a letter's event.
func sourceOf(l *Letter, sources *source.Sources) (*source.Source, error) {
	src, ok := sources.Get(l.Event.Source)
	if !ok {
		return nil, fmt.Errorf("there is no file for the sender %s", l.Event.Source)
	}
	return src, nil
}

// isKept reports whether the letter stays where it is.
func (s *Step) isKept() bool { return s.Way == Kept || s.Way == Mapped && len(s.Made) == 0 }

// eventTime is when the refund happened. A whole event says only when it was received, and its requests have its own time.
func (s *Step) eventTime() time.Time {
	if len(s.Made) > 0 && !s.Made[0].OccurredAt.IsZero() {
		return s.Made[0].OccurredAt
	}
	return s.Letter.EventTime()
}

// move returns the letter with what is sent. Without a release it is the message as it was.
func (s *Step) move(release deactivation.Release) (Move, error) {
	move := Move{Letter: s.Letter}
	var err error
	switch {
	case s.Way == Purged:
	case s.Way == Mapped:
		move.Entries, err = Requests(s.Made)
	default:
		way := s.Way
		if release.IsZero() {
			way = Unchanged
		}
		move.Entries = make([]queue.Entry, 1)
		move.Entries[0], err = Entry(s.Letter, way, release)
	}
	if err != nil {
		return move, fmt.Errorf("%s cannot be sent: %w", s.Letter.ID(), err)
	}
	return move, nil
}
