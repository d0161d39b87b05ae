package bulk

import (
	"encoding/json"

	"license-deactivator/internal/deactivation"
)

// chunk is the rows between two questions to the target, in the order of the file.
type chunk struct {
	rows       []chunkRow
	candidates int // rows that are not rejected
	bytes      int
}

// chunkRow is one row: a candidate, or one that is rejected without asking the target.
type chunkRow struct {
	record
	why *problem // of a rejected one

	ordinal uint32
	json    json.RawMessage
	names
}

// names is what a preview counts and shows of a request.
type names struct {
	identity, device, product string
	license, order, cause     string // as a sample shows them
	offline                   bool
}

func namesOf(r deactivation.Request) names {
	n := names{
		identity: r.Identity(), device: r.HardwareID, product: r.Product, license: deactivation.Shorten(r.LicenseKey),
		cause: r.Cause, offline: r.IsOffline(),
	}
	if r.LicenseKey == "" && r.Username != "" {
		n.license = "user " + deactivation.HashUser(r.Username)
	}
	if len(r.Order) > 0 {
		n.order = r.Order[0]
	}
	return n
}

// queue adds a row to the chunk, and asks the target once it is full.
func (p *planner) queue(r chunkRow) error {
	c := &p.reading
	c.rows = append(c.rows, r)
	c.bytes += len(r.json) + len(r.raw)
	for _, text := range r.cells {
		c.bytes += len(text)
	}
	if r.why == nil {
		c.candidates++
	}
	if len(c.rows) >= MaxBatchRows || c.bytes >= maxBatchBytes {
		return p.ask()
	}
	return nil
}

// question is a chunk about which the target is asked.
type question struct {
	rows []chunkRow
	done chan struct{} // closed when the fields below are set
	said Answer
	err  error
}

// wait waits for the answer; nil has none.
func (a *question) wait() {
	if a != nil {
		<-a.done
	}
}

// ask begins to ask the target about the rows that wait, once it has answered about those before.
func (p *planner) ask() error {
	if err := p.settle(); err != nil {
		return err
	}
	a := &question{rows: p.reading.rows, done: make(chan struct{})}
	b := Batch{DryRun: true, Run: p.plan.Header.Run, By: p.plan.Header.Actor, Rows: make([]json.RawMessage, 0, p.reading.candidates)}
	for _, r := range a.rows {
		if r.why == nil {
			b.Rows = append(b.Rows, r.json)
		}
	}
	p.reading, p.spare, p.asking = chunk{rows: p.spare}, nil, a
	if len(b.Rows) == 0 {
		close(a.done)
		return nil
	}
	go func() {
		defer close(a.done)
		a.said, a.err = p.job.Target.Send(p.ctx, b)
	}()
	return nil
}

// settle waits for the target's answer, plans the rows that it would accept, and rejects the others in the order of the file.
func (p *planner) settle() error {
	a := p.asking
	if a == nil {
		return nil
	}
	a.wait()
	p.asking = nil
	if a.err != nil {
		return a.err
	}
	refused := map[int]Rejection{}
	for _, r := range a.said.Rejected {
		refused[r.Index] = r
	}
	candidate := 0
	for _, row := range a.rows {
		why := row.why
		if why == nil {
			if r, isRefused := refused[candidate]; isRefused {
				why = &problem{r.Code, r.Message}
			}
			candidate++
		}
		if why == nil {
			p.accept(row)
		} else if err := p.reject(row.record, *why); err != nil {
			return err
		}
	}
	clear(a.rows)
	p.spare = a.rows[:0]
	return nil
}
