package main

import (
	"context"
	"time"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/queue"
)

// The rate of licensectl local is shown for ten minutes, in steps that let a person see one sample.
const (
	localRateStep  = 10 * time.Second
	localRateSteps = 60
)

// Overview implements console.Status.
func (c *localConsole) Overview(ctx context.Context, since time.Time) (console.Overview, error) {
	o := console.Overview{
		Mode: c.options.mode, LookUp: c.lookUp, Brake: &c.options.surgeLimit, Queue: depthOf(c.stack.Queue), DeadLetters: depthOf(c.stack.DeadLetters),
	}
	now := time.Now()
	o.License = &console.Rate{
		Limit: c.options.callsPerSecond * localRateStep.Seconds(), Step: localRateStep, Calls: make([]float64, localRateSteps), Counts: "answers to messages",
	}
	found, err := c.memory.Find(ctx, history.OfLatest(), since)
	if err != nil {
		return o, failed(err, "")
	}
	if found.Scan.Incomplete {
		o.Notes = append(o.Notes, "licensectl local keeps the latest lines of its log alone: older events are not counted.")
	}
	deliveries, outcomes := counter{}, counter{}
	first := now.Truncate(localRateStep).Add(-(localRateSteps - 1) * localRateStep)
	for _, l := range found.Lines {
		switch {
		case l.Text == deactivation.LogDelivery && !l.DryRun:
			deliveries.add(l.Source, l.Answer)
		case l.Text == deactivation.LogMessage:
			outcomes.add("", l.Outcome)
			if step := int(l.Time.Sub(first) / localRateStep); l.Class != "" && !l.Time.Before(first) && step < localRateSteps {
				o.License.Calls[step]++
			}
		}
	}
	o.Deliveries, o.Outcomes = deliveries.counts, outcomes.counts
	return o, nil
}

// depthOf is the depth of a queue in memory.
func depthOf(q *queue.Memory) *console.Depth {
	hidden := q.InFlight()
	return &console.Depth{Visible: max(q.Len()-hidden, 0), Hidden: hidden}
}

// counter counts by source and name, in the order of their first appearance.
type counter struct {
	index  map[[2]string]int
	counts []console.Count
}

func (c *counter) add(source, name string) {
	key := [2]string{source, name}
	i, ok := c.index[key]
	if !ok {
		if c.index == nil {
			c.index = map[[2]string]int{}
		}
		i = len(c.counts)
		c.index[key] = i
		c.counts = append(c.counts, console.Count{Source: source, Name: name})
	}
	c.counts[i].N++
}
