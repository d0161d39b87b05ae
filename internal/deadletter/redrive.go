package deadletter

import (
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/queue"
)

// OldEvent is the age from which a plan says that events are old: their orders may have changed since.
const OldEvent = 7 * 24 * time.Hour

// Way is what a redrive does with a letter.
type Way string

// The ways of a redrive.
const (
	Unchanged Way = "unchanged" // the message is sent as it is
	Released  Way = "released"  // the message is sent with who released it, when and why
	Mapped    Way = "mapped"    // the event is mapped anew, or a person completes its requests; never sent as it is
	Kept      Way = "kept"      // it is not redriven
)

// Redrive returns what a redrive does with a letter, and for Mapped and Kept why it is not simply sent. byID says that the
// letter was chosen by its id.
func Redrive(l *Letter, byID bool) (way Way, why string) {
	switch {
	case !l.IsOurs() && !byID:
		return Kept, "not a message of this system; choose it by --id to send it unchanged"
	case !slices.Contains(deactivation.Reasons(), l.Reason) && !byID:
		return Kept, "a reason that this version does not know; choose it by --id to send it unchanged"
	case l.Reason == deactivation.ReasonReversed:
		return Kept, "it takes an earlier event back and never becomes a request; purge it, or give the license back with licensectl restore"
	case l.Event != nil:
		return Mapped, "a whole event: map it anew with --remap, or complete its requests with --edit or --set"
	case IsReleased(l.DeadLetter) && l.IsOurs():
		return Released, ""
	}
	return Unchanged, ""
}

// IsReleased reports whether a letter was kept for a person to release: by the brake, by its age, in watch mode or by a
// review of the look-up. A mismatch is never released.
func IsReleased(d deactivation.DeadLetter) bool {
	switch d.Reason {
	case deactivation.ReasonHeld, deactivation.ReasonStale, deactivation.ReasonWatched:
		return true
	case deactivation.ReasonRejected:
		return slices.Contains(reviews(), d.Code)
	}
	return false
}

// reviews are the codes of the look-up's reviews.
func reviews() []string {
	return []string{lookup.CodeTooMany, lookup.CodePartial, lookup.CodeUnconfirmed, lookup.CodeGivenBack, lookup.CodeNewerThanEvent}
}

// Entry returns the message that redrives a letter in that way, Unchanged or Released. Its attributes are left out: the
// worker ignores them.
func Entry(l *Letter, way Way, release deactivation.Release) (queue.Entry, error) {
	entry := queue.Entry{Body: l.Body, Group: l.Group}
	if entry.Group == "" && deactivation.IsSourceName(l.Source) {
		entry.Group = l.Source
	}
	if way != Released {
		return entry, nil
	}
	body, err := deactivation.WithRelease(l.Body, release)
	entry.Body = body
	return entry, err
}

// Requests returns the messages of requests that a person or the senders' files made of an event. They have one group, the
// event's source.
func Requests(requests []deactivation.Request) ([]queue.Entry, error) {
	entries := make([]queue.Entry, len(requests))
	for i, r := range requests {
		if err := r.Validate(); err != nil {
			return nil, err
		}
		body, err := r.Wire()
		if err != nil {
			return nil, err
		}
		entries[i] = queue.Entry{Body: body, Group: r.Source}
	}
	return entries, nil
}
