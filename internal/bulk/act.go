package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/gofrs/flock"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
)

// How often a batch is sent again for rows that the queue did not accept, and the wait before the first time; each further
// one is twice as long. The sum is a minute: longer than SQS is out of reach in most of its failures.
const (
	enqueueAttempts = 7
	enqueueWait     = time.Second
)

// Act is one run of a plan by one process. Make it with Run.Begin, and close it.
type Act struct {
	run      *Run
	lock     *flock.Flock
	journal  *os.File
	rejected *rejectedFile // nil until a row is rejected
}

// Begin opens the journal to append to it, and locks it. It needs a plan. ErrBusy: another process has it.
func (r *Run) Begin() (*Act, error) {
	lock, err := lockJournal(r.job.Journal)
	if err != nil {
		return nil, err
	}
	a := &Act{run: r, lock: lock}
	s, err := readJournal(r.job.Journal)
	if err == nil && (s.plan == nil || s.header.Run != r.header.Run) {
		err = fmt.Errorf("%w: another process wrote the journal", ErrChanged)
	}
	if err == nil {
		r.state = s
		a.journal, err = os.OpenFile(r.job.Journal, os.O_WRONLY, 0o600)
	}
	if err == nil {
		err = a.journal.Truncate(s.size) // a line that a kill has torn
	}
	if err == nil {
		_, err = a.journal.Seek(s.size, io.SeekStart)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close releases the journal.
func (a *Act) Close() {
	if a.journal != nil {
		_ = a.journal.Close() // every line was synced
	}
	if a.rejected != nil {
		a.rejected.close()
	}
	_ = a.lock.Unlock()
}

// Audit writes an audit line into the journal.
func (a *Act) Audit(line deactivation.Audit) error { return a.append(entry{Audit: &line}) }

// append writes one line and syncs it.
func (a *Act) append(e entry) error {
	line, err := appendEntry(nil, e)
	if err == nil {
		_, err = a.journal.Write(line)
	}
	if err == nil {
		err = a.journal.Sync()
	}
	if err != nil {
		return fmt.Errorf("bulk: the journal cannot be written: %w", err)
	}
	return nil
}

// Sending is how an act sends.
type Sending struct {
	By, Comment string
	Outcomes    Outcomes // nil: they cannot be read, and only Canary.Off sends more than the canary
	Canary      Canary

	// Looked is called with the outcomes of the first rows once all of them are final; nil disables it.
	Looked func(rows int, outcomes Counts)
}

// Report is what became of a run so far, earlier acts included.
type Report struct {
	Rows     int // sent
	Accepted int
	Rejected int // by the target, among the rows that were sent

	// Outcomes are the latest that were read: those of the canary, or with a target that waits for them, all.
	Outcomes Counts
}

// Counts returns the report for an audit line.
func (r Report) Counts() map[string]int {
	counts := map[string]int{"sent": r.Rows, "accepted": r.Accepted, "rejected": r.Rejected}
	for outcome, n := range r.Outcomes.Outcomes {
		counts[string(outcome)] = n
	}
	return counts
}

// Send sends the batches of the plan that have not been sent. Before the second and the third batch it looks at the
// outcomes of those before. The report is valid with an error, too: what it counts was sent.
func (a *Act) Send(ctx context.Context, s Sending) (Report, error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := a.read(reading)
	state, run := a.run.state, a.run.header.Run
	report := func(seen Counts) Report {
		if len(state.outcomes) > 0 {
			seen = Counts{Outcomes: state.outcomes}
		}
		return Report{Rows: state.rows, Accepted: state.accepted, Rejected: state.rejected, Outcomes: seen}
	}
	var seen Counts
	total := a.run.Plan.Summary.Valid
	for state.sent < len(a.run.Plan.batches) {
		if before := state.sent; !s.Canary.Off && (before == 1 || before == 2) && state.accepted+state.rejected > 0 {
			outcomes, due, first := s.Outcomes, state.accepted, state.accepted
			if len(state.outcomes) > 0 { // the target waits for them
				counted := Counts{Outcomes: maps.Clone(state.outcomes)}
				outcomes = func(context.Context, string) (Counts, error) { return counted, nil }
				due = counted.Final()
			}
			if before == 1 {
				first += a.run.Plan.batches[1].Rows
			}
			var err error
			if seen, err = s.Canary.look(ctx, run, due, first, outcomes, a.run.job.progress); err != nil {
				return report(seen), err
			}
			if s.Looked != nil {
				s.Looked(due, seen)
			}
		}
		var b readBatch
		select {
		case b = <-batches:
		case <-ctx.Done():
			return report(seen), fmt.Errorf("bulk: %w", ctx.Err())
		}
		if b.err != nil {
			return report(seen), b.err
		}
		if err := a.sendBatch(ctx, s, b); err != nil {
			return report(seen), err
		}
		a.run.job.progress(Progress{Phase: PhaseSend, Done: int64(state.rows), Total: int64(total)})
	}
	return report(seen), nil
}

// sendBatch sends one batch and writes its line into the journal.
func (a *Act) sendBatch(ctx context.Context, s Sending, b readBatch) error {
	out := Batch{Run: a.run.header.Run, By: s.By, Comment: s.Comment, Rows: b.rows}
	answer, err := a.run.job.Target.Send(ctx, out)
	for n, wait := 1, enqueueWait; err == nil && notEnqueued(answer) > 0 && n < enqueueAttempts; n, wait = n+1, 2*wait {
		if err = deadline.Sleep(ctx, wait); err == nil {
			answer, err = a.run.job.Target.Send(ctx, out) // all of it: the ids are the same
		}
	}
	if err == nil && notEnqueued(answer) > 0 {
		err = fmt.Errorf("bulk: the queue did not accept %d of %d rows in %d attempts", notEnqueued(answer), len(b.rows), enqueueAttempts)
	}
	if err != nil {
		return err
	}
	line := sent{Batch: b.Batch, Accepted: answer.Accepted, Outcomes: answer.Outcomes, At: time.Now().UTC().Truncate(time.Second)}
	for _, r := range answer.Rejected {
		why := problem{r.Code, deactivation.CleanText(r.Message)}
		line.Rejected = append(line.Rejected, RejectedRow{b.records[r.Index].line, why.code, why.message})
		if err := a.reject(b, b.records[r.Index], why); err != nil {
			return err
		}
	}
	if len(line.Rejected) > 0 {
		if err := a.rejected.sync(); err != nil {
			return err
		}
		line.RejectedBytes = a.rejected.n
	}
	if err := a.append(entry{Sent: &line}); err != nil {
		return err
	}
	a.run.state.addSent(line)
	return nil
}

// reject adds a row to the file of rejected rows.
func (a *Act) reject(b readBatch, r record, why problem) error {
	if a.rejected == nil {
		f := newRejectedFile(a.run.job.Rejected, b.from)
		if err := f.resume(b.from, a.run.state.rejectedBytes); err != nil {
			return err
		}
		a.rejected = f
	}
	return a.rejected.add(r, why)
}

func notEnqueued(answer Answer) int {
	n := 0
	for _, r := range answer.Rejected {
		if r.Code == CodeNotEnqueued {
			n++
		}
	}
	return n
}

// readBatch is a batch that was read again, and equals the plan's.
type readBatch struct {
	planned
	rows    []json.RawMessage
	records []record
	from    recordReader
	err     error // instead of a batch
}

// readAhead is how many batches are read before they are sent: some 300 kB each.
const readAhead = 4

// read reads the batches that have not been sent, ahead of the sending.
func (a *Act) read(ctx context.Context) <-chan readBatch {
	to := make(chan readBatch, readAhead)
	todo := a.run.Plan.batches[a.run.state.sent:]
	go func() {
		if err := a.readTo(ctx, to, todo); err != nil {
			select {
			case to <- readBatch{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return to
}

func (a *Act) readTo(ctx context.Context, to chan<- readBatch, todo []planned) error {
	if len(todo) == 0 {
		return nil
	}
	in, err := openInput(a.run.job.Path)
	if err != nil {
		return err
	}
	defer in.close()
	rows, err := newRecordReader(in)
	if err != nil {
		return err
	}
	m, err := newMapping(a.run.job.Columns, rows.columns())
	if err != nil {
		return err
	}
	ordinal := uint32(0)
	for _, p := range todo {
		b := readBatch{planned: p, from: rows, rows: make([]json.RawMessage, 0, p.Rows), records: make([]record, 0, p.Rows)}
		hash := sha256.New()
		for _, take := range p.Take {
			for ordinal < take[1] {
				r, err := rows.next()
				if errors.Is(err, io.EOF) {
					return errFileChanged(p)
				}
				if err != nil {
					return err
				}
				if ordinal++; ordinal < take[0] {
					continue
				}
				row, why := m.row(r)
				if why != nil {
					return errFileChanged(p)
				}
				hashRow(hash, row)
				b.rows, b.records = append(b.rows, row), append(b.records, r)
			}
		}
		if hex.EncodeToString(hash.Sum(nil)) != p.SHA256 {
			return errFileChanged(p)
		}
		select {
		case to <- b:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func errFileChanged(p planned) error {
	return fmt.Errorf("%w: the file was written to while its rows were sent; batch %d and those after it were not sent", ErrChanged, p.Batch)
}
