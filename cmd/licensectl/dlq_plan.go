package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
)

// Defaults of redrive and purge.
const (
	defaultMaxLetters       = 1000
	defaultLettersPerSecond = 10
)

// actOptions are the flags of redrive and purge, which change the dead-letter queue.
type actOptions struct {
	letterOptions
	confirmation
	plan      string
	perSecond float64
}

func (o *actOptions) addFlags(cmd *cobra.Command) {
	o.letterOptions.addFlags(cmd, defaultMaxLetters)
	o.confirmation.addFlags(cmd, "letters")
	cmd.Flags().StringVar(&o.plan, "plan", "", "the hash that the preview printed: with another plan nothing is done")
	cmd.Flags().Float64Var(&o.perSecond, "per-second", defaultLettersPerSecond, "at most as many messages a second")
}

// check reads the flags.
func (o *actOptions) check(cmd *cobra.Command) (deadletter.Filter, error) {
	if err := o.confirmation.check(cmd); err != nil {
		return deadletter.Filter{}, err
	}
	if !(o.perSecond > 0) || o.perSecond > 1e6 {
		return deadletter.Filter{}, misused("give a number above 0", "--per-second %v is out of range", o.perSecond)
	}
	return o.filter(time.Now())
}

// plan is what redrive or purge would do, and does.
type plan struct {
	*deadletter.Plan
	do     string // "redrive" or "purge"
	found  *lookedAt
	opened time.Time
}

// newPlan makes a plan from the steps. The letters that are kept are visible again at once.
func newPlan(ctx context.Context, do string, found *lookedAt, steps []deadletter.Step) (*plan, error) {
	at, now := found.place, time.Now()
	of, err := deadletter.NewPlan(strings.Join([]string{do, at.endpoint, at.of(deadLetterQueueURL), at.of(queueURL)}, " "), steps, now)
	if err != nil {
		return nil, failed(err, "")
	}
	found.Release(ctx, of.Kept())
	return &plan{of, do, found, now}, nil
}

// run shows the plan, asks, and moves the letters.
func (o *actOptions) run(cmd *cobra.Command, args []string, p *plan, released func(deactivation.Release) ([]deadletter.Move, error)) error {
	if err := p.show(cmd, o); err != nil {
		return err
	}
	if o.plan != "" && o.plan != p.Hash {
		return held("look at the plan again, without --yes", "the plan is %s now, not %s: nothing was done", p.Hash, visible(o.plan))
	}
	n := len(p.Moves)
	act, err := o.allow(cmd, n, p.does())
	if err != nil || !act {
		return err
	}
	ctx := cmd.Context()
	if err := p.found.Confirm(ctx); err != nil {
		return held("look at the plan again, without --yes", "the plan no longer matches the dead-letter queue: %v: nothing was done", err)
	}
	log := newAudit(cmd, args, p.found.place, p.found.place.actor(ctx), o.comment).orStderr(cmd)
	result, stopped, err := p.act(ctx, log, released, o.perSecond, progress(cmd.ErrOrStderr(), p.do, n))
	if err != nil {
		return err
	}
	return log.end(cmd, p.counts(result), o.report(cmd, p, result, stopped), p.AuditLeft(p.found.Left, stopped)...)
}

// act writes the audit line of the beginning and moves the letters. stopped says why a run ended early. After an error nothing
// was moved.
func (p *plan) act(
	ctx context.Context, log *audit, released func(deactivation.Release) ([]deadletter.Move, error), perSecond float64, done func(deadletter.Result),
) (result deadletter.Result, stopped, err error) {
	moves, err := released(deactivation.Release{By: log.line.Actor, At: time.Now().UTC().Truncate(time.Second), Reason: log.line.Comment})
	if err != nil {
		return result, nil, failed(err, "")
	}
	if err := log.begin(ctx, map[string]int{"letters": len(p.Moves)}, p.AuditItems()...); err != nil {
		return result, nil, err
	}
	result, stopped = p.found.Run(ctx, moves, p.sender(), perSecond, done)
	p.found.Close()
	return result, stopped, nil
}

// counts are those of the audit line of the end.
func (p *plan) counts(r deadletter.Result) map[string]int {
	return map[string]int{"letters": len(p.Moves), "done": r.Done, "kept": r.Kept, "lost": r.Lost, "twice": r.Twice}
}

