package deadletter

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
)

// Plan is what a redrive or a purge would do. Make it with NewPlan.
type Plan struct {
	Steps []Step
	Moves []Move // without releases; one for each letter that is not kept
	Hash  string
	Old   int // letters of events older than OldEvent
}

// NewPlan makes a plan from the steps. act is the command and its target. An error names a letter that cannot be sent.
func NewPlan(act string, steps []Step, now time.Time) (*Plan, error) {
	p := &Plan{Steps: steps}
	for i := range steps {
		s := &steps[i]
		if s.isKept() {
			continue
		}
		move, err := s.move(deactivation.Release{})
		if err != nil {
			return nil, err
		}
		p.Moves = append(p.Moves, move)
		if at := s.eventTime(); !at.IsZero() && now.Sub(at) > OldEvent {
			p.Old++
		}
	}
	p.Hash = Hash(act, p.Moves)
	return p, nil
}

// Kept are the letters that stay where they are.
func (p *Plan) Kept() []*Letter {
	var kept []*Letter
	for i := range p.Steps {
		if p.Steps[i].isKept() {
			kept = append(kept, p.Steps[i].Letter)
		}
	}
	return kept
}

// Released returns the moves with the release in the letters and requests that need one. completed says that a person has
// completed the requests of events, and so has decided about them.
func (p *Plan) Released(release deactivation.Release, completed bool) ([]Move, error) {
	var moves []Move
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.isKept() {
			continue
		}
		for j := range s.Made {
			if completed {
				s.Made[j].Released = release
			}
		}
		move, err := s.move(release)
		if err != nil {
			return nil, err
		}
		moves = append(moves, move)
	}
	return moves, nil
}

// Messages is how many messages the plan sends, or letters that it deletes.
func (p *Plan) Messages() int {
	n := 0
	for _, m := range p.Moves {
		n += max(len(m.Entries), 1)
	}
	return n
}

// Warnings are what a person must know before a redrive. watches says that the system is in watch mode; modeKnown that it is
// known whether it is.
func (p *Plan) Warnings(watches, modeKnown bool) []string {
	var warnings []string
	if p.Old > 0 {
		from := fmt.Sprintf("%d letters are from events", p.Old)
		if p.Old == 1 {
			from = "1 letter is from an event"
		}
		warnings = append(warnings, fmt.Sprintf("Warning: %s older than %d days: the order may have changed since. Look at it first.", from, OldEvent/(24*time.Hour)))
	}
	if several := slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return s.Events < 2 }); len(several) > 0 {
		text := "Warning: %s a delivery of several events. The requests of all of its accepted events are sent, also of those that were queued when it arrived: see above."
		warnings = append(warnings, fmt.Sprintf(text, map[bool]string{true: "1 letter is", false: fmt.Sprint(len(several), " letters are each")}[len(several) == 1]))
	}
	watched := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Letter.Reason == deactivation.ReasonWatched })
	switch {
	case watches:
		warnings = append(warnings, "Warning: the stack is in watch mode. Each letter becomes a letter again, reason watched. Set Mode=act first.")
	case watched && !modeKnown:
		warnings = append(warnings, "Warning: there are letters of watch mode, and the mode is known only with --stack. In watch mode they become letters again.")
	}
	return warnings
}

// PlanGroup is the letters of a plan with the same reason, code and source with which the same is done.
type PlanGroup struct {
	Group
	How Way
}

// Groups groups the letters of a plan, the largest group first. kept counts the letters that stay, by why.
func (p *Plan) Groups() (groups []PlanGroup, kept map[string]int) {
	type key struct {
		reason       deactivation.Reason
		code, source string
		how          Way
	}
	index := map[key]int{}
	kept = map[string]int{}
	for _, s := range p.Steps {
		l := s.Letter
		k := key{l.Reason, l.Code, l.Source, s.Way}
		if s.Why != "" && len(s.Made) == 0 {
			k.how = Kept
			kept[s.Why]++
		}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, PlanGroup{Group{Reason: l.Reason, Code: l.Code, Source: l.Source}, k.how})
		}
		groups[i].Letters = append(groups[i].Letters, l)
	}
	slices.SortFunc(groups, func(a, b PlanGroup) int {
		return cmp.Or(cmp.Compare(len(b.Letters), len(a.Letters)), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.How, b.How))
	})
	return groups, kept
}

// hashLength is how many hexadecimal digits of a plan's hash are shown: 48 bits distinguish the plans of one queue.
const hashLength = 12

// Hash identifies a plan: what is done, where, to which letters, and what is sent in their place. Two looks at the same
// letters give the same hash. act is the command and its target. releases are not part of it, since each has its own time:
// give the moves before a release is added.
func Hash(act string, moves []Move) string {
	lines := make([]string, len(moves))
	for i, m := range moves {
		sum := sha256.New()
		for _, e := range m.Entries {
			fmt.Fprintf(sum, "%d:%s", len(e.Body), e.Body)
		}
		lines[i] = m.Letter.MessageID + " " + hex.EncodeToString(sum.Sum(nil))
	}
	slices.Sort(lines)
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %d\n", act, len(lines))
	for _, line := range lines {
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))[:hashLength]
}
