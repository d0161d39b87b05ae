package source

import (
	"slices"

	"license-deactivator/internal/deactivation"
)

// rule says which events matter, and what happens to them: one of cause, ignore, review and reversal.
type rule struct {
	name     string
	enabled  bool
	types    []string
	when     condition
	refunded bool   // only lines refunded in full
	cause    string // why the licenses are to be deactivated
	disable  *bool  // with look-up: disable the licenses, too; nil: by the cause
	ignore   bool
	review   bool   // for a person, also when a look-up could find a license
	reversal bool   // the event takes an earlier one back
	lookup   lookup // its own parts; the others are the file's
	line     int    // of the file
}

// deactivates reports whether the rule deactivates licenses.
func (r *rule) deactivates() bool { return !r.ignore && !r.review && !r.reversal }

// disables reports whether the rule disables licenses, too, where the look-up is on: by itself where it says so, else for
// the causes after which nobody pays for the license any more.
func (r *rule) disables() bool {
	if r.disable != nil {
		return *r.disable
	}
	return r.cause == deactivation.CauseRefund || r.cause == deactivation.CauseOrderCancelled
}

// match reports whether the rule's own fields match. The error is the condition's.
func (r *rule) match(eventType string, f facts) (MatchResult, error) {
	switch {
	case !r.enabled:
		return Disabled, nil
	case len(r.types) > 0 && !slices.Contains(r.types, eventType):
		return TypeMismatch, nil
	case len(r.when) == 0:
		return Matched, nil
	}
	switch holds, err := r.when.holds(f); {
	case err != nil:
		return ConditionError, err
	case !holds:
		return ConditionFalse, nil
	}
	return Matched, nil
}

func (r *rule) explain(result MatchResult) ExplainedRule {
	return ExplainedRule{
		Name: r.name, Result: result, Types: r.types, Ignore: r.ignore, Review: r.review, Reversal: r.reversal, Cause: r.cause,
	}
}
