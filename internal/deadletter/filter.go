package deadletter

import (
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
)

// Filter chooses letters. Its zero value chooses all of them. A letter has to pass each field that is set; of several
// values of a field any one passes.
type Filter struct {
	Reasons []deactivation.Reason
	Codes   []string
	Sources []string
	Orders  []string // ids by which the order can be found
	IDs     []string // of the request or the event, or the queue's message id

	Before time.Time // only older letters; zero: no limit
	After  time.Time // only this old or newer ones; zero: no limit

	Max int // at most as many letters, the oldest; 0: no limit
}

// Matches reports whether the filter chooses the letter, apart from Max.
func (f Filter) Matches(l *Letter) bool {
	return anyOf(f.Reasons, l.Reason) && anyOf(f.Codes, l.Code) && anyOf(f.Sources, l.Source) &&
		(len(f.Orders) == 0 || slices.ContainsFunc(l.Orders(), func(id string) bool { return slices.Contains(f.Orders, id) })) &&
		(len(f.IDs) == 0 || f.names(l)) &&
		(f.Before.IsZero() || l.At().Before(f.Before)) && (f.After.IsZero() || !l.At().Before(f.After))
}

// names reports whether the filter names the letter by its id.
func (f Filter) names(l *Letter) bool {
	return slices.Contains(f.IDs, l.MessageID) || l.RequestID != "" && slices.Contains(f.IDs, l.RequestID)
}

// anyOf reports whether the value is one of the wanted ones, or none is wanted.
func anyOf[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}
