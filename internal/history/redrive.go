package history

import (
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
)

// redriveLasts is how long after its beginning a redrive may still be the cause of a message that came back: a plan of some
// thousand letters, and the queue before them.
const redriveLasts = time.Hour

// Unattributed returns the time in which somebody has redriven a request of the answer whose lines do not say who: a letter
// that is sent unchanged does not carry it. ok is false where nothing is open.
func (a Answer) Unattributed() (from, to time.Time, ok bool) {
	for _, r := range a.Requests {
		for _, s := range r.Steps {
			if !s.isUnattributed() {
				continue
			}
			if !ok || s.At.Before(from) {
				from = s.At
			}
			if !ok || s.At.After(to) {
				to = s.At
			}
			ok = true
		}
	}
	return from.Add(-redriveLasts), to, ok
}

func (s Step) isUnattributed() bool { return s.Step == StepRedriven && s.By == "" }

// Attribute adds who has redriven, from the lines that commands of licensectl wrote (OfRedrives): the last redrive that had
// begun before the message came back, within redriveLasts, and that may have chosen its letter.
func (a Answer) Attribute(lines []Line) {
	for _, r := range a.Requests {
		for i, s := range r.Steps {
			if !s.isUnattributed() {
				continue
			}
			for _, l := range lines {
				if l.Text == deactivation.LogAudit && !l.Time.After(s.At) && s.At.Sub(l.Time) <= redriveLasts && l.mayChoose(r, s) {
					r.Steps[i].By = l.Actor
					r.Steps[i].Text = s.Text + ", " + l.Command + " of " + l.Time.UTC().Format(time.DateTime) + ": " + l.Comment
				}
			}
		}
	}
}

// filter is an argument of licensectl dlq that chooses letters, as its audit line has it: --reason=[held,watched].
var filter = regexp.MustCompile(`^--(id|source|order|reason|code)=\[(.*)\]$`)

// messageID is the form of SQS's message ids, by one of which --id may choose a letter: no line has it.
var messageID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// mayChoose reports whether the command of an audit line may have chosen the letter of a request that came back in that step.
// A person is named for it, so a command with a filter that the letter does not pass is not the one.
func (l Line) mayChoose(r Request, s Step) bool {
	event, _ := eventOf(r.ID)
	is := map[string]func(value string) bool{
		"id":     func(value string) bool { return value == r.ID || value == event || messageID.MatchString(value) },
		"source": func(value string) bool { return value == r.Source },
		"order":  func(value string) bool { return isPart(r.Order, deactivation.CleanText(value)) },
		"reason": func(value string) bool { return value == s.reason },
		"code":   func(value string) bool { return value == s.code },
	}
	for _, argument := range l.Arguments {
		parts := filter.FindStringSubmatch(argument)
		if parts == nil {
			continue
		}
		values, err := csv.NewReader(strings.NewReader(parts[2])).Read()
		if err == nil && !slices.ContainsFunc(values, is[parts[1]]) {
			return false
		}
	}
	return true
}
