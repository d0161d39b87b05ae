package source

import "license-deactivator/internal/deactivation"

// Fact is a value that was read. From is the expression or the header that it came from.
type Fact struct{ Name, Text, From string }

// Test is one expression of a condition, on an event or on one line of its order.
type Test struct {
	Text    string
	Line    int // of the order, from 1; 0: the event itself
	Holds   bool
	Problem string // the reason for which it is neither true nor false
	Reads   []Fact // the values on which it was decided
}

// MatchResult is the result of matching a rule with an event.
type MatchResult string

// The results of matching a rule. "" means that the rule was not evaluated, since an earlier one matched.
const (
	Disabled       MatchResult = "disabled"         // enabled: false in the sender's file
	TypeMismatch   MatchResult = "type mismatch"    // the rule is for events of another type
	ConditionFalse MatchResult = "condition false"  // its condition does not hold
	ConditionError MatchResult = "condition error"  // its condition is neither true nor false: the event is unmappable
	NoRefundedLine MatchResult = "no refunded line" // no line with a license of its own was refunded in full
	Matched        MatchResult = "matched"
)

// ExplainedRule is one rule, as far as it was evaluated.
type ExplainedRule struct {
	Name                     string
	Result                   MatchResult
	Types                    []string
	Ignore, Review, Reversal bool
	Cause                    string
	Tests                    []Test
}

// ExplainedLicense is a license that an event names, with the origin of each field, by the License API's names.
type ExplainedLicense struct {
	deactivation.License
	From map[string][]Origin
}

// Origin is the place where a field was read.
type Origin struct {
	Where string // in the words of the sender's file
	Line  int    // of the order, from 1; 0: the event itself
}
