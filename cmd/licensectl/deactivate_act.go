package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/deactivation"
)

// endEvent is the last event of an act with --json.
type endEvent struct {
	Event    string         `json:"event"` // end
	Count    int            `json:"count"` // rows that the target accepted, in all acts of the run
	Run      string         `json:"run"`
	Comment  string         `json:"comment"`
	Sent     int            `json:"sent"`
	Rejected int            `json:"rejected"` // of the file and by the target
	Outcomes map[string]int `json:"outcomes,omitempty"`
	Codes    map[string]int `json:"codes,omitempty"` // of the rejected outcomes
	Stopped  string         `json:"stopped,omitempty"`
}

// canaryEvent has the outcomes of the first rows.
type canaryEvent struct {
	Event    string         `json:"event"` // canary
	Rows     int            `json:"rows"`
	Outcomes map[string]int `json:"outcomes"`
}

// decide acts if the flags and the count allow it.
func (o *deactivateOptions) decide(cmd *cobra.Command, r *bulk.Run, job bulk.Job) error {
	valid, rejected := r.Plan.Summary.Valid, r.Plan.Summary.Rejected
	sent, accepted := r.Sent()
	if o.acts(cmd) && valid > o.max {
		return held(fmt.Sprintf("add --max %d if the file is right", valid), "the file has %d valid rows, and --max is %d: nothing was done", valid, o.max)
	}
	if r.Begun() && sent == valid && !o.acts(cmd) {
		if !o.wait {
			fmt.Fprintf(cmd.ErrOrStderr(), "This run has sent %s. --wait follows their outcomes.\n", count(valid, "row"))
			return nil
		}
		return o.finish(cmd, r, bulk.Report{Rows: sent, Accepted: accepted}, nil)
	}
	do := "send " + count(valid, "row") + " to " + r.Plan.Header.Target
	if sent > 0 {
		do = fmt.Sprintf("send the %d of %d rows that are left to %s", valid-sent, valid, r.Plan.Header.Target)
	}
	act, err := o.allow(cmd, valid, do)
	switch {
	case err != nil:
		return err
	case !act:
		return outcomeOf(valid, valid+rejected, "%s rejected", are(rejected, "row"))
	}
	return o.act(cmd, r, job)
}

// are is "1 row is", "2 rows are".
func are(n int, of string) string {
	if n == 1 {
		return count(n, of) + " is"
	}
	return count(n, of) + " are"
}

// act sends what has not been sent.
func (o *deactivateOptions) act(cmd *cobra.Command, r *bulk.Run, job bulk.Job) error {
	a, err := r.Begin()
	if err != nil {
		return o.failed(err, job, nil)
	}
	defer a.Close()
	trail := newAudit(cmd, []string{job.Name}, o.at, o.actor, o.comment)
	trail.journal = a.Audit
	if err := trail.begin(cmd.Context(), map[string]int{"rows": r.Plan.Summary.Valid}); err != nil {
		return err
	}
	stopFollowing := o.followWhileSending(cmd.Context(), r)
	report, err := a.Send(cmd.Context(), bulk.Sending{
		By: o.actor, Comment: o.comment, Outcomes: o.outcomes(), Looked: func(rows int, c bulk.Counts) { o.printCanary(cmd, rows, c) },
		Canary: bulk.Canary{Off: o.noCanary, MaxFailing: o.stopAbove / 100, Patience: o.canaryWait},
	})
	stopFollowing()
	o.progress.end()
	if err != nil {
		err = o.failed(err, job, &report)
	}
	if !o.asJSON {
		fmt.Fprintf(cmd.ErrOrStderr(), "Sent %d of %s.\n", report.Rows, count(r.Plan.Summary.Valid, "row"))
	}
	return trail.end(cmd, report.Counts(), o.finish(cmd, r, report, err))
}

// outcomes returns where the outcomes of the run are read; nil if they are not.
func (o *deactivateOptions) outcomes() bulk.Outcomes {
	if o.history == nil {
		return nil
	}
	return o.history.outcomes
}

// followWhileSending reads outcomes while rows are sent, with --wait, until the returned function is called.
func (o *deactivateOptions) followWhileSending(ctx context.Context, r *bulk.Run) (stop func()) {
	if !o.wait || o.history == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { o.history.follow(ctx, r.Plan.Header.Run) })
	return func() { cancel(); following.Wait() }
}

// printCanary prints the outcomes of the first rows.
func (o *deactivateOptions) printCanary(cmd *cobra.Command, rows int, c bulk.Counts) {
	o.progress.end()
	if o.asJSON {
		_ = printObjects(cmd, canaryEvent{"canary", rows, textCounts(c)}) // the output keeps its first error
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(), "The first %d rows: %s.\n", rows, c)
	}
	if c.Outcomes[deactivation.AlreadyInactive] == rows {
		fmt.Fprintln(cmd.ErrOrStderr(), "licensectl: warning: none of them was active: is the column of hardware_id the right one?")
	}
}

func textCounts(c bulk.Counts) map[string]int {
	counts := map[string]int{}
	for outcome, n := range c.Outcomes {
		counts[string(outcome)] = n
	}
	return counts
}

// finish follows the outcomes with --wait, prints the report and decides the exit code. stopped is why the act ended
// before its end; it decides then.
func (o *deactivateOptions) finish(cmd *cobra.Command, r *bulk.Run, report bulk.Report, stopped error) error {
	var follow error
	if o.wait && stopped == nil && !o.toAPI {
		report.Outcomes, follow = bulk.Follow(cmd.Context(), r.Plan.Header.Run, report.Accepted, o.outcomes(), o.progress.show)
		o.progress.end()
	}
	o.printReport(cmd, r, report, stopped)
	s := r.Plan.Summary
	rejected := s.Rejected + report.Rejected
	if o.wait && !o.toAPI {
		rejected += report.Outcomes.Outcomes[deactivation.Rejected]
	}
	switch {
	case stopped != nil:
		return stopped
	case errors.Is(follow, context.Canceled):
		return failed(follow, "all rows are sent, and the worker goes on; the same command with --wait follows it again")
	case follow != nil:
		return follow
	}
	return outcomeOf(max(s.Valid+s.Rejected-rejected, 0), s.Valid+s.Rejected, "%s rejected", are(rejected, "row"))
}

// printReport prints what became of the run.
func (o *deactivateOptions) printReport(cmd *cobra.Command, r *bulk.Run, report bulk.Report, stopped error) {
	s := r.Plan.Summary
	if o.asJSON {
		end := endEvent{
			Event: "end", Count: report.Accepted, Run: r.Plan.Header.Run, Comment: o.comment, Sent: report.Rows, Rejected: s.Rejected + report.Rejected,
			Outcomes: textCounts(report.Outcomes), Codes: report.Outcomes.Codes,
		}
		if stopped != nil {
			end.Stopped = stopped.Error()
		}
		_ = printObjects(cmd, end) // the output keeps its first error
		return
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Sent\t%d of %d\n", report.Rows, s.Valid)
	fmt.Fprintf(table, "Accepted\t%d\n", report.Accepted)
	fmt.Fprintf(table, "Rejected\t%d in the file, %d by the target\n", s.Rejected, report.Rejected)
	if report.Outcomes.Final() > 0 && (o.wait || o.toAPI) {
		fmt.Fprintf(table, "Outcomes\t%s\n", report.Outcomes)
	}
	_ = table.Flush() // likewise
}
