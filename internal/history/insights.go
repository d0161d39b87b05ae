package history

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Logs is CloudWatch Logs Insights. licensectl implements it with AWS's client.
type Logs interface {
	// Start starts a query of log groups over a time, to the second, and returns its id.
	Start(ctx context.Context, groups []string, from, to time.Time, query string) (id string, err error)
	// Result returns the query's present result.
	Result(ctx context.Context, id string) (Result, error)
	// Stop ends a query that is not needed any more.
	Stop(ctx context.Context, id string) error
}

// Result is the state of a query, and what it has found.
type Result struct {
	Status  Status
	Lines   []string            // the field @message of each row, in the query's order
	Rows    []map[string]string // the fields of each row without @message, such as those of a count
	Bytes   int64               // scanned; 0 if it is not known
	Records int64               // scanned
	Matched int64

	// At is when the service answered, by its own clock; zero if it is not known.
	At time.Time
}

// Status is the state of a query.
type Status string

// The states. Any other one means that the query has ended without a result.
const (
	Scheduled Status = "Scheduled"
	Running   Status = "Running"
	Complete  Status = "Complete"
)

// Waits between two looks at a running query: most end within a second.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 2 * time.Second
)

// maxPages bounds the queries for one question: each returns maxRows lines at most. A bulk run of 200,000 rows needs 40.
const maxPages = 50

// stopTimeout bounds stopping a query.
const stopTimeout = 5 * time.Second

// Insights answers questions from log groups.
type Insights struct {
	Logs   Logs
	Groups []string // of both functions
	Now    func() time.Time
}

// errGroups is the error of an Insights with too few or too many log groups.
var errGroups = fmt.Errorf("history: a query reads 1 to %d log groups", MaxGroups)

// clockTolerance is how far the clock of this machine may be behind that of the service: its answers say a whole second.
const clockTolerance = 2 * time.Second

// Find implements Source. One query answers a question, unless it has more than maxRows lines: then the next query begins at
// the time of the last line. OfLatest is always one such query. Where the clock of this machine is behind, a further query reads
// the lines until the service's own time.
func (i *Insights) Find(ctx context.Context, q Question, since time.Time) (Found, error) {
	if err := q.Check(); err != nil {
		return Found{}, err
	}
	if len(i.Groups) == 0 || len(i.Groups) > MaxGroups {
		return Found{}, errGroups
	}
	begin := time.Now()
	found := Found{Scan: Scan{Groups: i.Groups, From: since, To: i.Now()}}
	seen := map[string]bool{} // two pages share the lines of a second
	corrected := false
	for from := since; ; {
		page, err := i.run(ctx, q.Query(), from, found.Scan.To)
		if err != nil {
			return Found{}, err
		}
		found.Scan.add(page)
		last := from
		for _, text := range page.Lines {
			line, ok := parse([]byte(text))
			if !ok || seen[text] {
				continue
			}
			seen[text] = true
			if q.matches(line) { // an emulator may ignore the filter
				found.Lines = append(found.Lines, line)
			}
			if line.Time.After(last) {
				last = line.Time
			}
		}
		if len(page.Lines) < maxRows {
			if behind := page.At.Sub(i.Now()); !page.At.IsZero() && behind > clockTolerance && !corrected {
				corrected = true
				from, found.Scan.To = found.Scan.To, found.Scan.To.Add(behind)
				continue
			}
			break
		}
		if q.latest { // one query has the latest lines; those before them are not asked for
			found.Scan.Incomplete = true
			break
		}
		next := last.Truncate(time.Second).Add(-time.Second) // a line's own time may be later than CloudWatch's
		if !next.After(from) || found.Scan.Queries == maxPages {
			found.Scan.Incomplete = true
			break
		}
		from = next
	}
	byTime(found.Lines)
	found.Scan.Matched = int64(len(found.Lines))
	found.Scan.finish(time.Since(begin))
	return found, nil
}

// Add adds what another question has scanned.
func (s *Scan) Add(other Scan) {
	s.Queries += other.Queries
	s.Bytes += other.Bytes
	s.Records += other.Records
	s.Seconds += other.Seconds
	s.Took += other.Took
	s.Dollars += other.Dollars
	if len(s.Groups) == 0 {
		s.Groups = other.Groups
	}
}

func (s *Scan) add(r Result) {
	s.Queries++
	s.Bytes += r.Bytes
	s.Records += r.Records
}

// run runs one query to its end.
func (i *Insights) run(ctx context.Context, query string, from, to time.Time) (Result, error) {
	id, err := i.Logs.Start(ctx, i.Groups, from, to, query)
	if err != nil {
		return Result{}, err
	}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		result, err := i.Logs.Result(ctx, id)
		switch {
		case err != nil:
			return Result{}, errors.Join(err, i.stop(ctx, id))
		case result.Status == Complete:
			return result, nil
		case result.Status != Scheduled && result.Status != Running:
			return Result{}, fmt.Errorf("history: the query ended with the status %s", result.Status)
		}
		select {
		case <-ctx.Done():
			return Result{}, errors.Join(ctx.Err(), i.stop(ctx, id))
		case <-time.After(wait):
		}
	}
}

// stop ends a query whose result nobody waits for; it would be charged until its end.
func (i *Insights) stop(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return i.Logs.Stop(ctx, id)
}