// sender is the queue that a redrive sends to.
func (p *plan) sender() deadletter.Sender {
	if p.do == doPurge {
		return nil
	}
	return p.found.place.queue(queueURL)
}

// progress prints a line at each tenth of many letters.
func progress(w io.Writer, do string, of int) func(deadletter.Result) {
	const many, parts = 100, 10
	next := 1
	return func(r deadletter.Result) {
		if of < many || r.Sum()*parts < next*of {
			return
		}
		next = r.Sum()*parts/of + 1
		fmt.Fprintf(w, "%s: %d of %d letters\n", do, r.Sum(), of)
	}
}

// report prints the result and decides the exit code.
func (o *actOptions) report(cmd *cobra.Command, p *plan, r deadletter.Result, stopped error) error {
	if o.asJSON {
		err := printLines(cmd.OutOrStdout(), []any{map[string]any{
			"count": r.Done, "kept": r.Kept, "lost": r.Lost, "twice": r.Twice, "plan": p.Hash, "comment": o.comment,
		}})
		if err != nil {
			return err
		}
	} else {
		done := map[string]string{doRedrive: "redriven", doPurge: "purged"}[p.do]
		fmt.Fprintf(cmd.OutOrStdout(), "%d of %s %s.\n", r.Done, count(len(p.Moves), "letter"), done)
	}
	text, hint := unmoved(r, stopped)
	switch {
	case text == "":
		return nil
	case r.Done+r.Twice == 0:
		return failed(errors.New(text), hint)
	}
	return partly(hint, "%s", text)
}

// unmoved says which letters were not moved, why, and what to do; "" if all were.
func unmoved(r deadletter.Result, stopped error) (text, hint string) {
	var problems []string
	for _, one := range []struct {
		n    int
		text string
	}{
		{r.Kept, "%s kept in the dead-letter queue"},
		{r.Lost, "%s not touched, since another consumer may have received them"},
		{r.Twice, "%s sent and not deleted: they are in both queues, which does no harm"},
	} {
		if one.n > 0 {
			problems = append(problems, fmt.Sprintf(one.text, was(one.n)))
		}
	}
	if len(problems) == 0 {
		return "", ""
	}
	text = strings.Join(problems, "; ")
	if stopped != nil {
		text += ": " + stopped.Error()
	}
	if errors.Is(stopped, context.Canceled) {
		text = "interrupted: " + strings.Join(problems, "; ")
	}
	hint = "run the command again; it begins with the letters that are left"
	if known := awsHint(stopped, "sqs:SendMessage on the queue, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the dead-letter queue"); known != "" {
		hint = known
	}
	return text, hint
}

// show prints the plan.
func (p *plan) show(cmd *cobra.Command, o *actOptions) error {
	if o.asJSON {
		if o.yes {
			return nil // the result ends in the one object with the count
		}
		return p.showJSON(cmd.OutOrStdout())
	}
	w := cmd.OutOrStdout()
	if len(p.Steps) == 0 {
		fmt.Fprintln(w, fold(w, fmt.Sprintf("Nothing to %s in %s: %s.", p.do, p.where(), noneOf(p.found.Seen)), 0))
		return p.writeNotes(w)
	}
	p.table(w)
	p.differences(w)
	if len(p.Moves) == 0 {
		fmt.Fprintln(w, "\n"+fold(w, fmt.Sprintf("Nothing to %s in %s.", p.do, p.where()), 0))
		return p.writeNotes(w)
	}
	text := fmt.Sprintf("Plan %s: %s in %s", p.Hash, p.does(), p.where())
	if took := time.Duration(float64(p.Messages()) / o.perSecond * float64(time.Second)); took > 2*time.Second {
		text += fmt.Sprintf(", in %s at %v a second", took.Round(time.Second), o.perSecond)
	}
	fmt.Fprintln(w, "\n"+fold(w, text+".", 0))
	return p.writeNotes(w)
}

func (p *plan) writeNotes(w io.Writer) error {
	for _, note := range p.notes() {
		fmt.Fprintln(w, fold(w, note, 0))
	}
	return nil
}

