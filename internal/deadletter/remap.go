package deadletter

import (
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// Remap maps a dead-lettered event with a sender's file, and returns the mapping of each event of its delivery. Only an
// accepted one has requests. lookUp says that the worker looks licenses up, so that license data alone may be missing. An error
// says why the delivery cannot be mapped at all.
//
// The requests of all accepted events of the delivery are returned, also of those that were enqueued when it arrived: the
// letter does not say which these were. Their ids are the same, and a second deactivation finds the device inactive.
func Remap(src *source.Source, event deactivation.Event, lookUp bool) ([]source.Mapping, error) {
	verified, err := src.Restore(event)
	if err != nil {
		return nil, err
	}
	return src.Map(verified, source.Options{LookUp: lookUp})
}

// Drafts returns the requests of a dead-lettered event as far as the sender's file can read them, for a person to
// complete.
func Drafts(src *source.Source, event deactivation.Event) ([]source.Draft, error) {
	verified, err := src.Restore(event)
	if err != nil {
		return nil, err
	}
	return src.Drafts(verified)
}
