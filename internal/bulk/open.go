package bulk

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Run is a job together with its journal. Make it with Job.Open.
type Run struct {
	Plan *Plan // nil: there is no preview yet

	job    Job
	header Header // of the file as it is now
	state  *state
}

// Open reads the journal and compares it with the file, the columns and the target as they are now. If they differ it
// returns an error that wraps ErrChanged: always once the journal's run has begun, and before that only when acting, since
// a preview replaces a plan of which nothing was sent. It changes nothing.
func (j Job) Open(actor string, acting bool) (*Run, error) {
	s, err := readJournal(j.Journal)
	if err != nil {
		return nil, err
	}
	h, err := j.header(actor, time.Now())
	if err != nil {
		return nil, err
	}
	r := &Run{job: j, header: h, state: s}
	if s.header == nil {
		return r, nil
	}
	if what := s.header.difference(h); what != "" {
		if s.begun || acting {
			return nil, fmt.Errorf("%w: %s", ErrChanged, what)
		}
		return r, nil
	}
	r.Plan = s.plan
	return r, nil
}

// difference says what differs from the journal's run, "" for nothing.
func (h Header) difference(now Header) string {
	switch {
	case h.SHA256 != now.SHA256:
		return "the content of the file is different"
	case h.Columns != now.Columns:
		return "--map or --set is different"
	case h.Target != now.Target:
		return "the target was " + h.Target + ", and is " + now.Target
	}
	return ""
}

// Begun reports whether an act has begun. Its plan is final.
func (r *Run) Begun() bool { return r.state.begun }

// Sent returns how many rows earlier acts have sent, and how many of these the target accepted.
func (r *Run) Sent() (rows, accepted int) { return r.state.rows, r.state.accepted }

// Preview makes the plan of a run that has not begun. It has the journal to itself: ErrBusy if another process works on it,
// or has begun to act since Open.
func (r *Run) Preview(ctx context.Context) error {
	lock, err := lockJournal(r.job.Journal)
	if err != nil {
		return err
	}
	defer lock.Unlock() //nolint:errcheck // the end of the process unlocks it, too
	s, err := readJournal(r.job.Journal)
	if err != nil {
		return err
	}
	if s.begun {
		return ErrBusy
	}
	plan, err := r.job.preview(ctx, r.header)
	if err != nil {
		if s.size == 0 {
			_ = os.Remove(r.job.Journal) // the lock alone has made it
		}
		return err
	}
	s, err = readJournal(r.job.Journal)
	if err != nil {
		return err
	}
	if s.plan == nil || s.header.Run != plan.Header.Run {
		return fmt.Errorf("%w: another process wrote the journal", ErrChanged)
	}
	r.Plan, r.state = plan, s // the plan of this process has the samples, which the journal has not
	return nil
}

// Moved says that the file was renamed.
func (r *Run) Moved(path string) { r.job.Path = path }
