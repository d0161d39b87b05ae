package history

import (
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
// begun before the message came back, within redriveLasts.
func (a Answer) Attribute(lines []Line) {
	for _, r := range a.Requests {
		for i, s := range r.Steps {
			if !s.isUnattributed() {
				continue
			}
			for _, l := range lines {
				if l.Text == deactivation.LogAudit && !l.Time.After(s.At) && s.At.Sub(l.Time) <= redriveLasts {
					r.Steps[i].By = l.Actor
					r.Steps[i].Text = s.Text + ", " + l.Command + " of " + l.Time.UTC().Format(time.DateTime) + ": " + l.Comment
				}
			}
		}
	}
}