// does says what the plan does: "redrive 2 letters", and of events also how many requests they make.
func (p *plan) does() string {
	text := p.do + " " + count(len(p.Moves), "letter")
	if p.do == doRedrive && p.Messages() != len(p.Moves) {
		text += " as " + count(p.Messages(), "request")
	}
	return text
}

// noneOf says that a filter chooses none of some letters.
func noneOf(seen int) string {
	if seen == 0 {
		return "the dead-letter queue is empty"
	}
	return "none of " + count(seen, "letter") + " matches"
}

// where describes the dead-letter queue for a person.
func (p *plan) where() string {
	at := p.found.place
	if at.stack == "" && !at.isLocal() {
		return "the dead-letter queue " + at.of(deadLetterQueueURL)
	}
	return at.String()
}

// notes are what a person must know before the act.
func (p *plan) notes() []string {
	notes := p.found.notes()
	if rest := p.found.Matched - len(p.Steps); rest > 0 {
		notes = append(notes, fmt.Sprintf("These are the oldest %d of %d letters that match; --max chooses more.", len(p.Steps), p.found.Matched))
	}
	if p.do != doRedrive {
		return notes
	}
	return append(notes, p.Warnings(p.found.place.watches(), p.found.place.stack != "")...)
}

// table prints the steps, grouped.
func (p *plan) table(w io.Writer) {
	groups, kept := p.Groups()
	var rows [][]string
	for _, g := range groups {
		rows = append(rows, []string{
			visible(string(g.Reason)), orDash(visible(g.Code)), orDash(visible(g.Source)), strconv.Itoa(len(g.Letters)), ages(g.Letters, p.opened), visible(string(g.How)),
		})
	}
	printColumns(w, []string{"REASON", "CODE", "SOURCE", "LETTERS", "AGE", "HOW"}, rows)
	for _, why := range slices.Sorted(maps.Keys(kept)) {
		p := page{w: w}
		for _, line := range wrap(fmt.Sprintf("%s kept: %s.", is(kept[why], "letter"), strings.TrimSuffix(why, ".")), pageWidth(w)) {
			p.outside(line)
		}
	}
}

// shownDifferences bounds the events whose requests a plan prints; --json prints all.
const shownDifferences = 20

// differences prints for each event that is mapped anew or completed what it was and what it becomes.
func (p *plan) differences(w io.Writer) {
	shown := 0
	for _, s := range p.Steps {
		if s.Before == "" {
			continue
		}
		if shown++; shown > shownDifferences {
			fmt.Fprintln(w, "\n… and more events; --json lists them all.")
			return
		}
		fmt.Fprintf(w, "\n%s\n%s\n", visible(s.Letter.ID()), fold(w, "  before  "+visible(s.Before), 10))
		for i, line := range s.After {
			fmt.Fprintln(w, fold(w, fmt.Sprintf("  %-6s  %s", []string{"after", ""}[min(i, 1)], visible(line)), 10))
		}
	}
}

// stepLine is a step in JSON.
type stepLine struct {
	ID        string   `json:"id"`
	MessageID string   `json:"message_id"`
	Reason    string   `json:"reason"`
	Code      string   `json:"code,omitempty"`
	Source    string   `json:"source,omitempty"`
	Way       string   `json:"way"`
	Why       string   `json:"why,omitempty"`
	Before    string   `json:"before,omitempty"`
	After     []string `json:"after,omitempty"`
}

func (p *plan) showJSON(w io.Writer) error {
	var lines []any
	for _, s := range p.Steps {
		lines = append(lines, stepLine{
			ID: s.Letter.ID(), MessageID: s.Letter.MessageID, Reason: string(s.Letter.Reason), Code: s.Letter.Code, Source: s.Letter.Source,
			Way: string(s.Way), Why: s.Why, Before: s.Before, After: s.After,
		})
	}
	lines = append(lines, map[string]any{
		"count": len(p.Moves), "plan": p.Hash, "kept": len(p.Steps) - len(p.Moves), "matched": p.found.Matched, "older_than_7_days": p.Old,
		"watch": p.found.place.watches(), "hidden": p.found.hidden, "more": p.found.More,
	})
	return printLines(w, lines)
}
